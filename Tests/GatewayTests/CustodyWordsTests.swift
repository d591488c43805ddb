// Goal: status, readiness and commands say which records hang on the last shares of a custody key, before it is too
// late and after. Method: a key's standing as the API tells it, by the sentences; and one hospital that runs.
import Driver
import Foundation
import Gateway
import HealthRecords
import Testing

@Suite("What is said of custody keys")
struct CustodyWordsTests {
  private static func key(
    _ generation: UInt64, _ custodians: [UInt32], needed: Int = 3, of members: Int = 4, isRetiring: Bool = false,
    records: [UInt32: UInt64] = [:]
  ) throws -> CustodyKeyView {
    let under = records.sorted { $0.key < $1.key }.map { "{\"hospital\":\($0.key),\"records\":\($0.value)}" }
    let text = """
      {"generation":\(generation),"isRetiring":\(isRetiring),"needed":\(needed),"neededOfAll":\(members == 1 ? 1 : 3),
      "members":\(members),"custodians":\(custodians),"records":[\(under.joined(separator: ","))]}
      """
    return try JSONDecoder().decode(CustodyKeyView.self, from: Data(text.utf8))
  }

  private static func view(_ keys: [CustodyKeyView], phase: String = "active") -> CustodyView {
    var view = CustodyView(
      phase: phase, epoch: 1, threshold: 3, custodians: [], culprits: [], until: "2026-12-31T00:00:00.000Z")
    view.keys = keys
    return view
  }

  @Test("Nothing is said while a member can be lost, of an old key without records, and of one hospital alone")
  func silent() throws {
    #expect(CustodyView.none.warnings.isEmpty)
    #expect(Self.view([try Self.key(1, [1, 2, 3, 4], records: [3: 9])]).warnings.isEmpty)
    #expect(Self.view([try Self.key(1, [1, 2], isRetiring: true), try Self.key(2, [1, 2, 3, 4])]).warnings.isEmpty)
    #expect(Self.view([try Self.key(1, [1], needed: 1, of: 1, records: [1: 5])]).warnings.isEmpty)
  }

  @Test("Where one more loss closes records it is said, with whose they are and what helps; where it is too late, that")
  func shares() throws {
    let current = try Self.key(2, [1, 2, 3, 4])
    let last = Self.view([try Self.key(1, [1, 2, 4], isRetiring: true, records: [3: 9]), current]).warnings
    #expect(last.count == 1)
    #expect(last.first?.contains("once one more hospital leaves or gets other keys") == true)
    #expect(last.first?.contains("(9 of hospital 3)") == true)
    #expect(last.first?.contains("dealt to nobody again") == true)
    let gone = Self.view([try Self.key(1, [1, 2], isRetiring: true, records: [3: 9]), current]).warnings
    #expect(gone.count == 1)
    #expect(gone.first?.contains("2 hospitals have a share (1, 2) and 3 are needed") == true)
    #expect(gone.first?.contains("open for no other hospital any more") == true)
    // The newest key's shares are dealt again, while there are enough.
    let dealt = Self.view([try Self.key(1, [1, 2, 4], records: [3: 9])], phase: "registering").warnings
    #expect(dealt.first?.contains("before its shares are dealt again") == true)
    let dead = Self.view([try Self.key(1, [1, 2])], phase: "registering").warnings
    #expect(dead.first?.contains("no shares can be dealt again") == true)
  }

  @Test("A key that fewer shares open than should is told as such, with when that ends")
  func threshold() throws {
    let thin = try Self.key(2, [1, 2, 3], needed: 2)
    let said = Self.view([thin]).warnings
    #expect(said.count == 1)
    #expect(said.first?.contains("2 shares open a record's key, and among all 4 hospitals it would take 3") == true)
    #expect(said.first?.contains("2026-12-31") == true)
    #expect(Self.view([thin], phase: "dealing").warnings.isEmpty, "it is about to change")
    let old = Self.view([try Self.key(1, [1, 2, 3], needed: 2, isRetiring: true, records: [1: 1])]).warnings
    #expect(old.first?.contains("its shares are not dealt again") == true)
  }

  @Test("A change of members that takes a share which is needed is told by the keys that it closes; others are not")
  func losses() throws {
    let keys = [
      try Self.key(1, [1, 2, 4], isRetiring: true, records: [3: 9]), try Self.key(2, [1, 2, 3, 4], records: [3: 1]),
    ]
    let view = Self.view(keys)
    #expect(view.keysLost(without: 4).map(\.generation) == [1])
    #expect(view.keysLost(without: 3).isEmpty, "its share of that key is gone already")
    #expect(Self.view([keys[1]]).keysLost(without: 4).isEmpty)
    #expect(Self.view([try Self.key(1, [1, 2, 4], isRetiring: true)]).keysLost(without: 4).isEmpty, "it is empty")
    #expect(Self.view([try Self.key(1, [1, 2, 4])]).keysLost(without: 4).map(\.generation) == [1])
    #expect(Self.view([try Self.key(1, [1, 2], records: [3: 9])]).keysLost(without: 1).isEmpty, "it is too late")
    #expect(view.recordsLeft(without: 3)?.count == 9 && view.recordsLeft(without: 4) == nil)
  }

  @Test("Both refusals for want of custodians are told apart: one passes, the other says what there is to do")
  func refusals() {
    #expect(ReleaseRefusal.tooFewCustodians.explanation.contains("try again"))
    #expect(!ReleaseRefusal.custodiansGone.explanation.contains("try again"))
    #expect(ReleaseRefusal.custodiansGone.explanation.contains("no more get one"))
  }

  @Test("A node tells each key in use, and that a rotation would leave nothing behind")
  func node() async throws {
    let hospital = try await LoneHospital(port: 6291)
    var keys = await hospital.host.status().custody.keys ?? []
    while keys.isEmpty {
      await Task.yield()
      keys = await hospital.host.status().custody.keys ?? []
    }
    let key = try #require(keys.first)
    #expect(keys.count == 1 && !key.isRetiring && key.custodians == [1] && key.needed == 1 && key.neededOfAll == 1)
    let left = try #require(await Connection.ask(.socket(hospital.socket), "GET", "/v1/custody/left"))
    #expect(left.status == 200 && left.text == "[]\n")
  }
}
