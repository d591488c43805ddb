// Goal: a record is said to be kept only when enough vaults acknowledged it; silence and refusal are worked round, and
// placement is everywhere the same. Method: the machine stepped by hand, every order of answers for small networks.
import Messages
import Primitives
import Signing
import Testing
import Vaults

private func configuration(_ count: Int) throws -> Configuration {
  let members = try (1...count).map { number -> Member in
    let key = try #require(PublicKey(Hash.sha256([UInt8(number)]).bytes))
    return Member(
      id: MemberID(UInt32(number)), name: "", key: key, checkpointKey: key, registrarKey: key, sealingKey: .zero,
      addresses: [])
  }
  return Configuration(number: ConfigurationNumber(0), members: members)
}

private func everybody(_ count: Int) -> ReplicaSet {
  var set = ReplicaSet()
  for member in 0..<count { set.insert(member) }
  return set
}

/// A replication with its effects.
private struct Bench {
  var machine: Replication
  var effects: [Replication.Effect] = []
  var now = Tick.zero

  init(_ records: [Digest], from hospital: Int = 0, count: Int, reachable: ReplicaSet? = nil) throws {
    self.machine = Replication(
      of: records, from: hospital, placement: Placement(try configuration(count)),
      reachable: reachable ?? everybody(count))
  }

  @discardableResult
  mutating func step(_ input: Replication.Input) -> Disposition<Replication.Reason> {
    self.machine.step(input, at: self.now, into: &self.effects)
  }

  var offered: [ReplicaIndex] {
    self.effects.compactMap { effect in
      if case .offer(_, let member) = effect { member } else { nil }
    }
  }
  var isComplete: Bool { self.effects.contains(.complete) }
  var hasFailed: Bool { self.effects.contains(.failed) }
}

@Suite("Copies of long records")
struct LongReplicationTests {
  @Test("A member that stores part after part is not silent, however long the whole takes; one that stops is replaced")
  func progress() throws {
    var bench = try Bench([Hash.sha256([1])], count: 4)
    bench.step(.start)
    let (first, second) = (bench.offered[0], bench.offered[1])
    for _ in 0..<10 {
      bench.now = bench.now + Span.milliseconds(2_000)
      bench.step(.progressed(first))
      bench.step(.progressed(second))
      bench.step(.timerFired)
    }
    #expect(bench.offered.count == 2 && !bench.hasFailed)
    bench.now = bench.now + Span.milliseconds(2_000)
    bench.step(.progressed(first))
    bench.now = bench.now + Span.milliseconds(2_000)
    bench.step(.timerFired)
    #expect(bench.offered.count == 3 && bench.offered[2] != first)
    bench.step(.acknowledged(first))
    bench.step(.acknowledged(bench.offered[2]))
    #expect(bench.isComplete)
    #expect(bench.step(.progressed(first)) == .ignored(.over))
  }
}

@Suite("Vaults")
struct VaultsTests {
  private let record = Hash.sha256([1])

  @Test("R8: f + 2 vaults keep a record; all where there are fewer members", arguments: [1, 2, 3, 4, 7, 22])
  func copies(count: Int) throws {
    let configuration = try configuration(count)
    let placement = Placement(configuration)
    let holders = (0..<count).filter { placement.isHolder($0, of: self.record, from: 0) }
    #expect(holders.count == min(count, configuration.faultyMax + 2))
    #expect(holders.first == 0)
    #expect(Set(placement.order(of: self.record, from: 0)) == Set(1..<count))
  }

  @Test("Every vault gets its part of many records")
  func spread() throws {
    let placement = Placement(try configuration(7))
    var load = [Int](repeating: 0, count: 7)
    for number in 0..<210 {
      let record = Hash.sha256([UInt8(number)])
      for member in 0..<7 where placement.isHolder(member, of: record, from: number % 7) { load[member] += 1 }
    }
    #expect(load.allSatisfy { $0 > 50 && $0 < 130 })
  }

