internal import Dispatch
internal import Foundation
internal import HummingbirdTLS
internal import NIOCore
internal import NIOSSL
internal import Synchronization

/// What an interface shows its clients by TLS: a chain of certificates and its key, from two files that may be replaced
/// while it runs. ⚑ Where they cannot be used at the start, the interface stays closed until they can.
public final class ServerCertificate: Sendable {
  /// Why files cannot be used.
  public struct Unfit: Error, Sendable, CustomStringConvertible {
    /// What is wrong with which file.
    public let description: String
  }

  /// What should be known of the files.
  public enum News: Sendable {
    /// They are shown from now on, until a time in seconds since 1970.
    case taken(until: Int)
    /// They cannot be used, and there were none before: nothing is served until they can.
    case closed(Unfit)
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
    /// What is shown; nil while there is nothing that can be.
    var pair: Pair?
    /// Why there is nothing.
    var unfit: Unfit?
    /// Why what is in the files now is not shown, though something is.
    var refused: Unfit?
    var stamp: Stamp = []
    var lookedAt: ContinuousClock.Instant
    /// When it was said that it ends soon, in seconds since 1970.
    var toldAt = 0
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
  private let proxied: Set<String>
  private let now: @Sendable () -> UInt64
  private let report: @Sendable (News) -> Void
  private let state: Mutex<State>

  /// Reads both files, in PEM. `hosts` are the names by which clients reach the interfaces, those of them that are
  /// `proxied` by way of a proxy, which may take another certificate; `now` gives milliseconds since 1970, and `report`
  /// hears of what becomes of the files and of what ends soon.
  public init(
    chain: String, key: String, hosts: [String], proxied: Set<String> = [], now: @escaping @Sendable () -> UInt64,
    report: @escaping @Sendable (News) -> Void
  ) {
    (self.paths, self.hosts, self.proxied, self.now, self.report) = ((chain, key), hosts, proxied, now, report)
    self.state = Mutex(State(lookedAt: .now - Self.interval))
    _ = self.current()
  }

  /// Why nothing is served; nil where it is.
  public var trouble: String? { self.state.withLock { $0.pair == nil ? $0.unfit?.description : nil } }

  /// Waits until the files can be used, and looks at them each second; gives how handshakes are made then.
  ///
  /// - Throws: `CancellationError`.
  func opened() async throws -> TLSConfiguration {
    while true {
      if let pair = self.current() { return self.configuration(pair) }
      try await Task.sleep(for: Self.interval)
    }
  }

  /// What an operator should see to; nil where there is nothing.
  public var notice: String? {
    let (shown, refused) = self.state.withLock { ($0.pair?.until, $0.refused) }
    guard let until = shown else { return nil }
    if let refused {
      return "the new certificate or its key is not taken: \(refused). What was shown before still is, until "
        + "\(Date(timeIntervalSince1970: Double(until)).formatted(.iso8601)); a start of the node with these files "
        + "closes the FHIR interface and the pages"
    }
    let left = until - self.seconds
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
      guard let until = state.pair?.until, until - seconds < Self.soon,
        seconds >= state.toldAt + Self.again || seconds < state.toldAt
      else { return nil }
      state.toldAt = seconds
      return until
    }
    if let until { self.report(.ending(until: until)) }
  }

  /// How handshakes are made; each shows what is in the files then.
  private func configuration(_ pair: Pair) -> TLSConfiguration {
    var configuration = Self.configuration(pair)
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

  /// What is shown now; nil where there is nothing that can be. The files are looked at once a second at most.
  private func current() -> Pair? {
    let (pair, news) = self.state.withLock { state -> (Pair?, News?) in
      let now = ContinuousClock.now
      guard now - state.lookedAt >= Self.interval else { return (state.pair, nil) }
      state.lookedAt = now
      let stamp = Self.stamp([self.paths.chain, self.paths.key])
      // What is not good yet becomes so while its file stays as it is.
      guard stamp != state.stamp || state.pair == nil || state.refused != nil else { return (state.pair, nil) }
      // The two are replaced one after the other: until both fit, the old ones are shown.
      state.stamp = stamp
      do throws(Unfit) {
        let pair = try Self.read(self.paths.chain, self.paths.key)
        try self.requireGood(pair, after: state.pair)
        (state.pair, state.unfit, state.refused, state.toldAt) = (pair, nil, nil, 0)
        return (pair, .taken(until: pair.until))
      } catch {
        guard state.pair == nil else {
          let isKnown = state.refused?.description == error.description
          state.refused = error
          return (state.pair, isKnown ? nil : .refused(error))
        }
        let isKnown = state.unfit?.description == error.description
        state.unfit = error
        return (nil, isKnown ? nil : .closed(error))
      }
    }
    if let news { self.report(news) }
    self.remind()
    return pair
  }

  /// ⚑ Nothing is shown that clients would refuse, and no key is used that others here can read. A certificate that
  /// replaces another has each name by which clients reached that one.
  private func requireGood(_ pair: Pair, after before: Pair?) throws(Unfit) {
    let (chain, key, seconds) = (self.paths.chain, self.paths.key, self.seconds)
    guard pair.until > seconds else { throw Unfit(description: "the certificate in \(chain) is over") }
    guard pair.from <= seconds else {
      throw Unfit(description: "the certificate in \(chain) is not good yet: look at its first day and at the clock")
    }
    let missing = self.hosts.first { host in
      !pair.names(host) && (before?.names(host) ?? !self.proxied.contains(host))
    }
    if let missing {
      throw Unfit(description: "the certificate in \(chain) is not \(missing)'s, by which clients reach this node")
    }
    guard (Self.attributes(of: key)?[.posixPermissions] as? Int ?? 0) & 0o077 == 0 else {
      throw Unfit(description: "others on this machine can read \(key): chmod 600 \(key)")
    }
  }

  private static func stamp(_ paths: [String]) -> Stamp {
    paths.map { path in
      let found = Self.attributes(of: path)
      return Look(changed: found?[.modificationDate] as? Date, mode: found?[.posixPermissions] as? Int)
    }
  }

  /// Those of the file that a path leads to: a link that leads to another file now has that file's.
  private static func attributes(of path: String) -> [FileAttributeKey: Any]? {
    let target = URL(filePath: path).resolvingSymlinksInPath().path(percentEncoded: false)
    return try? FileManager.default.attributesOfItem(atPath: target)
  }

  private static func read(_ chain: String, _ key: String) throws(Unfit) -> Pair {
    let (certificates, secret) = (try self.bytes(of: chain), try self.bytes(of: key))
    guard let shown = try? NIOSSLCertificate.fromPEMBytes(certificates), !shown.isEmpty else {
      throw Unfit(description: "\(chain) is no chain of certificates in PEM")
    }
    // RFC 7468 §11, RFC 1421 §4.6.1.1.
    guard !String(decoding: secret, as: UTF8.self).contains("ENCRYPTED") else {
      throw Unfit(
        description: "the key in \(key) is encrypted, and nobody gives its passphrase when the node starts: write it "
          + "without one (openssl pkey -in OLD -out NEW), with mode 600")
    }
    guard let own = try? NIOSSLPrivateKey(bytes: secret, format: .pem) else {
      throw Unfit(description: "\(key) holds no private key in PEM")
    }
    let pair = Pair(chain: shown, key: own)
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
