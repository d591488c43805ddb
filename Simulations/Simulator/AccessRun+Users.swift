internal import HealthRecords
internal import Messages
internal import Primitives
internal import Rules
internal import Signing

/// Whoever acts, and by what: teams, sessions, keys that are lost, and what a quorum of hospitals decides.
extension AccessRun {
  mutating func openSession() -> String? {
    let who = self.one(of: Self.people)
    let key = 120 + self.one(of: 60)
    let until = self.bench.time.adding(milliseconds: self.random.below(200_000))
    let opening = SessionOpening(key: RuleBench.key(key).publicKey, until: until)
    let outcome = self.bench.execute(
      .openSession, opening, at: self.hospital(of: who), by: self.keys[who]
    ).outcome
    // A key is free again once its session is over.
    let isTaken = self.sessions.contains { $0.key == key && self.bench.time <= $0.until }
    let expected = who < Self.practitioners && until > self.bench.time && !isTaken
    if expected {
      self.sessions.removeAll { $0.key == key }
      self.sessions.append((who, key, until))
    }
    return (outcome == .applied) == expected ? nil : "RECORDS §2: opening a session gave \(outcome.number)"
  }

  /// A hospital approves that observations be erased some day; a quorum's approvals make it the rule.
  mutating func retain() -> String? {
    guard !self.isRetentionSet else { return nil }
    let hospital = UInt32(1 + self.one(of: 3))
    let rule = RetentionRule(category: .observation, milliseconds: Self.retentionMilliseconds)
    let outcome = self.bench.execute(.setRetention, rule, at: hospital, by: 200 + Int(hospital)).outcome
    let expected = self.approvals.insert(hospital).inserted
    self.isRetentionSet = self.approvals.count >= self.bench.configuration.quorum
    return (outcome == .applied) == expected ? nil : "RECORDS §4: approving a retention gave \(outcome.number)"
  }

  mutating func changeTeam() -> String? {
    self.team = Set((0..<Self.practitioners).filter { _ in self.random.oneIn(2) })
    let change = CareTeamChange(number: 5, members: self.team.map { self.account($0) })
    let outcome = self.bench.execute(.setCareTeam, change, at: 2, by: 202).outcome
    return outcome == .applied ? nil : "RECORDS §4: a care team was refused with \(outcome.number)"
  }

  /// Somebody's key is lost, or is said to be: another takes over after a delay, unless its holder objects.
  mutating func recover() -> String? {
    if let recovery, self.random.oneIn(2) {
      let key = self.random.oneIn(2) ? self.keys[recovery.who] : recovery.key
      let outcome = self.bench.execute(
        .endRecovery, self.account(recovery.who), at: self.hospital(of: recovery.who), by: key
      ).outcome
      let expected = key == self.keys[recovery.who]
      if expected { self.recovery = nil }
      return (outcome == .applied) == expected ? nil : "RECORDS §2: objecting to a recovery gave \(outcome.number)"
    }
    let who = self.one(of: Self.people)
    let key = 30 + self.one(of: 60)
    let request = RecoveryRequest(
      account: self.account(who), key: RuleBench.key(key).publicKey, sealingKey: Hash.blake2b("sealing", [1]))
    let hospital = self.hospital(of: who)
    let outcome = self.bench.execute(.beginRecovery, request, at: hospital, by: 200 + Int(hospital)).outcome
    // A key that was anybody's, or is promised to somebody, is nobody else's.
    guard outcome == .applied else {
      let isFree = self.recovery?.key != key && !self.used.contains(key)
      let expected = isFree && self.recovery?.who != who
      return expected ? "RECORDS §2: a recovery was refused with \(outcome.number)" : nil
    }
    guard self.recovery == nil else {
      // One at a time is followed.
      return self.withdraw(who, at: hospital)
    }
    self.used.insert(key)
    self.recovery = (who, key, self.bench.time.adding(milliseconds: Self.recoveryMilliseconds))
    return nil
  }

  private mutating func withdraw(_ who: Int, at hospital: UInt32) -> String? {
    let outcome = self.bench.execute(.endRecovery, self.account(who), at: hospital, by: 200 + Int(hospital)).outcome
    return outcome == .applied ? nil : "RECORDS §2: taking a recovery back gave \(outcome.number)"
  }
}
