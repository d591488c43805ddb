internal import HealthRecords
internal import Messages
internal import Primitives
internal import Rules
internal import Signing
internal import Wire

/// The rules of execution without a network: transactions are executed one by one on a state in memory.
struct RuleBench {
  let network = Hash.blake2b("consilium/rule-bench/v1", [])
  var configuration: Configuration
  private let rules: HealthRules
  private let ledger: LedgerLimits
  /// The executed state.
  var state = MemoryState()
  /// The cut's time.
  var time = Timestamp(milliseconds: 1_000_000)
  private var leaf: UInt64 = 0

  /// A bench of some members, 1 and up; member i's key is `key(100 + i)`, its registrar's `key(200 + i)`.
  init(
    members count: Int, engine: OrderingEngine = .pbft, limits: HealthRules.Limits = HealthRules.Limits(),
    ledger: LedgerLimits = LedgerLimits()
  ) {
    (self.rules, self.ledger) = (HealthRules(limits: limits), ledger)
    let members = (1...count).map { number -> Member in
      let key = Self.key(100 + number).publicKey
      return Member(
        id: MemberID(UInt32(number)), name: "", key: key, checkpointKey: key,
        registrarKey: Self.key(200 + number).publicKey, sealingKey: .zero, addresses: [])
    }
    self.configuration = Configuration(number: ConfigurationNumber(0), engine: engine, members: members)
  }

  /// The key of a number below 256.
  static func key(_ number: Int) -> SigningKey {
    guard let key = SigningKey(seed: Hash.blake2b("consilium/rule-bench/v1", [UInt8(number)]).bytes) else {
      preconditionFailure("a digest has 32 bytes")
    }
    return key
  }

  /// What a numbered key's holder signs before it becomes an account's at a hospital.
  func possession(of key: Int, as kind: AccountKind, sealingKey: Digest, at hospital: UInt32) -> Signature {
    let said = KeyPossession(
      network: self.network, hospital: MemberID(hospital), kind: kind, sealingKey: sealingKey)
    return Self.key(key).sign(said.signedBytes)
  }

  private var context: ExecutionContext {
    ExecutionContext(
      network: self.network, configuration: self.configuration, limits: self.ledger,
      sequence: SequenceNumber(self.leaf + 1), time: self.time, leaf: self.leaf)
  }

  /// Executes a transaction of a kind, signed by a numbered key or answered for by the hospital.
  mutating func execute(
    _ kind: TransactionKind, _ payload: some WireEncodable, at hospital: UInt32, by signer: Int?
  ) -> (outcome: OutcomeCode, identifier: Digest) {
    var nonce = Encoder()
    nonce.u64(self.leaf)
    nonce.u32(0)
    let transaction =
      signer.map {
        Transaction(
          kind: kind.rawValue, hospital: MemberID(hospital), validUntil: .never, nonce: nonce.bytes,
          payload: payload.encoded, network: self.network, signedBy: Self.key($0))
      }
      ?? Transaction(
        kind: kind.rawValue, hospital: MemberID(hospital), validUntil: .never, nonce: nonce.bytes,
        payload: payload.encoded)
    return self.execute(transaction)
  }

  /// Executes a transaction.
  mutating func execute(_ transaction: Transaction) -> (outcome: OutcomeCode, identifier: Digest) {
    let identifier = transaction.identifier(network: self.network)
    var editor = StateEditor(reader: self.state)
    let outcome = self.rules.execute(transaction, identifier: identifier, in: self.context, state: &editor)
    if outcome == .applied { editor.commit() } else { editor.rollBack() }
    self.state.apply(editor.writes)
    self.leaf += 1
    return (outcome, identifier)
  }

  /// What a cut does whose time has come to a deadline.
  mutating func expire() {
    var editor = StateEditor(reader: self.state)
    self.rules.expire(in: self.context, state: &editor)
    editor.commit()
    self.state.apply(editor.writes)
  }

  /// The earliest deadline.
  var deadline: Timestamp { self.rules.deadline(in: StateEditor(reader: self.state)) }
}
