public import Signing

/// Base58 with Bitcoin's alphabet, as libp2p writes peer identifiers.
enum Base58 {
  private static let alphabet = Array("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".utf8)

  static func encode(_ bytes: [UInt8]) -> String {
    var digits: [UInt8] = []
    for byte in bytes {
      var carry = Int(byte)
      for index in digits.indices {
        carry += Int(digits[index]) << 8
        digits[index] = UInt8(carry % 58)
        carry /= 58
      }
      while carry > 0 {
        digits.append(UInt8(carry % 58))
        carry /= 58
      }
    }
    let zeros = bytes.prefix { $0 == 0 }.map { _ in self.alphabet[0] }
    return String(decoding: zeros + digits.reversed().map { self.alphabet[Int($0)] }, as: UTF8.self)
  }

  static func decode(_ text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    for character in text.utf8 {
      guard let digit = self.alphabet.firstIndex(of: character) else { return nil }
      var carry = digit
      for index in bytes.indices {
        carry += Int(bytes[index]) * 58
        bytes[index] = UInt8(truncatingIfNeeded: carry)
        carry >>= 8
      }
      while carry > 0 {
        bytes.append(UInt8(truncatingIfNeeded: carry))
        carry >>= 8
      }
    }
    let zeros = text.utf8.prefix { $0 == self.alphabet[0] }.map { _ in UInt8(0) }
    return zeros + bytes.reversed()
  }
}

extension PublicKey {
  /// The identity multihash of the protobuf-encoded Ed25519 key (libp2p peer-ids specification).
  private static let peerPrefix: [UInt8] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20]

  /// The peer identifier as libp2p writes it: `12D3KooW…`.
  public var peerIdentifier: String { Base58.encode(Self.peerPrefix + self.bytes) }

  /// The key of a peer identifier; nil where it is none of an Ed25519 key.
  public init?(peerIdentifier: String) {
    guard peerIdentifier.utf8.count <= 64, let bytes = Base58.decode(peerIdentifier),
      bytes.count == Self.peerPrefix.count + 32, bytes.starts(with: Self.peerPrefix)
    else { return nil }
    self.init(Array(bytes[Self.peerPrefix.count...]))
  }
}

/// Where a peer is dialled, in libp2p's notation: `/ip4/127.0.0.1/tcp/4001/p2p/12D3KooW…`, `/ip6/…`, `/dns4/…`.
public struct PeerAddress: Sendable, Hashable, CustomStringConvertible {
  /// How the host is written.
  public enum Kind: String, Sendable, Hashable {
    /// Four numbers.
    case ip4
    /// Colon-separated groups.
    case ip6
    /// A name, looked up when it is dialled.
    case dns4
  }

  /// How the host is written.
  public let kind: Kind
  /// The host.
  public let host: String
  /// The TCP port.
  public let port: UInt16
  /// Who must answer there, where the address says so.
  public let peer: PublicKey?

  /// An address of given parts.
  public init(kind: Kind, host: String, port: UInt16, peer: PublicKey?) {
    (self.kind, self.host, self.port, self.peer) = (kind, host, port, peer)
  }

  /// Reads an address; nil where it is not of these forms.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 5 || parts.count == 7, parts[0].isEmpty, let kind = Kind(rawValue: parts[1]),
      !parts[2].isEmpty, parts[3] == "tcp", let port = UInt16(parts[4])
    else { return nil }
    var peer: PublicKey?
    if parts.count == 7 {
      guard parts[5] == "p2p", let key = PublicKey(peerIdentifier: parts[6]) else { return nil }
      peer = key
    }
    self.init(kind: kind, host: parts[2], port: port, peer: peer)
  }

  /// The address in libp2p's notation.
  public var description: String {
    let base = "/\(self.kind.rawValue)/\(self.host)/tcp/\(self.port)"
    return self.peer.map { "\(base)/p2p/\($0.peerIdentifier)" } ?? base
  }
}
