public import FHIR
internal import Foundation
internal import JWTKit
internal import Primitives
internal import Signing

/// A system of the hospital's own that lets itself in by a key (SMART App Launch 2.1, "backend services").
public struct SMARTSystem: Sendable, Hashable {
  /// Its `client_id`.
  public let id: String
  /// The file with its public keys, a JSON Web Key Set (RFC 7517).
  public let keys: String
  /// The most that it may do.
  public let scopes: SMARTScopes

  /// Reads `ID=FILE,SCOPE[,SCOPE]`, as `ehr=ehr.jwks,system/*.cruds`; nil where it is anything else.
  public init?(_ text: String) {
    let halves = text.split(separator: "=", maxSplits: 1).map(String.init)
    guard halves.count == 2, SMARTClient.isName(halves[0]) else { return nil }
    let parts = halves[1].split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    guard parts.count > 1, !parts[0].isEmpty,
      let scopes = SMARTScopes(parts.dropFirst().joined(separator: " "), of: .system),
      scopes.text.split(separator: " ").count == parts.count - 1
    else { return nil }
    (self.id, self.keys, self.scopes) = (halves[0], parts[0], scopes)
  }

  /// The same with its file below a folder.
  public func resolved(_ path: (String) -> String) -> SMARTSystem {
    SMARTSystem(id: self.id, keys: path(self.keys), scopes: self.scopes)
  }

  private init(id: String, keys: String, scopes: SMARTScopes) {
    (self.id, self.keys, self.scopes) = (id, keys, scopes)
  }
}

