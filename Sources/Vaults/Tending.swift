public import Messages
public import Primitives

/// Keeping one vault in line with the ledger, round after round: what was erased while the node was down goes before
/// anything else, what is missing or rotten comes from the other vaults, what was never anchored goes after a while,
/// and other vaults are asked for what they should keep (RECORDS §3.5, §4).
///
/// It asks one question at a time (`Effect.isQuestion`); the next input after one is its answer.
public struct Tending: Sendable {
  /// How much a round does, and how often there is one.
  public struct Parameters: Sendable {
    /// How many records are looked at before others have their turn.
    public var stride = 64
    /// How long a round waits before it fetches: the others have what is missing here, once they are connected.
    public var connecting = Span.milliseconds(3_000)
    /// How long there is nothing to do between rounds.
    public var interval = Span.milliseconds(60_000)
    /// How many of its own records a round reads: a million of some kilobytes each take three days.
    public var readMax = 256
    /// And how many bytes of them.
    public var readBytesMax: UInt64 = 64 << 20
    /// How many records are asked of other vaults in a round.
    public var challenges = 4
    /// How long nobody asks a vault for what it should keep after it was entrusted with that, in milliseconds of the
    /// ledger's time.
    public var fetchingMilliseconds = Challenges.fetchingMilliseconds
    /// How long what has no anchor is kept: longer than any transaction of its time can still be executed.
    public var unanchoredLifeMilliseconds: UInt64
    /// The most bytes of one other member's records; nil for no bound.
    public var shareBytesMax: UInt64?

    /// The parameters of a ledger whose transactions live so long.
    public init(transactionLifeMilliseconds: UInt64, shareBytesMax: UInt64?) {
      self.unanchoredLifeMilliseconds = 2 * transactionLifeMilliseconds
      self.shareBytesMax = shareBytesMax
    }
  }

  /// What came of asking a member's vault for a record.
  public enum Fetched: Sendable, Hashable {
    /// It came, and is what was anchored.
    case sound
    /// It did not come though the vault was asked, or was another.
    case wrong
    /// The vault could not be asked, or the record was erased meanwhile.
    case unanswered
  }

  /// What happens; nil and false where the vault failed.
  public enum Input: Sendable, Hashable {
    /// A point in time that `deadline` named has come.
    case timerFired
    /// What the vault holds.
    case listed([Digest]?)
    /// What it lacks.
    case missing([Digest]?)
    /// What it gave is what was anchored, and of so many bytes.
    case read(isSound: Bool, bytes: UInt64)
    /// What another vault gave.
    case fetched(Fetched)
    /// Whether it keeps now what was fetched.
    case stored(Bool)
  }

  /// What is to be done.
  public enum Effect: Sendable, Hashable {
    /// List what is here, in the order of the identifiers.
    case list(after: Digest?, countMax: Int)
    /// Say which of some records are not here.
    case findMissing([Digest])
    /// Read a record and hold it against its anchor.
    case read(Digest)
    /// Ask a member's vault for a record, and hold that against its anchor.
    case fetch(Digest, from: ReplicaIndex)
    /// Ask a member's vault for the proof that it keeps a record: a chunk that is drawn by lot, and its path.
    case challenge(Digest, of: ReplicaIndex)
    /// Keep what was just fetched.
    case store(Digest)
    /// Delete whatever is here of a record.
    case erase(Digest)
    /// A member's records find no room.
    case full(ReplicaIndex)
    /// What the vault keeps of each member.
    case counted([ReplicaIndex: UInt64])
    /// A member's vault did not give what it should keep, several times in a row.
    case unproven(ReplicaIndex, Digest)
    /// A round is over.
    case ended(Round)

    /// Whether an input answers it.
    public var isQuestion: Bool {
      switch self {
      case .list, .findMissing, .read, .fetch, .challenge, .store: true
      case .erase, .full, .counted, .unproven, .ended: false
      }
    }
  }

