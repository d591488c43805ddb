internal import Messages
internal import NodeCore
internal import Ordering
internal import Primitives
internal import Signing

/// Situations in which somebody takes others' time: what each submits is executed within a bound all the same.
extension SituationRun {
  /// Each block is ordered by its own age: a primary that serves every lane and leaves more behind is left.
  mutating func throttle() -> String? {
    let others = [1, 2, 3]
    self.cluster.corrupt(0, with: Throttling())
    self.load(others, rounds: 24 + Int(self.random.below(8)), every: 200)
    let isPrompt = self.isExecuted(by: others, within: .milliseconds(12_000))
    if let broken { return broken }
    return isPrompt ? self.goesOn(others) : "LEDGER §11.5: what was submitted waits for a primary that serves little"
  }

  /// What one member writes too much of goes beside what others write, not before it.
  mutating func flood() -> String? {
    let (flooder, others) = (3, [0, 1, 2])
    self.cluster.corrupt(flooder, with: Swamping(count: 500 + self.random.below(200)))
    self.load([flooder], every: 300)
    for _ in 0..<3 {
      let isPrompt = self.isExecuted(by: others, within: .milliseconds(1200))
      if let broken { return broken }
      guard isPrompt else { return "LEDGER §11.5: what was submitted waits for another's flood" }
    }
    return self.goesOn(others)
  }
}

/// As primary, lets one lane after another grow by one block, each just before it would be missed.
struct Throttling: Adversary {
  private static let step = Span.milliseconds(1800)
  /// Heads of each lane of which it told the others.
  private var known: [Int: [LaneHead]] = [:]
  private var lane = 0
  private var next = Tick.zero
  /// What each of its proposals became, and when it is due: the same for all receivers.
  private var made: [Digest: (proposal: PrePrepare, at: Tick)] = [:]

  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    if case .announcements(_, let heads) = message {
      for told in heads { self.known[told.lane, default: []].append(told.head) }
    }
    guard case .ordering(.prePrepare(let signed), _) = message, signed.signer == scene.from,
      let made = self.make(signed.content, scene), let said = scene.signed(.prePrepare(made.proposal))
    else { return [Utterance(message)] }
    let delay = Span(nanoseconds: max(made.at, scene.now).nanoseconds - scene.now.nanoseconds)
    return [Utterance(.message(said), delay: delay)]
  }

  private mutating func make(_ proposal: PrePrepare, _ scene: Scene) -> (proposal: PrePrepare, at: Tick)? {
    let digest = proposal.cut.digest
    if let made = self.made[digest] { return made }
    var heads = scene.executed.heads
    for step in 0..<heads.count {
      let lane = (self.lane + step) % heads.count
      let above = (self.known[lane] ?? []).filter { $0.position > heads[lane].position }
      guard let head = above.min(by: { $0.position < $1.position }) else { continue }
      heads[lane] = head
      self.lane = lane + 1
      break
    }
    guard heads != scene.executed.heads else { return nil }
    let at = max(scene.now, self.next)
    self.next = at + Self.step
    let wait = (at.nanoseconds - scene.now.nanoseconds) / 1_000_000
    let made = PrePrepare(
      configuration: proposal.configuration, view: proposal.view, sequence: proposal.sequence,
      cut: Cut(heads: heads, time: max(scene.wall.adding(milliseconds: wait), proposal.cut.time)))
    if self.made.count > 256 { self.made = [:] }
    self.made[digest] = (made, at)
    return (made, at)
  }
}

/// Writes a long row of tiny blocks on top of its first one, and nothing after it.
struct Swamping: Adversary {
  let count: UInt64
  private var flood: [Block] = []

  init(count: UInt64) { self.count = count }

  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    guard case .block(let block) = message, scene.configuration.index(of: block.header.author) == scene.from else {
      return [Utterance(message)]
    }
    if self.flood.isEmpty {
      self.flood = [block]
      for _ in 0..<self.count {
        guard let last = self.flood.last,
          let next = scene.block(at: last.header.position.number + 1, after: last.digest, like: block)
        else { break }
        self.flood.append(next)
      }
    }
    return block == self.flood.first ? [Utterance(message), Utterance(.blocks(self.flood))] : []
  }
}
