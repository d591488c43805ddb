// Goal: a node whose program does not know the rules that were adopted says so wherever somebody looks, and takes
// nothing that it could not execute. Method: a consortium of one hospital on a real disk, with an older program.
import Driver
import Foundation
import Gateway
import HealthRecords
import Messages
import Primitives
import Rules
import Signing
import Testing
import Wire

@Suite("Versions of the rules")
struct RulesStandingTests {
  @Test("Rules that the program does not know stop the node: status, /readyz, log and every submission say so")
  func stops() async throws {
    let hospital = try await LoneHospital(port: 6151, program: HealthRules(newest: 1))
    let account = try await hospital.register(.patient, seed: [UInt8](repeating: 40, count: 32))
    let change = RulesChange(
      rules: try #require(AgreedRules(version: 2, emergencyAgeMilliseconds: 0)), adoptions: 0, validUntil: .never)
    let signature = LoneHospital.key(LoneHospital.registrarSeed)
      .sign(change.signedBytes(network: hospital.genesis.network))
    let adopting = Transaction(
      kind: TransactionKind.adoptRules.rawValue, hospital: LoneHospital.id,
      validUntil: LoneHospital.now.adding(milliseconds: 200_000),
      nonce: SecureRandom.bytes(Transaction.nonceLengthBytes),
      payload: ApprovedRules(change, approvals: [VoteSignature(signer: 0, signature: signature)]).encoded)
    await #expect(throws: ServiceRefusal.rulesUnknown(2)) { try await hospital.submit([adopting]) }

    let status = await hospital.host.status()
    #expect(status.rules?.unknown == 2 && status.rules?.version == 1 && !status.votes)
    #expect(status.orderingTrouble?.contains("under version 2 of the rules") == true)
    let ready = try #require(await Connection.ask(.socket(hospital.socket), "GET", "/readyz"))
    #expect(ready.status == 503 && ready.text.contains("install the newest program"), "\(ready.text)")
    // Lines are written behind the node.
    while try !String(contentsOfFile: hospital.log, encoding: .utf8).contains("ledger.rules-unknown") {
      await Task.yield()
    }
    // What was executed before is there, and nothing is taken that could not be.
    #expect(await hospital.host.account(account) != nil)
    await #expect(throws: ServiceRefusal.rulesUnknown(2)) { try await hospital.submit([adopting]) }
    #expect(await hospital.host.status().height == status.height)
  }

  @Test(
    "Whose program is not known to know a version is named with why; a node of before, which tells nothing, is none")
  func names() throws {
    var view = RulesView(.first, adoptions: 0)
    #expect(view.ignorant(of: 2)?.contains("does not tell") == true)
    func peer(_ number: UInt32, isConnected: Bool, newest: UInt16?) -> RulesMember {
      var peer = PeerStatus(
        member: number, name: "h\(number)", peer: "", addresses: [], connected: isConnected, direction: nil,
        roundTripMilliseconds: nil, mesh: [], dropped: 0, copiesProven: 0, copiesFailed: 0, keptBytes: 0)
      peer.rulesNewest = newest
      return RulesMember(peer)
    }
    view.members = [
      peer(2, isConnected: true, newest: 1), peer(3, isConnected: true, newest: nil),
      peer(4, isConnected: false, newest: nil), peer(5, isConnected: true, newest: 2),
    ]
    #expect(
      view.ignorant(of: 2)
        == "h2 (its program knows version 1), h3 (its program does not say), h4 (not connected)")
    view.members = [peer(5, isConnected: true, newest: 2)]
    #expect(view.ignorant(of: 2) == nil && view.ignorant(of: 3) != nil)
    // As a node of before wrote it.
    let old = #"{"version":1,"newest":2,"emergencyAgeHours":0,"adoptions":0}"#
    let read = try JSONDecoder().decode(RulesView.self, from: Data(old.utf8))
    #expect(read.members == nil && read.trouble == nil)
  }
}
