internal import HealthRecords
public import Ledger
public import Messages
public import Primitives
public import Rules
internal import Wire

/// Why a ledger does not hold what it says.
public enum ReplayFault: Error, Sendable, Hashable, CustomStringConvertible {
  /// A decision is missing, or too few members committed it.
  case decision(SequenceNumber)
  /// A cut goes back, or time does.
  case cut(SequenceNumber)
  /// A block is missing, is none, or does not lead to the decided head.
  case block(SequenceNumber, lane: Int, LanePosition)
  /// A block's content cannot be executed.
  case content(SequenceNumber)
  /// Rules of a version hold from there on which this program does not know.
  case rules(SequenceNumber, UInt16)

  /// What and where.
  public var description: String {
    switch self {
    case .decision(let sequence): "decision \(sequence) is missing or not signed by a quorum"
    case .cut(let sequence): "the cut of decision \(sequence) does not extend the one before it"
    case .block(let sequence, let lane, let position):
      "block \(position) of lane \(lane), decided at \(sequence), is missing or not authentic"
    case .content(let sequence): "a block decided at \(sequence) cannot be executed"
    case .rules(let sequence, let version):
      "decision \(sequence) adopts version \(version) of the rules, which this program does not know"
    }
  }
}

/// Re-executes a ledger from the genesis, believing nothing that it does not check (RECORDS §6, "the rules").
public struct Replay: Sendable {
  private let genesis: Genesis
  /// The members, as of where it stands.
  public private(set) var configuration: Configuration
  private var execution: Execution
  /// The state that the rules gave so far.
  public private(set) var state = MemoryState()

  /// A replay that stands before the first cut.
  public init(genesis: Genesis, rules: any ExecutionRules) {
    (self.genesis, self.configuration) = (genesis, genesis.configuration)
    self.execution = Execution(
      network: genesis.network, configuration: genesis.configuration, limits: genesis.limits, rules: rules,
      position: LedgerPosition(), cut: .genesis(lanes: genesis.members.count), identifiers: [], openTiles: [])
  }

  /// Where it stands.
  public var position: LedgerPosition { self.execution.position }
  /// The last executed cut: from its heads on the next decision's blocks are wanted.
  public var cut: Cut { self.execution.cut }

  /// Checks and executes the next decision with the blocks by which its cut grew, each lane's in order.
  ///
  /// - Returns: what the cut comes to; `state` has it.
  /// - Throws: `ReplayFault` at the first thing that does not hold.
  @discardableResult
  public mutating func apply(_ decision: Decision, blocks: [[Block]]) throws(ReplayFault) -> ExecutionWrite {
    let sequence = decision.sequence
    guard sequence == self.position.sequence.next,
      decision.isAuthentic(network: self.genesis.network, in: self.configuration)
    else { throw .decision(sequence) }
    guard decision.cut == self.cut || decision.cut.time > self.cut.time, blocks.count == self.configuration.laneCount
    else { throw .cut(sequence) }
    var ordered: [(lane: Int, block: Block)] = []
    for lane in 0..<self.configuration.laneCount {
      var head = self.cut.heads[lane]
      for block in blocks[lane] {
        let isNext = block.header.follows(head)
        let verified = try? Block.verify(
          block, network: self.genesis.network, in: self.configuration, limits: self.genesis.limits)
        guard isNext, verified != nil, self.configuration.index(of: block.header.author) == lane else {
          throw .block(sequence, lane: lane, block.header.position)
        }
        head = block.head
        ordered.append((lane, block))
      }
      guard head == decision.cut.heads[lane] else { throw .block(sequence, lane: lane, head.position.next) }
    }
    self.execution.begin(decision.cut, at: sequence, blocks: ordered, reader: self.state)
    let result: Execution.Result?
    do { result = try self.execution.advance(max: .max) } catch { throw .content(sequence) }
    guard let write = result?.write else {
      throw self.execution.unknownRules.map { .rules(sequence, $0) } ?? .content(sequence)
    }
    self.state.apply(write.writes)
    let next = StateKey.configuration(ConfigurationNumber(self.configuration.number.number + 1))
    guard let record = self.state.item(next, as: ConfigurationRecord.self),
      record.configuration.start == sequence.next
    else { return write }
    self.configuration = record.configuration
    self.execution.enter(record.configuration)
    return write
  }
}
