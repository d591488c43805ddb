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

/// Where a peer is dialled, in libp2p's notation: `/ip4/127.0.0.1/tcp/4001/p2p/12D3KooW…`, `/ip6/::1/tcp/4001`,
/// `/dns4/node.example.org/tcp/4001`, `/dns6/…`.
public struct PeerAddress: Sendable, Hashable, CustomStringConvertible {
  /// How the host is written.
  public enum Kind: String, Sendable, Hashable {
    /// Four numbers.
    case ip4
    /// Colon-separated groups.
    case ip6
    /// A name, looked up for IPv4 addresses each time it is dialled.
    case dns4
    /// A name, looked up for IPv6 addresses each time it is dialled.
    case dns6
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
    guard let address = try? Self.read(text) else { return nil }
    self = address
  }

  /// Whether the host is a name that must be looked up.
  public var isName: Bool { self.kind == .dns4 || self.kind == .dns6 }

  /// The address in libp2p's notation.
  public var description: String {
    let base = "/\(self.kind.rawValue)/\(self.host)/tcp/\(self.port)"
    return self.peer.map { "\(base)/p2p/\($0.peerIdentifier)" } ?? base
  }
}

/// Why a text is no address, or none that others can dial: what is wrong and what to write instead.
public struct AddressFault: Error, Sendable, Hashable {
  /// What is wrong.
  public let why: String
  /// What to do.
  public let remedy: String

  init(_ why: String, _ remedy: String) { (self.why, self.remedy) = (why, remedy) }
}

extension PeerAddress {
  private static let forms =
    "write /ip4/10.0.0.3/tcp/4001, /ip6/2001:db8::3/tcp/4001 or /dns4/node.example.org/tcp/4001"

  /// Reads an address.
  ///
  /// - Throws: `AddressFault` with what is wrong.
  public static func read(_ text: String) throws(AddressFault) -> PeerAddress {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count >= 3, parts[0].isEmpty else {
      throw AddressFault("it is not of the form /ip4/ADDRESS/tcp/PORT", self.forms)
    }
    guard let kind = Kind(rawValue: parts[1]) else {
      let isName = parts[1].hasPrefix("dns")
      throw AddressFault(
        isName ? "/\(parts[1]) does not say which addresses are meant" : "/\(parts[1]) is no kind of host",
        isName ? "write /dns4/\(parts[2])/… for IPv4 or /dns6/\(parts[2])/… for IPv6" : self.forms)
    }
    let host = parts[2]
    switch kind {
    case .ip4: guard IPText.four(host) != nil else { throw AddressFault("\"\(host)\" is no IPv4 address", self.forms) }
    case .ip6: guard IPText.six(host) != nil else { throw AddressFault("\"\(host)\" is no IPv6 address", self.forms) }
    case .dns4, .dns6:
      guard IPText.isName(host) else { throw AddressFault("\"\(host)\" is no name of a machine", self.forms) }
    }
    guard parts.count >= 5 else { throw AddressFault("it names no TCP port", self.forms) }
    guard parts[3] == "tcp" else {
      throw AddressFault("members connect by TCP, not by \(parts[3])", "write /\(kind.rawValue)/\(host)/tcp/PORT")
    }
    guard let port = UInt16(parts[4]), parts[4] == "\(port)" else {
      throw AddressFault("\"\(parts[4])\" is no TCP port", "write a number from 1 to 65535")
    }
    guard parts.count > 5 else { return PeerAddress(kind: kind, host: host, port: port, peer: nil) }
    guard parts.count == 7, parts[5] == "p2p", let key = PublicKey(peerIdentifier: parts[6]) else {
      throw AddressFault("what follows the port is no /p2p/IDENTIFIER", "leave it out, or copy it from member.json")
    }
    return PeerAddress(kind: kind, host: host, port: port, peer: key)
  }

