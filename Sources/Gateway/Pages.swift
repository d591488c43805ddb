public import HealthRecords
internal import Hummingbird
public import Primitives

/// Some of many rows, the newest first, and where the older ones begin: nothing is ever cut without a word.
public struct Page<Item: Sendable>: Sendable {
  /// The most rows of one.
  public static var rowsMax: Int { 1000 }
  /// The rows.
  public var items: [Item]
  /// How many there are in all.
  public var total: UInt64
  /// What the older ones are below; nil where there are none.
  public var next: UInt64?

  /// A page of given parts.
  public init(items: [Item], total: UInt64, next: UInt64?) {
    (self.items, self.total, self.next) = (items, total, next)
  }

  /// The same rows as something else.
  func map<Other>(_ make: (Item) async -> Other) async -> Page<Other> {
    var items: [Other] = []
    for item in self.items { items.append(await make(item)) }
    return Page<Other>(items: items, total: self.total, next: self.next)
  }
}

extension Page: Codable where Item: Codable {}

/// A line of a patient's access history, with its place in the log.
public struct AccessLine: Sendable {
  /// The place.
  public var leaf: UInt64
  /// What happened.
  public var entry: AccessEntry
  /// A line of given parts.
  public init(leaf: UInt64, entry: AccessEntry) { (self.leaf, self.entry) = (leaf, entry) }
}

extension NodeService {
  /// All of a patient's records, in the order of their anchors.
  public func records(of patient: Digest) async -> [RecordEntry] {
    await self.all { await self.records(of: patient, below: $0, countMax: $1) }
  }

  /// All of a patient's access history, the oldest line first.
  public func history(of patient: Digest) async -> [AccessLine] {
    await self.all { await self.history(of: patient, below: $0, countMax: $1) }
  }

  private func all<Item>(_ page: (UInt64?, Int) async -> Page<Item>) async -> [Item] {
    var out: [Item] = []
    var below: UInt64?
    repeat {
      let next = await page(below, Page<Item>.rowsMax)
      out += next.items
      below = next.next
    } while below != nil
    return out.reversed()
  }
}

/// Which page is asked for: `below` a place in the log, `count` rows.
///
/// - Throws: `ServiceRefusal.badRequest` where one of them is no number.
func askedPage(of request: Request) throws(ServiceRefusal) -> (below: UInt64?, countMax: Int) {
  let below: UInt64 = try number("below", of: request, in: 0 ... .max, else: .max)
  let count = try number("count", of: request, in: 1...Int.max, else: 100)
  return (below == .max ? nil : below, min(count, Page<AccessLine>.rowsMax))
}
