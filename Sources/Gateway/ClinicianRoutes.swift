internal import Ledger
public import FHIR
internal import Foundation
internal import HealthRecords
internal import Hummingbird
internal import Messages
internal import NIOCore
internal import Primitives
internal import Rules
internal import Signing
internal import Wire

/// A patient of the hospital's own EHR, as a clinician looks for one.
public struct PatientFound: Codable, Sendable {
  /// The name.
  public var name: String
  /// The birth date, as FHIR has it.
  public var birthDate: String?
  /// The account on the ledger; nil where the EHR has linked none.
  public var account: String?
}

/// Where clinicians look for patients by the hospital's own names and numbers.
public struct PatientIndex: Sendable {
  private let service: FHIRService
  /// The most patients of one answer.
  private static let countMax = 20

  /// The patients of an EHR's store.
  public init(service: FHIRService) { self.service = service }

  /// Patients whose name begins with a text, or whose identifier it is.
  func patients(matching text: String, by clinician: Digest) async -> [PatientFound] {
    var found: [String: PatientFound] = [:]
    for parameter in ["name", "identifier"] {
      let query = [(name: parameter, value: text), (name: "_count", value: "\(Self.countMax)")]
      var request = FHIRRequest(method: "GET", path: ["Patient"], query: query, body: [])
      request.asker = FHIRAsker(account: clinician, scopes: .everything)
      let answer = await self.service.handle(request)
      guard answer.status == 200, let bytes = answer.body?.canonicalBytes,
        let bundle = try? JSONDecoder().decode(PatientBundle.self, from: Data(bytes))
      else { continue }
      for entry in bundle.entry ?? [] { found[entry.resource.id] = entry.resource.found }
    }
    return found.keys.sorted().prefix(Self.countMax).compactMap { found[$0] }
  }
}

/// What is read of a search's bundle.
private struct PatientBundle: Decodable {
  struct Entry: Decodable { let resource: Patient }
  struct Patient: Decodable {
    struct Name: Decodable {
      let text: String?
      let given: [String]?
      let family: String?
    }
    struct Identifier: Decodable {
      let system: String?
      let value: String?
    }
    let id: String
    let name: [Name]?
    let birthDate: String?
    let identifier: [Identifier]?

    var found: PatientFound {
      let name = self.name?.first
      let parts = (name?.given ?? []) + [name?.family].compactMap(\.self)
      return PatientFound(
        name: name?.text ?? (parts.isEmpty ? self.id : parts.joined(separator: " ")), birthDate: self.birthDate,
        account: self.identifier?.first { $0.system == "urn:consilium:account" }?.value)
    }
  }
  let entry: [Entry]?
}

/// What a clinician wrote, canonical, with its salt and the author's signature.
private struct NoteBody: Decodable {
  let patient: String
  let resource: String
  let salt: String
  let signature: String
}

/// The clinician's page: every question is signed by a practitioner whom this hospital registered.
extension PortalServer {
  /// The most bytes of what a clinician writes at once.
  private static let noteBytesMax = 256 << 10

  func clinician(
    _ request: Request, _ context: BasicRequestContext
  ) async throws -> (identifier: Digest, account: HealthRecords.Account) {
    let asker = try await self.asker(request, context)
    guard asker.account.kind == .practitioner, asker.account.hospital == self.service.member.id,
      asker.account.isActive(at: Timestamp(milliseconds: self.now()))
    else { throw ServiceRefusal.unauthorized("this is for practitioners whom this hospital registered") }
    return asker
  }

  func addClinicianRoutes(to router: Router<BasicRequestContext>) {
    let service = self.service
    router.get("/api/clinicians/{account}/patients") { request, context in
      let clinician = try await self.clinician(request, context).identifier
      let text = request.uri.queryParameters["search"].map { String($0).removingPercentEncoding ?? String($0) } ?? ""
      guard let patients = self.patients, !text.isEmpty else { return try json([PatientFound]()) }
      return try json(await patients.patients(matching: text, by: clinician))
    }
    router.post("/api/clinicians/{account}/emergency") { request, context in
      _ = try await self.clinician(request, context)
      let bytes = try await body(request, max: Int(service.genesis.limits.transactionBytesMax))
      let checked = try CheckedTransaction(bytes, index: 0, genesis: service.genesis, hospital: service.member.id)
      guard let signer = checked.signer else { throw ServiceRefusal.unauthorized("nobody signed the transaction") }
      // Sent again, it is answered again; nothing is written.
      if let receipt = await service.receipt(ofRequest: checked.identifier) {
        return try json(BrokenGlassView(.ordered(receipt)))
      }
      let glass = try await self.refused.submitting(checked, of: signer, to: service) {
        try await service.breakGlass(checked)
      }
      return try json(BrokenGlassView(glass))
    }
    router.post("/api/clinicians/{account}/notes") { request, context in
      let author = try await self.clinician(request, context)
      let bytes = try await body(request, max: Self.noteBytesMax)
      let receipt = try await self.refused.submitting(for: author.account.key) {
        try await self.anchor(bytes, by: author.identifier)
      }
      guard receipt.isApplied else { throw ServiceRefusal.badRequest(receipt.outcome.explanation) }
      return try json(ReceiptView(receipt))
    }
  }

  /// Seals and anchors what a clinician wrote and signed; what was signed is checked when the anchor is executed.
  private func anchor(_ bytes: [UInt8], by author: Digest) async throws -> Receipt {
    guard let note = try? JSONDecoder().decode(NoteBody.self, from: Data(bytes)),
      let patient = Hex.decode(note.patient).flatMap({ Digest($0) }), let salt = Hex.decode(note.salt),
      salt.count == HashLock.saltLengthBytes,
      let signature = Hex.decode(note.signature).flatMap({ Signature($0) })
    else { throw ServiceRefusal.badRequest("patient, resource, salt and signature are expected") }
    let resources: [FHIRResource]
    do { resources = try FHIRResource.read(Array(note.resource.utf8)) } catch {
      throw ServiceRefusal.badRequest("\(error)")
    }
    guard resources.count == 1, let resource = resources.first else {
      throw ServiceRefusal.badRequest("one resource is expected")
    }
    let draft = RecordDraft(
      resource, patient: patient, hospital: self.service.member.id, network: self.service.genesis.network,
      secrets: SealedRecord.Secrets(salt: salt, random: SecureRandom.bytes), supersedes: nil)
    let readers = try await self.service.readers(of: patient)
    guard let record = draft.seal(to: readers, author: author, signature: signature) else {
      throw ServiceRefusal.badRequest("it is too large, or the patient's key is none")
    }
    let receipts = try await self.service.anchor([AnchoredRecord(anchor: record.anchor, sealed: record.sealed)])
    guard let receipt = receipts.first else { throw ServiceRefusal.notOrderedYet }
    return receipt
  }
}