  @Test("It is complete when the last copy that is needed is acknowledged, and not before")
  func acknowledged() throws {
    var bench = try Bench([self.record], count: 4)
    bench.step(.start)
    #expect(bench.offered.count == 2)
    bench.step(.acknowledged(bench.offered[0]))
    #expect(!bench.isComplete)
    // The same member twice is one copy.
    #expect(bench.step(.acknowledged(bench.offered[0])) == .ignored(.notOffered))
    #expect(!bench.isComplete)
    bench.step(.acknowledged(bench.offered[1]))
    #expect(bench.isComplete)
  }

  @Test("Who refuses is replaced; when nobody is left, it fails")
  func refused() throws {
    var bench = try Bench([self.record], count: 4)
    bench.step(.start)
    bench.step(.refused(bench.offered[0]))
    #expect(bench.offered.count == 3 && Set(bench.offered) == [1, 2, 3])
    bench.step(.refused(bench.offered[1]))
    #expect(bench.hasFailed && !bench.isComplete)
  }

  @Test("Who is silent is replaced after a while, and still counts when it answers after all")
  func silent() throws {
    var bench = try Bench([self.record], count: 4)
    bench.step(.start)
    bench.step(.acknowledged(bench.offered[0]))
    bench.now = try #require(bench.machine.deadline)
    bench.step(.timerFired)
    #expect(bench.offered.count == 3)
    bench.step(.refused(bench.offered[2]))
    #expect(!bench.hasFailed)
    bench.step(.acknowledged(bench.offered[1]))
    #expect(bench.isComplete)
  }

  @Test("With too few members there, it fails at once and asks nobody")
  func alone() throws {
    var bench = try Bench([self.record], count: 4, reachable: everybody(2))
    bench.step(.start)
    #expect(bench.hasFailed)
    #expect(bench.offered.isEmpty)
    var single = try Bench([self.record], count: 1)
    single.step(.start)
    #expect(single.isComplete)
  }

  @Test("A batch is offered to each member once, with all its records; one record that lacks a copy holds up all")
  func batch() throws {
    let records = (0..<40).map { Hash.sha256([UInt8($0), 3]) }
    var bench = try Bench(records, count: 4)
    bench.step(.start)
    #expect(bench.offered.sorted() == [1, 2, 3])
    for member in [1, 2] { bench.step(.acknowledged(member)) }
    #expect(!bench.isComplete)
    bench.step(.acknowledged(3))
    #expect(bench.isComplete)
  }
}

@Suite("Challenges")
struct ChallengeTests {
  @Test("Only those are asked who should keep a record, each of them in time, and never the asker")
  func holders() throws {
    let placement = Placement(try configuration(7))
    var draw = SeededGenerator(seed: 1)
    for number in UInt8(0)..<40 {
      let record = Hash.sha256([number])
      let asked = Set(
        (0..<200).compactMap { _ in
          Challenges().holder(of: record, from: 3, besides: 0, placement: placement, draw: &draw)
        })
      let keepers = Set((0..<7).filter { $0 != 0 && placement.isHolder($0, of: record, from: 3) })
      #expect(asked == keepers && asked.contains(3))
    }
    let alone = Placement(try configuration(1))
    #expect(Challenges().holder(of: .zero, from: 0, besides: 0, placement: alone, draw: &draw) == nil)
  }

  @Test("Two failures one after another are told, once; what proves nothing changes nothing")
  func alarm() {
    var challenges = Challenges()
    let outcomes: [Challenges.Outcome] = [
      .failed, .proven, .failed, .unanswered, .failed, .failed, .proven, .failed, .failed,
    ]
    let told = outcomes.map { challenges.note($0, of: 2) }
    #expect(told == [false, false, false, false, true, false, false, false, true])
    #expect(challenges[2].proven == 2 && challenges[2].failed == 6)
    #expect(challenges[1].proven == 0 && challenges[1].failed == 0)
  }

