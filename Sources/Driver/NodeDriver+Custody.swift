internal import Ordering
internal import Ledger
internal import Custody
internal import EventLoop
internal import HealthRecords
internal import Ledger
internal import Messages
internal import NodeCore
internal import Primitives
internal import Rules
internal import Signing
internal import Storage
internal import Telemetry
internal import Threshold
internal import Wire

/// This hospital as a custodian: its part in making keys, and its shares for requests that its own ledger granted.
extension NodeDriver {
  private var network: Digest { self.settings.genesis.network }
  private var own: MemberID { self.settings.member.id }

  /// Does what the making of a custody key awaits, off the loop's thread, and submits what is to be stated.
  func perform(_ job: CustodyJob) {
    guard let index = self.node.index else { return }
    var prepared = self.custodySecrets
    let isNew = prepared.prepare(for: job, random: SecureRandom.bytes)
    let (secrets, keep, network) = (prepared, self.settings.custodySecrets.keep, self.network)
    self.loop.work(
      { () -> Result<[CustodyStatement], any Error> in
        Result {
          // ⚑ Kept before anybody sends shares to it.
          if isNew { try keep(secrets.bytes) }
          return secrets.perform(job, as: index, network: network, random: SecureRandom.bytes)
        }
      },
      then: { [unowned self] result in
        switch result {
        case .success(let statements):
          if isNew { self.custodySecrets = secrets }
          self.give(.submitted(statements.map { self.transaction(stating: $0).encoded }))
        case .failure(let error): self.log.emit(.custodyUnkept, ["reason": .text("\(error)")])
        }
      })
  }

  /// Forgets the secrets of epochs and keys that are over, so that nobody can read their shares any more, and states
  /// that on the ledger where a key went out of use.
  func forgetCustodySecrets() {
    guard CustodyReading.isSettled(in: self.state) else { return }
    var left = self.custodySecrets
    if left.forget(besides: CustodyReading.registeredKey(of: self.own, in: self.state)) {
      do { try self.settings.custodySecrets.keep(left.bytes) } catch {
        return self.log.emit(.custodyUnkept, ["reason": .text("\(error)")])
      }
      self.custodySecrets = left
      self.keyShares = [:]
    }
    guard let newest = CustodyKeys(in: self.state).generation, let index = self.node.index,
      !newest.awaitsKey(of: index)
    else { return }
    for generation in 1..<newest.generation
    where self.state.value(StateKey.destruction(of: generation, by: self.own)) == nil
      && CustodyKeys(in: self.state).key(of: generation) == nil
    {
      self.submit(.stateDestruction, CustodyRotation(generation: generation))
    }
  }

  /// Tells the operator where the ledger names this hospital as a custodian and it can read no share.
  func lookForShare() {
    guard let custody = CustodyKeys(in: self.state).current, let index = self.node.index,
      custody.custodians.contains(index), self.keyShare(of: custody) == nil
    else { return }
    self.isShareLost = true
    self.log.emit(.custodyLost, ["epoch": .number(custody.epoch), "generation": .number(custody.generation)])
  }

  /// Tells the operator when a custody key comes into use, or goes out of it.
  func noteCustody(_ write: ExecutionWrite) {
    // Whoever was late to register another key for the shares that were dealt anew forgets the old one then.
    if write.writes.contains(where: { $0.key == StateKey.transportKey(self.own) }) { self.forgetCustodySecrets() }
    for change in write.writes where change.key.starts(with: StateKey.custodyKeys) {
      guard let custody = change.value.flatMap({ try? CustodyKey.decode($0) }) else {
        self.log.emit(.custodyRetired, ["generation": .number(change.key.suffix(8).reduce(0) { $0 << 8 | UInt64($1) })])
        self.forgetCustodySecrets()
        continue
      }
      self.note(custody)
    }
  }

  private func note(_ custody: CustodyKey) {
    self.forgetCustodySecrets()
    if self.isShareLost, self.keyShare(of: custody) != nil { self.isShareLost = false }
    let culprits = CustodyKeys(in: self.state).generation?.culprits
    self.log.emit(
      .custodyReady,
      [
        "generation": .number(custody.generation), "epoch": .number(custody.epoch),
        "threshold": .number(UInt64(custody.threshold)),
        "custodians": .number(UInt64(custody.custodians.count)), "culprits": .number(UInt64(culprits?.count ?? 0)),
      ])
  }

