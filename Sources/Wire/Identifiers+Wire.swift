public import Primitives

extension MemberID: WireCodable {
  /// Four bytes.
  public func encode(into encoder: inout Encoder) { encoder.u32(self.number) }
  /// Reads four bytes; 0 is nobody's number.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    let number = try decoder.u32()
    guard number > 0 else { throw .invalid(at: start, field: "member") }
    self.init(number)
  }
}

extension ConfigurationNumber: WireCodable {
  /// Four bytes.
  public func encode(into encoder: inout Encoder) { encoder.u32(self.number) }
  /// Reads four bytes.
  public init(from decoder: inout Decoder) throws(WireError) { self.init(try decoder.u32()) }
}

extension View: WireCodable {
  /// Eight bytes.
  public func encode(into encoder: inout Encoder) { encoder.u64(self.number) }
  /// Reads eight bytes; the largest view leaves room for the next.
  public init(from decoder: inout Decoder) throws(WireError) { self.init(try decoder.bounded("view")) }
}

extension SequenceNumber: WireCodable {
  /// Eight bytes.
  public func encode(into encoder: inout Encoder) { encoder.u64(self.number) }
  /// Reads eight bytes; numbers stay below 2⁴⁸, so that sums of them never overflow.
  public init(from decoder: inout Decoder) throws(WireError) { self.init(try decoder.bounded("sequence")) }
}

extension LanePosition: WireCodable {
  /// Eight bytes.
  public func encode(into encoder: inout Encoder) { encoder.u64(self.number) }
  /// Reads eight bytes; positions stay below 2⁴⁸.
  public init(from decoder: inout Decoder) throws(WireError) { self.init(try decoder.bounded("position")) }
}

extension Timestamp: WireCodable {
  /// Eight bytes.
  public func encode(into encoder: inout Encoder) { encoder.u64(self.milliseconds) }
  /// Reads eight bytes.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.init(milliseconds: try decoder.u64())
  }
}

extension ReplicaSet: WireCodable {
  /// Four words.
  public func encode(into encoder: inout Encoder) {
    for word in self.words { encoder.u64(word) }
  }
  /// Reads four words.
  public init(from decoder: inout Decoder) throws(WireError) {
    let words = [try decoder.u64(), try decoder.u64(), try decoder.u64(), try decoder.u64()]
    guard let set = ReplicaSet(words: words) else { throw .invalid(at: decoder.offset, field: "replicas") }
    self = set
  }
}

extension Decoder {
  /// Reads eight bytes as a counter, which stays below 2⁴⁸.
  public mutating func bounded(_ field: String) throws(WireError) -> UInt64 {
    let start = self.offset
    let value = try self.u64()
    guard value < 1 << 48 else { throw .overMax(at: start, field: field, value: value, max: 1 << 48 - 1) }
    return value
  }
}
