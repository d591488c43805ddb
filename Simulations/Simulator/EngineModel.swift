// What an exploration of schedules puts around an ordering engine: numbers, signatures, lanes and a store, all as small
// as they can be.
internal import Messages
internal import NodeCore
internal import Ordering
internal import Primitives
internal import Signing

/// Numbers values in the order in which they come.
struct Numbering<Value: Hashable> {
  private var values: [Value] = []
  private var numbers: [Value: Int] = [:]
  var count: Int { self.values.count }
  subscript(number: Int) -> Value { self.values[number] }

  mutating func number(of value: Value) -> (number: Int, isNew: Bool) {
    if let known = self.numbers[value] { return (known, false) }
    self.numbers[value] = self.values.count
    self.values.append(value)
    return (self.values.count - 1, true)
  }
}

/// Makes messages whose signatures nobody verifies.
final class Signer {
  private let keys = Cluster.keys(0)

  func sign(_ ballot: Ballotable, _ network: Digest, _ member: ReplicaIndex) -> OrderingMessage {
    let item = self.keys.sign(.ballot(ballot), network: network, as: member, seconds: 0) { _ in .unsigned }
    guard case .ordering(let message) = item else { preconditionFailure("a ballot becomes an ordering message") }
    return message
  }
}

/// Lanes of at most one block each.
struct OneBlockLanes: LaneReader {
  let blocks: UInt8

  private func head(_ lane: Int) -> LaneHead {
    self.blocks >> UInt8(lane) & 1 == 0
      ? .empty : LaneHead(position: LanePosition(1), digest: Hash.blake2b("consilium/explored/v1", [UInt8(lane)]))
  }
  func proposable(lane: Int) -> LaneHead { self.head(lane) }
  func orderable(lane: Int) -> LanePosition { self.head(lane).position }
  func extent(lane: Int, from base: LaneHead, to head: LaneHead) -> LaneExtension {
    if base == head { return .extends(transactions: 0, bytes: 0) }
    guard base == .empty else { return .contradicts }
    return self.head(lane) == head ? .extends(transactions: 1, bytes: 100) : .missing
  }
  func growth(
    lane: Int, from base: LaneHead, within room: LaneRoom
  ) -> (head: LaneHead, transactions: UInt64, bytes: UInt64) {
    let head = self.head(lane)
    return base == head || base != .empty ? (base, 0, 0) : (head, 1, 100)
  }
}

extension OrderingState {
  /// What it is after a write, as a store keeps it.
  mutating func apply(_ write: OrderingWrite) {
    switch write {
    case .view(_, let view, let isChanging): (self.view, self.isChanging) = (view, isChanging)
    case .prePrepare(let signed):
      self.prePrepares.removeAll { $0.content.sequence == signed.content.sequence }
      self.prePrepares.append(signed)
    case .prepared(let certificate):
      self.prepared.removeAll { $0.sequence == certificate.sequence }
      self.prepared.append(certificate)
    case .newView(let signed): self.newView = signed
    case .evidence: break
    case .decision(let decision):
      self.laterDecisions.append(decision)
      self.laterDecisions.sort { $0.sequence < $1.sequence }
      while let next = self.laterDecisions.first, next.sequence == (self.lastDecision?.sequence ?? .zero).next {
        if let last = self.lastDecision { self.recentDecisions.append(last) }
        self.lastDecision = self.laterDecisions.removeFirst()
      }
    case .term(_, let term, let vote): (self.view, self.vote) = (term, vote)
    case .entry(let sequence, let entry):
      self.entries.removeAll { $0.sequence == sequence }
      self.entries.append(StoredEntry(sequence, entry))
      self.entries.sort { $0.sequence < $1.sequence }
    }
  }
}
