// Goal: the hospital's own systems get in by their keys, for what the hospital said, and nobody else does (SMART App
// Launch 2.1, "backend services"; RFC 7523). Method: assertions signed by a library, right and wrong in one respect
// each, against a clock of the test's own.
import FHIR
import Foundation
import JWTKit
import Primitives
import Synchronization
import Testing

@testable import Gateway

@Suite("Backend services")
struct SystemTests {
  private static let place = "https://fhir.hospital.example/auth/token"
  private static let start: UInt64 = 1_800_000_000_000

  private struct Said: JWTPayload {
    var iss = "ehr"
    var sub = "ehr"
    var aud = SystemTests.place
    var exp = Double(SystemTests.start / 1000 + 240)
    var jti = UUID().uuidString
    var iat: Double?
    var nbf: Double?
    func verify(using algorithm: some JWTAlgorithm) throws {}
  }

  /// A hospital's node with one system, whose key is in a file.
  private final class Bench: Sendable {
    let key = ES384PrivateKey()
    let clock = Clock()
    let systems: SystemAuthorization
    let path = FileManager.default.temporaryDirectory.appending(path: "jwks-\(UUID().uuidString)").path()

    init() throws {
      let path = self.path
      let system = try #require(SMARTSystem("ehr=ehr.jwks,system/Observation.cru,system/Patient.rs"))
      self.systems = SystemAuthorization(
        systems: [system.resolved { _ in path }], place: SystemTests.place, now: { [clock = self.clock] in clock.now })
      try self.write(self.key, "k1")
      // It began an hour before.
      self.clock.time.withLock { $0 = SystemTests.start }
    }

    /// The same after a restart.
    func restarted() throws -> SystemAuthorization {
      let path = self.path
      let system = try #require(SMARTSystem("ehr=ehr.jwks,system/Observation.cru,system/Patient.rs"))
      return SystemAuthorization(
        systems: [system.resolved { _ in path }], place: SystemTests.place, now: { [clock = self.clock] in clock.now })
    }

    deinit { try? FileManager.default.removeItem(atPath: self.path) }

    func write(_ key: ES384PrivateKey, _ kid: String) throws {
      let (x, y) = try #require(key.publicKey.parameters)
      let json = """
        {"keys": [{"kty": "EC", "crv": "P-384", "alg": "ES384", "kid": "\(kid)",
          "x": "\(Base64.urlSafe(x))", "y": "\(Base64.urlSafe(y))"}]}
        """
      try Data(json.utf8).write(to: URL(filePath: self.path))
    }

    func sign(_ said: Said, by key: ES384PrivateKey? = nil, kid: JWKIdentifier = "k1") async throws -> String {
      let keys = JWTKeyCollection()
      await keys.add(ecdsa: key ?? self.key, kid: kid)
      return try await keys.sign(said, kid: kid)
    }

    func form(_ assertion: String, scope: String? = "system/Observation.cr") -> [String: String] {
      var form = [
        "grant_type": "client_credentials", "client_assertion_type": SystemAuthorization.kind,
        "client_assertion": assertion,
      ]
      form["scope"] = scope
      return form
    }
  }

  private final class Clock: Sendable {
    let time = Mutex<UInt64>(SystemTests.start - 3_600_000)
    var now: UInt64 { self.time.withLock { $0 } }
  }

  @Test("A signature gives a token, for what was asked, until its five minutes are over")
  func token() async throws {
    let bench = try Bench()
    let grant = try await bench.systems.answer(bench.form(bench.sign(Said())))
    #expect(grant.scopes.text == "system/Observation.cr" && grant.seconds == 300)
    let asker = try #require(await bench.systems.asker(grant.token))
    #expect(asker.account == nil && asker.client == "ehr")
    #expect(asker.scopes.allow(.create, "Observation") && !asker.scopes.allow(.update, "Observation"))
    #expect(!asker.scopes.allow(.read, "Patient"))
    bench.clock.time.withLock { $0 += 299_999 }
    #expect(await bench.systems.asker(grant.token) != nil)
    bench.clock.time.withLock { $0 += 1 }
    #expect(await bench.systems.asker(grant.token) == nil)
    #expect(await bench.systems.asker(String(grant.token.dropLast())) == nil)
  }