  private func transaction(stating statement: CustodyStatement) -> Transaction {
    statement.transaction(
      hospital: self.own, validUntil: self.validUntil, nonce: SecureRandom.bytes(Transaction.nonceLengthBytes))
  }

  /// Half a transaction's life from now.
  var validUntil: Timestamp {
    self.moment.wall.adding(milliseconds: self.settings.genesis.limits.transactionLifeMilliseconds / 2)
  }

  /// This member's share of a custody key, read out of the dealings that the ledger agreed on, once.
  private func keyShare(of custody: CustodyKey) -> KeyShare? {
    if let held = self.keyShares[custody.attempt] { return held }
    guard let index = self.node.index, custody.custodians.contains(index),
      let agreed = CustodyReading.dealings(of: custody, for: index, network: self.network, in: self.state)
    else { return nil }
    let share = self.custodySecrets.keyShare(of: custody, as: index, from: agreed.dealings, at: agreed.place)
    // At most two keys are in use at once.
    if self.keyShares.count > 1 { self.keyShares = [:] }
    self.keyShares[custody.attempt] = share
    return share
  }

  /// This custodian's share for opening a record's capsule, for a request that this node's own ledger granted.
  func share(_ question: ReleaseQuestion, capsule bytes: [UInt8]) throws(ReleaseRefusal) -> SealedShare {
    let (ephemeral, record) = try ReleasePolicy.judge(
      question, at: self.node.execution.position.time, in: self.state)
    let (capsule, custody) = try ReleasePolicy.capsule(bytes, of: record, network: self.network, in: self.state)
    guard let index = self.node.index, let keyShare = self.keyShare(of: custody) else { throw .notHere }
    let context = OpeningContext(
      network: self.network, request: question.request, capsule: record.anchor.capsule,
      custody: custody)
    let share = ReleasedShare(
      capsule, with: keyShare, nonce: Scalar(reducing: SecureRandom.bytes(64)), context: context,
      signedBy: self.keys.member)
    guard let box = SealedBox.seal(share.encoded, to: ephemeral.bytes) else { throw .notHere }
    self.stateRelease(of: question.request)
    return SealedShare(member: index, box: box)
  }

  /// The key of a record that this hospital wrote before there was a custody key, for a request that was granted.
  func hospitalKey(
    _ question: ReleaseQuestion, then done: @escaping (Result<HospitalRelease, ReleaseRefusal>) -> Void
  ) {
    do throws(ReleaseRefusal) {
      _ = try ReleasePolicy.judge(question, at: self.node.execution.position.time, in: self.state)
    } catch { return done(.failure(error)) }
    self.askVault({ vault throws(VaultFailure) in try await vault.head(of: question.record) }) {
      [unowned self] result in
      done(
        Result { () throws(ReleaseRefusal) in
          guard case .success(let sealed?) = result else { throw .notHere }
          return try self.hospitalKey(question, of: sealed)
        })
    }
  }

  private func hospitalKey(
    _ question: ReleaseQuestion, of sealed: SealedHead
  ) throws(ReleaseRefusal) -> HospitalRelease {
    let (ephemeral, record) = try ReleasePolicy.judge(
      question, at: self.node.execution.position.time, in: self.state)
    guard record.hospital == self.own else { throw .notHere }
    let custodian = AuthoringHospital(sealingSecret: self.keys.sealingSecret)
    guard let key = custodian.reseal(sealed, to: ephemeral) else { throw .notHere }
    let signed = HospitalRelease.signedBytes(network: self.network, question: question, key: key)
    self.stateRelease(of: question.request)
    return HospitalRelease(key: key, signature: self.keys.member.sign(signed))
  }

  /// States on the ledger, once for each request, that this hospital released something for it.
  private func stateRelease(of request: Digest) {
    guard let (_, entry) = AccessEntry.find(request: request, in: self.state), !entry.releases.contains(self.own),
      self.stated.insert(request).inserted
    else { return }
    if self.stated.count > Self.questionsMax { self.stated = [request] }
    self.submit(.recordRelease, request)
  }
}
