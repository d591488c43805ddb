internal import Messages
public import Primitives
import Rules
public import Wire

/// `rateRecord`: a patient's feedback on a visit, by the record that a practitioner wrote about it.
///
/// A number, never text: what is on the ledger stays for good, and says nothing about anybody's health (LEDGER §5).
public struct RecordRating: Sendable, Hashable {
  /// From 1, poor, to this, excellent.
  public static let ratingMax: UInt8 = 5
  /// The record.
  public let record: Digest
  /// The rating.
  public let rating: UInt8
  /// A rating of a record.
  public init(record: Digest, rating: UInt8) { (self.record, self.rating) = (record, rating) }
}

extension RecordRating: WireCodable {
  /// Record, rating.
  public func encode(into encoder: inout Encoder) {
    encoder.digest(self.record)
    encoder.u8(self.rating)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.record = try decoder.digest()
    let start = decoder.offset
    self.rating = try decoder.u8()
    guard self.rating >= 1, self.rating <= Self.ratingMax else { throw .invalid(at: start, field: "rating") }
  }
}

/// How often a practitioner was given each rating.
public struct RatingCounts: Sendable, Hashable {
  /// Of 1, 2, 3, 4 and 5.
  public private(set) var counts = [UInt64](repeating: 0, count: Int(RecordRating.ratingMax))

  /// None yet.
  public init() {}

  mutating func add(_ rating: UInt8) { self.counts[Int(rating) - 1] += 1 }
  mutating func remove(_ rating: UInt8) { self.counts[Int(rating) - 1] -= min(1, self.counts[Int(rating) - 1]) }
}

extension RatingCounts: WireCodable {
  /// Five counts.
  public func encode(into encoder: inout Encoder) { for count in self.counts { encoder.u64(count) } }
  /// Reads five counts.
  public init(from decoder: inout Decoder) throws(WireError) {
    for index in self.counts.indices { self.counts[index] = try decoder.bounded("count") }
  }
}

extension RuleContext {
  /// ⚑ Only who was treated rates, once a record; a second thought takes the place of the first.
  func rateRecord(_ rating: RecordRating, in state: inout StateEditor) throws {
    guard let entry = state.item(StateKey.record(rating.record), as: RecordEntry.self) else {
      throw Refusal.unknownRecord
    }
    try self.requirePatient(entry.anchor.patient, in: state)
    guard !entry.isErased else { throw Refusal.erased }
    guard let author = entry.anchor.author else { throw Refusal.noAuthor }
    var counts = state.item(StateKey.ratings(of: author), as: RatingCounts.self) ?? RatingCounts()
    if let before = state.item(StateKey.rating(of: rating.record), as: RecordRating.self) {
      counts.remove(before.rating)
    }
    counts.add(rating.rating)
    state.set(StateKey.rating(of: rating.record), rating)
    state.set(StateKey.ratings(of: author), counts)
  }
}
