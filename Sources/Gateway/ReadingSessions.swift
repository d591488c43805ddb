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
    /// What is allowed by it.
    public let scopes: SMARTScopes
    fileprivate let seed: [UInt8]
  }

  /// The most sessions, and the most keys that wait for a practitioner's word.
  private static let sessionsMax = 10_000
  private static let preparedMax = 256

  private let service: any NodeService
  private let now: @Sendable () -> UInt64
  private var prepared: [(key: PublicKey, seed: [UInt8])] = []
  /// By the digest of the token: the token itself is kept by whom it was given. A token can be over before its session.
  private var open: [Digest: (session: Session, until: UInt64)] = [:]

  /// The sessions of a node; `now` gives milliseconds since 1970.
  public init(service: any NodeService, now: @escaping @Sendable () -> UInt64) {
    (self.service, self.now) = (service, now)
  }

  /// A fresh key that waits for a practitioner's word.
  public func prepare() -> PublicKey? {
    let seed = SecureRandom.bytes(32)
    guard let key = SigningKey(seed: seed) else { return nil }
    if self.prepared.count >= Self.preparedMax { self.prepared.removeFirst() }
    self.prepared.append((key.publicKey, seed))
    return key.publicKey
  }

  /// Submits a practitioner's `openSession` for a prepared key; gives the token by which the session is used.
  ///
  /// - Throws: `ServiceRefusal` where the transaction is something else, its key was not prepared here, or the ledger
  ///   refused.
  public func activate(
    _ bytes: [UInt8], scopes: SMARTScopes = .everything
  ) async throws -> (token: String, until: Timestamp) {
    let checked = try CheckedTransaction(
      bytes, index: 0, genesis: self.service.genesis, hospital: self.service.member.id)
    guard let transaction = try? Transaction.decode(bytes), transaction.kind == TransactionKind.openSession.rawValue,
      let opening = try? SessionOpening.decode(transaction.payload)
    else { throw ServiceRefusal.badRequest("a transaction that opens a session is expected") }
    guard let place = self.prepared.firstIndex(where: { $0.key == opening.key }) else {
      throw ServiceRefusal.badRequest("its key was not made here, or too long ago: ask for a key again")
    }
    let seed = self.prepared[place].seed
    guard let receipt = try await self.service.submit([checked]).first else { throw ServiceRefusal.notOrderedYet }
    guard receipt.outcome == .applied else { throw ServiceRefusal.badRequest(receipt.outcome.explanation) }
    self.prepared.removeAll { $0.key == opening.key }
    guard case .person(let signer, _) = transaction.authorization, let signed = Digest(signer.bytes),
      let account = await self.service.account(ofKey: signed)
    else { throw ServiceRefusal.notFound("account") }
    self.forgetOld()
    guard self.open.count < Self.sessionsMax else { throw ServiceRefusal.full }
    let session = Session(account: account, until: opening.until, key: opening.key, scopes: scopes, seed: seed)
    return (self.token(for: session), opening.until)
  }

  /// A fresh token of a session: for an hour where its app can have another, else for as long as the session.
  private func token(for session: Session) -> String {
    let token = Hex.encode(SecureRandom.bytes(32))
    let end = session.until.milliseconds
    let until = session.scopes.wantsRefresh ? min(end, self.now() + SMARTAuthorization.tokenMilliseconds) : end
    self.open[Hash.sha256(Array(token.utf8))] = (session, until)
    return token
  }

  /// Another token in the place of one, which may be over; nil where its session is.
  public func renew(_ token: String) -> String? {
    let held = self.open.removeValue(forKey: Hash.sha256(Array(token.utf8)))?.session
    guard let held, held.until.milliseconds >= self.now() else { return nil }
    return self.token(for: held)
  }

  /// Forgets a token: nothing is read by it any more.
  public func close(_ token: String) { self.open[Hash.sha256(Array(token.utf8))] = nil }

  private func forgetOld() {
    let time = Timestamp(milliseconds: self.now())
    self.open = self.open.filter { $0.value.session.until >= time }
  }

  /// The session of a token; nil where there is none, or it is over.
  public func session(_ token: String) -> Session? {
    let held = self.open[Hash.sha256(Array(token.utf8))]
    return held.flatMap { $0.until >= self.now() ? $0.session : nil }
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
    let transaction = self.signed(.requestAccess, request, by: key)
    let identifier = transaction.identifier(network: genesis.network)
    do {
      let receipt = try await self.submit(transaction)
      guard receipt.outcome == .applied else { throw ReadingRefusal.denied(receipt.outcome) }
      let question = ReleaseQuestion(request: identifier, record: record.anchor.record)
      let number = ConfigurationNumber(await self.service.membership().configuration)
      let members = await self.service.configuration(number)?.members ?? []
      return try await Opening(
        network: genesis.network, request: identifier, anchor: record.anchor, secret: secret
      ).key(
        members: members.map(\.key),
        ask: { try await self.ask(question, without: $0) },
        accuse: { _ = try await self.submit(self.signed(.accuseCustodian, $0, by: key)) })
    } catch let refusal as ReadingRefusal {
      throw refusal
    } catch { throw .failed("\(error)") }
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
    _ kind: TransactionKind, _ payload: some WireEncodable, by key: borrowing SigningKey
  ) -> Transaction {
    let genesis = self.service.genesis
    return Transaction(
      kind: kind.rawValue, hospital: self.service.member.id,
      validUntil: Timestamp(milliseconds: self.now())
        .adding(milliseconds: genesis.limits.transactionLifeMilliseconds / 2),
      nonce: SecureRandom.bytes(Transaction.nonceLengthBytes), payload: payload.encoded, network: genesis.network,
      signedBy: key)
  }

  private nonisolated func submit(_ transaction: Transaction) async throws -> Receipt {
    let checked = try CheckedTransaction(
      transaction.encoded, index: 0, genesis: self.service.genesis, hospital: self.service.member.id)
    guard let receipt = try await self.service.submit([checked]).first else { throw ServiceRefusal.notOrderedYet }
    return receipt
  }
}

/// Why a record was not read for an EHR.
public enum ReadingRefusal: Error, Sendable, Hashable {
  /// The ledger refused the request.
  case denied(OutcomeCode)
  /// It was granted, and yet does not open; or nothing is ordered.
  case failed(String)
}
