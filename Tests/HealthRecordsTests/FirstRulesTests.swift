// Goal: a ledger of the first rules is executed by this program as by those before it, so that both agree until a
// quorum adopts others. Method: one long history of what the second rules changed, and of the kinds that they brought;
// its outcomes and state have the digest that a program without the second rules made of them.
import HealthRecords
import Messages
import Primitives
import Rules
import Signing
import Testing
import Wire

/// Bytes that are a payload already.
private struct Raw: WireEncodable {
  let bytes: [UInt8]
  func encode(into encoder: inout Encoder) { encoder.raw(self.bytes) }
}

/// A history of a ledger by itself: draws what happens next, and keeps what became of it.
private struct History {
  var world = World()
  var told = Encoder()
  private var random = SeededGenerator(seed: 1)
  private var records: [Digest] = []
  private var consents: [Digest] = []
  private static let people = ["patient", "mother", "father", "own doctor", "doctor"]

  private mutating func one(of count: Int) -> Int {
    Int(self.random.below(UInt64(count)))
  }

  /// A transaction of any kind, also of one that a program does not know.
  @discardableResult
  private mutating func run(
    _ kind: UInt16, _ payload: some WireEncodable, at hospital: UInt32 = 1, by signer: String?
  ) -> OutcomeCode {
    var nonce = Encoder()
    nonce.u64(self.world.leaf)
    nonce.u32(0)
    let transaction =
      signer.map {
        Transaction(
          kind: kind, hospital: MemberID(hospital), validUntil: .never, nonce: nonce.bytes, payload: payload.encoded,
          network: self.world.network, signedBy: World.key($0))
      }
      ?? Transaction(
        kind: kind, hospital: MemberID(hospital), validUntil: .never, nonce: nonce.bytes, payload: payload.encoded)
    self.world.last = transaction.identifier(network: self.world.network)
    var editor = StateEditor(reader: self.world.state)
    let outcome = self.world.rules.execute(
      transaction, identifier: self.world.last, in: self.context, state: &editor)
    if outcome == .applied { editor.commit() } else { editor.rollBack() }
    self.world.state.apply(editor.writes)
    self.world.leaf += 1
    self.told.u16(outcome.number)
    return outcome
  }

  private var context: ExecutionContext {
    ExecutionContext(
      network: self.world.network, configuration: self.world.configuration, limits: LedgerLimits(),
      sequence: SequenceNumber(self.world.leaf + 1), time: self.world.time, leaf: self.world.leaf)
  }

  private mutating func pass() {
    self.world.time = self.world.time.adding(milliseconds: UInt64(self.one(of: 4_000_000)))
    var editor = StateEditor(reader: self.world.state)
    self.world.rules.expire(in: self.context, state: &editor)
    editor.commit()
    self.world.state.apply(editor.writes)
    self.told.u64(self.world.rules.deadline(in: StateEditor(reader: self.world.state)).milliseconds)
  }

  private func place(of person: Int) -> UInt32 { person == 4 ? 2 : 1 }
  private func account(_ person: Int) -> Digest {
    self.world.account(Self.people[person], at: self.place(of: person))
  }

  mutating func happen(times count: Int) {
    for (person, name) in Self.people.enumerated() {
      let (kind, hospital) = (person < 3 ? AccountKind.patient : .practitioner, self.place(of: person))
      let claim = self.world.registration(name, kind)
      let registration = self.world.proven(
        claim, of: name, as: kind, sealingKey: claim.sealingKey, at: hospital)
      self.run(TransactionKind.registerAccount.rawValue, registration, at: hospital, by: "registrar \(hospital)")
    }
    for number in 1...40 as ClosedRange<UInt8> {
      let anchor = self.world.anchor(number, of: "patient")
      self.run(TransactionKind.anchorRecord.rawValue, anchor, by: nil)
      self.records.append(anchor.record)
    }
    for _ in 0..<count {
      self.pass()
      self.next()
    }
    for pair in self.world.state.scan(prefix: [], limit: .max) {
      self.told.blob(pair.key)
      self.told.blob(pair.value)
    }
  }

