// What the tests of the doors have in common: a practitioner with a key, and records.
import Foundation
import Gateway
import HealthRecords
import Ledger
import Messages
import Primitives
import Rules
import Signing
import Testing
import Wire

/// What a practitioner asks for at the doors.
struct Practitioner {
  let hospital: LoneHospital
  let seed: [UInt8]
  let account: Digest

  init(_ number: UInt8, at hospital: LoneHospital) async throws {
    (self.hospital, self.seed) = (hospital, [UInt8](repeating: number, count: 32))
    self.account = try await hospital.register(.practitioner, seed: self.seed)
  }

  /// Posts to a path of the own ones on the portal.
  func post(_ name: String, _ body: [UInt8]) async -> Connection.Answer? {
    let path = "/api/clinicians/\(self.account)/\(name)"
    let proof = self.hospital.proof(self.account, seed: self.seed, path: path)
    return await Connection.ask(.port(self.hospital.port), "POST", path, ["Authorization": proof], body: body)
  }

  /// What breaks the glass to a record, valid from now for a time.
  func glass(_ patient: Digest, _ record: Digest, valid: UInt64 = 200_000) -> [UInt8] {
    Transaction(
      kind: TransactionKind.breakGlass.rawValue, hospital: LoneHospital.id,
      validUntil: LoneHospital.now.adding(milliseconds: valid),
      nonce: SecureRandom.bytes(Transaction.nonceLengthBytes),
      payload: Self.request(patient, record, purpose: .emergency, reason: 1).encoded,
      network: self.hospital.genesis.network, signedBy: LoneHospital.key(self.seed)
    ).encoded
  }

  /// Opens a session for the hospital's EHR.
  func open() async throws -> Connection.Answer? {
    let api = Connection.Place.socket(self.hospital.socket)
    let keys = try #require(await Connection.ask(api, "POST", "/v1/sessions/keys"))
    let view = try JSONDecoder().decode(SessionView.self, from: Data(keys.body))
    let key = try #require(view.key.flatMap { Hex.decode($0) }.flatMap { PublicKey($0) })
    let word = try #require(view.possession.flatMap { Hex.decode($0) }.flatMap { Signature($0) })
    let opening = SessionOpening(key: key, until: LoneHospital.now.adding(milliseconds: 3_600_000))
    let proven = Proven(opening, proof: self.hospital.isSecond ? word : nil)
    let made = self.hospital.transaction(.openSession, proven, by: self.seed)
    return await Connection.ask(api, "POST", "/v1/sessions", body: made.encoded)
  }

  /// The token of a session that is opened now.
  func token() async throws -> String {
    let opened = try #require(try await self.open())
    return try #require(try JSONDecoder().decode(SessionView.self, from: Data(opened.body)).token)
  }

  /// Reads a record by FHIR.
  func read(_ record: Digest, _ token: String) async -> Int? {
    await Connection.ask(
      .port(self.hospital.port + 1), "GET", "/fhir/Binary/\(record)", ["Authorization": "Bearer \(token)"])?.status
  }

  /// The portal's answer to a question of the own ones.
  func get(_ path: String) async -> Connection.Answer? {
    await Connection.ask(
      .port(self.hospital.port), "GET", path,
      ["Authorization": self.hospital.proof(self.account, seed: self.seed, path: path)])
  }

  /// What asks for a record.
  static func request(
    _ patient: Digest, _ record: Digest, purpose: Purposes = .treatment, reason: UInt16 = 0
  ) -> AccessRequest {
    AccessRequest(patient: patient, records: [record], purpose: purpose, reason: reason, ephemeralKey: .zero)
  }
}

extension LoneHospital {
  /// Anchors a record of a category, of which there is no content.
  func anchor(
    _ patient: Digest, _ category: RecordCategory, supersedes: Digest? = nil
  ) async throws -> Digest {
    let lock = Hash.sha256([category.rawValue])
    let record = RecordAnchor.identifier(
      network: self.genesis.network, hospital: Self.id, patient: patient, hashLock: lock)
    let anchor = RecordAnchor(
      record: record, patient: patient, author: nil, category: category, hashLock: lock, address: .zero,
      sizeBytes: 1, capsule: .zero, patientCopy: .zero, supersedes: supersedes, authorSignature: nil)
    let anchoring = Transaction(
      kind: TransactionKind.anchorRecord.rawValue, hospital: Self.id,
      validUntil: Self.now.adding(milliseconds: 200_000), nonce: SecureRandom.bytes(Transaction.nonceLengthBytes),
      payload: anchor.encoded)
    #expect(try await self.submit([anchoring]).first?.outcome == .applied)
    return record
  }
}