  @Test("An assertion is good once, also where its clock goes ahead")
  func once() async throws {
    let bench = try Bench()
    let proof = try await bench.sign(Said())
    _ = try await bench.systems.answer(bench.form(proof))
    for ahead in [0, 200_000, 290_000] as [UInt64] {
      bench.clock.time.withLock { $0 = Self.start + ahead }
      await #expect(throws: SystemAuthorization.Refusal.self) { try await bench.systems.answer(bench.form(proof)) }
    }
  }

  @Test("An assertion is good once, also where the node began again meanwhile; what was signed since is taken")
  func restarted() async throws {
    let bench = try Bench()
    var said = Said()
    said.iat = Double(Self.start / 1000 - 10)
    let proof = try await bench.sign(said)
    _ = try await bench.systems.answer(bench.form(proof))
    bench.clock.time.withLock { $0 += 5000 }
    let again = try bench.restarted()
    for one in [proof, try await bench.sign(Said())] {
      await #expect(throws: SystemAuthorization.Refusal.self) { try await again.answer(bench.form(one)) }
    }
    (said.iat, said.jti) = (Double(Self.start / 1000 + 5), "since")
    _ = try await again.answer(bench.form(try await bench.sign(said)))
    // Later none from before is left.
    bench.clock.time.withLock { $0 += 400_000 }
    var later = Said()
    later.exp += 400
    _ = try await again.answer(bench.form(try await bench.sign(later)))
  }

