public import Gateway
internal import HealthRecords
internal import Messages
internal import NodeCore
internal import Primitives
internal import Rules
internal import Storage
public import Threshold

/// The consortium's custody keys, as this node's ledger has them (RECORDS §5).
extension NodeHost {
  /// The custody key in use; nil before there is one.
  public func custody() -> CustodyKey? {
    self.running.flatMap { CustodyKeys(in: $0.state).current }
  }

  /// Where the custody key stands.
  var custodyView: CustodyView {
    guard let state = self.running?.state, let generation = CustodyKeys(in: state).generation else { return .none }
    let members = self.running?.node.configuration.members ?? []
    func numbers(_ set: ReplicaSet) -> [UInt32] {
      members.indices.filter { set.contains($0) }.map { members[$0].id.number }
    }
    let accused = members.filter { self.running?.state.value(StateKey.wrongShare($0.id)) != nil }.map(\.id.number)
    // While the key goes over, the old custodians serve.
    let serving = self.custody()
    var view = CustodyView(
      phase: "\(generation.phase)", epoch: generation.epoch, threshold: serving?.threshold ?? generation.threshold,
      custodians: numbers(serving?.custodians ?? generation.custodians),
      culprits: Set(numbers(generation.culprits) + accused).sorted(),
      until: generation.phase == .active ? generation.deadline.description : nil)
    func hospitals(_ prefix: [UInt8]) -> [UInt32] {
      state.scan(prefix: prefix, limit: ReplicaSet.countMax).map { pair in
        pair.key.suffix(8).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      }
    }
    view.isShareLost = self.running?.isShareLost ?? false
    view.generation = serving?.generation ?? generation.generation
    view.retiring = CustodyKeys(in: state).retiring?.generation
    view.stillSealed = view.retiring.map { hospitals(StateKey.liveRecords(generation: $0)) } ?? []
    if let configuration = self.running?.node.configuration {
      view.keys = CustodyStanding.all(in: configuration, state).map(CustodyKeyView.init)
    }
    let gone = view.generation - 1
    view.destroyedBy = gone > 0 && view.retiring == nil ? hospitals(StateKey.destructions(of: gone)) : []
    return view
  }

  /// The live records under the custody key in use which no hospital can seal to another.
  public func recordsLeftByRotation() async -> [HospitalRecordsView] {
    guard let driver = self.running else { return [] }
    var search = LeftRecordsSearch(
      in: driver.node.configuration, genesis: self.genesis.configuration, driver.state)
    // ⚑ What the node does meanwhile does not wait for the end of it.
    while search.step(countMax: Self.searchStride, in: driver.state), self.running != nil { await Task.yield() }
    return search.found.map(HospitalRecordsView.init)
  }

  private static let searchStride = 256
}
