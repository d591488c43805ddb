internal import Ledger
internal import Messages
internal import NodeCore
internal import Ordering
internal import Primitives
internal import Signing

/// Situations in which somebody makes work for others: it stays within bounds, and what is wanted gets through.
extension SituationRun {
  /// What one member says again, or about what is far away, is not verified.
  mutating func repeatEverything() -> String? {
    self.cluster.corrupt(0, with: Repeating())
    self.load([0, 1, 2, 3], rounds: 8, every: 60 + self.random.below(60))
    if let broken { return broken }
    for slot in [1, 2, 3] {
      let verified = self.cluster.machines[slot].verified
      let honest = [1, 2, 3].filter { $0 != slot }.compactMap { verified[$0] }.max() ?? 0
      guard verified[0] ?? 0 <= 4 * honest + 100 else {
        return "LEDGER §11.10: member \(slot) verified \(verified[0] ?? 0) signatures of member 0, \(honest) of others"
      }
    }
    return self.goesOn([1, 2, 3])
  }

  /// No view is left because a status says so.
  mutating func pretend() -> String? {
    self.cluster.corrupt(3, with: Pretending())
    self.load([0, 1, 2, 3], rounds: 10 + Int(self.random.below(10)), every: 600 + self.random.below(600))
    if let broken { return broken }
    for slot in [0, 1, 2] {
      guard let view = self.cluster.node(slot)?.replica.view, view > View(0) else { continue }
      return "LEDGER §3: member \(slot) is in view \(view) though nobody signed a wish for one"
    }
    return self.goesOn([0, 1, 2])
  }

  /// What nobody asked for, or is here, is not verified.
  mutating func pester() -> String? {
    self.cluster.corrupt(0, with: Pestering())
    self.load([0, 1, 2, 3], rounds: 8, every: 60 + self.random.below(60))
    if let broken { return broken }
    for slot in [1, 2, 3] {
      let verified = self.cluster.machines[slot].verified
      let honest = [1, 2, 3].filter { $0 != slot }.compactMap { verified[$0] }.max() ?? 0
      guard verified[0] ?? 0 <= 8 * honest + 1000 else {
        return "LEDGER §11.10: member \(slot) verified \(verified[0] ?? 0) signatures of member 0, \(honest) of others"
      }
    }
    return self.goesOn([1, 2, 3])
  }

  /// Whatever a member makes up, nobody stops, holds too much or contradicts itself; and everything goes on.
  mutating func invent() -> String? {
    let until = self.cluster.now + .milliseconds(6000)
    let liar = Int(self.random.below(4))
    self.cluster.corrupt(liar, with: Inventing(until: until, percent: 10 + self.random.below(60)))
    let others = [0, 1, 2, 3].filter { $0 != liar }
    while self.cluster.now < until {
      self.load([0, 1, 2, 3], every: 50 + self.random.below(300))
      if let broken { return broken }
    }
    return self.goesOn(others)
  }

  /// Each decision comes from few, however many have it.
  mutating func comeBackFarBehind() -> String? {
    let (laggard, others) = (9, Array(0..<9))
    self.load(Array(0..<10))
    self.cluster.partition([laggard], from: others)
    self.load([0, 1, 2], rounds: 20 + Int(self.random.below(20)), every: 30)
    var copies: [SequenceNumber: Int] = [:]
    self.cluster.onArrival = { _, to, packet in
      guard to == laggard, case .decisions(let decisions)? = packet.message else { return }
      for decision in decisions { copies[decision.sequence, default: 0] += 1 }
    }
    self.cluster.heal()
    let cluster = self.cluster
    let isBack = cluster.run(within: .milliseconds(20_000), asking: 16) {
      cluster.disk(laggard).position.sequence >= cluster.disk(0).position.sequence
    }
    self.cluster.onArrival = nil
    if let broken { return broken }
    guard isBack else { return "I7: member \(laggard) does not come back" }
    // Three of nine answer, and three others where it says the same again; what they send overlaps now and then.
    let sent = copies.values.reduce(0, +)
    guard sent <= 6 * copies.count else {
      return "LEDGER §11.11: member \(laggard) is sent \(copies.count) decisions \(sent) times"
    }
    return self.goesOn(others)
  }

