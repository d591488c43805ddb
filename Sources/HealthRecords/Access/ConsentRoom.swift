import Primitives
import Rules

/// How many consents stand at once, so that judging a request stays bounded.
///
/// ⚑ Nobody uses up another's room, grants not that of denials, and what is over takes none: a patient can always deny.
extension RuleContext {
  /// Whose room a consent takes, and for what.
  private enum Giver: Hashable {
    case patient, registrar, proxies

    init(_ origin: ConsentOrigin) {
      switch origin {
      case .patient: self = .patient
      case .registrar: self = .registrar
      case .proxy: self = .proxies
      }
    }
  }

  /// Makes room for another consent: what is over moves aside.
  ///
  /// - Throws: `Refusal.tooManyConsents` where as many stand already.
  func makeRoom(
    for grant: ConsentGrant, by origin: ConsentOrigin, among consents: AccessPolicy.Consents,
    in state: inout StateEditor
  ) throws(Refusal) {
    let alike = consents.filter { _, entry in
      let isAlike = Giver(entry.origin) == Giver(origin) && entry.grant.isDenial == grant.isDenial
      return isAlike || planted(.consentsCountedTogether)
    }
    let (own, max) = self.room(of: origin, alike, among: consents, in: state)
    guard own.count >= max || alike.count >= self.limits.consentsPerGiverMax else { return }
    let standing = Set(consents.filter { $0.entry.revoked == nil }.map(\.identifier))
    var left = own.count
    for (identifier, entry) in alike {
      guard self.isOver(entry, standing: standing) else { continue }
      let patient = entry.grant.patient
      state.set(StateKey.consent(patient, identifier), nil)
      state.set(StateKey.pastConsent(patient, identifier), entry)
      if own.contains(identifier) { left -= 1 }
    }
    guard left < max else { throw .tooManyConsents }
  }

  /// Which of the consents that are alike stand in the room that another takes, and how many that has.
  ///
  /// ⚑ Under the second rules each who acts for a patient has an equal part of the room of all, also where another had
  /// filled it before: with the k-th of them no more than that by k is added, so what is judged stays bounded.
  private func room(
    of origin: ConsentOrigin, _ alike: AccessPolicy.Consents, among consents: AccessPolicy.Consents,
    in state: StateEditor
  ) -> (own: Set<Digest>, max: Int) {
    let all = self.limits.consentsPerGiverMax
    guard case .proxy(let power) = origin, self.isSecond(in: state) else {
      return (Set(alike.map(\.identifier)), all)
    }
    // Those who act, by the consent that says so.
    var acting: [Digest: Grantee] = [:]
    for (identifier, entry) in consents where entry.revoked == nil && self.time <= entry.grant.until {
      guard !entry.grant.isDenial, entry.grant.actions.contains(.share) else { continue }
      acting[identifier] = entry.grant.grantee
    }
    let own = alike.filter { _, entry in
      guard case .proxy(let by) = entry.origin, let giver = acting[by] else { return false }
      return giver == acting[power]
    }
    let count = Set(acting.values).count
    return (Set(own.map(\.identifier)), Swift.max(1, all / Swift.max(1, count)))
  }

  /// Whether a consent never counts again.
  private func isOver(_ entry: ConsentEntry, standing: Set<Digest>) -> Bool {
    if planted(.pastConsentsCount) { return false }
    let grant = entry.grant
    if entry.revoked != nil || grant.until < self.time { return true }
    if case .proxy(let power) = entry.origin, !standing.contains(power) { return true }
    // By a power that is used up what was given by it stands.
    return !grant.actions.contains(.share) && entry.uses >= grant.usesMax ?? .max
  }

  /// Where a patient's consent is kept, over or not.
  func place(
    of identifier: Digest, _ patient: Digest, in state: StateEditor
  ) -> (key: [UInt8], entry: ConsentEntry)? {
    for key in [StateKey.consent(patient, identifier), StateKey.pastConsent(patient, identifier)] {
      if let entry = state.item(key, as: ConsentEntry.self) { return (key, entry) }
    }
    return nil
  }
}
