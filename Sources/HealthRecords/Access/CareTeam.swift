import Messages
public import Primitives
import Rules
import Signing
public import Wire

/// A care team: practitioners, of one hospital or several, to whom a consent can speak as one (RECORDS §4).
public struct CareTeam: Sendable, Hashable {
  /// The most members.
  public static let membersMax = 256
  /// The hospital that keeps it.
  public let hospital: MemberID
  /// The accounts in it, in ascending order.
  public var members: [Digest]

  /// A team of given parts.
  public init(hospital: MemberID, members: [Digest]) { (self.hospital, self.members) = (hospital, members) }

  /// ⚑ The identifier of a hospital's team of a number: no other hospital can come to own what a patient trusts.
  public static func identifier(network: Digest, hospital: MemberID, number: UInt32) -> Digest {
    Hash.blake2b("consilium/care-team/v1", network.bytes, hospital.encoded, UInt64(number).bigEndianBytes)
  }
}

extension CareTeam: WireCodable {
  /// Hospital, members.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.hospital)
    encoder.list(self.members)
  }
  /// Reads a team.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.hospital = try MemberID(from: &decoder)
    self.members = try decoder.list(max: Self.membersMax, "team's members")
  }
}

/// `setCareTeam`: who is in a team from now on; signed by the registrar of the hospital that keeps it.
public struct CareTeamChange: Sendable, Hashable {
  /// The team's number at its hospital.
  public let number: UInt32
  /// The accounts in it, in ascending order; none dissolve it.
  public let members: [Digest]
  /// A change of given parts.
  public init(number: UInt32, members: [Digest]) { (self.number, self.members) = (number, members.sorted()) }
}

extension CareTeamChange: WireCodable {
  /// Number, members.
  public func encode(into encoder: inout Encoder) {
    encoder.u32(self.number)
    encoder.list(self.members)
  }
  /// Reads a change.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.number = try decoder.u32()
    let start = decoder.offset
    self.members = try decoder.list(max: CareTeam.membersMax, "team's members")
    guard zip(self.members, self.members.dropFirst()).allSatisfy({ $0 < $1 }) else {
      throw .invalid(at: start, field: "order of the team's members")
    }
  }
}

extension RuleContext {
  func setCareTeam(_ change: CareTeamChange, in state: inout StateEditor) throws {
    try self.requireRegistrar()
    for member in change.members {
      guard let account = state.item(StateKey.account(member), as: Account.self) else { throw Refusal.unknownAccount }
      guard account.kind == .practitioner else { throw Refusal.wrongRole }
    }
    let identifier = CareTeam.identifier(
      network: self.execution.network, hospital: self.hospital, number: change.number)
    state.set(StateKey.careTeam(identifier), CareTeam(hospital: self.hospital, members: change.members))
  }

  /// Of the teams that consents speak to, those that an account is in.
  func teams(of account: Digest, among consents: AccessPolicy.Consents, in state: StateEditor) -> Set<Digest> {
    var out: Set<Digest> = []
    for (_, entry) in consents {
      guard case .careTeam(let team) = entry.grant.grantee, !out.contains(team),
        state.item(StateKey.careTeam(team), as: CareTeam.self)?.members.contains(account) ?? false
          || planted(.teamIgnored)
      else { continue }
      out.insert(team)
    }
    return out
  }
}
