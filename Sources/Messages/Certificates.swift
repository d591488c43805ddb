public import Primitives
import Signing
public import Wire

/// A proposal that a quorum prepared: the pre-prepare and Q − 1 backups' prepares of the same ballot.
public struct PreparedCertificate: Sendable, Hashable {
  /// The proposal.
  public let prePrepare: Signed<PrePrepare>
  /// The backups' prepares, by ascending signer.
  public let prepares: [VoteSignature]

  /// A certificate of given parts.
  public init(prePrepare: Signed<PrePrepare>, prepares: [VoteSignature]) {
    (self.prePrepare, self.prepares) = (prePrepare, prepares)
  }

  /// Its sequence number.
  public var sequence: SequenceNumber { self.prePrepare.content.sequence }
  /// Its view.
  public var view: View { self.prePrepare.content.view }
  /// What was prepared.
  public var cut: Cut { self.prePrepare.content.cut }

  /// Whether a quorum of `configuration` signed it.
  public func isAuthentic(network: Digest, in configuration: Configuration) -> Bool {
    var signatures = VerifiedSignatures(network, configuration)
    return self.isAuthentic(&signatures)
  }

  func isAuthentic(_ signatures: inout VerifiedSignatures) -> Bool {
    let primary = signatures.configuration.primary(of: self.view)
    guard self.prePrepare.signer == primary, self.prepares.count >= signatures.configuration.quorum - 1,
      signatures.hold(self.prePrepare), !self.prepares.contains(where: { $0.signer == primary })
    else { return false }
    return self.prepares.certify(Prepare(self.prePrepare.content.ballot), &signatures)
  }
}

extension PreparedCertificate: WireCodable {
  /// Pre-prepare, prepares.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.prePrepare)
    encoder.list(self.prepares)
  }
  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.prePrepare = try Signed(from: &decoder)
    self.prepares = try decoder.list(max: ReplicaSet.countMax, "prepares")
  }
}

/// Signatures that hold, each verified once however often it comes.
///
/// ⚑ The view changes of a NewView tell the same certificates many times over: sixty-four members' are sixteen thousand
/// signatures, of which a thousand differ. Verified one by one they would take longer than the view has time.
struct VerifiedSignatures {
  let network: Digest
  let configuration: Configuration
  private var known: Set<Digest> = []

  /// None yet, of a configuration of a network.
  init(_ network: Digest, _ configuration: Configuration) {
    (self.network, self.configuration) = (network, configuration)
  }

  /// Whether a member signed a message; the member is one of the configuration's voters.
  mutating func hold(_ signature: Signature, of message: [UInt8], by signer: ReplicaIndex) -> Bool {
    let key = Hash.blake2b("consilium/verified/v1", [UInt8(signer)], signature.bytes, message)
    guard !self.known.contains(key) else { return true }
    guard self.configuration.members[signer].key.verifies(signature, of: message) else { return false }
    self.known.insert(key)
    return true
  }

  /// Whether a signed message is of this configuration, and a voter's.
  mutating func hold<Content: OrderingContent>(_ signed: Signed<Content>) -> Bool {
    guard signed.content.configuration == self.configuration.number, self.configuration.isVoter(signed.signer) else {
      return false
    }
    let message = Signed<Content>.signedBytes(signed.content, network: self.network)
    return self.hold(signed.signature, of: message, by: signed.signer)
  }
}

extension [VoteSignature] {
  /// Whether all signers are distinct, ascending members and each signed `content`.
  func certify<Content: OrderingContent>(_ content: Content, _ signatures: inout VerifiedSignatures) -> Bool {
    let configuration = signatures.configuration
    guard content.configuration == configuration.number,
      zip(self, self.dropFirst()).allSatisfy({ $0.signer < $1.signer }),
      self.allSatisfy({ configuration.isVoter($0.signer) })
    else { return false }
    let message = Signed<Content>.signedBytes(content, network: signatures.network)
    for vote in self {
      guard signatures.hold(vote.signature, of: message, by: vote.signer) else { return false }
    }
    return true
  }
}

