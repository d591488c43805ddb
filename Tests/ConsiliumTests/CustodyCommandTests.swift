// Goal: who is about to take the last shares of a custody key is refused, with what to do, until it is said that the
// records may be lost. Method: the built `consilium` at a consortium of one hospital, whose one share is the last.
import Foundation
import Testing

@Suite("Custody commands", .serialized, .oneAtATime)
struct CustodyCommandTests {
  @Test("A change that takes a share which is needed is refused unless it says so itself; a rotation is not")
  func lastShare() throws {
    let hospitals = try Hospitals(port: 5571) { ["--listen", "/ip4/127.0.0.1/tcp/557\($0)"] }
    let path = hospitals.place.path
    let genesis = try hospitals.run("genesis new --name One --out one.json h1/member.json")
    #expect(genesis.status == 0, "\(genesis.errors)")
    try FileManager.default.removeItem(atPath: path + "/h1/genesis.json")
    try FileManager.default.copyItem(atPath: path + "/one.json", toPath: path + "/h1/genesis.json")
    try hospitals.start(1)
    var shown = ""
    for _ in 0..<300 where !shown.contains("key 1: shares needed 1") {
      shown = try hospitals.run("custody show --api h1/api.sock").output
    }
    #expect(shown.contains("left 1 of 1 (hospitals 1); live records under it: no records"), "\(shown)")
    let made = try hospitals.run(
      "init h5 --member 1 --name H1 --listen /ip4/127.0.0.1/tcp/5575 --passphrase-file word")
    #expect(made.status == 0, "\(made.errors)")
    let access = "--api h1/api.sock --genesis one.json"
    let propose = "member propose replace h5/member.json --out change.json \(access)"
    let refused = try hospitals.run(propose)
    #expect(refused.status == 1 && refused.errors.contains("key 1 needs 1 shares"), "\(refused.errors)")
    #expect(refused.errors.contains("--lose-records"), "\(refused.errors)")
    let proposed = try hospitals.run(propose + " --lose-records")
    #expect(proposed.status == 0, "\(proposed.errors)")
    let approved = try hospitals.run(
      "member approve change.json --registrar h1/registrar.key --out a.json --passphrase-file word")
    #expect(approved.status == 0, "\(approved.errors)")
    #expect(approved.output.contains("even if records open for no other hospital after it"), "\(approved.output)")
    let rotated = try hospitals.run(
      "custody rotate --registrar h1/registrar.key --passphrase-file word \(access)")
    #expect(rotated.status == 0, "\(rotated.errors)")
    let submitted = try hospitals.run("member submit change.json a.json \(access)")
    #expect(submitted.status == 0, "what was approved says that records may be lost: \(submitted.errors)")
    let help = try hospitals.run("custody rotate --help").output
    #expect(help.contains("--leave-records"), "\(help)")
  }
}
