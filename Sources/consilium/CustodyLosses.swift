internal import ArgumentParser
internal import Gateway
internal import Messages
internal import Primitives
internal import Signing

/// What a change of members takes from the custody keys, and who says that it may (RECORDS §5, "rotation").
struct ShareLossOptions: ParsableArguments {
  @Flag(
    help: ArgumentHelp(
      "Go on though this member's share is needed: records under that key open for no other hospital any more."))
  var loseRecords = false

  /// Refuses a change after which too few members have shares of a key, unless that was said; tells what else it
  /// leaves.
  func check(_ action: MembershipAction, in configuration: Configuration, _ client: NodeClient) async throws {
    let member = action.member
    let before = configuration.index(of: member).map { configuration.members[$0] }
    let after: Member? = if case .replace(let renewed) = action { renewed } else { nil }
    // Who joins takes nothing, and who gets another address alone keeps its shares.
    guard let before, before.key != after?.key || before.sealingKey != after?.sealingKey else { return }
    let custody = try await client.status().custody
    if before.sealingKey != after?.sealingKey, let own = custody.recordsLeft(without: member.number) {
      Console.error(
        "Hospital \(member.number) has \(own.count) records under key \(own.generation), which goes out of use. With "
          + "other keys it can never seal them to key \(custody.generation), and that key's shares are dealt to nobody "
          + "again: let its node seal them first, if it still runs (consilium custody show).")
    }
    let lost = before.key != after?.key ? custody.keysLost(without: member.number) : []
    guard !lost.isEmpty, !self.loseRecords else { return }
    let why = lost.map { key in
      "key \(key.generation) needs \(key.needed) shares, and only hospitals "
        + "\(key.custodians.map { "\($0)" }.joined(separator: ", ")) have one; without it what is under that key opens "
        + "for no other hospital any more: \(key.records.summary)"
    }
    // The ledger itself lets nobody leave so; of one that goes on under new keys it cannot tell what is lost already.
    let flag = after == nil ? "" : "; or, where they may be lost, give --lose-records"
    throw Failure(
      "hospital \(member.number) has a share that is needed", why: why.joined(separator: "; "),
      remedy: "\(Self.remedy(lost)): consilium custody show tells\(flag)", status: ExitStatus.refused)
  }

  private static func remedy(_ lost: [CustodyKeyView]) -> String {
    lost.contains { $0.isRetiring }
      ? "wait until the hospitals that wrote those records have sealed them to the newest key, which their nodes do "
        + "while they run"
      : "wait until its shares are dealt again, to all that vote now"
  }
}