/// What shows that a cut was decided.
public enum DecisionEvidence: Sendable, Hashable {
  /// Q commits, by ascending signer: a proof for anyone with the configurations, for ever.
  case commits([VoteSignature])
  /// A majority of a Raft consortium keeps it, which nothing here proves to a third party (LEDGER §4): a member takes
  /// it from its leader's session only, and others verify the tree heads that Q members cosign.
  case majority
}

/// A cut at its place, and what shows that it was decided.
public struct Decision: Sendable, Hashable {
  /// The view in which it committed; of Raft, the entry's term.
  public let view: View
  /// The configuration in which it committed.
  public let configuration: ConfigurationNumber
  /// Its place.
  public let sequence: SequenceNumber
  /// What was decided.
  public let cut: Cut
  /// What shows it.
  public let evidence: DecisionEvidence

  /// A decision of given parts.
  public init(
    configuration: ConfigurationNumber, view: View, sequence: SequenceNumber, cut: Cut,
    evidence: DecisionEvidence
  ) {
    (self.configuration, self.view, self.sequence) = (configuration, view, sequence)
    (self.cut, self.evidence) = (cut, evidence)
  }

  /// The commits, by ascending signer; none of a Raft decision.
  public var commits: [VoteSignature] {
    switch self.evidence {
    case .commits(let commits): commits
    case .majority: []
    }
  }

  /// What the commits name.
  public var ballot: Ballot {
    Ballot(
      configuration: self.configuration, view: self.view, sequence: self.sequence, digest: self.cut.digest)
  }

  /// Whether a quorum of `configuration` committed it. With Raft, whether it is in shape: it proves nothing.
  public func isAuthentic(network: Digest, in configuration: Configuration) -> Bool {
    var signatures = VerifiedSignatures(network, configuration)
    return self.isAuthentic(&signatures)
  }

  func isAuthentic(_ signatures: inout VerifiedSignatures) -> Bool {
    let configuration = signatures.configuration
    guard self.cut.heads.count == configuration.laneCount else { return false }
    switch (self.evidence, configuration.engine) {
    case (.commits(let commits), .pbft):
      return commits.count >= configuration.quorum && commits.certify(Commit(self.ballot), &signatures)
    case (.majority, .raft): return self.configuration == configuration.number
    case (.commits, .raft), (.majority, .pbft): return false
    }
  }
}

extension Decision: WireCodable {
  /// Configuration, view, sequence, cut, commits: an empty list where a Raft majority decided.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.configuration)
    encoder.item(self.view)
    encoder.item(self.sequence)
    encoder.item(self.cut)
    encoder.list(self.commits)
  }
  /// Reads the fields.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.configuration = try ConfigurationNumber(from: &decoder)
    self.view = try View(from: &decoder)
    self.sequence = try SequenceNumber(from: &decoder)
    self.cut = try Cut(from: &decoder)
    let commits: [VoteSignature] = try decoder.list(max: ReplicaSet.countMax, "commits")
    self.evidence = commits.isEmpty ? .majority : .commits(commits)
  }
}

/// A replica leaves its view and says what it knows. Castro & Liskov 1999, §4.4.
public struct ViewChange: OrderingContent {
  /// The most prepared certificates that one carries: the pipeline's depth.
  public static let preparedMax = 64
  /// The domain.
  public static let domain = "consilium/view-change/v1\0"
  /// The configuration.
  public let configuration: ConfigurationNumber
  /// The view that it asks for.
  public let view: View
  /// The last decision that it executed; nil before the first of this configuration.
  public let base: Decision?
  /// For each sequence number above, the prepared certificate of the highest view; ascending.
  public let prepared: [PreparedCertificate]

  /// A view change of given parts.
  public init(
    configuration: ConfigurationNumber, view: View, base: Decision?, prepared: [PreparedCertificate]
  ) {
    (self.configuration, self.view, self.base, self.prepared) = (configuration, view, base, prepared)
  }

  /// The base's sequence number: where there is none, the last of the configuration before.
  public func baseSequence(in configuration: Configuration) -> SequenceNumber {
    self.base?.sequence ?? configuration.start.previous
  }

  /// Whether all the certificates inside are authentic, in order, and of views below its own.
  public func isSound(network: Digest, in configuration: Configuration) -> Bool {
    var signatures = VerifiedSignatures(network, configuration)
    return self.isSound(&signatures)
  }

