import Primitives

/// Control items and the heartbeat: how the mesh grows, shrinks and mends itself (gossipsub v1.1).
extension Gossip {
  mutating func take(
    _ items: [ControlItem], from peer: Peer, at now: Tick, into effects: inout [Effect]
  ) -> Outcome {
    guard self.peers[peer] != nil else { return .ignored(.unknownPeer) }
    var answer: [ControlItem] = []
    var outcome = Outcome.accepted
    for item in items {
      switch item {
      case .subscribe(let topic, let isIn): self.subscribe(peer, topic, isIn: isIn, answer: &answer)
      case .graft(let topic): outcome = self.graft(peer, topic, at: now, answer: &answer)
      case .prune(let topic, let backoff):
        self.drop(peer, from: topic)
        let span = min(Span.milliseconds(UInt64(backoff)), self.parameters.pruneBackoff * 60)
        self.backOff(peer, topic, until: now + span)
      case .iHave(_, let identifiers): outcome = self.hear(identifiers, from: peer, at: now, answer: &answer)
      case .iWant(let identifiers): self.serve(identifiers, to: peer, into: &effects)
      case .iDontWant(let identifiers): self.note(identifiers, from: peer, at: now)
      }
    }
    if !answer.isEmpty { effects.append(.control(to: peer, answer)) }
    return outcome
  }

  /// Takes a peer into a mesh; with D peers it is full.
  private mutating func admit(_ peer: Peer, to topic: Topic) {
    self.mesh[topic]?.insert(peer)
    if self.mesh[topic]?.count ?? 0 >= self.parameters.degree { self.filling.remove(topic) }
  }

  /// Puts a peer out of a mesh; below Dlo it is filled again.
  mutating func drop(_ peer: Peer, from topic: Topic) {
    self.mesh[topic]?.remove(peer)
    if self.mesh[topic]?.count ?? 0 < self.parameters.degreeMin { self.filling.insert(topic) }
  }

  /// How many peers a mesh lacks that is being filled: up to D on joining, and up to D again from below Dlo. Between
  /// Dlo and Dhi one that was full is left alone.
  private func lack(_ topic: Topic) -> Int {
    guard self.filling.contains(topic) else { return 0 }
    let wanted = planted(.meshThin) ? self.parameters.degreeMin : self.parameters.degree
    return max(0, wanted - (self.mesh[topic]?.count ?? 0))
  }

  /// A mesh that is being filled takes a new subscriber at once: what is said before the next heartbeat must find its
  /// way too.
  private mutating func subscribe(_ peer: Peer, _ topic: Topic, isIn: Bool, answer: inout [ControlItem]) {
    if isIn {
      self.peers[peer]?.topics.insert(topic)
      guard let mesh = self.mesh[topic], self.lack(topic) > 0, !mesh.contains(peer), self.backoff[topic]?[peer] == nil
      else { return }
      self.admit(peer, to: topic)
      answer.append(.graft(topic))
    } else {
      self.peers[peer]?.topics.remove(topic)
      self.drop(peer, from: topic)
    }
  }

  private mutating func graft(
    _ peer: Peer, _ topic: Topic, at now: Tick, answer: inout [ControlItem]
  ) -> Outcome {
    guard let mesh = self.mesh[topic] else { return .ignored(.idle) }
    let refusal = ControlItem.prune(
      topic, backoffMilliseconds: UInt32(self.parameters.pruneBackoff.milliseconds))
    if let until = self.backoff[topic]?[peer], now < until, !planted(.backoffIgnored) {
      answer.append(refusal)
      return .rejected(.backoff)
    }
    guard mesh.count < self.parameters.degreeMax || mesh.contains(peer) || planted(.meshUnbounded) else {
      answer.append(refusal)
      self.backOff(peer, topic, until: now + self.parameters.pruneBackoff)
      return .ignored(.full)
    }
    self.peers[peer]?.topics.insert(topic)
    self.admit(peer, to: topic)
    return .accepted
  }

  /// Asks for what is new, within the heartbeat's bounds; what is asked for is promised.
  private mutating func hear(
    _ identifiers: [Digest], from peer: Peer, at now: Tick, answer: inout [ControlItem]
  ) -> Outcome {
    guard var state = self.peers[peer] else { return .ignored(.unknownPeer) }
    state.heard.items += 1
    defer { self.peers[peer] = state }
    let heard = state.heard
    guard heard.items <= self.parameters.iHaveItemsMax else { return .ignored(.flood) }
    let room = max(0, self.parameters.iHaveIdentifiersMax - heard.identifiers)
    var wanted: [Digest] = []
    for identifier in identifiers where !self.seen.contains(identifier) && wanted.count < room {
      // ⚑ Asked of one peer at a time, until its promise is broken.
      guard self.promises[identifier] == nil else { continue }
      self.promises[identifier] = Promise(peer: peer, until: now + self.parameters.iWantFollowUp)
      wanted.append(identifier)
    }
    guard !wanted.isEmpty else { return .ignored(.duplicate) }
    state.heard.identifiers += wanted.count
    answer.append(.iWant(wanted))
    return .accepted
  }

