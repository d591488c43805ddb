internal import Discovery
internal import EventLoop
internal import Messages
internal import NodeCore
internal import Primitives
internal import Sessions
internal import Telemetry

/// One attempt to reach a member: its addresses one after another, names looked up each time (OVERLAY §3).
final class DialAttempt {
  let member: ReplicaIndex
  let address: PeerAddress
  var hosts: [String]
  var timer: LoopTimer?
  var connection: TCPConnection?

  init(_ member: ReplicaIndex, _ address: PeerAddress, hosts: [String]) {
    (self.member, self.address, self.hosts) = (member, address, hosts)
  }
}

extension NodeDriver {
  /// So long an address may take to answer: a firewall that drops what comes never does.
  private static let answerWithin = Span.milliseconds(10_000)

  /// Dials the `attempt`-th of a member's addresses.
  func dial(_ index: ReplicaIndex, attempt: Int) {
    let member = self.node.configuration.members[index]
    let addresses = member.addresses.compactMap { PeerAddress($0) }
    guard !addresses.isEmpty else {
      self.log.emit(
        .dialFailed, ["member": .text(self.name(index)), "reason": "no address that it published can be dialled"])
      return self.stepDialler(.failed(index))
    }
    let address = addresses[attempt % addresses.count]
    guard address.isName else { return self.tryNext(DialAttempt(index, address, hosts: [address.host])) }
    // ⚑ Each time anew: a hospital's address may have changed since, and its name is what does not.
    self.loop.lookUp(address.host, address.kind == .dns4 ? .four : .six) { [weak self] result in
      guard let self else { return }
      switch result {
      case .success(let hosts): self.tryNext(DialAttempt(index, address, hosts: hosts))
      case .failure(let failure):
        self.log.emit(
          .lookupFailed,
          ["member": .text(self.name(index)), "name": .text(address.host), "reason": .text("\(failure)")])
        self.stepDialler(.failed(index))
      }
    }
  }

  private func tryNext(_ attempt: DialAttempt) {
    guard !attempt.hosts.isEmpty else { return self.stepDialler(.failed(attempt.member)) }
    let host = attempt.hosts.removeFirst()
    var isOver = false
    let connection = self.loop.connect(host: host, port: attempt.address.port) { [weak self] result in
      guard let self, !isOver else { return }
      isOver = true
      attempt.timer?.cancel()
      self.took(result, host, attempt)
    }
    guard !isOver, let connection else { return }
    let timer = self.loop.makeTimer { connection.close() }
    timer.set(to: self.loop.now + Self.answerWithin)
    attempt.timer = timer
  }

  private func took(_ result: Result<TCPConnection, NetworkFailure>, _ host: String, _ attempt: DialAttempt) {
    switch result {
    case .success(let connection):
      let source = attempt.address.isName ? "\(attempt.address) (\(host))" : "\(attempt.address)"
      self.open(connection, role: .initiator, source: source, dialled: attempt.member)
    case .failure(let failure):
      self.log.emit(.dialFailed, ["member": .text(self.name(attempt.member)), "reason": .text("\(failure)")])
      self.tryNext(attempt)
    }
  }
}
