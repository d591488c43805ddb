internal import Discovery
internal import EventLoop
internal import Messages
internal import NodeCore
internal import Ordering
internal import Primitives
internal import Telemetry

/// Two processes with one key push each other's sessions out.
extension NodeDriver {
  /// A member's key came in while its session was open.
  func noteShared(_ member: ReplicaIndex, _ held: PeerConnection, _ peer: PeerConnection) {
    // Both may dial at once.
    let isOld = held.since.map { self.loop.now >= $0 + Self.together } ?? false
    guard held.dialled == nil || isOld, self.sharedKeys.note(member, at: self.loop.now) else { return }
    self.log.emit(
      .keyShared,
      [
        "member": .text(self.name(member)), "address": .text(peer.source), "other_address": .text(held.source),
      ])
  }

  /// So long after a session opened, the other side may still have dialled without knowing of it.
  private static let together = Span.milliseconds(5_000)
  /// So many members do not end sessions right after they opened for reasons of their own.
  static let endedMin = 2

  /// A member ended a session of this node's.
  func noteEnded(_ peer: PeerConnection) {
    guard let member = peer.member, member < ReplicaSet.countMax, self.byMember[member] === peer,
      self.node.index != nil, let since = peer.since, self.loop.now < since + Dialler.lasting
    else { return }
    let now = self.loop.now
    guard self.ownKeyShared.note(member, at: now), self.ownKeyShared.members(at: now).count == Self.endedMin else {
      return
    }
    let names = self.ownKeyShared.members(at: now).map { self.name($0) }.joined(separator: ", ")
    self.log.emit(.ownKeyShared, ["members": .text(names)])
  }
}