  private mutating func next() {
    let (who, whom) = (self.one(of: 5), self.one(of: 5))
    let record = self.records[self.one(of: self.records.count)]
    switch self.one(of: 9) {
    case 0: self.consent(isDenial: false, to: whom, by: self.one(of: 2) == 0 ? "patient" : "registrar 1")
    case 1: self.consent(isDenial: true, to: whom, by: Self.people[who])
    case 2:
      guard !self.consents.isEmpty else { return }
      let consent = self.consents[self.one(of: self.consents.count)]
      let end = ConsentRevocation(patient: self.account(0), consent: consent)
      self.run(
        TransactionKind.revokeConsent.rawValue, end, by: self.one(of: 2) == 0 ? "patient" : "registrar 1")
    case 3, 4:
      let purpose: Purposes = who < 3 ? .patient : .treatment
      let request = self.world.request([record], purpose: purpose)
      self.run(TransactionKind.requestAccess.rawValue, request, at: self.place(of: who), by: Self.people[who])
    case 5:
      let request = self.world.request([record], purpose: .emergency, reason: 1)
      self.run(TransactionKind.breakGlass.rawValue, request, at: self.place(of: who), by: Self.people[who])
    case 6: self.run(TransactionKind.eraseRecord.rawValue, record, by: Self.people[who])
    default: self.strange(record)
    }
  }

  private mutating func consent(isDenial: Bool, to whom: Int, by signer: String) {
    let grant = ConsentGrant(
      patient: self.account(0), isDenial: isDenial, actions: isDenial ? [.read] : [.read, .share],
      grantee: .account(self.account(whom)), scope: .all, purposes: [.treatment, .patient], from: .zero,
      until: self.world.time.adding(milliseconds: UInt64(self.one(of: 400_000_000))), usesMax: nil)
    if self.run(TransactionKind.grantConsent.rawValue, grant, by: signer) == .applied {
      self.consents.append(self.world.last)
    }
  }

  /// What only a newer program understands: kinds 37 and 38, and 39, which is nobody's.
  private mutating func strange(_ record: Digest) {
    var rules = Encoder()
    rules.u16(2)
    rules.u64(0)
    if self.one(of: 2) == 0 {
      // As a quorum would approve them, but for who signs.
      rules.u64(0)
      rules.item(Timestamp.never)
      rules.u16(UInt16(self.one(of: 2)))
      if rules.bytes.last == 1 {
        rules.u16(0)
        rules.raw([UInt8](repeating: 7, count: 64))
      }
    }
    var keeping = Encoder()
    keeping.digest(self.account(0))
    keeping.list([record])
    let signers: [String?] = [nil, "patient", "registrar 1"]
    let kind = UInt16(37 + self.one(of: 3))
    self.run(
      kind, Raw(bytes: kind == 37 ? rules.bytes : keeping.bytes), by: signers[self.one(of: signers.count)])
  }
}

@Suite("Rules of the first version")
struct FirstRulesTests {
  @Test("⚑ Under the second rules it has the outcomes and the state that programs before the third gave it")
  func second() throws {
    var history = History()
    var rules = Encoder()
    rules.u16(2)
    rules.u64(3_600_000)
    history.world.limits.rules = try AgreedRules.decode(rules.bytes)
    history.happen(times: 1500)
    let digest = "0f2e1cc1702bdd55aca1c3e5ee7faf46fffd5d76ead82a9cbe7d25cf124a719f"
    #expect(Hash.sha256(history.told.bytes).description == digest)
  }

  @Test("⚑ Under the first rules a history has the outcomes and the state that programs before the second gave it")
  func golden() {
    var history = History()
    history.happen(times: 1500)
    let digest = "a8721bb3f60bdb9d435fc08121f5d0f14db4143e279409a44cf27d3648dae974"
    #expect(Hash.sha256(history.told.bytes).description == digest)
  }
}