  private mutating func serve(_ identifiers: [Digest], to peer: Peer, into effects: inout [Effect]) {
    for identifier in identifiers where !planted(.wantsUnanswered) {
      guard var cached = self.cache[identifier] else { continue }
      let sent = cached.sentOnRequest[peer, default: 0]
      guard sent < self.parameters.retransmissionsMax || planted(.retransmittedForEver) else { continue }
      cached.sentOnRequest[peer] = sent + 1
      self.cache[identifier] = cached
      effects.append(.send(to: peer, cached.topic, cached.payload))
    }
  }

  private mutating func note(_ identifiers: [Digest], from peer: Peer, at now: Tick) {
    var noted = self.dontWant[peer] ?? [:]
    for identifier in identifiers where noted.count < self.parameters.iHaveIdentifiersMax { noted[identifier] = now }
    self.dontWant[peer] = noted
  }

  mutating func beat(at now: Tick, into effects: inout [Effect]) {
    self.nextHeartbeat = now + self.parameters.heartbeat
    var control: [Peer: [ControlItem]] = [:]
    for topic in self.topics.sorted() {
      self.maintain(topic, at: now, control: &control)
      self.gossip(topic, control: &control)
    }
    for peer in control.keys.sorted() { effects.append(.control(to: peer, control[peer] ?? [])) }
    self.age(at: now)
  }

  private mutating func backOff(_ peer: Peer, _ topic: Topic, until: Tick) {
    var held = self.backoff[topic] ?? [:]
    held[peer] = until
    self.backoff[topic] = held
  }

  /// Grafts up to D where the mesh is being filled, prunes to D above Dhi.
  private mutating func maintain(_ topic: Topic, at now: Tick, control: inout [Peer: [ControlItem]]) {
    if self.backoff[topic]?.isEmpty == false { self.backoff[topic] = self.backoff[topic]?.filter { $0.value > now } }
    let mesh = self.mesh[topic] ?? PeerSet()
    let lack = self.lack(topic)
    if lack > 0 {
      let backoff = self.backoff[topic] ?? [:]
      var candidates = self.peers.peers { peer, state in
        !mesh.contains(peer) && state.topics.contains(topic) && backoff[peer] == nil
      }
      self.random.shuffle(&candidates)
      for peer in candidates.prefix(lack) {
        self.admit(peer, to: topic)
        control[peer, default: []].append(.graft(topic))
      }
    } else if mesh.count > self.parameters.degreeMax, !planted(.meshUnbounded) {
      var members = mesh.peers
      self.random.shuffle(&members)
      for peer in members.dropFirst(self.parameters.degree) {
        self.drop(peer, from: topic)
        self.backOff(peer, topic, until: now + self.parameters.pruneBackoff)
        let backoff = UInt32(self.parameters.pruneBackoff.milliseconds)
        control[peer, default: []].append(.prune(topic, backoffMilliseconds: backoff))
      }
    }
  }

  /// Tells some peers outside the mesh what was heard in the last heartbeats.
  private mutating func gossip(_ topic: Topic, control: inout [Peer: [ControlItem]]) {
    var recent: [Digest] = []
    for kept in self.history.prefix(self.parameters.historyGossip).joined() where kept.topic == topic {
      recent.append(kept.identifier)
    }
    guard !recent.isEmpty else { return }
    let mesh = self.mesh[topic] ?? PeerSet()
    var outside = self.peers.peers { peer, state in state.topics.contains(topic) && !mesh.contains(peer) }
    self.random.shuffle(&outside)
    let count = max(self.parameters.degreeLazy, outside.count / self.parameters.gossipFactorOneIn)
    // One array for all of them.
    let item = ControlItem.iHave(topic, Array(recent.prefix(ControlItem.identifiersMax)))
    for peer in outside.prefix(count) { control[peer, default: []].append(item) }
  }

  private mutating func age(at now: Tick) {
    self.history.insert([], at: 0)
    while self.history.count > self.parameters.historyLength {
      for kept in self.history.removeLast() {
        self.cacheBytes -= self.cache.removeValue(forKey: kept.identifier)?.payload.count ?? 0
      }
    }
    while let oldest = self.seen.oldest, oldest + self.parameters.seenFor <= now { self.seen.removeOldest() }
    self.peers.update { $0.heard = Heard() }
    if !self.promises.isEmpty {
      for promise in self.promises.values where promise.until <= now { self.peers[promise.peer]?.brokenPromises += 1 }
      self.promises = self.promises.filter { $0.value.until > now }
    }
    for peer in self.dontWant.keys {
      let left = self.dontWant[peer]?.filter { $0.value + self.parameters.iWantFollowUp > now } ?? [:]
      self.dontWant[peer] = left.isEmpty ? nil : left
    }
  }
}