  /// Why nobody else can dial this; nil where somebody may.
  public var publishingFault: AddressFault? {
    let publish = "publish the address or the name at which the other hospitals reach this node"
    guard self.port > 0 else {
      return AddressFault("port 0 lets the system choose a port, and nobody would know which", "write the port")
    }
    let bytes: [UInt8]
    switch self.kind {
    case .dns4, .dns6: return nil
    case .ip4: bytes = IPText.four(self.host) ?? []
    case .ip6: bytes = IPText.six(self.host) ?? []
    }
    guard let kind = IPText.special(bytes) else { return nil }
    return AddressFault("\(self.host) \(kind)", "\(publish); where it listens is another setting")
  }

  /// Why a node cannot listen here; nil where it may.
  public var listeningFault: AddressFault? {
    if self.isName {
      let any = self.kind == .dns4 ? "/ip4/0.0.0.0" : "/ip6/::"
      return AddressFault("a node listens on an IP address", "write \(any)/tcp/\(self.port) for all of this machine's")
    }
    return self.port > 0
      ? nil : AddressFault("port 0 lets the system choose a port, and nobody would know which", "write the port")
  }
}

/// IP addresses and names as text.
enum IPText {
  /// The four bytes of an IPv4 address.
  static func four(_ text: String) -> [UInt8]? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    let bytes = parts.compactMap { part in UInt8(part).flatMap { "\($0)" == part ? $0 : nil } }
    return parts.count == 4 && bytes.count == 4 ? bytes : nil
  }

  /// The sixteen bytes of an IPv6 address (RFC 4291 §2.2), without a zone.
  static func six(_ text: String) -> [UInt8]? {
    guard text.utf8.count <= 45 else { return nil }
    let halves = text.split(separator: "::", omittingEmptySubsequences: false)
    guard halves.count <= 2, let head = self.groups(halves[0], isLast: halves.count == 1) else { return nil }
    guard halves.count == 2 else { return head.count == 16 ? head : nil }
    guard let tail = self.groups(halves[1], isLast: true), head.count + tail.count <= 14 else { return nil }
    return head + [UInt8](repeating: 0, count: 16 - head.count - tail.count) + tail
  }

  private static func groups(_ text: Substring, isLast: Bool) -> [UInt8]? {
    guard !text.isEmpty else { return [] }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    var out: [UInt8] = []
    for (index, part) in parts.enumerated() {
      if isLast, index == parts.count - 1, part.contains(".") {
        guard let four = self.four(String(part)) else { return nil }
        out += four
        continue
      }
      guard (1...4).contains(part.utf8.count), part.allSatisfy(\.isHexDigit), let group = UInt16(part, radix: 16) else {
        return nil
      }
      out += [UInt8(group >> 8), UInt8(truncatingIfNeeded: group)]
    }
    return out
  }

  /// Whether a text is a name of a machine: labels of letters, digits and hyphens (RFC 1123 §2.1).
  static func isName(_ text: String) -> Bool {
    guard (1...253).contains(text.utf8.count) else { return false }
    let labels = text.split(separator: ".", omittingEmptySubsequences: false)
    let allowed = labels.allSatisfy { label in
      (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
        && label.utf8.allSatisfy { byte in
          (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 45 || byte == 95
        }
    }
    // Four numbers are an address, well written or not.
    return allowed && !(labels.last ?? "").allSatisfy(\.isNumber)
  }

  /// What an address means that is nobody's to dial; nil for one that may be a machine's.
  static func special(_ bytes: [UInt8]) -> String? {
    if bytes.count == 4 {
      switch bytes[0] {
      case 0: return "stands for all addresses of one machine"
      case 169 where bytes[1] == 254: return "holds on one cable only (link-local)"
      case 224...239: return "is a group's (multicast)"
      case 240...255: return "is nobody's (reserved)"
      default: return nil
      }
    }
    guard bytes.count == 16 else { return nil }
    if bytes.allSatisfy({ $0 == 0 }) { return "stands for all addresses of one machine" }
    if bytes[0] == 0xff { return "is a group's (multicast)" }
    if bytes[0] == 0xfe, bytes[1] & 0xc0 == 0x80 { return "holds on one cable only (link-local)" }
    let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xff && bytes[11] == 0xff
    return isMapped ? self.special(Array(bytes[12...])) : nil
  }
}
