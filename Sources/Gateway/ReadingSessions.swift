public import FHIR
public import HealthRecords
internal import Ledger
internal import Messages
public import Primitives
public import Rules
public import Signing
internal import Wire

/// Keys with which the hospital's EHR asks to read in practitioners' names (`openSession`): made here, let by each
/// practitioner's own key, gone with the process and when their time is over.
public actor ReadingSessions {
  /// A session that is open.
  public struct Session: Sendable {
    /// The practitioner.
    public let account: Digest
    /// Until when it asks.
    public let until: Timestamp
    /// Its key, by which it is closed on the ledger.
    public let key: PublicKey
    /// The app's `client_id`; nil where the hospital's own system opened it.
    public let client: String?
    /// What is allowed by it.
    public let scopes: SMARTScopes
    /// The patient in whose chart the app was launched, by the Patient's id here; nil where it was not.
    public let patient: String?
    fileprivate let seed: [UInt8]

    /// In whose name it asks.
    var asker: FHIRAsker {
      FHIRAsker(account: self.account, client: self.client, scopes: self.scopes, patient: self.patient)
    }

    fileprivate func with(_ scopes: SMARTScopes) -> Session {
      Session(
        account: self.account, until: self.until, key: self.key, client: self.client, scopes: scopes,
        patient: self.patient, seed: self.seed)
    }
  }

  /// A token's session. A token can be over before it.
  private struct Held {
    let session: Session
    let until: UInt64
    /// How many tokens were given before.
    let number: UInt64
  }

  /// A key that waits for a practitioner's word.
  private struct Prepared {
    let key: PublicKey
    let seed: [UInt8]
    let account: Digest?
    let until: UInt64
  }

  /// The most sessions, and the most of one practitioner: the oldest of the own go then, never another's.
  private static let sessionsMax = 10_000
  private static let sessionsPerAccountMax = 32
  /// The most keys that wait for a practitioner's word, of all and of each who asked for them.
  private static let preparedMax = 4096
  private static let preparedPerAccountMax = 8
  private static let preparedMilliseconds: UInt64 = 600_000

  private let service: any NodeService
  let now: @Sendable () -> UInt64
  private let refused: RefusedCounts
  private var prepared: [Prepared] = []
  /// By the digest of the token: the token itself is kept by whom it was given.
  private var open: [Digest: Held] = [:]
  private var givenCount: UInt64 = 0

  /// The sessions of a node; `now` gives milliseconds since 1970.
  public init(
    service: any NodeService, refused: RefusedCounts? = nil, now: @escaping @Sendable () -> UInt64
  ) {
    (self.service, self.refused, self.now) = (service, refused ?? RefusedCounts(now: now), now)
  }

  /// A key that was made for a session.
  public struct SessionKey: Sendable {
    /// The key.
    public let key: PublicKey
    /// Its holder's word that it is to be a session's at this hospital (`KeyPossession`).
    public let possession: Signature
  }

  /// A fresh key that waits for a practitioner's word; `account` asks for it, or the hospital's own system where it is
  /// nil. Whoever asks for more than wait at once loses the oldest of the own. Nil where too many wait.
  public func prepare(for account: Digest? = nil) -> SessionKey? {
    let time = self.now()
    self.prepared.removeAll { $0.until < time }
    let seed = SecureRandom.bytes(32)
    guard let key = SigningKey(seed: seed) else { return nil }
    let own = self.prepared.indices.filter { self.prepared[$0].account == account }
    let max = account == nil ? Self.preparedMax / 2 : Self.preparedPerAccountMax
    if own.count >= max, let oldest = own.first { self.prepared.remove(at: oldest) }
    guard self.prepared.count < Self.preparedMax else { return nil }
    self.prepared.append(
      Prepared(key: key.publicKey, seed: seed, account: account, until: time + Self.preparedMilliseconds))
    let said = KeyPossession(sessionAt: self.service.member.id, network: self.service.genesis.network)
    return SessionKey(key: key.publicKey, possession: key.sign(said.signedBytes))
  }

  /// Submits a practitioner's `openSession` for a prepared key; gives the token by which the session is used.
  ///
  /// - Throws: `ServiceRefusal` where the transaction is something else, its key was not prepared here, or the ledger
  ///   refused.
  public func activate(
    _ bytes: [UInt8], client: String? = nil, scopes: SMARTScopes = .everything, patient: String? = nil
  ) async throws -> (token: String, until: Timestamp) {
    let checked = try CheckedTransaction(
      bytes, index: 0, genesis: self.service.genesis, hospital: self.service.member.id)
    guard let transaction = try? Transaction.decode(bytes), transaction.kind == TransactionKind.openSession.rawValue,
      let opening = (try? Proven<SessionOpening>.decode(transaction.payload))?.claim
    else { throw ServiceRefusal.badRequest("a transaction that opens a session is expected") }
    guard let waiting = self.prepared.first(where: { $0.key == opening.key }) else {
      throw ServiceRefusal.badRequest("its key was not made here, or too long ago: ask for a key again")
    }
    guard let key = checked.signer else { throw ServiceRefusal.unauthorized("nobody signed the transaction") }
    try await self.requireOwn(key)
    // ⚑ A key that one practitioner asked for opens no session of another's.
    if let asked = waiting.account {
      guard let signed = Digest(key.bytes), await self.service.account(ofKey: signed) == asked else {
        throw ServiceRefusal.unauthorized("its key was made for another practitioner: ask for one by the own account")
      }
    }
    let receipt = try await self.submit(checked, of: key)
    guard receipt.outcome == .applied else { throw ServiceRefusal.badRequest(receipt.outcome.explanation) }
    self.prepared.removeAll { $0.key == opening.key }
    guard case .person(let signer, _) = transaction.authorization, let signed = Digest(signer.bytes),
      let account = await self.service.account(ofKey: signed)
    else { throw ServiceRefusal.notFound("account") }
    try self.makeRoom(for: account)
    let session = Session(
      account: account, until: opening.until, key: opening.key, client: client, scopes: scopes, patient: patient,
      seed: waiting.seed)
    return (self.token(for: session, isRenewable: scopes.wantsRefresh), opening.until)
  }

  /// Refuses what another hospital's practitioner signed, before the ledger does, and says whose that one is.
  private func requireOwn(_ key: PublicKey) async throws {
    let own = self.service.member
    guard let signed = Digest(key.bytes), let identifier = await self.service.account(ofKey: signed),
      let account = await self.service.account(identifier), account.hospital != own.id
    else { return }
    let name = await self.service.membership().members.first { $0.number == account.hospital.number }?.name
    let home = "hospital \(account.hospital.number)" + (name.map { " (\($0))" } ?? "")
    throw ServiceRefusal.otherHospital(
      "the practitioner belongs to \(home), and this node is hospital \(own.id.number)'s (\(own.name))",
      remedy: "open the session at a node of \(home), with --api of that one")
  }

  private func makeRoom(for account: Digest) throws(ServiceRefusal) {
    let time = Timestamp(milliseconds: self.now())
    self.open = self.open.filter { $0.value.session.until >= time }
    let own = self.open.filter { $0.value.session.account == account }.sorted { $0.value.number < $1.value.number }
    for (place, _) in own.dropLast(Self.sessionsPerAccountMax - 1) { self.open[place] = nil }
    guard self.open.count < Self.sessionsMax else { throw .full }
  }

  /// A fresh token of a session: for an hour where its app can have another, else for as long as the session.
  private func token(for session: Session, isRenewable: Bool) -> String {
    let token = Hex.encode(SecureRandom.bytes(32))
    let end = session.until.milliseconds
    let until = isRenewable ? min(end, self.now() + SMARTAuthorization.tokenMilliseconds) : end
    self.givenCount += 1
    self.open[Self.place(of: token)] = Held(session: session, until: until, number: self.givenCount)
    return token
  }

  private static func place(of token: String) -> Digest { Hash.sha256(Array(token.utf8)) }

  /// Another token in the place of one, which may be over, for scopes of its session's; nil where that is.
  public func renew(_ token: String, scopes: SMARTScopes) async -> String? {
    let held = self.open.removeValue(forKey: Self.place(of: token))?.session
    guard let held, await self.stands(held) else { return nil }
    return self.token(for: held.with(scopes), isRenewable: true)
  }

  /// Forgets a token: nothing is read by it any more.
  public func close(_ token: String) { self.open[Self.place(of: token)] = nil }

  /// The session of a token that was given here, and until when the token is good by itself, in milliseconds since
  /// 1970; both may be over. Nil where it was not, or was given back.
  func held(_ token: String) -> (session: Session, until: UInt64)? {
    self.open[Self.place(of: token)].map { ($0.session, $0.until) }
  }

  /// The session of a token; nil where there is none, or it is over, here or on the ledger, or the practitioner may not
  /// act any more.
  public func session(_ token: String) async -> Session? {
    guard let held = self.open[Self.place(of: token)], held.until >= self.now(), await self.stands(held.session) else {
      return nil
    }
    return held.session
  }

  /// ⚑ The ledger decides at each request: a session that was closed there, or whose practitioner was suspended or
  /// revoked, shows nothing of this hospital's own store either.
  func stands(_ session: Session) async -> Bool {
    let entry = await self.service.session(session.key)
    let account = await self.service.account(session.account)
    return Self.stands(session.account, entry, account, at: Timestamp(milliseconds: self.now()))
  }

  /// Whether a session of an account goes on at a time, by what the ledger has of both.
  static func stands(
    _ identifier: Digest, _ entry: SessionEntry?, _ account: HealthRecords.Account?, at time: Timestamp
  ) -> Bool {
    guard let entry, let account else { return false }
    return entry.account == identifier && time <= entry.until && account.isActive(at: time)
  }

  /// Asks for a record in the practitioner's name; gives the key that opens it here.
  ///
  /// - Throws: `ReadingRefusal`.
  public nonisolated func key(
    of record: RecordEntry, purpose: Purposes, by session: Session
  ) async throws(ReadingRefusal) -> ReleasedKey {
    let (genesis, secret) = (self.service.genesis, SecureRandom.bytes(32))
    guard let ephemeral = Digest(KeyAgreement.publicKey(of: secret)), let key = SigningKey(seed: session.seed) else {
      throw .failed("libsodium gave no key")
    }
    let request = AccessRequest(
      patient: record.anchor.patient, records: [record.anchor.record], purpose: purpose, reason: 0,
      ephemeralKey: ephemeral)
    let time = await self.service.ledgerTime()
    let transaction = self.signed(.requestAccess, request, by: key, at: time)
    let identifier = transaction.identifier(network: genesis.network)
    guard let person = await self.service.account(session.account)?.key else { throw .failed("the account is gone") }
    do {
      let receipt = try await self.submit(transaction, of: person)
      guard receipt.outcome == .applied else { throw ReadingRefusal.denied(receipt.outcome) }
      let question = ReleaseQuestion(request: identifier, record: record.anchor.record)
      let number = ConfigurationNumber(await self.service.membership().configuration)
      let members = await self.service.configuration(number)?.members ?? []
      return try await Opening(
        network: genesis.network, request: identifier, anchor: record.anchor, secret: secret
      ).key(
        members: members.map(\.key),
        ask: { try await self.ask(question, without: $0) },
        accuse: { _ = try await self.submit(self.signed(.accuseCustodian, $0, by: key, at: time), of: person) })
    } catch let refusal as ReadingRefusal {
      throw refusal
    } catch {
      if case ServiceRefusal.tooManyRefused? = error as? ServiceRefusal { throw .tooManyRefused }
      if case ServiceRefusal.inactive? = error as? ServiceRefusal { throw .denied(Refusal.accountInactive.code) }
      throw .failed("\(error)")
    }
  }

  private nonisolated func ask(
    _ question: ReleaseQuestion, without settled: ReplicaSet
  ) async throws -> ReleaseAnswer? {
    do { return try await self.service.release(question, without: settled) } catch {
      guard case .release(let reason) = error, [.unknownRequest, .tooFewCustodians].contains(reason) else {
        throw error
      }
      return nil
    }
  }

  private nonisolated func signed(
    _ kind: TransactionKind, _ payload: some WireEncodable, by key: borrowing SigningKey, at time: Timestamp
  ) -> Transaction {
    let genesis = self.service.genesis
    return Transaction(
      kind: kind.rawValue, hospital: self.service.member.id,
      validUntil: max(Timestamp(milliseconds: self.now()), time)
        .adding(milliseconds: genesis.limits.transactionLifeMilliseconds / 2),
      nonce: SecureRandom.bytes(Transaction.nonceLengthBytes), payload: payload.encoded, network: genesis.network,
      signedBy: key)
  }

  /// Submits within what may be refused of a person's: ⚑ each session has a key of its own, and so that is not counted.
  private nonisolated func submit(_ transaction: Transaction, of person: PublicKey) async throws -> Receipt {
    try await self.submit(
      try CheckedTransaction(
        transaction.encoded, index: 0, genesis: self.service.genesis, hospital: self.service.member.id), of: person)
  }

  private nonisolated func submit(_ checked: CheckedTransaction, of person: PublicKey) async throws -> Receipt {
    try await self.refused.submitting(checked, of: person, to: self.service) {
      guard let receipt = try await self.service.submit([checked]).first else {
        throw ServiceRefusal.notOrderedYet(why: NodeStatus.busy)
      }
      return receipt
    }
  }
}

/// Why a record was not read for an EHR.
public enum ReadingRefusal: Error, Sendable, Hashable {
  /// The ledger refused the request.
  case denied(OutcomeCode)
  /// The ledger refused too much of the same practitioner lately: it was not asked.
  case tooManyRefused
  /// It was granted, and yet does not open; or nothing is ordered.
  case failed(String)
}
