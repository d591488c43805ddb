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
    let max = self.limits.consentsPerGiverMax
    let own = consents.filter { _, entry in
      let isAlike = Giver(entry.origin) == Giver(origin) && entry.grant.isDenial == grant.isDenial
      return isAlike || planted(.consentsCountedTogether)
    }
    guard own.count >= max else { return }
    let standing = Set(consents.filter { $0.entry.revoked == nil }.map(\.identifier))
    var left = own.count
    for (identifier, entry) in own {
      guard self.isOver(entry, standing: standing) else { continue }
      let patient = entry.grant.patient
      state.set(StateKey.consent(patient, identifier), nil)
      state.set(StateKey.pastConsent(patient, identifier), entry)
      left -= 1
    }
    guard left < max else { throw .tooManyConsents }
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