  @Test("A file of keys is looked at before the node begins with it")
  func files() throws {
    let bench = try Bench()
    #expect(SystemAuthorization.fault(inKeys: bench.path) == nil)
    let good = try String(contentsOf: URL(filePath: bench.path), encoding: .utf8)
    for (text, word) in [
      ("no keys", "no JSON Web Key Set"), (#"{"keys": []}"#, "no key"),
      (good.replacing(#""kid": "k1","#, with: ""), "no kid"), (good.replacing(#""alg": "ES384","#, with: ""), "no alg"),
      (good.replacing("ES384", with: "ES256"), "ES256"),
      (good.replacing(#""kid": "k1","#, with: #""kid": "k1", "d": "AAAA","#), "private"),
    ] {
      try Data(text.utf8).write(to: URL(filePath: bench.path))
      #expect(SystemAuthorization.fault(inKeys: bench.path)?.contains(word) == true, "\(word)")
    }
  }

  @Test("A token that began to fetch a file goes on after its time, and not once it is revoked")
  func fetching() async throws {
    let bench = try Bench()
    let grant = try await bench.systems.answer(bench.form(bench.sign(Said())))
    bench.clock.time.withLock { $0 += 1_000_000 }
    #expect(await bench.systems.asker(grant.token) == nil)
    #expect(await bench.systems.fetching(grant.token)?.client == "ehr")
    let system = try #require(SMARTSystem("ehr=ehr.jwks,system/Observation.cru,system/Patient.rs"))
    #expect(await bench.systems.revoke(grant.token, of: system))
    #expect(await bench.systems.fetching(grant.token) == nil)
  }

  @Test("What is wrong in one respect gives nothing, and the answer says which")
  func wrong() async throws {
    let bench = try Bench()
    func refusal(_ form: [String: String]) async -> SystemAuthorization.Refusal? {
      do {
        _ = try await bench.systems.answer(form)
        return nil
      } catch { return error }
    }
    func said(_ change: (inout Said) -> Void) -> Said {
      var said = Said()
      change(&said)
      return said
    }
    for (change, word) in [
      (said { $0.iss = "lab" }, "iss"), (said { $0.sub = "lab" }, "sub"),
      (said { $0.aud = "https://other.example/auth/token" }, "aud"),
      (said { $0.exp = Double(Self.start / 1000 - 61) }, "exp"),
      (said { $0.exp = Double(Self.start / 1000 + 361) }, "exp"), (said { $0.exp = .infinity }, "exp"),
      (said { $0.exp = -1 }, "exp"), (said { $0.nbf = Double(Self.start / 1000 + 61) }, "nbf"),
      (said { $0.exp = 1e300 }, "exp"), (said { $0.jti = "" }, "jti"),
    ] {
      guard let proof = try? await bench.sign(change) else { continue }
      let found = await refusal(bench.form(proof))
      #expect(found?.fault == .invalidClient, "\(word)")
      #expect(found?.reason.contains(word) == true, "\(found?.reason ?? "")")
    }
    // Another's key under the right name, and no signature at all.
    let forged = try await bench.sign(Said(), by: ES384PrivateKey())
    #expect(await refusal(bench.form(forged))?.fault == .invalidClient)
    let parts = try await bench.sign(Said()).split(separator: ".")
    let none = Data(#"{"alg":"none","typ":"JWT"}"#.utf8).base64EncodedString()
    #expect(await refusal(bench.form("\(none).\(parts[1])."))?.reason.contains("alg") == true)
    for text in ["", "a.b", "a.b.c", "...", String(repeating: "A", count: 10_000)] {
      #expect(await refusal(bench.form(text))?.fault == .invalidClient, "\(text.prefix(20))")
    }
    // An audience that is an empty list reaches nobody, and traps nothing.
    let payload = #"{"iss":"ehr","sub":"ehr","aud":[],"exp":1800000100,"jti":"j"}"#
    let empty = Base64.urlSafe(Data(payload.utf8).base64EncodedString())
    #expect(await refusal(bench.form("\(parts[0]).\(empty).\(parts[2])"))?.reason.contains("aud") == true)
    for scope in ["system/*.cruds", "system/Observation.d", "user/Observation.r", "openid system/Patient.r", ""] {
      let found = await refusal(bench.form(try await bench.sign(Said()), scope: scope))
      #expect(found?.fault == .invalidScope, "\(scope)")
    }
    #expect(await refusal(bench.form(try await bench.sign(Said()), scope: nil))?.fault == .invalidScope)
    var form = bench.form(try await bench.sign(Said()))
    form["client_id"] = "lab"
    #expect(await refusal(form)?.fault == .invalidClient)
    form["client_assertion_type"] = nil
    #expect(await refusal(form)?.fault == .invalidRequest)
  }

  @Test("A system gives its own token back, and no other's; a proof for one endpoint is none for another")
  func revoked() async throws {
    let bench = try Bench()
    let grant = try await bench.systems.answer(bench.form(bench.sign(Said())))
    let lab = try #require(SMARTSystem("lab=lab.jwks,system/Patient.rs"))
    #expect(await bench.systems.revoke("nothing", of: lab))
    #expect(await !bench.systems.revoke(grant.token, of: lab))
    #expect(await bench.systems.held(grant.token)?.system == "ehr")
    let place = "https://fhir.hospital.example/auth/revoke"
    let proof = try await bench.sign(Said(aud: place))
    await #expect(throws: SystemAuthorization.Refusal.self) { try await bench.systems.answer(bench.form(proof)) }
    let ehr = try await bench.systems.system(provenBy: bench.form(proof), at: place)
    await #expect(throws: SystemAuthorization.Refusal.self) {
      try await bench.systems.system(provenBy: bench.form(proof), at: place)
    }
    #expect(await bench.systems.revoke(grant.token, of: ehr))
    #expect(await bench.systems.asker(grant.token) == nil)
  }

  @Test("Keys that replace others are taken at once, and the old ones are not")
  func rotation() async throws {
    let bench = try Bench()
    let next = ES384PrivateKey()
    try bench.write(next, "k2")
    await #expect(throws: SystemAuthorization.Refusal.self) {
      try await bench.systems.answer(bench.form(bench.sign(Said())))
    }
    _ = try await bench.systems.answer(bench.form(bench.sign(Said(), by: next, kid: "k2")))
    try Data("no keys".utf8).write(to: URL(filePath: bench.path))
    await #expect(throws: SystemAuthorization.Refusal.self) {
      try await bench.systems.answer(bench.form(bench.sign(Said(), by: next, kid: "k2")))
    }
  }

  @Test("One system's tokens and assertions are bounded, and take nothing from another's")
  func bounds() async throws {
    let bench = try Bench()
    var first: String?
    for _ in 0..<300 {
      let grant = try await bench.systems.answer(bench.form(bench.sign(Said())))
      first = first ?? grant.token
    }
    #expect(await bench.systems.asker(try #require(first)) == nil, "the oldest goes")
  }

  @Test(
    "A system is named with a file and scopes of its own level",
    arguments: [
      "ehr", "ehr=", "ehr=keys", "ehr=,system/*.rs", "ehr=keys,user/*.rs", "ehr=keys,system/*.rs,",
      "e hr=k,system/*.rs",
      "=k,system/*.rs", "ehr=keys,system/*.sr", "ehr=keys,openid,system/*.rs",
    ])
  func names(_ text: String) { #expect(SMARTSystem(text) == nil) }
}