  /// What a round did, in records.
  public struct Round: Sendable, Hashable {
    /// Brought back because they were not here.
    public internal(set) var fetched: UInt64 = 0
    /// Deleted.
    public internal(set) var erased: UInt64 = 0
    /// Wanted, and nowhere to be had, or without room.
    public internal(set) var missing: UInt64 = 0
    /// Brought back because they were not what was anchored.
    public internal(set) var mended: UInt64 = 0
    /// Nothing was done.
    public init() {}
    /// Whether there is something to tell.
    public var isIdle: Bool { self == Round() }
  }

  /// Why an input was of no use.
  public enum Reason: Sendable, Hashable {
    /// Nothing was asked that it answers, or no time was due.
    case notAsked
  }

  private enum Phase: Sendable {
    case resting(until: Tick)
    case clearing
    case connecting(until: Tick)
    case restoring
    case looking
    case challenging(ReplicaIndex, Digest)
  }

  /// A record that is being brought back.
  private struct Mending: Sendable {
    let record: AnchoredRecord
    /// Who was not asked yet, best last.
    var candidates: [ReplicaIndex]
  }

  private let parameters: Parameters
  private var draw: SeededGenerator
  private var phase = Phase.resting(until: .zero)
  private var round = Round()
  private var mending: Mending?
  /// What has no anchor yet, by when it was first seen, and what of it this round saw.
  private var unanchored: [Digest: Timestamp] = [:]
  private var waiting: [Digest: Timestamp] = [:]
  /// Restoring: the last record looked at, whether it was the ledger's last, what should be here, what is not.
  private var restored: (last: Digest?, isEnd: Bool) = (nil, false)
  private var wanted: [AnchoredRecord] = []
  private var lacking: Set<Digest> = []
  private var kept: [ReplicaIndex: UInt64] = [:]
  /// Looking through: the last record read, those to be read, and how much was.
  private var looked: Digest?
  private var held: [Digest] = []
  private var isHeldEnd = false
  private var readBytes: UInt64 = 0
  private var challengesLeft = 0
  /// How other members' vaults did when they were asked.
  public private(set) var challenges = Challenges()
  /// How many of the records that should be here were nowhere to be had, or had no room, when all were looked for last;
  /// nil before the first time, where the vault could not be read, and where its hospital is no member.
  public private(set) var missing: UInt64?
  /// Whether the vault did not say what it lacks.
  private var isBlind = false

  /// How many records were brought back so far in the round that looks for what is missing here; nil where none does.
  public var fetching: UInt64? {
    switch self.phase {
    case .restoring: self.round.fetched
    case .resting, .clearing, .connecting, .looking, .challenging: nil
    }
  }

  /// A vault about which nothing is known yet; `seed` draws whom to challenge for what.
  public init(_ parameters: Parameters, seed: UInt64) {
    (self.parameters, self.draw) = (parameters, SeededGenerator(seed: seed))
  }

  /// The next point in time at which it wants `.timerFired`; nil while a question is open.
  public var deadline: Tick? {
    switch self.phase {
    case .resting(let until), .connecting(let until): until
    case .clearing, .restoring, .looking, .challenging: nil
    }
  }

  /// Takes one input; appends effects, of which at most one, the last, is a question.
  public mutating func step(
    _ input: Input, ledger: some VaultLedger, at now: Tick, into effects: inout [Effect]
  ) -> Disposition<Reason> {
    switch (self.phase, input) {
    case (.resting(let until), .timerFired) where until <= now:
      (self.round, self.waiting, self.phase) = (Round(), [:], .clearing)
      effects.append(.list(after: nil, countMax: self.parameters.stride))
    case (.clearing, .listed(let held)): self.clear(held ?? [], ledger, at: now, &effects)
    case (.connecting(let until), .timerFired) where until <= now:
      (self.phase, self.restored, self.kept, self.isBlind) = (.restoring, (nil, false), [:], false)
      self.restore(ledger, at: now, &effects)
    case (_, .fetched(let outcome)) where self.mending != nil:
      self.take(outcome, ledger, at: now, &effects)
    case (_, .stored(let isKept)) where self.mending != nil: self.mended(isKept, ledger, at: now, &effects)
    case (.restoring, .missing(let missing)) where self.mending == nil:
      self.lacking = Set(missing ?? [])
      if missing == nil { self.isBlind = true }
      self.restore(ledger, at: now, &effects)
    case (.looking, .listed(let held)) where self.mending == nil:
      self.held = (held ?? []).reversed()
      // Where the vault failed, it is looked at from the same place on the next time.
      self.isHeldEnd = held.map { $0.count < self.parameters.readMax } ?? false
      self.look(ledger, at: now, &effects)
    case (.looking, .read(let isSound, let bytes)) where self.mending == nil && !self.held.isEmpty:
      self.readBytes += bytes
      guard !isSound, !planted(.rotUnread), let entry = self.held.last.flatMap({ ledger.anchored($0) }) else {
        self.looked = self.held.removeLast()
        self.look(ledger, at: now, &effects)
        break
      }
      self.mend(entry, ledger, at: now, &effects)
    case (.challenging(let member, let record), .fetched(let outcome)):
      if self.challenges.note(Challenges.Outcome(outcome), of: member) { effects.append(.unproven(member, record)) }
      self.challenge(ledger, at: now, &effects)
    default: return .ignored(.notAsked)
    }
    return .accepted
  }
}

