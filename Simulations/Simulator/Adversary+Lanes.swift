public import Messages
internal import NodeCore
internal import Ordering
public import Primitives
internal import Signing

/// Writes its lane wrongly: every block is signed with the member's key and valid by its bytes alone (LEDGER §11).
struct Miswriting: Adversary {
  mutating func intercept(_ message: PeerMessage, _ scene: inout Scene) -> [Utterance] {
    switch message {
    case .block(let block) where scene.configuration.index(of: block.header.author) == scene.from:
      guard scene.random.oneIn(3) else { return [Utterance(message)] }
      return self.lie(beside: block, &scene).map { Utterance($0) } + [Utterance(message)]
    case .ordering(.prePrepare(let signed), _) where signed.signer == scene.from:
      guard scene.random.oneIn(4) else { return [Utterance(message)] }
      return [Utterance(self.invent(signed.content, &scene) ?? message)]
    default: return [Utterance(message)]
    }
  }

  private func lie(beside block: Block, _ scene: inout Scene) -> [PeerMessage] {
    let position = block.header.position.number
    switch scene.random.below(4) {
    case 0:
      // On top of this one, as if some were between; or as if it were this one's neighbour.
      let next = scene.random.oneIn(3) ? position : position + 2 + scene.random.below(1000)
      return [scene.block(at: max(2, next), after: block.digest, like: block)].compactMap { $0.map { .block($0) } }
    case 1:
      // In the air, unasked, some near and some far.
      let blocks = (0..<(1 + scene.random.below(12))).compactMap { number -> Block? in
        let parent = Hash.blake2b("consilium/air/v1", block.digest.bytes, [UInt8(number), UInt8(scene.to & 127)])
        let ahead = scene.random.oneIn(3) ? scene.random.below(1 << 30) : scene.random.below(300)
        return scene.block(at: position + 2 + ahead, after: parent, like: block)
      }
      return [.blocks(blocks)]
    case 2:
      // Many, one upon another, from far away.
      var (out, parent): ([Block], Digest) = ([], Hash.blake2b("consilium/air/v1", block.digest.bytes))
      for number in 0..<(1 + scene.random.below(40)) {
        guard let next = scene.block(at: position + 20 + number, after: parent, like: block) else { break }
        parent = next.digest
        out.append(next)
      }
      return [.blocks(out)]
    default:
      // A rival that the others do not see.
      guard scene.to % 2 == 1 else { return [] }
      let parent = block.header.parent
      return [scene.block(at: position, after: parent, like: block, count: 2)].compactMap { $0.map { .blocks([$0]) } }
    }
  }

  /// The same proposal with a head that nobody has, of any lane.
  private func invent(_ proposal: PrePrepare, _ scene: inout Scene) -> PeerMessage? {
    var heads = proposal.cut.heads
    let lane = Int(scene.random.below(UInt64(heads.count)))
    let ahead = scene.random.oneIn(2) ? 1 + scene.random.below(5) : scene.random.below(1 << 40)
    let digest = Hash.blake2b("consilium/invented/v1", heads[lane].digest.bytes, [UInt8(scene.random.below(256))])
    heads[lane] = LaneHead(position: LanePosition(heads[lane].position.number + max(1, ahead)), digest: digest)
    return scene.signed(
      .prePrepare(
        PrePrepare(
          configuration: proposal.configuration, view: proposal.view, sequence: proposal.sequence,
          cut: Cut(heads: heads, time: proposal.cut.time))))
  }
}

extension Scene {
  /// A block of the member's own lane anywhere, with the transactions of another, so many times over.
  public func block(at position: UInt64, after parent: Digest, like block: Block, count: Int = 1) -> Block? {
    let body = Array(repeating: block.body, count: count).flatMap { $0 }
    let header = BlockHeader(
      network: block.header.network, configuration: block.header.configuration, author: block.header.author,
      position: LanePosition(position), parent: parent,
      transactionCount: block.header.transactionCount * UInt32(count), transactionBytes: UInt32(body.count),
      body: BlockHeader.bodyDigest(body))
    guard case .block(let made) = self.sign(.block(header, body: body)) else { return nil }
    return made
  }
}
