internal import Dispatch
internal import Foundation
internal import HummingbirdTLS
internal import NIOCore
internal import NIOSSL
internal import Synchronization

/// What an interface shows its clients by TLS: a chain of certificates and its key, from two files that may be replaced
/// while it runs.
public final class ServerCertificate: Sendable {
  /// Why files cannot be used.
  public struct Unfit: Error, Sendable, CustomStringConvertible {
    /// What is wrong with which file.
    public let description: String
  }

  /// What should be known of the files.
  public enum News: Sendable {
    /// Those that replaced others are shown from now on, until a time in seconds since 1970.
    case taken(until: Int)
    /// Those that replaced others cannot be used: what was shown before still is.
    case refused(Unfit)
    /// What is shown ends soon; said once a day.
    case ending(until: Int)
  }

  private struct Pair {
    let chain: [NIOSSLCertificate]
    let key: NIOSSLPrivateKey
    var until: Int { self.chain.first.map { Int($0.notValidAfter) } ?? 0 }
    var from: Int { self.chain.first.map { Int($0.notValidBefore) } ?? 0 }

    /// Whether the first certificate names a host (RFC 6125, §6.4): a star stands for the first label.
    func names(_ host: String) -> Bool {
      guard let first = self.chain.first else { return false }
      let host = host.lowercased()
      return first._subjectAlternativeNames().contains { name in
        let text = String(decoding: name.contents, as: UTF8.self).lowercased()
        switch name.nameType {
        case .dnsName: return text == host || text.hasPrefix("*.") && host.drop { $0 != "." } == text.dropFirst()
        case .ipAddress: return Array(name.contents) == Self.address(host)
        default: return false
        }
      }
    }

    /// The bytes of an IP address; nil of a name.
    private static func address(_ host: String) -> [UInt8]? {
      var (four, six) = (in_addr(), in6_addr())
      if unsafe inet_pton(AF_INET, host, &four) == 1 { return unsafe withUnsafeBytes(of: four) { unsafe Array($0) } }
      let bare = host.hasPrefix("[") ? String(host.dropFirst().prefix { $0 != "]" }) : host
      guard unsafe inet_pton(AF_INET6, bare, &six) == 1 else { return nil }
      return unsafe withUnsafeBytes(of: six) { unsafe Array($0) }
    }
  }

  /// Which contents of the files were read, and who else could.
  private typealias Stamp = [Look]

  private struct Look: Equatable {
    let changed: Date?
    let mode: Int?
  }

  private struct State {
    var pair: Pair
    var stamp: Stamp
    var lookedAt: ContinuousClock.Instant
    /// When it was said that it ends soon, in seconds since 1970.
    var toldAt: Int
  }

  /// The largest file that is read, in bytes.
  private static let fileBytesMax = 1 << 20
  /// How often the files are looked at, at most: a handshake asks.
  private static let interval = Duration.seconds(1)
  /// How long before its end a certificate ends soon, in seconds.
  private static let soon = 14 * 86_400
  /// How often that is said, in seconds.
  private static let again = 86_400

  private let paths: (chain: String, key: String)
  private let hosts: [String]
  private let now: @Sendable () -> UInt64
  private let report: @Sendable (News) -> Void
  private let state: Mutex<State>

  /// Reads both files, in PEM. `hosts` are the names by which clients reach the interfaces, `now` gives milliseconds
  /// since 1970, and `report` hears of what replaces the files and of what ends soon.
  ///
  /// - Throws: `Unfit` where a file cannot be read, is none of that kind, or the key is another certificate's.
  public init(
    chain: String, key: String, hosts: [String], now: @escaping @Sendable () -> UInt64,
    report: @escaping @Sendable (News) -> Void
  ) throws(Unfit) {
    (self.paths, self.hosts, self.now, self.report) = ((chain, key), hosts, now, report)
    let stamp = Self.stamp([chain, key])
    let pair = try Self.read(chain, key)
    self.state = Mutex(State(pair: pair, stamp: stamp, lookedAt: .now, toldAt: 0))
    self.remind()
  }

  /// Until when what is shown now is good, in seconds since 1970.
  public var until: Int { self.state.withLock { $0.pair.until } }

  /// What an operator should see to; nil where there is nothing.
  public var notice: String? {
    let left = self.until - self.seconds
    guard left < Self.soon else { return nil }
    let when = left < 0 ? "is over" : "ends in \(left / 86_400) days"
    return "the certificate in \(self.paths.chain) \(when): after that EHRs and browsers refuse to connect; replace it "
      + "and its key, the node takes them while it runs"
  }

  private var seconds: Int { Int(clamping: self.now() / 1000) }

  /// Says once a day that what is shown ends soon.
  public func remind() {
    let seconds = self.seconds
    let until = self.state.withLock { state -> Int? in
      guard state.pair.until - seconds < Self.soon, seconds >= state.toldAt + Self.again || seconds < state.toldAt
      else { return nil }
      state.toldAt = seconds
      return state.pair.until
    }
    if let until { self.report(.ending(until: until)) }
  }

