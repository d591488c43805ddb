internal import Discovery
internal import Foundation
internal import Gateway
internal import Messages
internal import Primitives

/// The other members: whether their names have addresses, and whether somebody answers there.
extension Doctor {
  private static let dialMilliseconds: Int32 = 3000
  /// How long all names and members have, in seconds.
  private static let secondsMax = 20

  private struct Dial: Sendable {
    let member: UInt32
    let name: String
    let address: PeerAddress
    /// Whether the member is connected, or this hospital itself: then only the name is looked up.
    let isKnown: Bool

    var family: Int32 { self.address.kind == .ip6 || self.address.kind == .dns6 ? AF_INET6 : AF_INET }
  }

  mutating func lookAtMembers() async {
    let dials = self.dials
    let seen = await BoundedWork.run(dials, seconds: Self.secondsMax) { dial -> Sockets.Seen in
      dial.isKnown
        ? Sockets.look(up: dial.address.host, dial.address.port, family: dial.family)
        : Sockets.dial(
          dial.address.host, dial.address.port, family: dial.family, milliseconds: Self.dialMilliseconds)
    }
    self.tellNames(dials, seen)
    guard let genesis else { return }
    var reached = 1
    for member in Set(dials.map(\.member)).sorted() where member != self.config.member {
      let found = zip(dials, seen).filter { $0.0.member == member }
      if let peer = self.peers.first(where: { $0.member == member }), peer.connected {
        reached += 1
        let trip = peer.roundTripMilliseconds.map { ", \(Int($0 * 1000)) µs there and back" } ?? ""
        self.findings.append(.ok(.members, "\(peer.name) (member \(member)) is connected\(trip)"))
        continue
      }
      if found.contains(where: { $0.1 == .taken(isEnded: false) }) { reached += 1 }
      self.findings.append(self.finding(of: found.map { ($0.0, $0.1) }))
    }
    if let status, status.quorum > 0 { return }  // The node itself has said whether it can order.
    let configuration = genesis.configuration
    guard reached < configuration.quorum else { return }
    self.findings.append(
      .fault(
        .members,
        "\(reached) of \(configuration.voterCount) members would be connected, this one among them, and "
          + "\(configuration.quorum) are needed to order anything", "call the hospitals that are missing",
        ExitStatus.unavailable))
  }

  /// Where the members are dialled: as the node knows them, and as the genesis names them where it does not run.
  private var dials: [Dial] {
    var out: [Dial] = []
    func add(_ member: UInt32, _ name: String, _ addresses: [String], isKnown: Bool) {
      for text in addresses.prefix(Member.addressesMax) {
        guard let address = PeerAddress(text) else { continue }
        out.append(Dial(member: member, name: name, address: address, isKnown: isKnown))
      }
    }
    let own = self.genesis?.members.first { $0.id.number == self.config.member }
    if let own { add(own.id.number, own.name, own.addresses, isKnown: true) }
    if self.status != nil {
      for peer in self.peers { add(peer.member, peer.name, peer.addresses, isKnown: peer.connected) }
    } else {
      for member in self.genesis?.members ?? [] where member.id.number != self.config.member {
        add(member.id.number, member.name, member.addresses, isKnown: false)
      }
    }
    return out
  }

  private mutating func tellNames(_ dials: [Dial], _ seen: [Sockets.Seen?]) {
    var (names, isRight): (Set<String>, Bool) = ([], true)
    for (dial, seen) in zip(dials, seen) where dial.address.isName {
      guard names.insert(dial.address.host).inserted else { continue }
      let why: String
      switch seen {
      case .noAddress(let trouble)?: why = "has no address here: \(trouble)"
      case nil: why = "was not looked up within \(Self.secondsMax) s"
      case .taken?, .refused?, .silent?, .failed?: continue
      }
      isRight = false
      self.findings.append(
        .warning(
          .names, "\(dial.address.host), of \(dial.name) (member \(dial.member)), \(why)",
          "getent hosts \(dial.address.host); repair the resolver, or tell that hospital"))
    }
    guard isRight else { return }
    self.findings.append(
      names.isEmpty
        ? .note(.names, "all members publish IP addresses") : .ok(.names, "\(names.count) names have addresses"))
  }

  /// What became of a member's addresses: the best of it.
  private func finding(of found: [(dial: Dial, seen: Sockets.Seen?)]) -> Finding {
    guard let first = found.first else { return .note(.members, "a member publishes no address") }
    let who = "\(first.dial.name) (member \(first.dial.member))"
    let isOpen = found.contains { $0.seen == .taken(isEnded: false) }
    if isOpen, self.status == nil { return .ok(.members, "\(who) takes connections") }
    if isOpen {
      return .warning(
        .members, "\(who) takes connections, and no session with it is open",
        "wait a minute; then see this node's log for peer.refused and dial.failed, and ask that hospital for its own")
    }
    let words = found.map { "\($0.dial.address): \(Self.words($0.seen))" }.joined(separator: "; ")
    let remedy: String
    switch first.seen {
    case .noAddress?: remedy = "repair the name first, as above"
    case .taken?: remedy = "that node refuses this machine for a while, or a proxy is before it: see its log"
    case .refused?: remedy = "ask that hospital to start its node, and whether it listens on that port"
    case .silent?, .failed?, nil:
      remedy = "look at the firewalls and the line between, with traceroute; ask that hospital whether its machine runs"
    }
    return .warning(.members, "\(who) cannot be reached: \(words)", remedy)
  }

  private static func words(_ seen: Sockets.Seen?) -> String {
    switch seen {
    case .noAddress(let trouble)?: trouble
    case .taken?: "the connection is taken and ended at once"
    case .refused?: "the machine answers, and nothing listens there"
    case .silent?: "no answer within \(Self.dialMilliseconds / 1000) s"
    case .failed(let why)?: why
    case nil: "not tried within \(Self.secondsMax) s"
    }
  }
}
