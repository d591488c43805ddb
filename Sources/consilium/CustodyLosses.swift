internal import ArgumentParser
internal import Gateway
internal import Messages
internal import Primitives
internal import Signing

/// What a change of members takes from the custody keys, and who says that it may (RECORDS §5, "rotation").
struct ShareLossOptions: ParsableArguments {
  @Flag(
    help: ArgumentHelp(
      "Go on though this member's share is needed: records under that key open for no other hospital any more. The "
        + "change then says so, and so do those who approve it."))
  var loseRecords = false

  /// Refuses a change after which too few members have shares of a key, unless that was said; tells what else it
  /// leaves. Says whether the change itself has to state that records are lost by it, as under the third rules.
  func check(
    _ action: MembershipAction, in configuration: Configuration, _ client: NodeClient
  ) async throws -> Bool {
    let lost = try await self.lost(by: action, in: configuration, client)
    guard !lost.isEmpty else { return false }
    let rules: RulesView = try await client.get("/v1/rules")
    guard self.loseRecords else {
      // The rules before the third let nobody leave so.
      if case .remove = action, rules.version < 3 { throw Self.refusal(lost, of: action, or: "") }
      throw Self.refusal(lost, of: action, or: "; or, where they may be lost, give --lose-records")
    }
    return rules.version >= 3
  }

  /// Refuses an approved change so, which under the third rules must say itself that records are lost by it.
  func check(_ change: MembershipChange, in configuration: Configuration, _ client: NodeClient) async throws {
    guard !change.losesRecords else { return }
    let lost = try await self.lost(by: change.action, in: configuration, client)
    guard !lost.isEmpty else { return }
    let rules: RulesView = try await client.get("/v1/rules")
    guard rules.version >= 3 else {
      _ = try await self.check(change.action, in: configuration, client)
      return
    }
    throw Self.refusal(
      lost, of: change.action,
      or: "; or, where they may be lost, propose the change with --lose-records, and have that approved")
  }

  private func lost(
    by action: MembershipAction, in configuration: Configuration, _ client: NodeClient
  ) async throws -> [CustodyKeyView] {
    let member = action.member
    let before = configuration.index(of: member).map { configuration.members[$0] }
    let after: Member? = if case .replace(let renewed) = action { renewed } else { nil }
    // Who joins takes nothing, and who gets another address alone keeps its shares.
    guard let before, before.key != after?.key || before.sealingKey != after?.sealingKey else { return [] }
    let custody = try await client.status().custody
    if before.sealingKey != after?.sealingKey, let own = custody.recordsLeft(without: member.number) {
      Console.error(
        "Hospital \(member.number) has \(own.count) records under key \(own.generation), which goes out of use. With "
          + "other keys it can never seal them to key \(custody.generation), and that key's shares are dealt to nobody "
          + "again: let its node seal them first, if it still runs (consilium custody show).")
    }
    return before.key != after?.key ? custody.keysLost(without: member.number) : []
  }

  private static func refusal(
    _ lost: [CustodyKeyView], of action: MembershipAction, or flag: String
  ) -> Failure {
    let why = lost.map { key in
      "key \(key.generation) needs \(key.needed) shares, and only hospitals "
        + "\(key.custodians.map { "\($0)" }.joined(separator: ", ")) have one; without it what is under that key opens "
        + "for no other hospital any more: \(key.records.summary)"
    }
    return Failure(
      "hospital \(action.member.number) has a share that is needed", why: why.joined(separator: "; "),
      remedy: "\(Self.remedy(lost)): consilium custody show tells\(flag)", status: ExitStatus.refused)
  }

  private static func remedy(_ lost: [CustodyKeyView]) -> String {
    lost.contains { $0.isRetiring }
      ? "wait until the hospitals that wrote those records have sealed them to the newest key, which their nodes do "
        + "while they run"
      : "wait until its shares are dealt again, to all that vote now"
  }
}