  @Test("⚑ A vault that never answers though it is connected is told, once, until it proves something")
  func silent() {
    var challenges = Challenges()
    for _ in 0..<2 {
      let told = (1...40).map { _ in challenges.note(.unanswered, of: 2) }
      #expect(told.count { $0 } == 1 && told.firstIndex(of: true) == Int(Challenges.silenceAt) - 1)
      let isTold = challenges.note(.proven, of: 2)
      #expect(!isTold)
    }
  }
}

/// A ledger of given records, among four members of which the first is asked.
private struct Records: VaultLedger {
  var entries: [AnchoredRecord] = []
  var own: ReplicaIndex? = 0
  var placement = Placement(members: [0, 1, 2, 3], copies: 3)
  var connected = everybody(4)
  var (time, wall) = (Timestamp.zero, Timestamp.zero)
  var since: [ReplicaIndex: Timestamp] = [:]
  func entrusted(_ member: ReplicaIndex) -> Timestamp? { self.since[member] }
  func anchored(_ record: Digest) -> AnchoredRecord? { self.entries.first { $0.record == record } }
  func anchored(after last: Digest?, countMax: Int) -> [AnchoredRecord] {
    Array(self.entries.sorted { $0.record < $1.record }.filter { last ?? .zero < $0.record }.prefix(countMax))
  }
}

@Suite("Room in a vault (RECORDS §3.5)")
struct IntakeTests {
  private func record(_ number: UInt8) -> Digest { Hash.sha256([number]) }

  /// A vault's room that is asked with records' numbers.
  private final class Room {
    var intake: Intake
    var ledger = Records()
    init(share: UInt64?) { self.intake = Intake(shareBytesMax: share) }
    /// Whether it takes parts of records with given numbers, each of so many bytes.
    func takes(_ numbers: UInt8..., bytes: UInt64, from member: ReplicaIndex) -> Bool {
      let parts = numbers.map { (record: Hash.sha256([$0]), bytes: bytes) }
      return self.intake.take(parts, from: member, isOwn: true, ledger: self.ledger) == .taken
    }
  }

  @Test("A member's share counts what is anchored and what waits; another member's is its own")
  func share() {
    let room = Room(share: 100)
    #expect(room.takes(1, bytes: 40, from: 1))
    #expect(room.takes(2, bytes: 30, from: 1))
    #expect(!room.takes(3, bytes: 31, from: 1))
    #expect(room.takes(3, bytes: 100, from: 2))
    room.intake.anchored(record(1), bytes: 40, of: 1)
    #expect(room.intake.bytes(of: 1).kept == 40)
    #expect(room.intake.bytes(of: 1).waiting == 30)
    #expect(!room.takes(4, bytes: 31, from: 1))
    #expect(room.takes(4, bytes: 30, from: 1))
  }

  @Test("What is never anchored makes room again once it is cleared away, and counts for nothing")
  func cleared() {
    let room = Room(share: nil)
    #expect(room.takes(1, bytes: Intake.unanchoredBytesMax, from: 1))
    #expect(!room.takes(2, bytes: 1, from: 1))
    room.intake.forget(record(1))
    #expect(room.takes(2, bytes: 1, from: 1))
    #expect(room.intake.bytes(of: 1).kept == 0)
  }

  @Test("What could not be stored takes no room, and leaves the room of what was stored before")
  func givenBack() {
    let room = Room(share: nil)
    #expect(room.takes(1, bytes: 10, from: 1))
    #expect(room.takes(1, bytes: 30, from: 1))
    room.intake.giveBack([(record(1), 30)], from: 1)
    #expect(room.intake.bytes(of: 1).waiting == 10)
    room.intake.giveBack([(record(1), 10)], from: 1)
    #expect(room.intake.bytes(of: 1).waiting == 0)
    #expect(room.takes(1, bytes: 5, from: 2))
  }

