public import Messages
public import Primitives

/// What rules know of the transaction's place.
public struct ExecutionContext: Sendable {
  /// The network.
  public let network: Digest
  /// The members.
  public let configuration: Configuration
  /// What validity depends on.
  public let limits: LedgerLimits
  /// The sequence number of the cut.
  public let sequence: SequenceNumber
  /// The cut's time: the only clock that rules have.
  public let time: Timestamp
  /// The transaction's place in the log.
  public var leaf: UInt64

  /// A context of given parts.
  public init(
    network: Digest, configuration: Configuration, limits: LedgerLimits, sequence: SequenceNumber, time: Timestamp,
    leaf: UInt64
  ) {
    self.limits = limits
    (self.network, self.configuration, self.sequence) = (network, configuration, sequence)
    (self.time, self.leaf) = (time, leaf)
  }
}

/// What became of a transaction: a code, for ever in the log. 0 is success; others change nothing.
public struct OutcomeCode: Sendable, Hashable {
  /// The code.
  public let number: UInt16
  /// A code.
  public init(_ number: UInt16) { self.number = number }
  /// The rule held.
  public static let applied = OutcomeCode(0)
  /// It was executed before (LEDGER §5).
  public static let duplicate = OutcomeCode(1)
  /// Its `validUntil` is past.
  public static let expired = OutcomeCode(2)
  /// Its `validUntil` is too far ahead.
  public static let tooFar = OutcomeCode(3)
  /// No rule knows its kind.
  public static let unknownKind = OutcomeCode(4)
  /// Its payload is not what its kind needs.
  public static let malformed = OutcomeCode(5)
  /// Codes from here on are the rules' own.
  public static let firstOfRules: UInt16 = 16
}

/// The rules that execution calls: deterministic, total, and bounded in what they read.
public protocol ExecutionRules: Sendable {
  /// Executes one transaction whose signature is checked; a code but `applied` takes back what was written.
  func execute(
    _ transaction: Transaction, identifier: Digest, in context: ExecutionContext, state: inout StateEditor
  ) -> OutcomeCode
  /// Whether transactions of a kind are executed however late they are ordered: their rule itself refuses a second one.
  func isTimeless(_ kind: UInt16) -> Bool
  /// Whether a transaction of a kind that was applied may have changed which rules hold.
  func changesRules(_ kind: UInt16) -> Bool
  /// The version of the rules that hold in a state, where these here do not know it: nothing may be executed on it.
  func unknownVersion(in state: StateEditor) -> UInt16?
  /// Does what fell due up to the context's time, before the cut's transactions.
  func expire(in context: ExecutionContext, state: inout StateEditor)
  /// The earliest deadline that the state keeps; `never` where there is none.
  func deadline(in state: StateEditor) -> Timestamp
}
