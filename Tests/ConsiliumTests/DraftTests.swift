// Goal: what people sign with the command is valid by the ledger's time, also where that is hours ahead of this
// machine's clock (LEDGER §3). Method: the command's own code, told of a node that says so.
@testable import consilium
import Gateway
import HealthRecords
import Messages
import Primitives
import Signing
import Testing

@Suite("Drafts")
struct DraftTests {
  @Test("⚑ K2: a transaction is valid for half a life from the ledger's time where that is ahead, else from now")
  func ahead() throws {
    let key = try #require(PublicKey(Hash.sha256([1]).bytes))
    let member = Member(
      id: MemberID(1), name: "One", key: key, checkpointKey: key, registrarKey: key, sealingKey: .zero, addresses: [])
    let limits = LedgerLimits()
    let genesis = try #require(Genesis(name: "One", engine: .pbft, limits: limits, members: [member]))
    let hours: UInt64 = 3 * 3_600_000
    var status = NodeStatus(name: "One", member: 1)
    /// How long a draft is valid from now, at the least and at the most.
    func valid() -> ClosedRange<Int64> {
      let before = Drafts.now
      let until = Drafts.validUntil(genesis)
      let least = until.offset(from: Drafts.now)
      return least...max(least, until.offset(from: before))
    }
    let half = Int64(limits.transactionLifeMilliseconds / 2)
    defer {
      Drafts.follow(NodeStatus(name: "One", member: 1))
      Drafts.allow(aheadSeconds: 0)
    }
    status.ledgerAheadMilliseconds = hours
    Drafts.follow(status)
    #expect(valid().contains(Int64(hours) + half))
    // ⚑ By the word of one node nothing is signed for then: it could keep it, and have it executed when it likes.
    func sign() throws -> Transaction {
      try Drafts.transaction(
        .revokeConsent, ConsentRevocation(patient: .zero, consent: .zero), genesis: genesis, hospital: MemberID(1),
        signedBy: Hash.sha256([2]).bytes)
    }
    for ahead in [hours, UInt64(half) + 1, .max] {
      status.ledgerAheadMilliseconds = ahead
      Drafts.follow(status)
      #expect(throws: Failure.self) { try sign() }
    }
    status.ledgerAheadMilliseconds = hours
    Drafts.follow(status)
    Drafts.allow(aheadSeconds: hours / 1000)
    #expect(try sign().validUntil >= Drafts.now.adding(milliseconds: hours))
    Drafts.allow(aheadSeconds: 0)
    status.ledgerAheadMilliseconds = UInt64(half)
    Drafts.follow(status)
    #expect(throws: Never.self) { try sign() }
    status.ledgerAheadMilliseconds = 0
    Drafts.follow(status)
    #expect(valid().contains(half))
  }
}
