import Messages
import Primitives

/// Pulling blocks that something waits for.
extension Lanes {
  mutating func want(_ lane: Int, _ head: LaneHead, for reason: WishReason, at now: Tick) -> Outcome {
    guard lane < self.lanes.count else { return .rejected(.unknownLane) }
    guard head.position > self.lanes[lane].executed.position, !planted(.ancestorNotPulled) else {
      return .ignored(.settled)
    }
    let isForGood = reason == .decision || planted(.wishesByPosition)
    let until = isForGood ? nil : now + self.parameters.wishLife
    guard !self.lanes[lane].wishAgain(for: head, reason, until: until) else { return .ignored(.duplicate) }
    let horizon = self.lanes[lane].horizon(aheadMax: self.parameters.aheadBlocksMax)
    guard reason == .decision || head.position.number <= horizon || planted(.wishesByPosition) else {
      return .ignored(.beyondWindow)
    }
    if planted(.wishesByPosition), self.lanes[lane].wishes.contains(where: { $0.head.position >= head.position }) {
      return .ignored(.duplicate)
    }
    guard case .missing(let gap) = self.lanes[lane].gap(below: head) else { return .ignored(.duplicate) }
    // The author's own push is usually on its way: the first request waits for a fraction of the time-out; what is
    // here already and only being checked is not asked for before that must be over.
    let isArriving = self.lanes[lane].arriving[gap.position] != nil
    let timeout = self.parameters.requestTimeout
    let patience = isArriving ? self.parameters.checkTimeMax : Span(nanoseconds: timeout.nanoseconds / 20)
    let hasRoom = self.lanes[lane].wish(
      for: head, reason, gap: gap, until: until, retryAt: now + patience, countMax: self.parameters.wishesMax)
    return hasRoom ? .accepted : .ignored(.full)
  }

  /// An answer holds at most a few megabytes: what is still missing is asked for at once.
  mutating func askOn(at now: Tick, into effects: inout [Effect]) -> Outcome {
    for lane in self.lanes.indices {
      for index in self.lanes[lane].wishes.indices { self.lanes[lane].wishes[index].retryAt = now }
      if self.lanes[lane].behindSince != nil { self.lanes[lane].behindSince = .zero }
    }
    return self.retryRequests(at: now, into: &effects)
  }

  /// ⚑ What a peer sent was not what it should be, or nothing more comes of it: what was to come from it is asked for
  /// like what was never seen. Else junk with others' headers would keep their blocks away (LEDGER §11.10).
  mutating func expectNothing(of peer: ReplicaIndex, at now: Tick) -> Outcome {
    guard !planted(.arrivalsKept) else { return .ignored(.idle) }
    var outcome = Outcome.ignored(.idle)
    let soon = now + Span(nanoseconds: self.parameters.requestTimeout.nanoseconds / 20)
    for lane in self.lanes.indices {
      let gone = self.lanes[lane].arriving.filter { $0.value.from == peer }
      guard !gone.isEmpty else { continue }
      outcome = .accepted
      for position in gone.keys { self.lanes[lane].arriving[position] = nil }
      for index in self.lanes[lane].wishes.indices where gone[self.lanes[lane].wishes[index].gap.position] != nil {
        self.lanes[lane].wishes[index].retryAt = min(self.lanes[lane].wishes[index].retryAt, soon)
      }
    }
    return outcome
  }

  /// Notes the lanes of which a connected member announces more than is held here, and since when.
  mutating func watchAnnounced(at now: Tick) {
    for lane in self.lanes.indices {
      if !self.lanes[lane].arriving.isEmpty {
        self.lanes[lane].arriving = self.lanes[lane].arriving.filter { $0.value.until > now }
      }
      if !self.lanes[lane].wishes.isEmpty { self.lanes[lane].endWishes(at: now) }
      let isAhead = self.lanes[lane].announced.top > self.lanes[lane].tip.position
      let isBehind = isAhead && lane != self.index && self.hasHolder(lane: lane)
      if !isBehind {
        self.lanes[lane].behindSince = nil
      } else if self.lanes[lane].behindSince == nil {
        self.lanes[lane].behindSince = now
      }
    }
  }

  /// The connected members that announce more of a lane than is held here, while there is room for it.
  private func holders(lane: Int) -> [ReplicaIndex] {
    guard self.hasRoomAhead(lane: lane) else { return [] }
    let top = max(self.lanes[lane].tip.position, self.lanes[lane].arrivingTop)
    return self.connected.sorted().filter { self.announces(lane, beyond: top, peer: $0) }
  }

  /// Whether there are any, which is asked at every step.
  private func hasHolder(lane: Int) -> Bool {
    guard self.hasRoomAhead(lane: lane) else { return false }
    let top = max(self.lanes[lane].tip.position, self.lanes[lane].arrivingTop)
    return self.connected.contains { self.announces(lane, beyond: top, peer: $0) }
  }

  private func hasRoomAhead(lane: Int) -> Bool {
    self.lanes[lane].heldBytes < self.parameters.laneBytesMax / 2 && !planted(.ancestorNotPulled)
  }

  private func announces(_ lane: Int, beyond top: LanePosition, peer: ReplicaIndex) -> Bool {
    peer < self.lanes[lane].announced.count && self.lanes[lane].announced.latest(by: peer).position > top
  }

  /// Asks for what was announced and did not come. A liar is only asked again; nothing waits for its word.
  private mutating func askForAnnounced(at now: Tick, into effects: inout [Effect]) -> Bool {
    var asked = false
    for lane in self.lanes.indices {
      guard let since = self.lanes[lane].behindSince, since + self.parameters.announcedPatience <= now else { continue }
      let holders = self.holders(lane: lane)
      self.lanes[lane].behindSince = holders.isEmpty ? nil : now
      guard !holders.isEmpty else { continue }
      self.lanes[lane].turn += 1
      let peer = holders[self.lanes[lane].turn % holders.count]
      let head = self.lanes[lane].announced.latest(by: peer)
      let request = BlockRequest(lane: lane, above: self.lanes[lane].held.position, head: head, order: .upwards)
      effects.append(.request(to: peer, request))
      asked = true
    }
    return asked
  }