  @Test("What waits is counted as it comes and goes, and many small records are as bounded as few large ones")
  func small() {
    let room = Room(share: nil)
    for number in UInt8(0)..<200 { #expect(room.takes(number, bytes: UInt64(number) + 1, from: 1)) }
    room.intake.forget(record(9))
    room.intake.giveBack([(record(19), 20), (record(29), 7)], from: 1)
    room.intake.anchored(record(39), bytes: 40, of: 1)
    let all = (1...200).reduce(0, +)
    #expect(room.intake.bytes(of: 1).waiting == UInt64(all - 10 - 20 - 7 - 40))
    // What a member may leave here in the smallest parts is a bounded number of them.
    #expect(Intake.unanchoredBytesMax / Intake.overheadBytes <= 1 << 22)
  }

  @Test("R7: what the ledger names is not taken, and what it erased is told apart")
  func named() {
    let room = Room(share: nil)
    room.ledger.entries = [
      AnchoredRecord(record: record(1), hospital: 1, sizeBytes: 10, isErased: false),
      AnchoredRecord(record: record(2), hospital: 1, sizeBytes: 10, isErased: true),
    ]
    #expect(room.intake.take([(record(1), 10)], from: 1, isOwn: true, ledger: room.ledger) == .full)
    let both = [(record: record(3), bytes: UInt64(10)), (record: record(2), bytes: UInt64(10))]
    #expect(room.intake.take(both, from: 1, isOwn: true, ledger: room.ledger) == .erased)
    #expect(room.intake.bytes(of: 1).waiting == 0)
  }

  @Test("Nobody leaves anything under another's identifier, so that the other's record finds room")
  func captured() {
    let room = Room(share: nil)
    #expect(room.intake.take([(record(1), 10)], from: 2, isOwn: false, ledger: room.ledger) == .foreign)
    #expect(room.intake.bytes(of: 2).waiting == 0 && !room.intake.isWaiting(record(1)))
    #expect(room.takes(1, bytes: 10, from: 1))
  }

  @Test("All parts of a message are taken or none, and nobody adds to another's record")
  func whole() {
    let room = Room(share: nil)
    #expect(room.takes(1, bytes: 10, from: 1))
    #expect(!room.takes(2, 1, bytes: 10, from: 2))
    #expect(room.intake.bytes(of: 2).waiting == 0)
    #expect(room.takes(1, bytes: 10, from: 1))
  }

  @Test("A count anew replaces what was added up; an anchor of a record that never waited here adds nothing")
  func counted() {
    let room = Room(share: 50)
    room.intake.anchored(record(9), bytes: 40, of: 1)
    #expect(room.intake.bytes(of: 1).kept == 0)
    room.intake.counted([1: 45])
    #expect(!room.intake.hasRoom(for: 6, of: 1) && room.intake.hasRoom(for: 5, of: 1))
  }
}

@Suite("Tending a vault (RECORDS §3.5, §4)")
struct TendingTests {
  /// A vault in memory with the machine that tends it.
  private final class Bench {
    var ledger = Records()
    var vault: [Digest: Bool] = [:]
    /// Who gives what is asked of it; all others have nothing.
    var givers: Set<ReplicaIndex> = [1, 2, 3]
    /// What happens while another vault is asked.
    var meanwhile: (Bench) -> Void = { _ in }
    var isAway = false
    var tending: Tending
    var rounds: [Tending.Round] = []
    var asked: [ReplicaIndex] = []
    var unproven: [ReplicaIndex] = []
    var full: [ReplicaIndex] = []
    var now = Tick.zero

    init(share: UInt64? = nil, challenges: Int = 0) {
      var parameters = Tending.Parameters(transactionLifeMilliseconds: 1000, shareBytesMax: share)
      (parameters.stride, parameters.readMax, parameters.challenges) = (2, 2, challenges)
      self.tending = Tending(parameters, seed: 1)
    }

    /// Names a record in the ledger; this hospital should keep it.
    func anchor(_ number: UInt8, from hospital: ReplicaIndex? = 0, isErased: Bool = false) -> Digest {
      let record = Hash.sha256([number])
      self.ledger.entries.removeAll { $0.record == record }
      self.ledger.entries.append(
        AnchoredRecord(record: record, hospital: hospital, sizeBytes: 10, isErased: isErased))
      return record
    }

