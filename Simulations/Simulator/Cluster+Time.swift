internal import Ledger
internal import Messages
internal import NodeCore
internal import Ordering
internal import Primitives
internal import Rules

/// LEDGER §11.4: the ledger's time follows the clocks, and a cut says something.
extension Cluster {
  /// Checks a cut that a correct member executes, before its writes are the state.
  func checkTime(of write: ExecutionWrite, at slot: Int) {
    let machine = self.machines[slot]
    defer { machine.lastCut = write.cut }
    guard self.breach == nil, self.isCorrect(slot), let previous = machine.lastCut, write.cut != previous,
      let configuration = machine.node?.configuration
    else { return }
    let (time, at) = (write.cut.time, write.record.sequence)
    let drift = self.genesis.limits.clockDriftMilliseconds
    // Of the quorum that took it at least so many are correct, and had it near their clocks.
    let needed = max(1, configuration.quorum - self.faulty.count)
    let near = self.correctSlots.count { self.moment($0).wall.adding(milliseconds: drift) >= time }
    if near < needed, time != previous.time.adding(milliseconds: 1) {
      self.breach = "LEDGER §11.4: cut \(at) is ahead of \(self.correctSlots.count - near) clocks"
    }
    guard write.cut.heads == previous.heads else { return }
    if self.rules.deadline(in: StateEditor(reader: machine.state)) > time {
      self.breach = "LEDGER §11.4: cut \(at) grows no lane, and no deadline is due"
    }
  }

  /// Sets a slot's wall clock ahead of the true time.
  public func setClock(_ slot: Int, aheadMilliseconds: Int64) {
    while self.world.clockSkewMilliseconds.count <= slot { self.world.clockSkewMilliseconds.append(0) }
    self.world.clockSkewMilliseconds[slot] = aheadMilliseconds
  }
}
