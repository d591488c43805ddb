import Messages
import Primitives

/// What a lane takes in, and what it asks for.
extension Lane {
  /// Why a block is taken, or not.
  enum Admission: Sendable, Equatable {
    /// It is the next of the main branch.
    case next
    /// It hangs in the air or beside the main branch, within the little that is kept of such.
    case aside
    /// Something waits for exactly this block: there is always room for it.
    case called
    /// It is asked for when its turn comes.
    case refused
  }

  /// ⚑ Out of order only a little is kept; what a decided or proposed cut names is always taken (LEDGER §11.2).
  func admission(of block: Block, within limits: Lanes.Parameters) -> Admission {
    self.admission(of: block.header, block.digest, within: limits)
  }

  /// The same of a block of which only the header is known.
  func admission(of header: BlockHeader, _ digest: Digest, within limits: Lanes.Parameters) -> Admission {
    let cost = Self.cost(ofBody: Int(header.transactionBytes))
    if self.isCalled(digest, cost, bytesMax: limits.laneBytesMax) { return .called }
    let mainBytes = self.heldBytes - self.asideBytes
    let mainCount = self.entries.count - self.asideCount
    if Self.follows(header, self.held) {
      return mainBytes + cost <= limits.laneBytesMax && mainCount < limits.laneBlocksMax ? .next : .refused
    }
    if planted(.detachedKept) { return self.heldBytes + cost <= limits.laneBytesMax ? .aside : .refused }
    let isNear = header.position.number <= self.held.position.number + limits.aheadBlocksMax
    let rivals = self.places[header.position]?.count ?? 0
    let fits = self.asideBytes + cost <= limits.asideBytesMax && self.asideCount < limits.asideBlocksMax
    return isNear && rivals < limits.rivalsMax && fits ? .aside : .refused
  }

  /// Whether a block stands at another position than the one after its parent's, as far as its parent is known.
  func isMisplaced(_ header: BlockHeader) -> Bool {
    if header.parent == self.executed.digest { return !header.follows(self.executed) }
    return self.entries[header.parent].map { !header.follows($0.block.head) } ?? false
  }

  /// Whether a block, if its author signed it, may prove that the author broke its lane.
  func mayProve(_ header: BlockHeader, _ digest: Digest) -> Bool {
    guard self.forkedAt == nil else { return false }
    return self.places[header.position] != nil || self.children[digest] != nil || self.isMisplaced(header)
  }

  /// What proves that the author broke its lane, once this block is here too; nil where nothing does.
  func evidence(with block: Block) -> ForkEvidence? {
    let (header, signed) = (block.header, SignedHeader(block))
    if let rival = self.places[header.position]?.first.flatMap({ self.entries[$0] }) {
      return ForkEvidence(SignedHeader(rival.block), signed)
    }
    if let parent = self.entries[header.parent], !header.follows(parent.block.head) {
      return ForkEvidence(SignedHeader(parent.block), signed)
    }
    if let parent = self.executedBlock, header.parent == self.executed.digest, !header.follows(self.executed) {
      return ForkEvidence(parent, signed)
    }
    let child = self.children[block.digest]?.lazy.compactMap { self.entries[$0] }
      .first { !$0.block.header.follows(block.head) }
    return child.map { ForkEvidence(signed, SignedHeader($0.block)) }
  }
}

/// A block that somebody sent and that is being checked. ⚑ It is only that peer's word until then.
struct Arrival: Sendable, Equatable {
  let from: ReplicaIndex
  let until: Tick
}

/// A head whose blocks something waits for.
///
/// ⚑ It is known by its digest, not by how far it lies, and ends with what waits for it (LEDGER §11.3): a proposal's
/// when nobody asks any more, a decision's when it is executed.
struct Wish: Sendable, Equatable {
  let head: LaneHead
  var reason: WishReason
  /// The highest block that is missing on the way to it.
  var gap: LaneHead
  var retryAt: Tick
  /// Until when somebody waits, unless they say so again; nil for a decision.
  var until: Tick?
  /// The blocks on the way that are here and hang in the air, and what they count.
  var path: Set<Digest> = []
  var pathBytes = 0
}

/// Why blocks are pulled; what comes later is stronger.
public enum WishReason: Int, Sendable, Hashable, Comparable {
  /// A member announced another block at a position that is held: it proves a fork.
  case rival
  /// A proposal, or the log of a leader, names it.
  case proposal
  /// It is decided.
  case decision

  /// Weaker before stronger.
  public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

extension Lane {
  private func isCalled(_ digest: Digest, _ cost: Int, bytesMax: Int) -> Bool {
    self.wishes.contains { wish in
      guard wish.gap.digest == digest else { return false }
      return wish.reason == .decision || wish.pathBytes + cost <= bytesMax
    }
  }

  /// How far ahead a proposal's head may lie to be pulled for its sake: what a quorum announced, or what is held, and a
  /// little more. What lies further is pulled as it is announced, block after block.
  func horizon(aheadMax: UInt64) -> UInt64 {
    max(self.announced.byQuorum, self.held.position).number + aheadMax
  }

  /// Takes note that a block came for which wishes waited.
  mutating func fillWishes(with block: Block) {
    for index in self.wishes.indices.reversed() where self.wishes[index].gap.digest == block.digest {
      if !self.lookFor(index) { self.wishes.remove(at: index) }
    }
  }

  /// Finds what is missing next for a wish; false where nothing is, or nothing can help.
  private mutating func lookFor(_ index: Int) -> Bool {
    var (path, bytes): (Set<Digest>, Int) = ([], self.wishes[index].pathBytes)
    // Moved, not copied: it can be long.
    swap(&path, &self.wishes[index].path)
    let walk = self.walk(from: self.wishes[index].gap, to: self.executed) { entry in
      guard !entry.isAttached else { return false }
      if path.insert(entry.block.digest).inserted { bytes += entry.cost }
      return true
    }
    guard case .missing(let gap) = walk else { return false }
    swap(&path, &self.wishes[index].path)
    (self.wishes[index].gap, self.wishes[index].pathBytes) = (gap, bytes)
    return true
  }

  /// Says again that a head is wished for; false where it was not.
  mutating func wishAgain(for head: LaneHead, _ reason: WishReason, until: Tick?) -> Bool {
    guard let index = self.wishes.firstIndex(where: { $0.head == head }) else { return false }
    guard reason >= self.wishes[index].reason else { return true }
    (self.wishes[index].reason, self.wishes[index].until) = (reason, until)
    return true
  }

  /// Adds a wish; false where there is no room for it.
  mutating func wish(
    for head: LaneHead, _ reason: WishReason, gap: LaneHead, until: Tick?, retryAt: Tick, countMax: Int
  ) -> Bool {
    if self.wishes.count >= countMax {
      // The weakest, of these the oldest, makes room.
      guard let weakest = self.wishes.map(\.reason).min(), weakest <= reason,
        let index = self.wishes.firstIndex(where: { $0.reason == weakest })
      else { return false }
      self.wishes.remove(at: index)
    }
    self.wishes.append(Wish(head: head, reason: reason, gap: gap, retryAt: retryAt, until: until))
    _ = self.lookFor(self.wishes.count - 1)
    return true
  }

  /// Lets go of wishes that nobody has any more.
  mutating func endWishes(at now: Tick) {
    guard self.wishes.contains(where: { $0.until.map { $0 <= now } ?? false }) else { return }
    self.wishes.removeAll { $0.until.map { $0 <= now } ?? false }
  }
}
