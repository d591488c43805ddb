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
    let primary = configuration.primary(of: self.view)
    guard self.prePrepare.signer == primary, self.prepares.count >= configuration.quorum - 1,
      self.prePrepare.isAuthentic(network: network, in: configuration),
      !self.prepares.contains(where: { $0.signer == primary })
    else { return false }
    return self.prepares.certify(
      Prepare(self.prePrepare.content.ballot), network: network, in: configuration)
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

extension [VoteSignature] {
  /// Whether all signers are distinct, ascending members and each signed `content`.
  func certify(
    _ content: some OrderingContent, network: Digest, in configuration: Configuration
  ) -> Bool {
    guard content.configuration == configuration.number,
      zip(self, self.dropFirst()).allSatisfy({ $0.signer < $1.signer }),
      self.allSatisfy({ $0.signer < configuration.count })
    else { return false }
    let message = Self.message(content, network)
    return self.allSatisfy { configuration.members[$0.signer].key.verifies($0.signature, of: message) }
  }

  private static func message<Content: OrderingContent>(_ content: Content, _ network: Digest) -> [UInt8] {
    Signed<Content>.signedBytes(content, network: network)
  }
}

/// A cut at its place, with Q commits: a proof for anyone with the configurations, for ever.
public struct Decision: Sendable, Hashable {
  /// The view in which it committed.
  public let view: View
  /// The configuration in which it committed.
  public let configuration: ConfigurationNumber
  /// Its place.
  public let sequence: SequenceNumber
  /// What was decided.
  public let cut: Cut
  /// The commits, by ascending signer.
  public let commits: [VoteSignature]

  /// A decision of given parts.
  public init(
    configuration: ConfigurationNumber, view: View, sequence: SequenceNumber, cut: Cut,
    commits: [VoteSignature]
  ) {
    (self.configuration, self.view, self.sequence) = (configuration, view, sequence)
    (self.cut, self.commits) = (cut, commits)
  }

  /// What the commits name.
  public var ballot: Ballot {
    Ballot(
      configuration: self.configuration, view: self.view, sequence: self.sequence, digest: self.cut.digest)
  }

  /// Whether a quorum of `configuration` committed it.
  public func isAuthentic(network: Digest, in configuration: Configuration) -> Bool {
    self.commits.count >= configuration.quorum && self.cut.heads.count == configuration.count
      && self.commits.certify(Commit(self.ballot), network: network, in: configuration)
  }
}

extension Decision: WireCodable {
  /// Configuration, view, sequence, cut, commits.
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
    self.commits = try decoder.list(max: ReplicaSet.countMax, "commits")
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
  /// The last decision that it executed; nil before the first.
  public let base: Decision?
  /// For each sequence number above, the prepared certificate of the highest view; ascending.
  public let prepared: [PreparedCertificate]

  /// A view change of given parts.
  public init(
    configuration: ConfigurationNumber, view: View, base: Decision?, prepared: [PreparedCertificate]
  ) {
    (self.configuration, self.view, self.base, self.prepared) = (configuration, view, base, prepared)
  }

  /// The base's sequence number.
  public var baseSequence: SequenceNumber { self.base?.sequence ?? .zero }

  /// Whether all the certificates inside are authentic, in order, and of views below its own.
  public func isSound(network: Digest, in configuration: Configuration) -> Bool {
    guard self.configuration == configuration.number,
      self.base?.isAuthentic(network: network, in: configuration) ?? true
    else { return false }
    var last = self.baseSequence
    for certificate in self.prepared {
      guard certificate.sequence > last, certificate.view < self.view,
        certificate.cut.heads.count == configuration.count,
        certificate.isAuthentic(network: network, in: configuration)
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
    let primary = configuration.primary(of: self.view)
    let needed = planted(.newViewFromFew) ? configuration.faultyMax + 1 : configuration.quorum
    guard self.configuration == configuration.number, self.viewChanges.count >= needed,
      zip(self.viewChanges, self.viewChanges.dropFirst()).allSatisfy({ $0.signer < $1.signer })
    else { return false }
    return self.viewChanges.allSatisfy {
      $0.content.view == self.view && $0.isAuthentic(network: network, in: configuration)
        && $0.content.isSound(network: network, in: configuration)
    }
      && self.prePrepares.allSatisfy {
        $0.signer == primary && $0.content.view == self.view
          && $0.content.cut.heads.count == configuration.count
          && $0.isAuthentic(network: network, in: configuration)
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
