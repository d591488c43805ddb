// Goal: whose lane is frozen, or whose transaction waits or is refused, hears why, with the remedy.
// Method: the status as the API and the command line read it.
import Gateway
import Messages
import Primitives
import Signing
import Testing

@Suite("Status of the own lane")
struct LaneStatusTests {
  @Test("A frozen lane is told with its reason and the way back; an open one is no trouble")
  func trouble() {
    var status = NodeStatus(name: "One", member: 1)
    status.lane = "open"
    #expect(status.laneTrouble == nil)
    status.lane = "frozen"
    #expect(status.laneTrouble?.contains("consilium member propose replace") == true)
    status.lane = "waiting"
    #expect(status.laneTrouble?.isEmpty == false)
  }

  @Test("Fewer than a quorum within reach, or a long pause while transactions wait, is told; a short one is no trouble")
  func ordering() {
    var status = NodeStatus(name: "One", member: 1)
    status.running = true
    status.lane = "open"
    (status.members, status.quorum, status.reachable) = (4, 3, 3)
    #expect(status.orderingTrouble == nil)
    status.reachable = 2
    #expect(status.orderingTrouble?.contains("2 of 4 members are connected") == true)
    status.reachable = 3
    status.pausedMilliseconds = NodeStatus.pauseMillisecondsMax - 1
    #expect(status.orderingTrouble == nil)
    status.pausedMilliseconds = NodeStatus.pauseMillisecondsMax
    #expect(status.orderingTrouble?.contains("for 30 s while transactions wait") == true)
    status.clocksApart = 1
    #expect(status.orderingTrouble?.contains("consilium peers shows by how much") == true)
    // Who does not vote orders nothing, and cannot know.
    status.lane = ""
    (status.reachable, status.peers) = (0, 1)
    #expect(status.orderingTrouble == nil)
  }

  @Test("A node that does not vote and is connected to nobody says that it is behind, and whether its hospital left")
  func cutOff() {
    var status = NodeStatus(name: "Five", member: 5)
    (status.height, status.ledgerTime) = (47, "2026-01-01T00:00:00.000Z")
    #expect(status.orderingTrouble == nil, "it does not run")
    status.running = true
    #expect(status.orderingTrouble?.contains("ends with height 47 (2026-01-01T00:00:00.000Z)") == true)
    #expect(status.orderingTrouble?.contains("its key is no member's") == true)
    status.hasLeft = true
    #expect(status.orderingTrouble?.contains("this hospital is no member any more") == true)
    status.peers = 1
    #expect(status.orderingTrouble == nil)
  }

  @Test("A node that is to vote and does not yet, or follows from far behind, is not ready, and says what it waits for")
  func late() {
    var status = NodeStatus(name: "Five", member: 5)
    (status.running, status.peers, status.height) = (true, 4, 32)
    #expect(status.troubles.isEmpty)
    status.knownHeight = 32 + NodeStatus.lateHeightsMax
    #expect(status.troubles.isEmpty, "what members say of themselves is not of now")
    status.knownHeight = 100
    #expect(status.troubles.count == 1)
    #expect(status.orderingTrouble?.contains("is at height 32, and the members are at 100") == true)
    (status.knownHeight, status.votesFrom) = (32, 41)
    #expect(status.orderingTrouble?.contains("to vote from height 41 on, and is at 32") == true)
    (status.knownHeight, status.votesFrom) = (20, nil)
    #expect(status.troubles.isEmpty)
  }

  @Test("What is not ordered in time says what the status says: too few, clocks that are apart, or neither is known")
  func delays() {
    var status = NodeStatus(name: "One", member: 1)
    (status.members, status.quorum, status.reachable) = (4, 3, 2)
    status.clocksApart = 1
    #expect(status.delay.hasPrefix("2 of 4 members are connected"))
    status.reachable = 3
    #expect(status.delay.contains("the clock of one of the connected members"))
    (status.reachable, status.clocksApart) = (4, 2)
    #expect(status.delay.contains("the clocks of 2 of the connected members"))
    // The others are enough to agree.
    status.clocksApart = 1
    #expect(status.delay.contains("the load is high"))
  }

  @Test("A key that signs for nobody here, and another hospital's registrar, are told apart")
  func registrars() throws {
    func member(_ number: UInt8) throws -> Member {
      func key(_ word: String) -> PublicKey {
        LoneHospital.key(Hash.sha256(Array(word.utf8) + [number]).bytes).publicKey
      }
      return Member(
        id: MemberID(UInt32(number)), name: "H\(number)", key: key("member"), checkpointKey: key("checkpoint"),
        registrarKey: key("registrar"), sealingKey: .zero, addresses: ["/ip4/127.0.0.1/tcp/\(number)"])
    }
    let members = try (1...4).map { try member($0) }
    let genesis = try #require(Genesis(name: "Four", engine: .pbft, limits: LedgerLimits(), members: members))
    func refusal(_ key: PublicKey) -> ServiceRefusal {
      .unknownSigner(key, index: 0, at: members[0], in: genesis.configuration)
    }
    #expect(refusal(members[1].key) == .unknownSigner(index: 0))
    guard case .otherHospital(let reason, let remedy) = refusal(members[1].registrarKey) else {
      Issue.record("it is not told whose registrar it is")
      return
    }
    #expect(reason.contains("the registrar of H2 (member 2)") && remedy.contains("this hospital's registrar key"))
  }

  @Test("Status says of the vault whether it is whole, what it looks for, and that nothing is known before it looked")
  func vault() {
    let unknown = VaultStanding(keptBytes: 0, fetched: nil, missing: nil).summary
    #expect(unknown == "not known yet whether it has what it should")
    let fetching = VaultStanding(keptBytes: 0, fetched: 136, missing: nil).summary
    #expect(fetching == "\(unknown); looking for what is missing, 136 records fetched so far")
    #expect(VaultStanding(keptBytes: 4096, fetched: nil, missing: 0).summary.hasPrefix("whole: "))
    let lacking = VaultStanding(keptBytes: 4096, fetched: nil, missing: 2).summary
    #expect(lacking.hasPrefix("2 records are missing") && lacking.hasSuffix("4 KiB are here"))
  }
}