    /// One round, from its timer to its end.
    func round() {
      let count = self.rounds.count
      while self.rounds.count == count, let deadline = self.tending.deadline {
        self.now = max(self.now, deadline)
        self.give(.timerFired)
      }
    }

    func give(_ input: Tending.Input) {
      var effects: [Tending.Effect] = []
      #expect(self.tending.step(input, ledger: self.ledger, at: self.now, into: &effects) == .accepted)
      for effect in effects { self.perform(effect) }
    }

    private func perform(_ effect: Tending.Effect) {
      switch effect {
      case .list(let last, let countMax):
        let held = self.vault.keys.sorted().filter { last ?? .zero < $0 }
        self.give(.listed(self.isAway ? nil : Array(held.prefix(countMax))))
      case .findMissing(let records): self.give(.missing(self.isAway ? nil : records.filter { self.vault[$0] == nil }))
      case .read(let record): self.give(.read(isSound: self.vault[record] == true, bytes: 10))
      case .fetch(_, let member), .challenge(_, let member):
        self.asked.append(member)
        self.meanwhile(self)
        self.give(.fetched(self.givers.contains(member) ? .sound : .wrong))
      case .store(let record):
        self.vault[record] = true
        self.give(.stored(true))
      case .erase(let record): self.vault[record] = nil
      case .full(let member): self.full.append(member)
      case .unproven(let member, _): self.unproven.append(member)
      case .counted: break
      case .ended(let round): self.rounds.append(round)
      }
    }
  }

  @Test("R7: what was erased while the node was down goes, and is not fetched again")
  func erased() {
    let bench = Bench()
    let records = (0..<5).map { bench.anchor($0, isErased: true) }
    for record in records { bench.vault[record] = true }
    bench.round()
    #expect(bench.vault.isEmpty && bench.rounds.first?.erased == 5 && bench.asked.isEmpty)
  }

  @Test("R7: what is erased while another vault is asked for it does not come back")
  func erasedMeanwhile() {
    let bench = Bench()
    _ = bench.anchor(1)
    bench.meanwhile = { _ = $0.anchor(1, isErased: true) }
    bench.round()
    #expect(bench.asked.count == 1 && bench.vault.isEmpty)
  }

  @Test("R8: what is missing or rotten comes from its hospital, else from whoever has it")
  func restored() {
    let bench = Bench()
    let (missing, rotten, left) = (bench.anchor(1, from: 3), bench.anchor(2, from: 3), bench.anchor(3, from: nil))
    bench.ledger.placement = Placement(members: [0, 1, 2, 3], copies: 4)
    bench.vault[rotten] = false
    bench.givers = [2]
    for _ in 0..<2 { bench.round() }
    #expect(bench.vault == [missing: true, rotten: true, left: true])
    #expect(bench.rounds[0].fetched == 2 && bench.rounds.map(\.mended).reduce(0, +) == 1)
    // Of a hospital that left, there is none to ask first.
    #expect(bench.asked.contains(3) && bench.asked.contains(2))
  }

  @Test("What nobody has is counted as missing, each round")
  func lost() {
    let bench = Bench()
    _ = bench.anchor(1)
    bench.givers = []
    for _ in 0..<2 { bench.round() }
    #expect(bench.rounds.map(\.missing) == [1, 1] && Set(bench.asked) == [1, 2, 3])
  }

  @Test("What was never anchored goes when nothing of its time can be executed any more, by the ledger's clock")
  func unanchored() {
    let bench = Bench()
    bench.vault[Hash.sha256([9])] = true
    bench.round()
    #expect(bench.vault.count == 1)
    bench.ledger.time = Timestamp(milliseconds: 2000)
    bench.round()
    #expect(bench.vault.count == 1)
    bench.ledger.time = Timestamp(milliseconds: 2001)
    bench.round()
    #expect(bench.vault.isEmpty)
  }

