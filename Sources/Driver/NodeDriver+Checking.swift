internal import EventLoop
internal import Lanes
internal import Messages
internal import NodeCore
internal import Primitives
internal import Sessions
internal import Signing
internal import Telemetry

/// What is checked in order: a peer's messages of one channel.
struct CheckedLine: Hashable {
  let member: ReplicaIndex
  let channel: Channel
}

/// Checking messages: in order for each peer and channel, heavy ones on the worker pool.
extension NodeDriver {
  func queue(_ message: [UInt8], on channel: Channel, of peer: PeerConnection) {
    let isMember = peer.member.map { $0 < ReplicaSet.countMax } ?? false
    guard isMember || self.node.index == nil || PeerMessage.isForGuests(message) else {
      self.noteFault("it does not vote, and may only ask", of: peer)
      return self.close(peer, reason: "it does not vote, and may only ask")
    }
    // ⚑ What is here already is not checked again, nor what nobody asked for; a peer that goes on saying it is charged.
    if isMember, let member = peer.member {
      switch self.node.judge(message, from: member, after: &self.words, at: self.loop.now) {
      case .check: break
      case .drop(let seen): return self.drop(message, on: channel, of: peer, seen: seen)
      case .charge(let seen):
        self.drop(message, on: channel, of: peer, seen: seen)
        return self.charge(member, with: "it sends what nobody asked for, or what is not its part to say")
      case .repeated(let seen):
        self.drop(message, on: channel, of: peer, seen: seen)
        return self.charge(member, with: "what is here already came again too often", as: .peerRepeats)
      }
    }
    let header = channel == .blocks ? PeerMessage.blockHeader(in: message) : nil
    if let header, self.node.lanes.holds(header) { return peer.session.consumed(message.count, on: channel) }
    let index = Int(channel.rawValue)
    let most = isMember ? Self.waitingMax : Self.waitingForGuestsMax
    guard peer.incoming[index].count < most else {
      // I9: it sends faster than it is served; what is dropped here is repaired as what a line drops.
      peer.session.consumed(message.count, on: channel)
      return peer.member.map { self.refuseRequests(of: $0) } ?? ()
    }
    if let header, let member = peer.member { self.give(.arriving(header, from: member)) }
    peer.incoming[index].append(message)
    self.check(channel, of: peer)
  }

  private func drop(_ message: [UInt8], on channel: Channel, of peer: PeerConnection, seen: Digest?) {
    peer.session.consumed(message.count, on: channel)
    if let seen, let member = peer.member { self.give(.repeated(seen, from: member)) }
  }

  /// A member did what no correct one does: that is counted, and its session closed where it is too much.
  func charge(_ member: ReplicaIndex, with reason: String, as kind: EventKind = .peerFaulted) {
    guard let peer = self.byMember[member] else { return }
    if self.noteFault(reason, of: peer, as: kind) { self.close(peer, reason: reason) }
  }

  /// Goes on with what was not taken in while too much waited for the disk.
  func checkAll() {
    for peer in self.peers { for channel in Channel.allCases { self.check(channel, of: peer) } }
  }

  private func check(_ channel: Channel, of peer: PeerConnection) {
    let index = Int(channel.rawValue)
    guard !peer.isClosed, peer.incoming[index].count > 0, !self.isHeldUp, let member = peer.member else { return }
    // ⚑ One at a time for each peer, whichever of its connections it came by: else one that dials again and again has
    // every worker to itself.
    let work = CheckedLine(member: member, channel: channel)
    guard !self.checking.contains(work) else { return }
    // ⚑ A turn takes a bounded number of messages: between them the disk, the timers and other peers have theirs.
    let messages = peer.incoming[index].take(max: Self.batchMax, bytesMax: Self.batchBytesMax)
    let (checker, screen) = (self.checker, self.node.screen)
    var useless: [Int: Set<Int>] = [:]
    for (index, message) in messages.enumerated() where message.first == PeerMessage.blocksType {
      useless[index] = self.node.useless(inBlocks: message).indices
    }
    let check: @Sendable () -> [Result<CheckedMessage, PeerFault>] = { [useless] in
      messages.enumerated().map { index, message in
        Result { () throws(PeerFault) in
          try checker.check(message, on: channel, behind: screen, useless: useless[index] ?? [])
        }
      }
    }
    let bytes = messages.reduce(0) { $0 + $1.count }
    if messages.count == 1, bytes <= Self.inlineBytesMax, self.steppedThisTurn < Self.batchMax {
      self.steppedThisTurn += 1
      return self.take(check(), bytes: bytes, channel, from: peer)
    }
    self.checking.insert(work)
    self.loop.work(check) { [self] results in
      self.checking.remove(work)
      self.take(results, bytes: bytes, channel, from: peer)
      self.check(channel, of: self.byMember[member] ?? peer)
    }
  }

  /// The most messages that are checked and stepped at once, and about the most bytes.
  private static let batchMax = 64
  private static let batchBytesMax = 4 << 20
  /// The most messages of one channel that wait to be checked, of a member, and of one that does not vote.
  private static let waitingMax = 65_536
  private static let waitingForGuestsMax = 1_024

  /// A lone small message, a vote or a status, costs less to check than to hand to another thread.
  private static let inlineBytesMax = 2048

  private func take(
    _ results: [Result<CheckedMessage, PeerFault>], bytes: Int, _ channel: Channel, from peer: PeerConnection
  ) {
    guard let member = peer.member else { return }
    for result in results {
      switch result {
      case .success(let message): if !peer.isClosed { self.give(.received(message, from: member)) }
      case .failure(.otherConfiguration): self.otherConfiguration += 1
      case .failure(.useless): self.useless += 1
      case .failure(let fault):
        // ⚑ Also of a connection that is gone: who has dialled again before it was checked is charged.
        self.give(.refused(from: member))
        let present = self.byMember[member] ?? peer
        if self.noteFault("\(fault)", of: peer), !present.isClosed { self.close(present, reason: "\(fault)") }
      }
    }
    guard !peer.isClosed else { return }
    peer.session.consumed(bytes, on: channel)
    if peer.session.hasOutput { self.flush(peer) }
  }

  /// Tells the operator of what no honest peer does, or not so often; whether that is enough to close the connection.
  @discardableResult
  func noteFault(_ reason: String, of peer: PeerConnection, as kind: EventKind = .peerFaulted) -> Bool {
    guard let member = peer.member, let key = peer.key else { return false }
    // An observer may itself be behind, and dials members.
    let isGuest = member >= ReplicaSet.countMax && self.node.index != nil
    self.log.emit(
      kind,
      ["member": .text(isGuest ? "observer, key \(key.short)" : self.name(member)), "reason": .text(reason)])
    return self.faults.count(key, isMember: !isGuest, at: self.loop.now) == .close
  }
}
