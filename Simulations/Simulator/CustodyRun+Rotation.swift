internal import Custody
internal import HealthRecords
internal import Messages
internal import NodeCore
internal import Primitives
internal import Rules
internal import Signing
internal import Threshold
internal import Wire

/// Going over to another custody key: records are sealed to it anew, an erased one stays behind, and what opened the
/// old key is destroyed (RECORDS §5, "rotation").
extension CustodyRun {
  mutating func rotate(_ events: inout Int) -> String? {
    guard let before = self.custody else { return nil }
    if let failure = self.begin(before) { return failure }
    self.make(epoch: 0, &events)
    guard let custody = self.custody, custody.generation == before.generation + 1 else {
      return "RECORDS §5: no other custody key after all this time"
    }
    guard custody.publicKey != before.publicKey else { return "RECORDS §5: rotation made the same key again" }
    if let failure = self.checkKey() ?? self.checkOpening(&events) { return failure }
    let honest = self.voters.filter { self.isHonest($0) && before.custodians.contains($0) }
    let dealt = self.dealt(before)
    guard honest.count(where: { self.keyShare($0, of: before) != nil }) >= before.threshold else {
      return "R6: what is not sealed anew yet does not open any more"
    }
    if let failure = self.reseal(before, custody) { return failure }
    self.bench.expire()
    guard CustodyKeys(in: self.bench.state).retiring == nil else {
      return "RECORDS §5: the old custody key stays in use with nothing under it"
    }
    return self.checkDestroyed(before, dealt) ?? self.checkFixed()
  }

  /// What is sealed to the key in use stays as it is: a hospital takes nothing back from those who can read it.
  private mutating func checkFixed() -> String? {
    let limits = LedgerLimits()
    self.bench.time = self.bench.time.adding(milliseconds: limits.transactionLifeMilliseconds + 1)
    for pair in self.bench.state.scan(prefix: StateKey.records, limit: .max) {
      guard let entry = try? RecordEntry.decode(pair.value), !entry.isErased else { continue }
      let resealing = RecordResealing(record: entry.anchor.record, capsule: .zero)
      guard self.bench.execute(.resealRecord, resealing, at: 1, by: nil).outcome == Refusal.notAwaited.code else {
        return "R6: a hospital puts another capsule in the place of one that opens"
      }
    }
    return nil
  }

  private func isHonest(_ member: ReplicaIndex) -> Bool { self.lies[member] == nil }

  /// Whether an honest member still owes a transport key though the shares were dealt without it.
  func isLate(_ member: ReplicaIndex) -> Bool {
    self.isHonest(member) && self.generation?.phase == .active && self.generation?.awaitsKey(of: member) == true
  }

  /// A member forgets what it may.
  mutating func forget(_ member: ReplicaIndex) {
    guard CustodyReading.isSettled(in: self.bench.state) else { return }
    let own = self.bench.configuration.members[member].id
    _ = self.secrets[member].forget(besides: CustodyReading.registeredKey(of: own, in: self.bench.state))
  }

  /// What each honest member was dealt of a key.
  typealias Dealt = (member: ReplicaIndex, place: Int, dealings: [CustodyJob.Dealt])

  func dealt(_ key: CustodyKey) -> [Dealt] {
    self.voters.filter { self.isHonest($0) }.compactMap { member in
      CustodyReading.dealings(of: key, for: member, network: self.bench.network, in: self.bench.state).map {
        (member, $0.place, $0.dealings)
      }
    }
  }

  /// Whoever still finds a share of a key in what it was dealt of it.
  func finder(of key: CustodyKey, in dealt: [Dealt]) -> ReplicaIndex? {
    dealt.first { held in
      self.secrets[held.member].keyShare(of: key, as: held.member, from: held.dealings, at: held.place) != nil
    }?.member
  }

  private var registrarsHospital: UInt32 { self.bench.configuration.members[self.voters[0]].id.number }

