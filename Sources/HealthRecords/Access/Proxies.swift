import Messages
import Primitives
import Rules
import Signing
import Wire

/// Who may consent for a patient: the patient, a proxy or guardian, and who makes a guardian (RECORDS §4).
extension RuleContext {
  /// A patient's account in the lane of its hospital.
  func patient(_ identifier: Digest, in state: StateEditor) throws(Refusal) -> Account {
    guard let account = state.item(StateKey.account(identifier), as: Account.self), account.kind == .patient else {
      throw .unknownAccount
    }
    guard account.hospital == self.hospital else { throw .otherHospital }
    return account
  }

  /// A patient's consents, without those that were over when room was needed.
  func consents(of patient: Digest, in state: StateEditor) -> AccessPolicy.Consents {
    state.scan(prefix: StateKey.consents(patient), limit: self.limits.consentsMax).compactMap { pair in
      guard let identifier = Digest(pair.key.suffix(32)), let entry = try? ConsentEntry.decode(pair.value) else {
        return nil
      }
      return (identifier, entry)
    }
  }

  /// By what right the signer gives a consent.
  func origin(
    of grant: ConsentGrant, among consents: AccessPolicy.Consents, in state: StateEditor
  ) throws(Refusal) -> ConsentOrigin {
    // ⚑ Only a named account acts for a patient: whoever comes to a hospital or a team later does not.
    if grant.actions.contains(.share) {
      guard case .account(let proxy) = grant.grantee, proxy != grant.patient else { throw .unsoundProxy }
      guard let account = state.item(StateKey.account(proxy), as: Account.self) else { throw .unknownAccount }
      guard account.kind != .device else { throw .wrongRole }
    }
    guard try self.signer() != self.member().registrarKey else {
      // A hospital that knows a parent or a guardian says so; everything else is the patient's.
      guard grant.actions.contains(.share), !grant.isDenial else { throw .unsoundProxy }
      return .registrar
    }
    let (identifier, _) = try self.actor(in: state)
    guard identifier != grant.patient else { return .patient }
    let power = try self.power(of: identifier, over: grant, among: consents, in: state)
    try self.requireNoGuardian(grant, among: consents, in: state)
    return .proxy(by: power)
  }

  /// ⚑ Who acts for a patient cannot shut out another who does.
  private func requireNoGuardian(
    _ grant: ConsentGrant, among consents: AccessPolicy.Consents, in state: StateEditor
  ) throws(Refusal) {
    guard grant.isDenial, self.isSecond(in: state), !planted(.guardianShutOut) else { return }
    let isGuardian = consents.contains { _, entry in
      entry.revoked == nil && entry.grant.actions.contains(.share) && !entry.grant.isDenial
        && entry.grant.grantee == grant.grantee && self.time <= entry.grant.until
    }
    guard !isGuardian else { throw .otherGuardian }
  }

  /// A guardian whom a registrar makes begins after a delay, in which the patient can object by taking it back; what
  /// everybody else gives begins when it says.
  func delayed(_ grant: ConsentGrant, by origin: ConsentOrigin, in state: StateEditor) -> ConsentGrant {
    guard origin == .registrar, self.isSecond(in: state), !planted(.guardianAtOnce) else { return grant }
    let earliest = self.time.adding(milliseconds: self.limits.recoveryDelayMilliseconds)
    return ConsentGrant(
      patient: grant.patient, isDenial: grant.isDenial, actions: grant.actions, grantee: grant.grantee,
      scope: grant.scope, purposes: grant.purposes, from: max(grant.from, earliest), until: grant.until,
      usesMax: grant.usesMax)
  }

