internal import Ledger
internal import Messages
internal import NodeCore
internal import Ordering
internal import Primitives

/// As primary, states a time with each proposal that is well after the last, whatever its clock says (LEDGER §11.4).
struct Hurrying: Adversary {
  private static let stepMilliseconds: UInt64 = 3000
  private var last = Timestamp.zero
  /// One time for each proposal, or the same would say different things to different members.
  private var stated: [Digest: Timestamp] = [:]

  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    guard case .ordering(.prePrepare(let signed), _) = message, signed.signer == scene.from else {
      return [Utterance(message)]
    }
    let digest = signed.content.cut.digest
    if self.stated.count > 1024 { self.stated = [:] }
    let next = max(self.last, scene.executed.time).adding(milliseconds: Self.stepMilliseconds)
    let time = self.stated[digest] ?? max(signed.content.cut.time, next)
    (self.stated[digest], self.last) = (time, max(self.last, time))
    let cut = Cut(heads: signed.content.cut.heads, time: time)
    return [scene.signed(signed.content, proposing: cut)].compactMap { $0.map { Utterance($0) } }
  }
}

/// As primary, proposes cuts in which no lane grows, so that the ledger goes on and nothing is ordered.
struct Idling: Adversary {
  private var kept: (view: View, heads: [LaneHead])?

  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    guard case .ordering(.prePrepare(let signed), _) = message, signed.signer == scene.from,
      signed.content.cut.heads.count == scene.executed.heads.count
    else { return [Utterance(message)] }
    if self.kept?.view != signed.content.view { self.kept = (signed.content.view, scene.executed.heads) }
    let cut = Cut(heads: self.kept?.heads ?? scene.executed.heads, time: signed.content.cut.time)
    return [scene.signed(signed.content, proposing: cut)].compactMap { $0.map { Utterance($0) } }
  }
}

extension Scene {
  /// A proposal at the same place with another cut, signed with the member's key.
  func signed(_ proposal: PrePrepare, proposing cut: Cut) -> PeerMessage? {
    self.signed(
      .prePrepare(
        PrePrepare(
          configuration: proposal.configuration, view: proposal.view, sequence: proposal.sequence, cut: cut)))
  }
}