  mutating func retryRequests(at now: Tick, into effects: inout [Effect]) -> Outcome {
    var asked = self.askForAnnounced(at: now, into: &effects)
    for lane in self.lanes.indices {
      // Wishes whose ways meet are one request.
      var gaps: Set<Digest> = []
      for index in self.lanes[lane].wishes.indices where self.lanes[lane].wishes[index].retryAt <= now {
        self.lanes[lane].wishes[index].retryAt = now + self.parameters.requestTimeout
        let gap = self.lanes[lane].wishes[index].gap
        guard gaps.insert(gap.digest).inserted, let peer = self.nextHolder(lane: lane, of: gap) else { continue }
        let above = self.lanes[lane].floor(below: gap)
        effects.append(.request(to: peer, BlockRequest(lane: lane, above: above, head: gap, order: .downwards)))
        asked = true
      }
    }
    return asked ? .accepted : .ignored(.idle)
  }

  /// A connected member that announced the block, in turn; every other time any connected one. An announcement is only
  /// somebody's word, and those that are in a later configuration announce nothing of this one.
  private mutating func nextHolder(lane: Int, of head: LaneHead) -> ReplicaIndex? {
    let others = self.connected.sorted().filter { $0 != self.index }
    let announced = self.lanes[lane].announced
    let holders = others.filter { peer in
      guard peer < announced.count else { return false }
      let latest = announced.latest(by: peer)
      return latest.position > head.position || latest == head
    }
    self.lanes[lane].turn += 1
    let (turn, candidates) = (self.lanes[lane].turn, holders.isEmpty ? others : holders)
    guard !candidates.isEmpty else { return nil }
    return turn.isMultiple(of: 2) ? others[turn / 2 % others.count] : candidates[turn / 2 % candidates.count]
  }
}

/// What others hold of the own lane, after a start.
extension Lanes {
  /// Takes note of what a member says that it holds of the own lane; where that is more than is here, it is to show it.
  mutating func hearOfOwn(
    _ announcements: [LaneAnnouncement], from peer: ReplicaIndex, at now: Tick, into effects: inout [Effect]
  ) {
    guard let index, self.hearing != nil, self.configuration.isVoter(peer),
      let head = announcements.first(where: { $0.lane == index })?.head
    else { return }
    if head.position <= self.lastSealed.position {
      self.hearing?.words.insert(peer)
      self.hearing?.claims[peer] = nil
    } else {
      let until = self.hearing?.until ?? now + self.parameters.claimPatience
      self.hearing?.claims[peer] = head
      self.hearing?.until = until
      // ⚑ One of f + 1 tells the truth: this key signed what is not here. Where f is 0 (fewer than four, or Raft) one
      // word would end this node: only the block itself does, which is asked for.
      let claims = self.hearing?.claims.values.map(\.position) ?? []
      let faultyMax = self.configuration.faultyMax
      if claims.count > faultyMax, faultyMax > 0, let position = claims.min() {
        effects.append(.copied(position))
        return
      }
      effects.append(
        .request(to: peer, BlockRequest(lane: index, above: self.lastSealed.position, head: head, order: .upwards)))
    }
    self.endHearing(at: now)
    self.sealIfDue(into: &effects)
  }

  /// Whoever greets with all that it holds is told what is held here of its own lane: it may wait for that.
  func answerGreeting(_ announcements: [LaneAnnouncement], from peer: ReplicaIndex, into effects: inout [Effect]) {
    guard announcements.count == self.lanes.count, peer < self.lanes.count, peer != self.index else { return }
    effects.append(.announce(to: peer, [LaneAnnouncement(lane: peer, head: self.lanes[peer].tip)]))
  }

  /// Whoever has nothing may be starting for the first time, and is told; others know their lane by themselves.
  func answerEarlier(
    _ announcements: [LaneAnnouncement], from peer: ReplicaIndex, into effects: inout [Effect]
  ) -> Outcome {
    guard peer < self.lanes.count, announcements.contains(LaneAnnouncement(lane: peer, head: .empty)) else {
      return .ignored(.otherConfiguration)
    }
    effects.append(.announce(to: peer, [LaneAnnouncement(lane: peer, head: self.lanes[peer].tip)]))
    return .accepted
  }

  /// Greets those again that said nothing of the own lane.
  mutating func askForWords(at now: Tick, into effects: inout [Effect]) {
    guard let hearing, hearing.askAt.map({ $0 <= now }) ?? true else { return }
    let isFirst = hearing.askAt == nil
    self.hearing?.askAt = now + self.parameters.wordInterval
    // At first they have just been greeted, or will be when they connect.
    guard !isFirst else { return }
    for peer in self.connected.sorted() where self.configuration.isVoter(peer) && peer != self.index {
      guard !hearing.words.contains(peer), hearing.claims[peer] == nil else { continue }
      effects.append(.announce(to: peer, self.announcements))
    }
  }

  /// With this member's own word, a quorum has no more of its lane.
  func hasHeardEnough(_ hearing: Hearing) -> Bool { hearing.words.count + 1 >= self.configuration.quorum }

  /// A liar's claim holds nothing up for longer than its patience.
  mutating func endHearing(at now: Tick) {
    guard let hearing, self.hasHeardEnough(hearing) else { return }
    if hearing.claims.isEmpty || hearing.until.map({ $0 <= now }) ?? true { self.hearing = nil }
  }
}
