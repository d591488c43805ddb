internal import Gossip
internal import HealthRecords
internal import Ledger
internal import Messages
internal import NodeCore
internal import Ordering
internal import Primitives
internal import Signing
internal import Wire

/// Makes up messages of every kind that a member may send, well-formed and signed with its own keys, with fields that
/// prefer edges: nothing, the end of what is known, one beside it, the ends of windows, the largest there is (I9).
///
/// What it says of itself stays honest beside that, until it lies no more: then everything must go on.
struct Inventing: Adversary {
  /// Until when it makes things up.
  let until: Tick
  /// How many messages in a hundred have others beside them.
  let percent: UInt64
  private var heard: [PeerMessage] = []
  private var blocks: [Block] = []

  init(until: Tick, percent: UInt64) { (self.until, self.percent) = (until, percent) }

  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    self.remember(message, &scene)
    guard scene.now < self.until, scene.random.below(100) < self.percent else { return [Utterance(message)] }
    var out = scene.random.oneIn(8) ? [] : [Utterance(message)]
    for _ in 0...scene.random.below(3) {
      guard let made = self.make(&scene) else { continue }
      out += Array(repeating: Utterance(made), count: scene.random.oneIn(10) ? 12 : 1)
    }
    return out
  }

  private mutating func remember(_ message: PeerMessage, _ scene: inout Scene) {
    if case .block(let block) = message, scene.configuration.index(of: block.header.author) == scene.from {
      self.blocks = self.blocks.suffix(7) + [block]
    }
    guard self.heard.count == 128 else { return self.heard.append(message) }
    self.heard[Int(scene.random.below(128))] = message
  }

  // MARK: Fields

  /// A number near one that means something, or at an edge of all.
  private func number(near known: UInt64, _ scene: inout Scene) -> UInt64 {
    let steps: [UInt64] = [0, 0, 0, 1, 1, 2, 7, 8, 9, 15, 16, 17, 127, 128, 129, 255, 256, 257, 4096]
    let step = steps[Int(scene.random.below(UInt64(steps.count)))]
    switch scene.random.below(12) {
    case 0: return step
    case 1: return (1 << 48) - 1 - step
    case 2, 3: return known - min(known, step)
    default: return min(known + step, (1 << 48) - 1)
    }
  }

  private func digest(_ known: [Digest], _ scene: inout Scene) -> Digest {
    if scene.random.oneIn(8) { return .zero }
    guard !known.isEmpty, !scene.random.oneIn(3) else {
      return Hash.blake2b("consilium/invented/v1", [UInt8(scene.random.below(256)), UInt8(scene.random.below(256))])
    }
    return known[Int(scene.random.below(UInt64(known.count)))]
  }

  private func time(_ scene: inout Scene) -> Timestamp {
    switch scene.random.below(8) {
    case 0: .zero
    case 1: Timestamp(milliseconds: .max)
    case 2: scene.executed.time
    case 3: scene.executed.time.adding(milliseconds: 1)
    case 4: scene.wall.adding(milliseconds: 5000)
    case 5: scene.wall.adding(milliseconds: 5001)
    default: scene.wall
    }
  }

  private func head(_ lane: Int, _ scene: inout Scene) -> LaneHead {
    let known = lane < scene.executed.heads.count ? scene.executed.heads[lane] : .empty
    guard !scene.random.oneIn(3) else { return known }
    if lane == scene.from, let block = self.blocks.last, scene.random.oneIn(2) { return block.head }
    let position = self.number(near: known.position.number, &scene)
    let digest = self.digest([known.digest] + self.blocks.map(\.digest), &scene)
    guard position > 0, digest != .zero else { return .empty }
    return LaneHead(position: LanePosition(position), digest: digest)
  }

  private func cut(_ scene: inout Scene) -> Cut {
    let lanes = scene.configuration.laneCount
    let count = scene.random.oneIn(10) ? [0, lanes - 1, lanes + 1, 256][Int(scene.random.below(4))] : lanes
    var heads: [LaneHead] = []
    for lane in 0..<count {
      let known = lane < scene.executed.heads.count ? scene.executed.heads[lane] : .empty
      heads.append(scene.random.oneIn(2) ? known : self.head(lane, &scene))
    }
    return Cut(heads: heads, time: self.time(&scene))
  }

  private func members(_ scene: inout Scene) -> ReplicaSet {
    var members = ReplicaSet()
    for _ in 0..<scene.random.below(6) { members.insert(Int(scene.random.below(scene.random.oneIn(4) ? 256 : 4))) }
    return members
  }

  private func view(_ scene: inout Scene) -> View {
    let known = self.heard.compactMap { if case .status(let status) = $0 { status.view.number } else { nil } }
    return View(self.number(near: known.last ?? 0, &scene))
  }

  private func sequence(_ scene: inout Scene) -> SequenceNumber {
    let known = self.heard.compactMap { if case .status(let status) = $0 { status.decided.number } else { nil } }
    return SequenceNumber(self.number(near: known.last ?? 0, &scene))
  }

  // MARK: Messages

  private mutating func make(_ scene: inout Scene) -> PeerMessage? {
    let lane = scene.random.oneIn(6) ? Int(scene.random.below(65_536)) : Int(scene.random.below(5))
    switch scene.random.below(20) {
    case 0...4: return self.ordering(&scene)
    case 5: return self.block(&scene).map { .block($0) }
    case 6:
      var many: [Block] = []
      for _ in 0..<scene.random.below(20) { many += [self.block(&scene)].compactMap { $0 } }
      return .blocks(many)
    case 7:
      guard let one = self.block(&scene), let other = self.block(&scene) else { return nil }
      return .evidence(ForkEvidence(SignedHeader(one), SignedHeader(other)))
    case 8:
      let slots = (0..<scene.random.below(5)).map { _ in
        SlotStatus(
          sequence: self.sequence(&scene), hasPrePrepare: scene.random.oneIn(2), prepares: self.members(&scene),
          commits: self.members(&scene))
      }
      return .status(
        Status(
          configuration: self.configuration(&scene), view: self.view(&scene), isChanging: scene.random.oneIn(2),
          viewChanges: self.members(&scene), decided: self.sequence(&scene), slots: slots))
    case 9:
      let heads = (0..<scene.random.below(9)).map { _ -> LaneAnnouncement in
        let number = Int(scene.random.below(scene.random.oneIn(5) ? 65_536 : 5))
        return LaneAnnouncement(lane: number, head: self.head(lane, &scene))
      }
      return .announcements(self.configuration(&scene), heads)
    case 10:
      let head = self.head(lane, &scene)
      let above = LanePosition(head.position.number - min(head.position.number, self.number(near: 1, &scene)))
      guard head.position > above else { return nil }
      return .blockRequest(
        BlockRequest(lane: lane, above: above, head: head, order: scene.random.oneIn(2) ? .upwards : .downwards))
    case 11: return .control(self.control(&scene))
    case 12: return .links(self.members(&scene))
    case 13: return scene.random.oneIn(2) ? .historyRequest(self.sequence(&scene)) : .history([])
    case 14:
      let manifest = self.digest([], &scene)
      guard case .offer(let offer) = scene.sign(.snapshot(self.sequence(&scene), manifest, scene.configuration.number))
      else { return nil }
      return .snapshotOffer(offer)
    case 15:
      let digest = self.digest([], &scene)
      let number = Int(self.number(near: 0, &scene) & 0xffff_ffff)
      return scene.random.oneIn(3)
        ? .manifestRequest(digest)
        : scene.random.oneIn(2) ? .chunkRequest(digest, number) : .chunk(digest, number, [1, 2, 3])
    case 16:
      let bytes = (0..<scene.random.below(80)).map { _ in UInt8(scene.random.below(256)) }
      if scene.random.oneIn(3) { return .answer(self.questionNumber(&scene), bytes) }
      return .question(self.questionNumber(&scene), scene.random.oneIn(4) ? bytes : self.question(&scene))
    case 17: return self.decisions(&scene)
    default: return self.again(&scene)
    }
  }

  private func configuration(_ scene: inout Scene) -> ConfigurationNumber {
    scene.random.oneIn(5)
      ? ConfigurationNumber(UInt32(self.number(near: 0, &scene) & 0xffff_ffff)) : scene.configuration.number
  }

  /// The number of a question that it asked, one beside it, or any.
  private func questionNumber(_ scene: inout Scene) -> UInt64 {
    let known = self.heard.compactMap { if case .question(let number, _) = $0 { number } else { nil } }
    guard let last = known.last, !scene.random.oneIn(3) else { return scene.random.next() }
    return scene.random.oneIn(2) ? last : last &+ 1
  }

  /// A question of any kind about records and requests that are not there, at every edge of its numbers; some are cut
  /// short, and some go on after their end.
  private func question(_ scene: inout Scene) -> [UInt8] {
    let record = self.digest(self.blocks.map(\.digest), &scene)
    let asked = ReleaseQuestion(request: self.digest([record], &scene), record: record)
    let place = Int(self.number(near: 0, &scene) & 0xffff)
    let made: MemberQuestion =
      switch scene.random.below(7) {
      case 0: .object(record, from: place)
      case 1: .hospitalKey(asked)
      case 2: .share(asked, capsule: (0..<scene.random.below(200)).map { _ in UInt8(scene.random.below(256)) })
      case 3: .boxes(record)
      case 4: .proof(record, chunk: place)
      default: self.keep(record, place, &scene)
      }
    var bytes = made.encoded
    switch scene.random.below(8) {
    case 0: bytes.removeLast(Int(scene.random.below(UInt64(bytes.count))))
    case 1: bytes.append(0)
    default: break
    }
    return bytes
  }

  /// An offer of parts that belong to no record of its own, or to none at all.
  private func keep(_ record: Digest, _ place: Int, _ scene: inout Scene) -> MemberQuestion {
    let parts = (0...scene.random.below(3)).map { _ in
      let chunks = (0..<scene.random.below(3)).map { _ in [UInt8](repeating: 7, count: Int(scene.random.below(99))) }
      return RecordPart(record: record, count: place, start: Int(scene.random.below(3)), chunks: chunks, boxes: nil)
    }
    guard scene.random.oneIn(2) else { return .keep(parts, of: []) }
    return .keep(parts, of: parts.map { _ in RecordOrigin(patient: record, hashLock: self.digest([], &scene)) })
  }

  /// Something that it said once.
  private func again(_ scene: inout Scene) -> PeerMessage? {
    guard !self.heard.isEmpty else { return nil }
    let old = self.heard[Int(scene.random.below(UInt64(self.heard.count)))]
    guard case .ordering(let content, let isGossip) = old else { return old }
    return .ordering(content, isGossip: scene.random.oneIn(2) ? isGossip : !isGossip)
  }

  private func decisions(_ scene: inout Scene) -> PeerMessage? {
    let known = self.heard.compactMap { if case .decisions(let decisions) = $0 { decisions } else { nil } }
    guard let decision = known.last?.last else { return .decisions([]) }
    let other = Decision(
      configuration: decision.configuration, view: decision.view, sequence: self.sequence(&scene), cut: decision.cut,
      evidence: scene.random.oneIn(4) ? .majority : decision.evidence)
    return .decisions([decision, scene.random.oneIn(2) ? other : decision])
  }

  private func control(_ scene: inout Scene) -> [ControlItem] {
    (0..<scene.random.below(6)).map { _ in
      let topic = Topic.allCases[Int(scene.random.below(UInt64(Topic.allCases.count)))]
      let identifiers = (0..<scene.random.below(40)).map { _ in self.digest(self.blocks.map(\.digest), &scene) }
      switch scene.random.below(6) {
      case 0: return .subscribe(topic, isIn: scene.random.oneIn(2))
      case 1: return .graft(topic)
      case 2: return .prune(topic, backoffMilliseconds: UInt32(self.number(near: 60_000, &scene) & 0xffff_ffff))
      case 3: return .iHave(topic, identifiers)
      case 4: return .iWant(identifiers)
      default: return .iDontWant(identifiers)
      }
    }
  }

  /// A block of its lane at or near its end.
  private func block(_ scene: inout Scene) -> Block? {
    guard let last = self.blocks.last else { return nil }
    let position = max(1, self.number(near: last.header.position.number, &scene))
    let parent = position == 1 ? Digest.zero : self.digest(self.blocks.map(\.digest), &scene)
    guard (position == 1) == (parent == .zero) else { return nil }
    return scene.block(at: position, after: parent, like: last, count: 1 + Int(scene.random.below(2)))
  }

  private func ordering(_ scene: inout Scene) -> PeerMessage? {
    let cuts = self.heard.compactMap { message in
      if case .ordering(.prePrepare(let signed), _) = message { signed.content.cut.digest } else { nil }
    }
    let ballot = Ballot(
      configuration: scene.configuration.number, view: self.view(&scene), sequence: self.sequence(&scene),
      digest: self.digest(cuts + [scene.executed.digest], &scene))
    let changes = self.heard.compactMap { message in
      if case .ordering(.viewChange(let signed), _) = message { signed } else { nil }
    }
    let proposal = PrePrepare(
      configuration: scene.configuration.number, view: ballot.view, sequence: ballot.sequence, cut: self.cut(&scene))
    let made: PeerMessage? =
      switch scene.random.below(6) {
      case 0: scene.signed(.prepare(Prepare(ballot)))
      case 1: scene.signed(.commit(Commit(ballot)))
      case 2, 3: scene.signed(.prePrepare(proposal))
      case 4:
        scene.signed(
          .viewChange(
            ViewChange(
              configuration: scene.configuration.number, view: ballot.view, base: changes.last?.content.base,
              prepared: changes.last.map { Array($0.content.prepared.reversed()) } ?? [])))
      default: scene.signed(.newView(view: ballot.view, viewChanges: changes, prePrepares: [proposal]))
      }
    guard case .ordering(let content, _) = made else { return nil }
    return .ordering(content, isGossip: scene.random.oneIn(2))
  }
}