extension Tending {
  /// Takes away what the ledger erased, and what can never be anchored any more.
  private mutating func clear(
    _ held: [Digest], _ ledger: some VaultLedger, at now: Tick, _ effects: inout [Effect]
  ) {
    for record in held {
      if let entry = ledger.anchored(record) {
        guard entry.isErased, !planted(.erasedKept) else { continue }
      } else {
        // Of both clocks the later one: a node that is behind executes anchors of a time that is past elsewhere.
        let seen = self.unanchored[record] ?? max(ledger.time, ledger.wall)
        guard seen.adding(milliseconds: self.parameters.unanchoredLifeMilliseconds) < ledger.time else {
          self.waiting[record] = seen
          continue
        }
      }
      effects.append(.erase(record))
      self.round.erased += 1
    }
    guard let last = held.last else {
      (self.unanchored, self.phase) = (self.waiting, .connecting(until: now + self.parameters.connecting))
      return
    }
    effects.append(.list(after: last, countMax: self.parameters.stride))
  }

  /// Goes on with the records that should be here, until a question is asked or all were looked at.
  private mutating func restore(_ ledger: some VaultLedger, at now: Tick, _ effects: inout [Effect]) {
    while true {
      while let entry = self.wanted.popLast() {
        guard self.lacking.contains(entry.record) else {
          self.count(entry)
          continue
        }
        guard self.hasRoom(for: entry, ledger) else {
          if let hospital = entry.hospital { effects.append(.full(hospital)) }
          self.round.missing += 1
          continue
        }
        return self.mend(entry, ledger, at: now, &effects)
      }
      guard let own = ledger.own, !self.restored.isEnd else { break }
      let entries = ledger.anchored(after: self.restored.last, countMax: self.parameters.stride)
      self.restored = (entries.last?.record ?? self.restored.last, entries.count < self.parameters.stride)
      let placement = ledger.placement
      self.wanted = entries.filter { entry in
        (!entry.isErased || planted(.erasedBroughtBack))
          && placement.isHolder(own, of: entry.record, from: entry.hospital)
      }.reversed()
      guard !self.wanted.isEmpty else { continue }
      return effects.append(.findMissing(self.wanted.map(\.record).reversed()))
    }
    if ledger.own != nil { effects.append(.counted(self.kept)) }
    self.missing = ledger.own == nil || self.isBlind ? nil : self.round.missing
    (self.phase, self.readBytes) = (.looking, 0)
    effects.append(.list(after: self.looked, countMax: self.parameters.readMax))
  }

  private mutating func count(_ entry: AnchoredRecord) {
    if let hospital = entry.hospital { self.kept[hospital, default: 0] += entry.sizeBytes }
  }

  private func hasRoom(for entry: AnchoredRecord, _ ledger: some VaultLedger) -> Bool {
    guard let max = self.parameters.shareBytesMax, let hospital = entry.hospital, hospital != ledger.own else {
      return true
    }
    return self.kept[hospital, default: 0] + entry.sizeBytes <= max
  }

