import Primitives

/// The places for connections that came in and have not proved a key yet: who gets one, and who gives way (OVERLAY §1,
/// LEDGER §11.7).
///
/// Anybody can open connections and say nothing, from as many addresses as a network has. So nobody is turned away: one
/// of the range that holds most gives way. ⚑ Which one is drawn: if it were always the oldest, a flood that is faster
/// than a round trip would end each handshake of a member far away, where a drawn one ends only its share of them.
/// Places of their own are kept for the addresses of members. A stranger at such an address (behind the same router)
/// competes with the members there and nowhere else. A connection that proved a member's key leaves this table and
/// never gives way.
public struct HandshakePlaces: Sendable, Hashable {
  /// The limits.
  public struct Limits: Sendable, Hashable {
    /// The most places of strangers.
    public var strangersMax = 256
    /// The most places kept for the addresses of members besides.
    public var membersMax = 256
    /// The most from one address at which no member is known to be.
    public var addressMax = 16
    /// The most of strangers from one range: /24 of IPv4, /64 of IPv6.
    public var rangeMax = 64
    /// The defaults.
    public init() {}
  }

  /// A connection's number, which its owner chose.
  public typealias Number = UInt64

  private struct Place: Sendable, Hashable {
    let number: Number
    let address: SourceAddress
    let isMembers: Bool
  }

  private let limits: Limits
  private var places: [Place] = []
  /// Addresses at which members are known to be: from the configuration, and where they proved their keys from.
  private var known: Set<SourceAddress> = []
  private var random: SeededGenerator

  /// A table without connections; which of several gives way is drawn from `seed`, which strangers must not know.
  public init(_ limits: Limits = Limits(), seed: UInt64) {
    self.limits = limits
    self.random = SeededGenerator(seed: seed)
  }

  /// How many connections have a place.
  public var count: Int { self.places.count }

  /// From now on these are the addresses of members.
  public mutating func know(_ addresses: some Sequence<SourceAddress>) { self.known = Set(addresses) }

  /// A connection came: it has a place from now on. The number of the one that gives way for it; nil for none.
  ///
  /// - Complexity: O(places).
  public mutating func take(_ number: Number, from address: SourceAddress) -> Number? {
    let isMembers = self.known.contains(address)
    let loser = self.loser(for: address, isMembers: isMembers).map { self.places.remove(at: $0).number }
    self.places.append(Place(number: number, address: address, isMembers: isMembers))
    return loser
  }

  /// A connection proved a key, or is over.
  public mutating func leave(_ number: Number) { self.places.removeAll { $0.number == number } }

  private mutating func loser(for address: SourceAddress, isMembers: Bool) -> Int? {
    let rivals = self.places.indices.filter { self.places[$0].isMembers == isMembers }
    if isMembers {
      guard rivals.count >= self.limits.membersMax else { return nil }
      return self.draw(fromFullest: rivals) { $0.address }
    }
    // A crowded address or range competes with its like.
    let sameAddress = rivals.filter { self.places[$0].address == address }
    if sameAddress.count >= self.limits.addressMax { return self.draw(from: sameAddress) }
    let sameRange = rivals.filter { self.places[$0].address.range == address.range }
    if sameRange.count >= self.limits.rangeMax { return self.draw(from: sameRange) }
    guard rivals.count >= self.limits.strangersMax else { return nil }
    return self.draw(fromFullest: rivals) { $0.address.range }
  }

  /// One of those whose group holds most places.
  private mutating func draw<Group: Hashable>(fromFullest rivals: [Int], by group: (Place) -> Group) -> Int? {
    var held: [Group: Int] = [:]
    for index in rivals { held[group(self.places[index]), default: 0] += 1 }
    let most = held.values.max()
    return self.draw(from: rivals.filter { held[group(self.places[$0])] == most })
  }

  private mutating func draw(from indices: [Int]) -> Int? {
    guard !indices.isEmpty else { return nil }
    return indices[Int(self.random.below(UInt64(indices.count)))]
  }
}

/// Where a connection came from: an IP address, and the range that its owner can most likely choose from.
public struct SourceAddress: Sendable, Hashable {
  /// The addresses that count as one owner's.
  public struct Range: Sendable, Hashable {
    private let prefix: [UInt8]
    init(_ prefix: ArraySlice<UInt8>) { self.prefix = Array(prefix) }
  }

  /// Four bytes, or sixteen.
  private let bytes: [UInt8]

  /// The address in `text`, as systems write it; an IPv4 address inside IPv6 is that IPv4 address. Nil for anything
  /// else.
  public init?(_ text: String) {
    let host = text.split(separator: "%", omittingEmptySubsequences: false).first.map(String.init) ?? ""
    if let bytes = Self.parseFour(host) {
      self.bytes = bytes
      return
    }
    guard let bytes = Self.parseSix(host) else { return nil }
    let isMapped = bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xff && bytes[11] == 0xff
    self.bytes = isMapped ? Array(bytes.suffix(4)) : bytes
  }

  /// /24 of IPv4, /64 of IPv6.
  public var range: Range { Range(self.bytes.prefix(self.bytes.count == 4 ? 3 : 8)) }

  private static func parseFour(_ text: String) -> [UInt8]? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    let bytes = parts.compactMap { $0.count <= 3 && $0.allSatisfy(\.isNumber) ? UInt8($0) : nil }
    return bytes.count == 4 ? bytes : nil
  }

  private static func parseSix(_ text: String) -> [UInt8]? {
    let halves = text.components(around: "::")
    guard halves.count <= 2 else { return nil }
    var words: [[UInt16]] = []
    for half in halves {
      guard let some = Self.words(half) else { return nil }
      words.append(some)
    }
    let count = words.reduce(0) { $0 + $1.count }
    guard halves.count == 2 ? count < 8 : count == 8, let first = words.first, let last = words.last else { return nil }
    let all = halves.count == 2 ? first + Array(repeating: 0, count: 8 - count) + last : first
    return all.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
  }

  private static func words(_ text: Substring) -> [UInt16]? {
    guard !text.isEmpty else { return [] }
    var out: [UInt16] = []
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    for (index, part) in parts.enumerated() {
      if index == parts.count - 1, let four = Self.parseFour(String(part)) {
        out += [UInt16(four[0]) << 8 | UInt16(four[1]), UInt16(four[2]) << 8 | UInt16(four[3])]
      } else if part.count <= 4, part.allSatisfy(\.isHexDigit), let word = UInt16(part, radix: 16) {
        out.append(word)
      } else {
        return nil
      }
    }
    return out
  }
}

extension String {
  /// The parts between occurrences of a separator.
  fileprivate func components(around separator: String) -> [Substring] {
    var out: [Substring] = []
    var start = self.startIndex
    var at = self.startIndex
    while at < self.endIndex {
      if self[at...].hasPrefix(separator) {
        out.append(self[start..<at])
        at = self.index(at, offsetBy: separator.count)
        start = at
      } else {
        at = self.index(after: at)
      }
    }
    return out + [self[start...]]
  }
}