  @Test("A store that is away loses nothing and fetches nothing; the next round goes on")
  func away() {
    let bench = Bench()
    let record = bench.anchor(1)
    bench.isAway = true
    bench.round()
    #expect(bench.asked.isEmpty && bench.rounds == [Tending.Round()])
    bench.isAway = false
    bench.round()
    #expect(bench.vault == [record: true])
  }

  @Test("A member's records beyond its share are not fetched, its own hospital's are")
  func share() {
    let bench = Bench(share: 15)
    bench.ledger.placement = Placement(members: [0, 1], copies: 2)
    for number in UInt8(0)..<3 { _ = bench.anchor(number, from: 1) }
    let own = (3..<6).map { bench.anchor($0, from: 0) }
    bench.round()
    #expect(bench.full == [1, 1] && bench.vault.count == 4)
    #expect(own.allSatisfy { bench.vault[$0] == true })
  }

  @Test("A vault that does not give what it should keep is told after the second time")
  func challenged() {
    let bench = Bench(challenges: 2)
    bench.ledger.placement = Placement(members: [0, 1], copies: 2)
    bench.vault[bench.anchor(1)] = true
    bench.givers = []
    bench.round()
    #expect(bench.asked == [1, 1] && bench.unproven == [1])
    #expect(bench.tending.challenges[1].failed == 2)
  }

  @Test("⚑ Many records that are erased keep no vault from being asked for the others")
  func diluted() {
    let bench = Bench(challenges: 4)
    bench.ledger.placement = Placement(members: [0, 1, 2, 3], copies: 4)
    for number in UInt8(1)...200 { _ = bench.anchor(number, isErased: true) }
    bench.vault[bench.anchor(0, from: 1)] = true
    bench.round()
    #expect(bench.asked.count == 4 && bench.unproven.isEmpty)
  }

  @Test("⚑ A vault that was entrusted with its records less than a day ago, by the ledger's time, is not asked for any")
  func fetching() {
    let bench = Bench(challenges: 2)
    bench.ledger.placement = Placement(members: [0, 1], copies: 2)
    bench.vault[bench.anchor(1)] = true
    bench.givers = []
    bench.ledger.since[1] = Timestamp(milliseconds: 1000)
    for time in [0, 1000, 999 + Challenges.fetchingMilliseconds] {
      bench.ledger.time = Timestamp(milliseconds: time)
      bench.round()
    }
    #expect(bench.asked.isEmpty && bench.unproven.isEmpty && bench.rounds.count == 3)
    bench.ledger.time = Timestamp(milliseconds: 1000 + Challenges.fetchingMilliseconds)
    bench.round()
    #expect(bench.asked == [1, 1] && bench.unproven == [1])
  }

  @Test("Whether a vault has all is known once all was looked for, and of a vault that cannot be read it is not known")
  func standing() {
    let bench = Bench()
    #expect(bench.tending.missing == nil && bench.tending.fetching == nil)
    let record = bench.anchor(1)
    var seen: [UInt64?] = []
    bench.meanwhile = { seen.append($0.tending.fetching) }
    bench.givers = []
    bench.round()
    #expect(bench.tending.missing == 1 && seen == [0, 0, 0] && bench.tending.fetching == nil)
    bench.givers = [1, 2, 3]
    bench.round()
    #expect(bench.tending.missing == 0 && bench.vault == [record: true])
    bench.isAway = true
    bench.round()
    #expect(bench.tending.missing == nil)
    (bench.isAway, bench.ledger.own) = (false, nil)
    bench.round()
    #expect(bench.tending.missing == nil)
  }

  @Test("An answer to nothing that was asked is ignored")
  func unasked() {
    let bench = Bench()
    var effects: [Tending.Effect] = []
    for input in [
      Tending.Input.stored(true), .fetched(.sound), .listed([]), .missing([]), .read(isSound: true, bytes: 1),
    ] {
      let disposition = bench.tending.step(input, ledger: bench.ledger, at: .zero, into: &effects)
      #expect(disposition == .ignored(.notAsked))
    }
    #expect(effects.isEmpty)
  }
}
