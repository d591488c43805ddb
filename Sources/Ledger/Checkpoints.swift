internal import Merkle
public import Messages
public import Primitives
internal import Signing

/// When this member signs tree heads, and when Q signatures make one stable (LEDGER §6).
public struct Checkpoints: Sendable {
  /// What happens.
  public enum Input: Sendable {
    /// A cut was executed.
    case executed(LedgerPosition)
    /// This member's signatures of a body are durable.
    case signed(Cosignature)
    /// A member's signatures arrived, from that member itself or through another.
    case received(Cosignature, from: ReplicaIndex)
    /// A point in time that `deadline` named has come.
    case timerFired
  }

  /// What it wants done.
  public enum Effect: Sendable, Hashable {
    /// Sign with the checkpoint key; the size is durable before the signature leaves.
    case cosign(CheckpointBody)
    /// Another member's signatures hold: pass them on. What is not verified is never passed on, or one liar's
    /// inventions would go round without end.
    case spread(Cosignature)
    /// A quorum's signatures stay away: say this member's own again to all, so that whoever has them answers.
    case again(Cosignature)
    /// A member says its signature again of what is stable here: what it misses are these.
    case answer(StableCheckpoint, to: ReplicaIndex)
    /// Q members signed: keep it.
    case stable(StableCheckpoint)
    /// A member's history differs from this one's at a sequence number: nobody may go on as if nothing were.
    case diverged(ReplicaIndex, SequenceNumber)
    /// So many members signed one other history that a correct one is among them: this member's is wrong, and it must
    /// stop (LEDGER §11.12).
    case outvoted(SequenceNumber)
  }

  /// Why an input was of no use, or wrong.
  public enum Reason: String, Sendable, Hashable {
    /// At or below the stable checkpoint.
    case settled
    /// It was here before.
    case duplicate
    /// The signature is wrong.
    case signature
    /// The member's body is not this one's.
    case diverged
    /// Nothing to do.
    case idle
  }

  /// What a step came to.
  public typealias Outcome = Disposition<Reason>

  /// The most own bodies that wait for a quorum.
  static let openMax = 16
  /// The most signatures of one member that wait for this one to execute so far.
  static let earlyMax = 4
  /// How long this member waits for a quorum before it says its own signature again, and at most, in idle spans.
  static let againAfter: UInt64 = 4
  static let againMax: UInt64 = 64

  private let network: Digest
  private let configuration: Configuration
  private let interval: UInt64
  private let idle: Span
  /// The last stable checkpoint.
  public private(set) var stable: StableCheckpoint?
  /// This member's last signatures.
  public private(set) var own: Cosignature?
  private var position: LedgerPosition
  private var executedAt: Tick?
  /// When this member says its own signature again, and how many idle spans it waited for that.
  private var again: (at: Tick, spans: UInt64)?
  private var signedSequence: SequenceNumber
  private var bodies: [SequenceNumber: CheckpointBody] = [:]
  private var collected: [SequenceNumber: [ReplicaIndex: Cosignature]] = [:]
  /// What was signed of sequence numbers that are not executed here yet, and whether the signer itself sent it.
  private var early: [SequenceNumber: [ReplicaIndex: (cosignature: Cosignature, isDirect: Bool)]] = [:]
  /// What members themselves signed that is not this one's, by sequence number.
  private var differing: [SequenceNumber: [ReplicaIndex: Digest]] = [:]
  /// How often each member itself sent its signature of what was stable here by then.
  private var late: [ReplicaIndex: (sequence: SequenceNumber, count: UInt64)] = [:]

  /// Checkpoints that go on from what is executed and the last stable one.
  public init(
    network: Digest, configuration: Configuration, interval: UInt64, idle: Span, position: LedgerPosition,
    stable: StableCheckpoint?, at now: Tick
  ) {
    (self.network, self.configuration, self.interval) = (network, configuration, interval)
    (self.idle, self.position, self.stable) = (idle, position, stable)
    // What another configuration executed, that one signs.
    self.signedSequence = max(stable?.body.sequence ?? .zero, configuration.start.previous)
    self.executedAt = position.sequence > self.signedSequence ? now : nil
  }

  /// The next point in time at which it wants `.timerFired`.
  public var deadline: Tick? {
    switch (self.signsAt, self.again?.at) {
    case (let one?, let other?): min(one, other)
    case (let one, let other): one ?? other
    }
  }

  private var signsAt: Tick? { self.executedAt.map { $0 + self.idle } }

  /// Takes one input; appends effects in their order.
  public mutating func step(_ input: Input, at now: Tick, into effects: inout [Effect]) -> Outcome {
    switch input {
    case .executed(let position):
      self.position = position
      self.executedAt = now
      guard position.sequence.number.isMultiple(of: self.interval) else { return .accepted }
      return self.sign(into: &effects)
    case .timerFired:
      if let (due, spans) = self.again, now >= due, let own = self.own {
        self.wait(min(spans * 2, Self.againMax), from: now)
        effects.append(.again(own))
      }
      guard let due = self.signsAt, now >= due else { return .ignored(.idle) }
      return self.sign(into: &effects)
    case .signed(let cosignature):
      self.own = cosignature
      if cosignature.sequence > self.stable?.body.sequence ?? .zero { self.wait(Self.againAfter, from: now) }
      return self.collect(cosignature, isOwn: true, isDirect: true, into: &effects)
    case .received(let cosignature, let from):
      return self.collect(cosignature, isOwn: false, isDirect: from == cosignature.signer, into: &effects)
    }
  }