  func isSound(_ signatures: inout VerifiedSignatures) -> Bool {
    self.fits(signatures.configuration) && self.base?.isAuthentic(&signatures) ?? true
      && self.prepared.allSatisfy { $0.isAuthentic(&signatures) }
  }

  /// Whether what can be counted is as a configuration's members say it. ⚑ Judged before anything is written out or
  /// verified: what does not fit may be of any length.
  func fits(_ configuration: Configuration) -> Bool {
    guard self.configuration == configuration.number,
      self.base.map({
        $0.cut.heads.count == configuration.laneCount && $0.commits.count <= configuration.voterCount
      }) ?? true
    else { return false }
    var last = self.baseSequence(in: configuration)
    for certificate in self.prepared {
      guard certificate.sequence > last, certificate.view < self.view,
        certificate.cut.heads.count == configuration.laneCount, certificate.prepares.count <= configuration.voterCount
      else { return false }
      last = certificate.sequence
    }
    return true
  }

  /// The fields in order.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.configuration)
    encoder.item(self.view)
    encoder.optional(self.base)
    encoder.list(self.prepared)
  }
  /// Reads the fields.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.configuration = try ConfigurationNumber(from: &decoder)
    self.view = try View(from: &decoder)
    self.base = try decoder.optional("base")
    self.prepared = try decoder.list(max: Self.preparedMax, "prepared")
  }
}

/// The new primary's proof that it may lead, and what it proposes again. Castro & Liskov 1999, §4.4.
public struct NewView: OrderingContent {
  /// The domain.
  public static let domain = "consilium/new-view/v1\0"
  /// The configuration.
  public let configuration: ConfigurationNumber
  /// The view that it opens.
  public let view: View
  /// Q view changes for it, by ascending signer.
  public let viewChanges: [Signed<ViewChange>]
  /// A pre-prepare for each sequence number above the base, ascending without a gap.
  public let prePrepares: [Signed<PrePrepare>]

  /// A new view of given parts.
  public init(
    configuration: ConfigurationNumber, view: View, viewChanges: [Signed<ViewChange>],
    prePrepares: [Signed<PrePrepare>]
  ) {
    (self.configuration, self.view) = (configuration, view)
    (self.viewChanges, self.prePrepares) = (viewChanges, prePrepares)
  }

  /// Whether every message inside is authentic and fits this view. What is proposed is judged by the replica.
  public func isSound(network: Digest, in configuration: Configuration) -> Bool {
    var signatures = VerifiedSignatures(network, configuration)
    return self.isSound(&signatures)
  }

  func isSound(_ signatures: inout VerifiedSignatures) -> Bool {
    self.fits(signatures.configuration)
      && self.viewChanges.allSatisfy { signatures.hold($0) && $0.content.isSound(&signatures) }
      && self.prePrepares.allSatisfy { signatures.hold($0) }
  }

  /// Whether what can be counted is as a configuration's members say it (`ViewChange.fits`).
  func fits(_ configuration: Configuration) -> Bool {
    let primary = configuration.primary(of: self.view)
    let needed = planted(.newViewFromFew) ? configuration.faultyMax + 1 : configuration.quorum
    guard self.configuration == configuration.number,
      (needed...max(needed, configuration.voterCount)).contains(self.viewChanges.count),
      zip(self.viewChanges, self.viewChanges.dropFirst()).allSatisfy({ $0.signer < $1.signer })
    else { return false }
    return self.viewChanges.allSatisfy { $0.content.view == self.view && $0.content.fits(configuration) }
      && self.prePrepares.allSatisfy {
        $0.signer == primary && $0.content.view == self.view
          && $0.content.cut.heads.count == configuration.laneCount
      }
  }

  /// The fields in order.
  public func encode(into encoder: inout Encoder) {
    encoder.item(self.configuration)
    encoder.item(self.view)
    encoder.list(self.viewChanges)
    encoder.list(self.prePrepares)
  }
  /// Reads the fields.
  public init(from decoder: inout Decoder) throws(WireError) {
    self.configuration = try ConfigurationNumber(from: &decoder)
    self.view = try View(from: &decoder)
    self.viewChanges = try decoder.list(max: ReplicaSet.countMax, "view changes")
    self.prePrepares = try decoder.list(max: ViewChange.preparedMax * 2, "pre-prepares")
  }
}