  /// Blocks are pulled, whatever somebody sends under their headers.
  mutating func smother() -> String? {
    let victim = 2
    self.cluster.corrupt(0, with: Smothering(victim: victim))
    self.cluster.drop(.block, from: [1, 3], to: [victim])
    self.load([1, 2, 3], rounds: 4, every: 2000)
    for _ in 0..<3 {
      let isPrompt = self.isExecuted(by: [1, 3], within: .milliseconds(2500))
      if let broken { return broken }
      guard isPrompt else { return "LEDGER §11.10: junk keeps member \(victim) from asking for blocks" }
    }
    self.cluster.clearFilters()
    return self.goesOn([1, 2, 3])
  }
}

/// Says each of its votes again and again, and votes for views and numbers that nobody is near.
private struct Repeating: Adversary {
  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    guard case .ordering(let content, true) = message, content.signer == scene.from else { return [Utterance(message)] }
    let ballot: Ballot
    switch content {
    case .prepare(let signed): ballot = signed.content.ballot
    case .commit(let signed): ballot = signed.content.ballot
    case .prePrepare, .viewChange, .newView, .decision: return [Utterance(message)]
    }
    var out = (0..<30 as Range<UInt64>).map { Utterance(.message(message), delay: .milliseconds($0)) }
    for _ in 0..<30 {
      let isFarView = scene.random.oneIn(2)
      let far = Ballot(
        configuration: ballot.configuration, view: View(ballot.view.number + (isFarView ? 1 << 20 : 0)),
        sequence: SequenceNumber(ballot.sequence.number + (isFarView ? 0 : 1 << 20) + scene.random.below(1 << 20)),
        digest: ballot.digest)
      if let vote = scene.signed(.commit(Commit(far))) { out.append(Utterance(vote)) }
    }
    return out
  }
}

/// Says in each status that it waits alone for the next view and is ahead of all, and signs nothing of it.
private struct Pretending: Adversary {
  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    guard case .status(let status) = message else { return [Utterance(message)] }
    let claimed = Status(
      configuration: status.configuration, view: status.view.next, isChanging: true, viewChanges: status.viewChanges,
      decided: SequenceNumber(1 << 40), slots: [])
    return [Utterance(.status(claimed))]
  }
}

/// Sends each of its votes as an answer to a status again and again, and its blocks many times over in one message.
private struct Pestering: Adversary {
  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    switch message {
    case .block(let block) where scene.configuration.index(of: block.header.author) == scene.from:
      let many = PeerMessage.blocks(Array(repeating: block, count: 200))
      let often = (1...4 as ClosedRange<UInt64>).map { Utterance(.message(many), delay: .milliseconds($0 * 5)) }
      return [Utterance(message)] + often
    case .ordering(let content, true) where content.signer == scene.from:
      let answer = PeerMessage.ordering(content, isGossip: false)
      let often = (0..<60 as Range<UInt64>).map { Utterance(.message(answer), delay: .milliseconds($0)) }
      return [Utterance(message)] + often
    default: return [Utterance(message)]
    }
  }
}

/// Sends one member junk under the headers of blocks that it lacks, and takes no part in ordering.
private struct Smothering: Adversary {
  let victim: ReplicaIndex

  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    if case .ordering = message { return [] }
    guard scene.to == self.victim else { return [Utterance(message)] }
    var out = [Utterance(message)]
    for lane in [1, 3] {
      let head = scene.executed.heads[lane]
      for ahead in 1...6 as ClosedRange<UInt64> {
        let body = Array(repeating: UInt8(ahead), count: 40)
        let header = BlockHeader(
          network: scene.network, configuration: scene.configuration.number,
          author: scene.configuration.members[lane].id,
          position: LanePosition(head.position.number + ahead),
          parent: ahead == 1 ? head.digest : Hash.blake2b("consilium/air/v1", body), transactionCount: 1,
          transactionBytes: UInt32(body.count), body: BlockHeader.bodyDigest(body))
        if case .block(let junk) = scene.sign(.block(header, body: body)) { out.append(Utterance(.block(junk))) }
      }
    }
    return out
  }
}