  private mutating func wait(_ spans: UInt64, from now: Tick) {
    self.again = (now + Span(nanoseconds: self.idle.nanoseconds * spans), spans)
  }

  private mutating func sign(into effects: inout [Effect]) -> Outcome {
    self.executedAt = nil
    guard self.position.sequence > self.signedSequence else { return .ignored(.settled) }
    self.signedSequence = self.position.sequence
    let body = CheckpointBody(
      network: self.network, size: self.position.log.size, root: self.position.log.root,
      sequence: self.position.sequence, stateDigest: self.position.stateDigest,
      configuration: self.configuration.number)
    self.bodies[body.sequence] = body
    effects.append(.cosign(body))
    let early = self.early[body.sequence] ?? [:]
    self.early = self.early.filter { $0.key > body.sequence }
    for signer in early.keys.sorted() {
      guard let (cosignature, isDirect) = early[signer] else { continue }
      _ = self.collect(cosignature, isOwn: false, isDirect: isDirect, into: &effects)
    }
    self.trim()
    return .accepted
  }

  private mutating func collect(
    _ cosignature: Cosignature, isOwn: Bool, isDirect: Bool, into effects: inout [Effect]
  ) -> Outcome {
    let sequence = cosignature.sequence
    if isDirect, !isOwn, let stable = self.stable, sequence == stable.body.sequence {
      return self.hear(late: cosignature, of: stable, into: &effects)
    }
    guard sequence > self.stable?.body.sequence ?? .zero, sequence >= self.configuration.start,
      self.configuration.isVoter(cosignature.signer)
    else {
      return .ignored(.settled)
    }
    guard self.collected[sequence]?[cosignature.signer] == nil else { return .ignored(.duplicate) }
    guard let body = self.bodies[sequence] else {
      self.keepForLater(cosignature, isDirect: isDirect)
      return .accepted
    }
    guard cosignature.body == Cosignature.digest(of: body) else {
      // Of a body that is not this one's no signature can be checked: only the signer's own word counts.
      guard isDirect else { return .rejected(.signature) }
      effects.append(.diverged(cosignature.signer, sequence))
      self.differing[sequence, default: [:]][cosignature.signer] = cosignature.body
      if self.isOutvoted(at: sequence, by: cosignature.body) { effects.append(.outvoted(sequence)) }
      return .rejected(.diverged)
    }
    guard cosignature.isAuthentic(for: body, in: self.configuration) || planted(.cosignaturesUnchecked) else {
      return .rejected(.signature)
    }
    self.collected[sequence, default: [:]][cosignature.signer] = cosignature
    if !isOwn { effects.append(.spread(cosignature)) }
    guard let held = self.collected[sequence], held.count >= self.configuration.quorum else { return .accepted }
    let stable = StableCheckpoint(
      body: body, cosignatures: held.keys.sorted().compactMap { held[$0] })
    self.stable = stable
    if sequence >= self.signedSequence { self.again = nil }
    self.bodies = self.bodies.filter { $0.key > sequence }
    self.collected = self.collected.filter { $0.key > sequence }
    self.differing = self.differing.filter { $0.key > sequence }
    effects.append(.stable(stable))
    return .accepted
  }

  /// Whether so many signed one other body that one of them is correct. Where none may lie, more than half of all.
  private func isOutvoted(at sequence: SequenceNumber, by body: Digest) -> Bool {
    let (f, n) = (self.configuration.faultyMax, self.configuration.voterCount)
    let count = self.differing[sequence]?.values.count { $0 == body } ?? 0
    return count >= (f > 0 ? f + 1 : n / 2 + 1)
  }

  /// A member's own signature of what is stable here already: the first came late; where it comes again, the member
  /// misses the others', which it lost as it went on from a snapshot. Answered the 2nd, 4th, 8th … time: an answer has
  /// this member's own among it, and two that both have all would answer one another for ever.
  private mutating func hear(
    late cosignature: Cosignature, of stable: StableCheckpoint, into effects: inout [Effect]
  ) -> Outcome {
    let sequence = cosignature.sequence
    guard self.configuration.isVoter(cosignature.signer), sequence >= self.configuration.start else {
      return .ignored(.settled)
    }
    let before = self.late[cosignature.signer].map { $0.sequence == sequence ? $0.count : 0 } ?? 0
    self.late[cosignature.signer] = (sequence, before + 1)
    guard before > 0, (before + 1).nonzeroBitCount == 1 else { return .ignored(.settled) }
    effects.append(.answer(stable, to: cosignature.signer))
    return .accepted
  }

  /// Keeps what was signed of a sequence number that is not executed here yet: a few of each signer, the latest.
  private mutating func keepForLater(_ cosignature: Cosignature, isDirect: Bool) {
    let signer = cosignature.signer
    // What the signer itself sent is not displaced by what somebody says in its name.
    if self.early[cosignature.sequence]?[signer]?.isDirect == true, !isDirect { return }
    let held = self.early.keys.filter { self.early[$0]?[signer]?.isDirect == isDirect }
    if held.count >= Self.earlyMax, let lowest = held.min() { self.early[lowest]?[signer] = nil }
    self.early[cosignature.sequence, default: [:]][signer] = (cosignature, isDirect)
    self.early = self.early.filter { !$0.value.isEmpty }
  }

  /// Bounds what this member signed and what never became stable.
  private mutating func trim() {
    while self.bodies.count > Self.openMax, let first = self.bodies.keys.min() {
      self.collected[first] = nil
      self.bodies[first] = nil
      self.differing[first] = nil
    }
  }
}