  /// Goes on reading what is here, until a question is asked or the round's part is read.
  private mutating func look(_ ledger: some VaultLedger, at now: Tick, _ effects: inout [Effect]) {
    while let record = self.held.last, self.readBytes < self.parameters.readBytesMax {
      guard ledger.anchored(record)?.isErased == false else {
        self.looked = self.held.removeLast()
        continue
      }
      return effects.append(.read(record))
    }
    if self.held.isEmpty, self.isHeldEnd { self.looked = nil }
    self.held = []
    self.challengesLeft = self.parameters.challenges
    self.challenge(ledger, at: now, &effects)
  }

  /// So many records are looked at for one that is not erased.
  private static let drawnMax = 256

  /// Asks whoever should keep a record for it, both drawn by lot; ends the round after enough of them.
  private mutating func challenge(_ ledger: some VaultLedger, at now: Tick, _ effects: inout [Effect]) {
    while self.challengesLeft > 0, let own = ledger.own {
      self.challengesLeft -= 1
      let place = Digest(words: (self.draw.next(), self.draw.next(), self.draw.next(), self.draw.next()))
      // ⚑ Many that are erased keep nobody from being asked for the others.
      func live(after place: Digest?) -> AnchoredRecord? {
        ledger.anchored(after: place, countMax: Self.drawnMax).first { !$0.isErased }
      }
      guard let entry = live(after: place) ?? live(after: nil),
        let member = self.challenges.holder(
          of: entry.record, from: entry.hospital, besides: own, placement: ledger.placement, draw: &self.draw),
        ledger.connected.contains(member),
        // ⚑ A member that came back under new keys a moment ago has nothing yet, and fetches it: that accuses nobody.
        !Challenges.isFetching(
          since: ledger.entrusted(member), at: ledger.time, for: self.parameters.fetchingMilliseconds)
      else { continue }
      self.phase = .challenging(member, entry.record)
      return effects.append(.challenge(entry.record, of: member))
    }
    effects.append(.ended(self.round))
    self.phase = .resting(until: now + self.parameters.interval)
  }

  /// Brings a record back: from its hospital first, then from those that should have a copy, then from any.
  private mutating func mend(
    _ entry: AnchoredRecord, _ ledger: some VaultLedger, at now: Tick, _ effects: inout [Effect]
  ) {
    let order = ledger.placement.sources(of: entry.record, from: entry.hospital)
    self.mending = Mending(
      record: entry, candidates: order.filter { $0 != ledger.own && ledger.connected.contains($0) }.reversed())
    self.ask(ledger, at: now, &effects)
  }

  private mutating func ask(_ ledger: some VaultLedger, at now: Tick, _ effects: inout [Effect]) {
    guard let member = self.mending?.candidates.popLast(), let record = self.mending?.record.record else {
      return self.mended(false, ledger, at: now, &effects)
    }
    effects.append(.fetch(record, from: member))
  }

  private mutating func take(
    _ outcome: Fetched, _ ledger: some VaultLedger, at now: Tick, _ effects: inout [Effect]
  ) {
    guard let record = self.mending?.record.record else { return }
    // ⚑ It can have been erased meanwhile: what is erased does not come back.
    if !planted(.erasedBroughtBack), ledger.anchored(record)?.isErased != false {
      return self.mended(true, ledger, at: now, &effects)
    }
    guard outcome == .sound else { return self.ask(ledger, at: now, &effects) }
    effects.append(.store(record))
  }

  /// A record is back, or is nowhere to be had; the phase goes on.
  private mutating func mended(_ isBack: Bool, _ ledger: some VaultLedger, at now: Tick, _ effects: inout [Effect]) {
    guard let entry = self.mending?.record else { return }
    self.mending = nil
    if !isBack { self.round.missing += 1 }
    if case .restoring = self.phase {
      if isBack {
        self.round.fetched += 1
        self.count(entry)
      }
      return self.restore(ledger, at: now, &effects)
    }
    if isBack { self.round.mended += 1 }
    self.looked = self.held.removeLast()
    self.look(ledger, at: now, &effects)
  }
}

extension Challenges.Outcome {
  init(_ fetched: Tending.Fetched) {
    self =
      switch fetched {
      case .sound: .proven
      case .wrong: .failed
      case .unanswered: .unanswered
      }
  }
}
