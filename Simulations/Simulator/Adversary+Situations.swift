internal import Messages
internal import NodeCore
internal import Ordering
internal import Primitives
internal import Signing

/// Writes its lane against the rules and, as primary, at once proposes what it wrote: alone such a block is only
/// evidence, and no honest primary proposes it (LEDGER §2, §11.1).
struct SelfServing: Adversary {
  enum Growth {
    /// It leaves positions out.
    case leaping
    /// It forks its lane, tells everybody, and lets it grow on for ever.
    case unfrozen
  }

  let growth: Growth
  private var last: Block?
  /// Where its lane ends as it proposes it, once it has begun.
  private var head: LaneHead?
  /// What each of its own proposals became: the same for all receivers.
  private var made: [Digest: (blocks: [Block], cut: Cut)] = [:]

  init(_ growth: Growth) { self.growth = growth }

  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    if case .block(let block) = message, scene.configuration.index(of: block.header.author) == scene.from {
      self.last = block
    }
    guard case .ordering(.prePrepare(let signed), _) = message, signed.signer == scene.from,
      let (blocks, cut) = self.proposal(for: signed.content.cut, &scene),
      let lie = scene.signed(signed.content, proposing: cut)
    else { return [Utterance(message)] }
    return blocks.map { Utterance(.blocks([$0])) } + [Utterance(lie)]
  }

  private mutating func proposal(for cut: Cut, _ scene: inout Scene) -> (blocks: [Block], cut: Cut)? {
    if let made = self.made[cut.digest] { return made }
    // The first is written on top of what all have executed.
    guard let last, let head = self.head ?? (scene.executed.heads[scene.from] == last.head ? last.head : nil) else {
      return nil
    }
    var (blocks, end): ([Block], Block?)
    let next = head.position.number + 1
    switch self.growth {
    case .leaping:
      // One that is right, and on top of it the wrong one, in one cut.
      guard let right = scene.block(at: next, after: head.digest, like: last),
        let wrong = scene.block(at: next + 2 + scene.random.below(8), after: right.digest, like: last)
      else { return nil }
      (blocks, end) = ([right, wrong], wrong)
    case .unfrozen:
      end = scene.block(at: next, after: head.digest, like: last)
      blocks = [end].compactMap { $0 }
      if self.head == nil, let rival = scene.block(at: next, after: head.digest, like: last, count: 2) {
        blocks.append(rival)
      }
    }
    guard let end else { return nil }
    var heads = cut.heads
    heads[scene.from] = end.head
    self.head = end.head
    if self.made.count > 256 { self.made = [:] }
    self.made[cut.digest] = (blocks, Cut(heads: heads, time: cut.time))
    return self.made[cut.digest]
  }
}

/// As primary, proposes a head of its lane that nobody has, then shows its next block to one member and another at the
/// same position to the others, and is silent (LEDGER §11.3).
struct Luring: Adversary {
  /// How far ahead that head lies.
  let ahead: UInt64
  private var last: Block?
  private var proposed = SequenceNumber.zero
  private var told: Set<ReplicaIndex> = []

  init(ahead: UInt64) { self.ahead = ahead }

  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    if case .block(let block) = message, scene.configuration.index(of: block.header.author) == scene.from {
      self.last = block
    }
    if case .ordering(.prePrepare(let signed), _) = message, signed.signer == scene.from {
      self.proposed = max(self.proposed, signed.content.sequence)
    }
    guard let last, scene.executed.heads[scene.from] == last.head || !self.told.isEmpty else {
      return [Utterance(message)]
    }
    guard self.told.insert(scene.to).inserted else { return [] }
    var heads = scene.executed.heads
    heads[scene.from] = LaneHead(
      position: LanePosition(last.header.position.number + self.ahead),
      digest: Hash.blake2b("consilium/invented/v1", last.digest.bytes))
    let proposal = PrePrepare(
      configuration: scene.configuration.number, view: View(0), sequence: self.proposed.next,
      cut: Cut(heads: heads, time: scene.executed.time.adding(milliseconds: 1)))
    let next = last.header.position.number + 1
    let rival = scene.block(at: next, after: last.digest, like: last, count: scene.to == 1 ? 1 : 2)
    return [scene.signed(.prePrepare(proposal)), rival.map { .blocks([$0]) }].compactMap { $0.map { Utterance($0) } }
  }
}

/// With each tree head that it signs, says that the others signed it too, with signatures that are not theirs (LEDGER
/// §6).
struct Forging: Adversary {
  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    guard case .cosignature(let own) = message, own.signer == scene.from else { return [Utterance(message)] }
    let to = scene.to
    let forged = scene.configuration.voters.filter { $0 != own.signer && $0 != to }.map { signer in
      Cosignature(
        signer: signer, sequence: own.sequence, body: own.body, seconds: own.seconds, note: own.note,
        cosignature: own.cosignature)
    }
    return forged.map { Utterance(.cosignature($0)) } + [Utterance(message)]
  }
}