  /// How handshakes are made; each shows what is in the files then.
  var configuration: TLSConfiguration {
    var configuration = Self.configuration(self.state.withLock { $0.pair })
    configuration.sslContextCallback = { [weak self] _, promise in
      // ⚑ Not on the handshake's own thread: what is wrong with a new file is noted for the thread that read it, and
      // would end the handshake.
      DispatchQueue.global().async { [weak self] in
        guard let pair = self?.current() else { return promise.succeed(.noChanges) }
        var shown = NIOSSLContextConfigurationOverride()
        shown.certificateChain = pair.chain.map { .certificate($0) }
        shown.privateKey = .privateKey(pair.key)
        promise.succeed(shown)
      }
    }
    return configuration
  }

  private static func configuration(_ pair: Pair) -> TLSConfiguration {
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: pair.chain.map { .certificate($0) }, privateKey: .privateKey(pair.key))
    configuration.minimumTLSVersion = .tlsv12
    configuration.applicationProtocols = ["http/1.1"]
    return configuration
  }

  private func current() -> Pair {
    let (pair, news) = self.state.withLock { state -> (Pair, News?) in
      let now = ContinuousClock.now
      guard now - state.lookedAt >= Self.interval else { return (state.pair, nil) }
      state.lookedAt = now
      let stamp = Self.stamp([self.paths.chain, self.paths.key])
      guard stamp != state.stamp else { return (state.pair, nil) }
      // The two are replaced one after the other: until both fit, the old ones are shown.
      state.stamp = stamp
      do throws(Unfit) {
        let pair = try Self.read(self.paths.chain, self.paths.key)
        try self.requireGood(pair, after: state.pair)
        (state.pair, state.toldAt) = (pair, 0)
        return (state.pair, .taken(until: state.pair.until))
      } catch { return (state.pair, .refused(error)) }
    }
    if let news { self.report(news) }
    self.remind()
    return pair
  }

  /// ⚑ Nothing takes the place of what clients accept that they would refuse, and no key that others here can read: the
  /// node would not start with it.
  private func requireGood(_ pair: Pair, after before: Pair) throws(Unfit) {
    let (chain, seconds) = (self.paths.chain, self.seconds)
    guard pair.until > seconds else { throw Unfit(description: "the certificate in \(chain) is over") }
    guard pair.from <= seconds else { throw Unfit(description: "the certificate in \(chain) is not good yet") }
    if let host = self.hosts.first(where: { before.names($0) && !pair.names($0) }) {
      throw Unfit(description: "the certificate in \(chain) is not \(host)'s, by which clients reach this node")
    }
    let mode = (try? FileManager.default.attributesOfItem(atPath: self.paths.key))?[.posixPermissions] as? Int
    guard (mode ?? 0) & 0o077 == 0 else {
      throw Unfit(
        description:
          "others on this machine can read \(self.paths.key): chmod 600 it, else the node does not start again")
    }
  }

  private static func stamp(_ paths: [String]) -> Stamp {
    // A link that leads to another file now has that file's time.
    paths.map { path in
      let target = URL(filePath: path).resolvingSymlinksInPath().path(percentEncoded: false)
      let found = try? FileManager.default.attributesOfItem(atPath: target)
      return Look(changed: found?[.modificationDate] as? Date, mode: found?[.posixPermissions] as? Int)
    }
  }

  private static func read(_ chain: String, _ key: String) throws(Unfit) -> Pair {
    let (certificates, secret) = (try self.bytes(of: chain), try self.bytes(of: key))
    let pair: Pair
    do {
      pair = Pair(
        chain: try NIOSSLCertificate.fromPEMBytes(certificates), key: try NIOSSLPrivateKey(bytes: secret, format: .pem))
    } catch {
      throw Unfit(
        description: "\(chain) and \(key) are not a chain of certificates and a key without a passphrase, in PEM")
    }
    guard !pair.chain.isEmpty else { throw Unfit(description: "\(chain) holds no certificate in PEM") }
    do { _ = try NIOSSLContext(configuration: self.configuration(pair)) } catch {
      throw Unfit(description: "the key in \(key) is not that of the first certificate in \(chain)")
    }
    return pair
  }

  private static func bytes(of path: String) throws(Unfit) -> [UInt8] {
    do {
      let file = try FileHandle(forReadingFrom: URL(filePath: path))
      defer { try? file.close() }
      let bytes = try file.read(upToCount: self.fileBytesMax + 1) ?? Data()
      guard bytes.count <= self.fileBytesMax else { throw Unfit(description: "\(path) is over 1 MiB") }
      return Array(bytes)
    } catch let unfit as Unfit { throw unfit } catch {
      throw Unfit(description: "\(path) cannot be read: \(error.localizedDescription)")
    }
  }
}
