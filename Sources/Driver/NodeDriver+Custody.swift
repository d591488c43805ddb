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
          if isNew {
            self.custodySecrets = secrets
            self.custodyShares.forget()
          }
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
      self.custodyShares.forget()
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

  /// Half a transaction's life from now, by the ledger's time where that is ahead: it is what the rules go by.
  var validUntil: Timestamp {
    max(self.moment.wall, self.node.execution.position.time).adding(
      milliseconds: self.settings.genesis.limits.transactionLifeMilliseconds / 2)
  }

  /// This member's share of a custody key; nil where it has none.
  private func keyShare(of custody: CustodyKey) -> KeyShare? {
    guard let index = self.node.index else { return nil }
    return self.custodyShares.share(
      of: custody, as: index, with: self.custodySecrets, network: self.network, in: self.state)
  }

  /// Opens a capsule with this member's share, as the services ask.
  func open(_ opening: ShareOpening) -> SealedShare? {
    self.keyShare(of: opening.custody).flatMap {
      opening.sealed(with: $0, nonce: Scalar(reducing: SecureRandom.bytes(64)), signedBy: self.keys.member)
    }
  }

  /// Seals the key of a record of this hospital's own to a reader, as the services ask.
  func reseal(
    _ question: ReleaseQuestion, to ephemeralKey: Digest, then done: @escaping (HospitalRelease?) -> Void
  ) {
    self.askVault({ vault throws(VaultFailure) in try await vault.head(of: question.record) }) {
      [unowned self] result in
      guard case .success(let head?) = result else { return done(nil) }
      done(
        AuthoringHospital(sealingSecret: self.keys.sealingSecret)
          .release(head, for: question, to: ephemeralKey, network: self.network, signedBy: self.keys.member))
    }
  }
}