  /// The consent by which an account may give another in the patient's name.
  private func power(
    of proxy: Digest, over grant: ConsentGrant, among consents: AccessPolicy.Consents, in state: StateEditor
  ) throws(Refusal) -> Digest {
    let categoryOf: (Digest) -> RecordCategory? = { record in
      state.item(StateKey.record(record), as: RecordEntry.self)?.anchor.category
    }
    let isAlike = self.isSecond(in: state) && !planted(.guardianShutOut)
    let standing = StandingConsents(consents, for: grant.purposes, at: self.time).all
    let own = standing.filter { _, entry in
      if isAlike, entry.grant.isDenial, case .proxy = entry.origin { return false }
      return entry.grant.grantee == .account(proxy) && entry.grant.from <= self.time && self.time <= entry.grant.until
    }
    // ⚑ What a proxy is denied the proxy does not share either; and nobody gives what makes a proxy but the patient.
    let isDenied = own.contains {
      $0.entry.grant.isDenial && !$0.entry.grant.purposes.isDisjoint(with: grant.purposes)
        && $0.entry.grant.scope.overlaps(grant.scope, categoryOf: categoryOf)
    }
    guard !isDenied else { throw .denied }
    let powers = own.filter { !$0.entry.grant.isDenial && $0.entry.grant.actions.contains(.share) }
    guard !powers.isEmpty else {
      // Under the first rules whose power begins later is told no more than a stranger.
      let isLater = standing.contains { _, entry in
        !entry.grant.isDenial && entry.grant.actions.contains(.share) && entry.grant.grantee == .account(proxy)
          && self.time < entry.grant.from
      }
      throw isLater && self.isSecond(in: state) ? Refusal.outsideWindow : .unknownSigner
    }
    guard !grant.actions.contains(.share) else { throw .beyondPower }
    let wide = powers.filter { _, entry in
      let power = entry.grant
      return power.purposes.isSuperset(of: grant.purposes)
        && (grant.until <= power.until || planted(.proxyUnbounded)) && entry.uses < power.usesMax ?? .max
        && (power.scope.includes(grant.scope, categoryOf: categoryOf) || planted(.proxyUnbounded))
    }
    guard let oldest = wide.min(by: { $0.entry.leaf < $1.entry.leaf }) else { throw .beyondPower }
    return oldest.identifier
  }

  /// Whether the signer may take a consent back: the patient any, others what they gave.
  func requireRevoker(of entry: ConsentEntry, in state: StateEditor) throws(Refusal) {
    guard try self.signer() != self.member().registrarKey else {
      guard entry.origin == .registrar else { throw .unknownSigner }
      return
    }
    let (identifier, _) = try self.actor(in: state)
    guard identifier != entry.grant.patient else { return }
    guard case .proxy(let power) = entry.origin,
      self.place(of: power, entry.grant.patient, in: state)?.entry.grant.grantee == .account(identifier)
    else { throw .unknownSigner }
  }
}

extension ConsentScope {
  /// Whether it covers all that another does.
  func includes(_ other: ConsentScope, categoryOf: (Digest) -> RecordCategory?) -> Bool {
    switch (self, other) {
    case (.all, _): true
    case (.categories(let own), .categories(let others)): others & ~own == 0
    case (.categories, .records(let records)):
      records.allSatisfy { record in categoryOf(record).map { self.covers(record, of: $0) } ?? false }
    case (.records(let own), .records(let others)): Set(own).isSuperset(of: others)
    case (.categories, .all), (.records, .all), (.records, .categories): false
    }
  }

  /// Whether it may cover something that another does.
  func overlaps(_ other: ConsentScope, categoryOf: (Digest) -> RecordCategory?) -> Bool {
    switch (self, other) {
    case (.all, _), (_, .all): true
    case (.categories(let own), .categories(let others)): others & own != 0
    case (.categories, .records(let records)):
      records.contains { record in categoryOf(record).map { self.covers(record, of: $0) } ?? false }
    case (.records, .categories): other.overlaps(self, categoryOf: categoryOf)
    case (.records(let own), .records(let others)): !Set(own).isDisjoint(with: others)
    }
  }
}
