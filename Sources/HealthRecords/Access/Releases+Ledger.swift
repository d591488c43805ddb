public import Messages
public import Primitives
public import Rules

extension Releases {
  /// The ledger as this node executed it, and its place in it.
  public struct Ledger {
    /// This node's place among the members; nil where it does not vote.
    public let own: ReplicaIndex?
    /// The hospital that runs the node.
    public let hospital: MemberID
    /// The members.
    public let configuration: Configuration
    /// The network.
    public let network: Digest
    /// The time of the last executed cut.
    public let time: Timestamp
    /// The executed state.
    public let state: any StateReader

    /// The ledger of given parts.
    public init(
      own: ReplicaIndex?, hospital: MemberID, configuration: Configuration, network: Digest, time: Timestamp,
      state: any StateReader
    ) {
      (self.own, self.hospital, self.configuration) = (own, hospital, configuration)
      (self.network, self.time, self.state) = (network, time, state)
    }
  }
}
