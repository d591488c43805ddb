public import EventLoop
internal import Gateway
internal import NodeCore
internal import Primitives
internal import Storage

/// What a person should see to though the node goes on.
extension NodeHost {
  /// Each in a sentence, with what helps.
  var notices: [String] { self.roomNotices + self.sharedKeyNotices + self.rulesNotices + self.custodyView.warnings }

  /// Tells who started the node that it serves, and from then on, out of the loop, how it stands.
  public nonisolated func tell(_ manager: ServiceManager?) {
    guard let manager else { return }
    manager.ready()
    manager.follow(self.loop) { self.assumeIsolated { $0.stateLine } }
  }

  /// Where it stands, in a line.
  private var stateLine: String {
    let status = self.status()
    return status.troubles.first
      ?? "\(status.role), height \(status.height), view \(status.view), \(status.peers) members connected"
  }

  private var rulesNotices: [String] {
    let rules = self.rulesView()
    return (rules.members ?? []).compactMap { one in
      guard let newest = one.newest, newest < rules.version else { return nil }
      return
        "\(one.name) runs a program that knows version \(newest) of the rules, and version \(rules.version) holds: "
        + "it executes nothing until that hospital installs the newest program"
    }
  }

  private var roomNotices: [String] {
    StoreRoom.full.sorted { $0.key < $1.key }.map { path, reason in
      "no room in \(path): \(reason): what is sent there is refused, and nothing acknowledged is lost; free disk "
        + "space, or raise map_size_max_gib where it is the map that is full; the next write that succeeds ends this"
    }
  }

  private var sharedKeyNotices: [String] {
    guard let driver = self.running else { return [] }
    let now = self.loop.now
    var out = driver.sharedKeys.members(at: now).map { member in
      "two processes dial with the key of \(driver.name(member)): tell that hospital both addresses, which "
        + "peer.key-shared in the log has"
    }
    let ended = driver.ownKeyShared.members(at: now)
    if ended.count >= NodeDriver.endedMin {
      let names = ended.map { driver.name($0) }.joined(separator: ", ")
      out.append(
        "members \(names) end this node's sessions right after they open, as if another process dialled with its key: "
          + "find that copy (peer.key-shared in their logs has its address) and stop it before both write, which "
          + "freezes this hospital's lane for good")
    }
    return out
  }
}
