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
  ) -> OwnItem {
    self.sign(request, network: network, as: index, seconds: seconds) { self.member.sign($0) }
  }

  /// The same with another way to make the member key's signatures: a token's, or a simulation's.
  public borrowing func sign(
    _ request: Signable, network: Digest, as index: ReplicaIndex, seconds: UInt64, member: ([UInt8]) -> Signature
  ) -> OwnItem {
    switch request {
    case .block(let header, let body):
      return .block(Block(header: header, signature: member(header.signedBytes), body: body))
    case .checkpoint(let body):
      return .cosignature(Cosignature(body, signer: index, seconds: seconds, key: self.checkpoint))
    case .snapshot(let sequence, let manifest, let configuration):
      return .offer(
        SnapshotOffer(
          sequence, manifest: manifest, in: configuration, signer: index, network: network, key: self.checkpoint))
    case .ballot(let ballot): return .ordering(ballot.signed(network, index, member))
    }
  }
}

extension Ballotable {
  func signed(_ network: Digest, _ index: ReplicaIndex, _ sign: ([UInt8]) -> Signature) -> OrderingMessage {
    func signed<Content: OrderingContent>(_ content: Content) -> Signed<Content> {
      Signed(
        content: content, signer: index, signature: sign(Signed<Content>.signedBytes(content, network: network)))
    }
    switch self {
    case .prePrepare(let content): return .prePrepare(signed(content))
    case .prepare(let content): return .prepare(signed(content))
    case .commit(let content): return .commit(signed(content))
    case .viewChange(let content): return .viewChange(signed(content))
    case .newView(let view, let viewChanges, let prePrepares):
      let configuration = viewChanges.first?.content.configuration ?? ConfigurationNumber(0)
      let content = NewView(
        configuration: configuration, view: view, viewChanges: viewChanges,
        prePrepares: prePrepares.map { signed($0) })
      return .newView(signed(content))
    }
  }
}
