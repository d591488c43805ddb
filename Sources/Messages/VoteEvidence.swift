public import Primitives
import Signing
public import Wire

/// Proof that a member signed two things at one place of the ordering protocol that contradict (LEDGER §3, I8): no
/// correct member does, whatever happens to it.
public enum VoteEvidence: Sendable, Hashable {
  /// Two proposals for one sequence number of a view.
  case prePrepares(Signed<PrePrepare>, Signed<PrePrepare>)
  /// Two prepares for one sequence number of a view.
  case prepares(Signed<Prepare>, Signed<Prepare>)
  /// Two commits for one sequence number of a view.
  case commits(Signed<Commit>, Signed<Commit>)
  /// Two starts of one view that propose different things.
  case newViews(Signed<NewView>, Signed<NewView>)

  /// Kinds of it: of each member and configuration one of each kind is kept.
  public enum Kind: UInt8, Sendable, Hashable, CaseIterable {
    /// Two proposals.
    case prePrepare = 1
    /// Two prepares.
    case prepare
    /// Two commits.
    case commit
    /// Two starts of a view.
    case newView

    /// What was signed twice, for people.
    public var words: String {
      switch self {
      case .prePrepare: "proposal"
      case .prepare: "prepare"
      case .commit: "commit"
      case .newView: "new view"
      }
    }
  }

  /// The longest that is kept, in bytes: two NewViews of some sixty members.
  public static let lengthBytesMax = 4 << 20

  /// Whether it is short enough to be kept.
  public var isShort: Bool {
    guard case .newViews(let one, let other) = self else { return true }
    return one.plainLengthBytes + other.plainLengthBytes < Self.lengthBytesMax
  }

  /// Its kind.
  public var kind: Kind {
    switch self {
    case .prePrepares: .prePrepare
    case .prepares: .prepare
    case .commits: .commit
    case .newViews: .newView
    }
  }

  /// Whom it accuses.
  public var culprit: ReplicaIndex {
    switch self {
    case .prePrepares(let one, _): one.signer
    case .prepares(let one, _): one.signer
    case .commits(let one, _): one.signer
    case .newViews(let one, _): one.signer
    }
  }

  /// The configuration in which both were signed.
  public var configuration: ConfigurationNumber {
    switch self {
    case .prePrepares(let one, _): one.content.configuration
    case .prepares(let one, _): one.content.configuration
    case .commits(let one, _): one.content.configuration
    case .newViews(let one, _): one.content.configuration
    }
  }

  /// The view.
  public var view: View {
    switch self {
    case .prePrepares(let one, _): one.content.view
    case .prepares(let one, _): one.content.ballot.view
    case .commits(let one, _): one.content.ballot.view
    case .newViews(let one, _): one.content.view
    }
  }

  /// The sequence number; nil of new views.
  public var sequence: SequenceNumber? {
    switch self {
    case .prePrepares(let one, _): one.content.sequence
    case .prepares(let one, _): one.content.ballot.sequence
    case .commits(let one, _): one.content.ballot.sequence
    case .newViews: nil
    }
  }

  /// Whether the two contradict: of one signer and place, and different.
  private var contradict: Bool {
    switch self {
    case .prePrepares(let one, let other):
      one.content.ballot.contradicts(other.content.ballot) && one.signer == other.signer
    case .prepares(let one, let other):
      one.content.ballot.contradicts(other.content.ballot) && one.signer == other.signer
    case .commits(let one, let other):
      one.content.ballot.contradicts(other.content.ballot) && one.signer == other.signer
    case .newViews(let one, let other):
      one.signer == other.signer && one.content.configuration == other.content.configuration
        && one.content.view == other.content.view
        && one.content.prePrepares.map(\.content) != other.content.prePrepares.map(\.content)
    }
  }

  /// Whether it proves that a voter of `configuration` contradicted itself.
  public func isAuthentic(network: Digest, in configuration: Configuration) -> Bool {
    guard self.contradict else { return false }
    func hold<Content: OrderingContent>(_ one: Signed<Content>, _ other: Signed<Content>) -> Bool {
      one.isAuthentic(network: network, in: configuration) && other.isAuthentic(network: network, in: configuration)
    }
    return switch self {
    case .prePrepares(let one, let other): hold(one, other)
    case .prepares(let one, let other): hold(one, other)
    case .commits(let one, let other): hold(one, other)
    case .newViews(let one, let other): hold(one, other)
    }
  }
}

extension VoteEvidence: WireCodable {
  /// Kind (u8), then both.
  public func encode(into encoder: inout Encoder) {
    encoder.u8(self.kind.rawValue)
    switch self {
    case .prePrepares(let one, let other): encoder.item(one); encoder.item(other)
    case .prepares(let one, let other): encoder.item(one); encoder.item(other)
    case .commits(let one, let other): encoder.item(one); encoder.item(other)
    case .newViews(let one, let other): encoder.item(one); encoder.item(other)
    }
  }

  /// Reads both.
  public init(from decoder: inout Decoder) throws(WireError) {
    let start = decoder.offset
    switch Kind(rawValue: try decoder.u8()) {
    case .prePrepare: self = .prePrepares(try Signed(from: &decoder), try Signed(from: &decoder))
    case .prepare: self = .prepares(try Signed(from: &decoder), try Signed(from: &decoder))
    case .commit: self = .commits(try Signed(from: &decoder), try Signed(from: &decoder))
    case .newView: self = .newViews(try Signed(from: &decoder), try Signed(from: &decoder))
    case nil: throw .invalid(at: start, field: "kind of evidence")
    }
  }
}

extension Ballot {
  /// Whether both are for one place and name different cuts.
  fileprivate func contradicts(_ other: Ballot) -> Bool {
    self.configuration == other.configuration && self.view == other.view && self.sequence == other.sequence
      && self.digest != other.digest
  }
}