/// Lets the hospital's own systems in: each proves by a signature that it has its key, and gets a token for five
/// minutes (RFC 7523 §2.2; SMART App Launch 2.1, "asymmetric client authentication").
public actor SystemAuthorization {
  /// Why a system gets no token.
  public struct Refusal: Error, Sendable, Hashable {
    /// The word of RFC 6749 §5.2.
    public let fault: SMARTAuthorization.Fault
    /// What was wrong, for the person who sets the system up.
    public let reason: String
  }

  /// What a system got.
  public struct Grant: Sendable {
    /// The token by which it asks.
    public let token: String
    /// What it may do.
    public let scopes: SMARTScopes
    /// For how many seconds.
    public let seconds: UInt64
  }

  private struct Held {
    let system: String
    let scopes: SMARTScopes
    let until: UInt64
    let number: UInt64
  }

  /// What a system signs (RFC 7523 §3). ⚑ Plain values: the library's own claims trap where a list is empty.
  private struct Assertion: JWTPayload {
    let iss: String
    let sub: String
    let aud: Audience
    let exp: Double
    let jti: String
    let iat: Double?
    let nbf: Double?

    func verify(using algorithm: some JWTAlgorithm) throws {}
  }

  /// One text or a list of them (RFC 7519 §4.1.3).
  private struct Audience: Codable {
    let values: [String]

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let one = try? container.decode(String.self) {
        self.values = [one]
      } else {
        self.values = try container.decode([String].self)
      }
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      try container.encode(self.values)
    }
  }

  private struct Header: Decodable {
    let alg: String
    let kid: String?
    let crit: [String]?
  }

  /// How long a token is good, in milliseconds: SMART's own bound.
  static let tokenMilliseconds: UInt64 = 300_000
  /// How far ahead an assertion may end, and how far clocks may differ, in milliseconds.
  private static let assertionMillisecondsMax: UInt64 = 300_000
  private static let driftMilliseconds: UInt64 = 60_000
  /// The most tokens of one system at once: its oldest goes then.
  private static let tokensPerSystemMax = 256
  /// The most assertions of one system that are remembered as used.
  private static let usedPerSystemMax = 4096
  private static let keysBytesMax = 1 << 16
  static let algorithms = ["ES384", "RS384"]
  static let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

  private nonisolated let systems: [SMARTSystem]
  private nonisolated let place: String
  private let now: @Sendable () -> UInt64
  /// When this began: what was used before is not known.
  private let begun: UInt64
  private var tokens: [Digest: Held] = [:]
  /// Until when each assertion could be used again, by system and digest of its number.
  private var used: [String: [Digest: UInt64]] = [:]
  private var count: UInt64 = 0

  /// Lets systems in at a token endpoint; `now` gives milliseconds since 1970.
  public init(systems: [SMARTSystem], place: String, now: @escaping @Sendable () -> UInt64) {
    (self.systems, self.place, self.now) = (systems, place, now)
    self.begun = now()
  }

  /// Whether there are any.
  nonisolated var isEmpty: Bool { self.systems.isEmpty }

  /// Gives a token for a form that proves who asks.
  ///
  /// - Throws: `Refusal`.
  public func answer(_ form: [String: String]) async throws(Refusal) -> Grant {
    let system = try await self.system(provenBy: form, at: self.place)
    guard let text = form["scope"] else {
      throw Refusal(fault: .invalidScope, reason: "scope is missing; this system may have \(system.scopes.text)")
    }
    guard let scopes = SMARTScopes(text, of: .system), system.scopes.cover(scopes),
      scopes.text.split(separator: " ").count == text.split(separator: " ").count
    else {
      throw Refusal(
        fault: .invalidScope, reason: "this system may have \(system.scopes.text), as fhir_systems in node.toml says")
    }
    return self.give(system, scopes)
  }

  /// Whose assertion a form bears, once; it may name the token endpoint, or the endpoint to which it came.
  ///
  /// - Throws: `Refusal`.
  func system(provenBy form: [String: String], at endpoint: String) async throws(Refusal) -> SMARTSystem {
    guard form["client_assertion_type"] == Self.kind, let proof = form["client_assertion"] else {
      throw Refusal(
        fault: .invalidRequest, reason: "client_assertion with client_assertion_type=\(Self.kind) is expected")
    }
    let (system, assertion) = try await self.verified(proof, at: endpoint)
    if let id = form["client_id"], id != system.id { throw Self.wrong("client_id is not the assertion's iss") }
    try self.take(assertion, of: system)
    return system
  }

  /// A token that is good: whose it is, what it allows, and until when in milliseconds since 1970.
  func held(_ token: String) -> (system: String, scopes: SMARTScopes, until: UInt64)? {
    guard let held = self.tokens[Self.digest(token)], held.until > self.now() else { return nil }
    return (held.system, held.scopes, held.until)
  }

  /// Forgets a token of a system's own: false where another has it.
  func revoke(_ token: String, of system: SMARTSystem) -> Bool {
    guard let held = self.tokens[Self.digest(token)] else { return true }
    guard held.system == system.id else { return false }
    self.tokens[Self.digest(token)] = nil
    return true
  }

  /// For how long after its time a token that began to fetch a file goes on fetching it, in milliseconds.
  private static let fetchingMilliseconds: UInt64 = 6 * 3_600_000

  /// Whose token it is that is fetching a file which it began to fetch in its time; nil where it was revoked.
  func fetching(_ token: String) -> FHIRAsker? {
    guard let held = self.tokens[Self.digest(token)], held.until + Self.fetchingMilliseconds > self.now() else {
      return nil
    }
    return FHIRAsker(account: nil, client: held.system, scopes: held.scopes)
  }

  /// Whom a token lets in, and for what; nil where it is none, or its time is over.
  public func asker(_ token: String) -> FHIRAsker? {
    guard let held = self.held(token) else { return nil }
    return FHIRAsker(account: nil, client: held.system, scopes: held.scopes)
  }

  private func give(_ system: SMARTSystem, _ scopes: SMARTScopes) -> Grant {
    let time = self.now()
    self.tokens = self.tokens.filter { $0.value.until + Self.fetchingMilliseconds > time }
    let own = self.tokens.filter { $0.value.system == system.id }
    if own.count >= Self.tokensPerSystemMax, let oldest = own.min(by: { $0.value.number < $1.value.number })?.key {
      self.tokens[oldest] = nil
    }
    let token = Hex.encode(SecureRandom.bytes(32))
    self.count += 1
    self.tokens[Self.digest(token)] = Held(
      system: system.id, scopes: scopes, until: time + Self.tokenMilliseconds, number: self.count)
    return Grant(token: token, scopes: scopes, seconds: Self.tokenMilliseconds / 1000)
  }

  /// ⚑ What was signed once lets nobody in a second time: who overheard it has nothing.
  private func take(_ assertion: Assertion, of system: SMARTSystem) throws(Refusal) {
    let time = self.now()
    guard assertion.exp.isFinite, assertion.exp >= 0, assertion.exp < 1e12 else { throw Self.wrong("exp is no time") }
    let end = UInt64(assertion.exp * 1000)
    guard end + Self.driftMilliseconds > time else { throw Self.wrong("exp is past: look at both clocks") }
    guard end <= time + Self.assertionMillisecondsMax + Self.driftMilliseconds else {
      throw Self.wrong("exp is more than five minutes ahead")
    }
    if let from = assertion.nbf, !(from * 1000 <= Double(time + Self.driftMilliseconds)) {
      throw Self.wrong("nbf is ahead: look at both clocks")
    }
    // ⚑ What may have been used before this node began is not taken, unless it tells that it was signed since.
    if end <= self.begun + Self.assertionMillisecondsMax + Self.driftMilliseconds {
      guard let made = assertion.iat, made >= Double(self.begun / 1000),
        made * 1000 <= Double(time + Self.driftMilliseconds)
      else { throw Self.wrong("this node began a moment ago, and takes what was signed since: sign again, with iat") }
    }
    guard !assertion.jti.isEmpty, assertion.jti.utf8.count <= 256 else {
      throw Self.wrong("jti is to have 1 to 256 bytes")
    }
    var used = self.used[system.id, default: [:]].filter { $0.value > time }
    let number = Self.digest(assertion.jti)
    guard used[number] == nil else { throw Self.wrong("an assertion with this jti was used before") }
    guard used.count < Self.usedPerSystemMax else {
      throw Refusal(fault: .invalidRequest, reason: "too many tokens in five minutes: use each until it is over")
    }
    used[number] = end + Self.driftMilliseconds + 1
    self.used[system.id] = used
  }

  private nonisolated func verified(
    _ proof: String, at endpoint: String
  ) async throws(Refusal) -> (SMARTSystem, Assertion) {
    let parts = proof.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3, let header = Self.json(parts[0], as: Header.self),
      let said = Self.json(parts[1], as: Assertion.self)
    else { throw Self.wrong("it is no JSON Web Token with iss, sub, aud, exp and jti") }
    guard Self.algorithms.contains(header.alg) else {
      throw Self.wrong("alg is \(header.alg.prefix(16)); \(Self.algorithms.joined(separator: " and ")) are taken")
    }
    guard header.crit == nil else { throw Self.wrong("crit names extensions, of which none is known here") }
    guard let system = self.systems.first(where: { $0.id == said.iss }), said.sub == said.iss else {
      throw Self.wrong("iss and sub are to be the client_id of a system that fhir_systems in node.toml names")
    }
    guard said.aud.values.contains(where: { [self.place, endpoint].contains($0) }) else {
      throw Self.wrong("aud is to be \(self.place)")
    }
    let keys = JWTKeyCollection()
    do {
      let set = try Self.keys(in: system.keys)
      guard header.kid == nil || set.keys.contains(where: { $0.keyIdentifier?.string == header.kid }) else {
        throw Self.wrong("\(system.id) has no key with kid \(header.kid?.prefix(64) ?? "none")")
      }
      try await keys.add(jwks: set)
    } catch let refusal as Refusal { throw refusal } catch {
      throw Refusal(
        fault: .invalidClient, reason: "the keys of \(system.id) at this node are no JSON Web Key Set with kid and alg")
    }
    do { return (system, try await keys.verify(proof, as: Assertion.self)) } catch {
      throw Self.wrong("no key of \(system.id) with kid \(header.kid?.prefix(64) ?? "none") signed it")
    }
  }

  /// Why a file holds no keys of a system; nil where it does: public ones, each with its kid and an algorithm that is
  /// taken.
  public static func fault(inKeys path: String) -> String? {
    let taken = self.algorithms.joined(separator: " and ")
    guard let set = try? self.keys(in: path) else { return "\(path) is no JSON Web Key Set" }
    guard !set.keys.isEmpty else { return "\(path) holds no key" }
    for key in set.keys {
      guard let name = key.keyIdentifier?.string else { return "a key in \(path) has no kid" }
      guard key.privateExponent == nil else {
        return "the key \(name) in \(path) is private: with it others could ask as that system; give the public key"
      }
      guard let algorithm = key.algorithm?.rawValue, self.algorithms.contains(algorithm) else {
        return "the key \(name) in \(path) is for \(key.algorithm?.rawValue ?? "no alg"); \(taken) are taken"
      }
    }
    return nil
  }

  /// A file's keys, read again each time: an administrator replaces them while the node runs.
  private static func keys(in path: String) throws -> JWKS {
    let file = try FileHandle(forReadingFrom: URL(filePath: path))
    defer { try? file.close() }
    let bytes = try file.read(upToCount: self.keysBytesMax) ?? Data()
    return try JSONDecoder().decode(JWKS.self, from: bytes)
  }

  private static func json<Value: Decodable>(_ part: Substring, as type: Value.Type) -> Value? {
    var text = part.replacing("-", with: "+").replacing("_", with: "/")
    text += String(repeating: "=", count: (4 - text.count % 4) % 4)
    return Data(base64Encoded: String(text)).flatMap { try? JSONDecoder().decode(type, from: $0) }
  }

  private static func wrong(_ reason: String) -> Refusal { Refusal(fault: .invalidClient, reason: reason) }
  private static func digest(_ text: String) -> Digest { Hash.sha256(Array(text.utf8)) }
}
