public import Messages
internal import Ordering
public import Primitives
public import Signing
internal import Ledger
internal import Sessions

/// A member's secret keys. Only drivers hold them: no machine has a key.
public struct NodeKeys: ~Copyable, Sendable {
  /// Signs blocks, votes, identities and releases.
  public let member: SigningKey
  /// Signs tree heads.
  public let checkpoint: SigningKey
  /// The X25519 secret that opens this hospital's capsules.
  public let sealingSecret: [UInt8]

  /// The keys of their 32-byte seeds; nil where one has another length.
  public init?(memberSeed: [UInt8], checkpointSeed: [UInt8], sealingSecret: [UInt8]) {
    guard let member = SigningKey(seed: memberSeed), let checkpoint = SigningKey(seed: checkpointSeed),
      sealingSecret.count == 32
    else { return nil }
    self.member = member
    self.checkpoint = checkpoint
    self.sealingSecret = sealingSecret
  }

  /// The member's public key.
  public var publicKey: PublicKey { self.member.publicKey }

  /// Signs what the node asks for.
  public borrowing func sign(
    _ request: Signable, network: Digest, as index: ReplicaIndex, seconds: UInt64
  ) -> SignedItem {
    switch request {
    case .block(let header, let body):
      return .block(Block(header: header, signature: self.member.sign(header.signedBytes), body: body))
    case .checkpoint(let body):
      return .cosignature(Cosignature(body, signer: index, seconds: seconds, key: self.checkpoint))
    case .ballot(let ballot): return .ordering(self.sign(ballot, network: network, as: index))
    }
  }

  private borrowing func sign(
    _ ballot: Ballotable, network: Digest, as index: ReplicaIndex
  ) -> OrderingMessage {
    switch ballot {
    case .prePrepare(let content): return .prePrepare(self.signed(content, network, index))
    case .prepare(let content): return .prepare(self.signed(content, network, index))
    case .commit(let content): return .commit(self.signed(content, network, index))
    case .viewChange(let content): return .viewChange(self.signed(content, network, index))
    case .newView(let view, let viewChanges, let prePrepares):
      var proposals: [Signed<PrePrepare>] = []
      for proposal in prePrepares { proposals.append(self.signed(proposal, network, index)) }
      let configuration = viewChanges.first?.content.configuration ?? ConfigurationNumber(0)
      let content = NewView(
        configuration: configuration, view: view, viewChanges: viewChanges, prePrepares: proposals)
      return .newView(self.signed(content, network, index))
    }
  }

  private borrowing func signed<Content: OrderingContent>(
    _ content: Content, _ network: Digest, _ index: ReplicaIndex
  ) -> Signed<Content> {
    let signature = self.member.sign(Signed<Content>.signedBytes(content, network: network))
    return Signed(content: content, signer: index, signature: signature)
  }
}
