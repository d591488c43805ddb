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

  /// What became of files that were replaced.
  public enum News: Sendable {
    /// They are shown from now on, until a time in seconds since 1970.
    case taken(until: Int)
    /// They cannot be used: what was shown before still is.
    case refused(Unfit)
  }

  private struct Pair {
    let chain: [NIOSSLCertificate]
    let key: NIOSSLPrivateKey
    var until: Int { self.chain.first.map { Int($0.notValidAfter) } ?? 0 }
  }

  /// Which contents of the files were read.
  private typealias Stamp = [Date?]

  private struct State {
    var pair: Pair
    var stamp: Stamp
    var lookedAt: ContinuousClock.Instant
  }

  /// The largest file that is read, in bytes.
  private static let fileBytesMax = 1 << 20
  /// How often the files are looked at, at most: a handshake asks.
  private static let interval = Duration.seconds(1)

  private let paths: (chain: String, key: String)
  private let report: @Sendable (News) -> Void
  private let state: Mutex<State>

  /// Reads both files, in PEM; `report` hears of those that replace them.
  ///
  /// - Throws: `Unfit` where a file cannot be read, is none of that kind, or the key is another certificate's.
  public init(chain: String, key: String, report: @escaping @Sendable (News) -> Void) throws(Unfit) {
    (self.paths, self.report) = ((chain, key), report)
    let stamp = Self.stamp([chain, key])
    self.state = Mutex(State(pair: try Self.read(chain, key), stamp: stamp, lookedAt: .now))
  }

  /// Until when what is shown now is good, in seconds since 1970.
  public var until: Int { self.state.withLock { $0.pair.until } }

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
        state.pair = try Self.read(self.paths.chain, self.paths.key)
        return (state.pair, .taken(until: state.pair.until))
      } catch { return (state.pair, .refused(error)) }
    }
    if let news { self.report(news) }
    return pair
  }

  private static func stamp(_ paths: [String]) -> Stamp {
    // A link that leads to another file now has that file's time.
    paths.map { path in
      let target = URL(filePath: path).resolvingSymlinksInPath().path(percentEncoded: false)
      return try? FileManager.default.attributesOfItem(atPath: target)[.modificationDate] as? Date
    }
  }

  private static func read(_ chain: String, _ key: String) throws(Unfit) -> Pair {
    let (certificates, secret) = (try self.bytes(of: chain), try self.bytes(of: key))
    let pair: Pair
    do {
      pair = Pair(
        chain: try NIOSSLCertificate.fromPEMBytes(certificates), key: try NIOSSLPrivateKey(bytes: secret, format: .pem))
    } catch { throw Unfit(description: "\(chain) and \(key) are not a chain of certificates and a key, in PEM") }
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