  /// A registrar wants another key in the place of the one in use, and of no other; once.
  private mutating func begin(_ before: CustodyKey) -> String? {
    let hospital = self.registrarsHospital
    for (generation, isRight) in [
      (before.generation + 1, false), (before.generation, true), (before.generation, false),
    ] {
      let outcome = self.bench.execute(
        .rotateCustody, CustodyRotation(generation: generation), at: hospital, by: 200 + Int(hospital)
      ).outcome
      guard (outcome == .applied) == isRight else {
        return "RECORDS §5: ending key \(generation) of \(before.generation) gave \(outcome.number)"
      }
    }
    return nil
  }

  /// The hospital seals its live records anew; the patient erases one. Until all are, the old key stays.
  private mutating func reseal(_ before: CustodyKey, _ custody: CustodyKey) -> String? {
    var live = self.bench.state.scan(prefix: StateKey.records, limit: .max).compactMap {
      try? RecordEntry.decode($0.value)
    }
    self.random.shuffle(&live)
    let patient = live.first?.anchor.patient ?? .zero
    guard let fresh = self.anchor(patient, capsule: nil, custody) else { return "RECORDS §3: no record is anchored" }
    let isNew = self.bench.state.item(StateKey.record(fresh.record), as: RecordEntry.self)
    guard isNew?.generation == custody.generation else { return "RECORDS §5: a new record counts under an old key" }
    for (index, entry) in live.enumerated() {
      self.bench.expire()
      guard CustodyKeys(in: self.bench.state).retiring == before else {
        return "R6: a custody key is out of use with \(live.count - index) live records under it"
      }
      let record = entry.anchor.record
      guard index > 0 else {
        guard self.bench.execute(.eraseRecord, record, at: 1, by: 0).outcome == .applied else {
          return "RECORDS §4: the patient cannot erase a record"
        }
        continue
      }
      if let failure = self.reseal(entry, custody) { return failure }
    }
    let erased = live.first.map { RecordResealing(record: $0.anchor.record, capsule: .zero) }
    if let erased, self.bench.execute(.resealRecord, erased, at: 1, by: nil).outcome == .applied {
      return "R7: an erased record is sealed anew"
    }
    return nil
  }

  private mutating func reseal(_ entry: RecordEntry, _ custody: CustodyKey) -> String? {
    let label = entry.anchor.label(network: self.bench.network, custody: custody)
    let enclosed = self.capsule(self.bytes(32), custody, label: label).encoded
    let resealing = RecordResealing(record: entry.anchor.record, capsule: SealedRecord.digest(ofBox: enclosed))
    guard self.bench.execute(.resealRecord, resealing, at: 2, by: nil).outcome == Refusal.notAuthor.code else {
      return "R9: a hospital seals another's record anew"
    }
    guard self.bench.execute(.resealRecord, resealing, at: 1, by: nil).outcome == .applied,
      let now = self.bench.state.item(StateKey.record(entry.anchor.record), as: RecordEntry.self)
    else { return "RECORDS §5: a hospital cannot seal its own record anew" }
    do throws(ReleaseRefusal) {
      _ = try ReleasePolicy.capsule(enclosed, of: now, network: self.bench.network, in: self.bench.state)
    } catch { return "R6: a record does not open by its new capsule: \(error)" }
    return nil
  }

  /// Honest members forget what reads their old shares, and say so; nobody finds them again in the old dealings.
  private mutating func checkDestroyed(
    _ before: CustodyKey, _ dealt: [Dealt]
  ) -> String? {
    for member in self.voters where self.isHonest(member) {
      let own = self.bench.configuration.members[member].id
      self.forget(member)
      for (generation, isRight) in [
        (before.generation + 1, false), (before.generation, true), (before.generation, false),
      ] {
        let outcome = self.bench.execute(
          .stateDestruction, CustodyRotation(generation: generation), at: own.number, by: nil
        ).outcome
        guard (outcome == .applied) == isRight else {
          return "RECORDS §5: stating that key \(generation) is destroyed gave \(outcome.number)"
        }
      }
    }
    return self.finder(of: before, in: dealt).map {
      "R3: member \($0) still finds its share of a key that is out of use"
    }
  }
}
