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
  /// FHIR's code of the sex; nil where the EHR has none.
  public var sex: String?
  /// The hospital's own numbers of the patient, at most three.
  public var numbers: [String]
  /// The account on the ledger; nil where the EHR has linked none.
  public var account: String?
}

/// Where clinicians look for patients by the hospital's own names and numbers.
public struct PatientIndex: Sendable {
  private let service: FHIRService
  /// The most patients of one answer.
  private static let countMax = 20
  /// The most words of one search.
  private static let wordsMax = 8

  /// The patients of an EHR's store.
  public init(service: FHIRService) { self.service = service }

  /// Patients whose name has every word of a text, and who were born on a day that it names; or whose identifier it is.
  ///
  /// - Throws: `ServiceRefusal.failed` where the store cannot tell. ⚑ Silence would say that there is nobody.
  func patients(
    matching text: String, by clinician: Digest
  ) async throws(ServiceRefusal) -> [PatientFound] {
    var found: [String: PatientFound] = [:]
    let asker = FHIRAsker(account: clinician, scopes: .everything)
    for query in [Self.words(of: text), [(name: "identifier", value: text)]] where !query.isEmpty {
      let bundle: SearchBundle<Patient>? = try await self.found("Patient", query, by: asker)
      for entry in bundle?.entry ?? [] {
        // The one link that everything written goes by: what else the identifiers say is for people.
        let account = await self.service.account(ofPatient: entry.resource.id)
        found[entry.resource.id] = entry.resource.found(account: account)
      }
    }
    return found.keys.sorted().prefix(Self.countMax).compactMap { found[$0] }
  }

  /// The patient of an id here, as the EHR has that one; nil where there is none.
  ///
  /// - Throws: `ServiceRefusal.failed` where the store cannot tell.
  func patient(_ id: String, by clinician: Digest) async throws(ServiceRefusal) -> PatientFound? {
    let asker = FHIRAsker(account: clinician, scopes: .everything)
    let bundle: SearchBundle<Patient>? = try await self.found("Patient", [(name: "_id", value: id)], by: asker)
    guard let patient = bundle?.entry?.first?.resource else { return nil }
    return patient.found(account: await self.service.account(ofPatient: id))
  }

  /// The name of the practitioner whose account it is; nil where the hospital's store has none.
  func practitioner(_ account: Digest) async -> String? {
    let query = [(name: "identifier", value: "urn:consilium:account|\(account)")]
    let bundle: SearchBundle<Practitioner>? = try? await self.found("Practitioner", query, by: .system)
    return bundle?.entry?.lazy.compactMap { HumanName.best(of: $0.resource.name)?.titled }.first
  }

  private func found<Resource: Decodable>(
    _ type: String, _ query: [(name: String, value: String)], by asker: FHIRAsker
  ) async throws(ServiceRefusal) -> SearchBundle<Resource>? {
    let counted = query + [(name: "_count", value: "\(Self.countMax)")]
    var request = FHIRRequest(method: "GET", path: [type], query: counted, body: [])
    request.asker = asker
    let answer = await self.service.handle(request)
    guard answer.status < 500 else {
      let why = answer.body?["issue"]?.items?.first?["diagnostics"]?.text ?? "status \(answer.status)"
      throw .failed("the hospital's patients cannot be searched: \(why)")
    }
    guard answer.status == 200, let bytes = answer.body?.canonicalBytes else { return nil }
    return try? JSONDecoder().decode(SearchBundle<Resource>.self, from: Data(bytes))
  }

  /// What a text asks of names and birth dates, as a search: `Hoeger, Chet 1988-09-05`, in any order.
  static func words(of text: String) -> [(name: String, value: String)] {
    text.split { $0.isWhitespace || $0 == "," || $0 == ";" }.prefix(Self.wordsMax).map { word in
      if let day = Self.day(of: word) { return (name: "birthdate", value: day) }
      return (name: "name:contains", value: String(word))
    }
  }

  /// A day that is written 1988-09-05 or 5.9.1988, as FHIR has it.
  private static func day(of word: Substring) -> String? {
    let parts = word.split(whereSeparator: { $0 == "-" || $0 == "." }).map { Int($0) ?? 0 }
    guard parts.count == 3, word.allSatisfy({ $0.isNumber || $0 == "-" || $0 == "." }) else { return nil }
    let (year, month, day) = word.contains("-") ? (parts[0], parts[1], parts[2]) : (parts[2], parts[1], parts[0])
    guard (1...9999).contains(year), (1...12).contains(month), (1...31).contains(day) else { return nil }
    return "\(Self.digits(year, 4))-\(Self.digits(month, 2))-\(Self.digits(day, 2))"
  }

  private static func digits(_ number: Int, _ count: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, count - text.count)) + text
  }
}

/// What is read of a search's bundle.
private struct SearchBundle<Resource: Decodable>: Decodable {
  struct Entry: Decodable { let resource: Resource }
  let entry: [Entry]?
}

/// A person's name, as FHIR has it.
private struct HumanName: Decodable {
  let use: String?
  let text: String?
  let prefix: [String]?
  let given: [String]?
  let family: String?
  let suffix: [String]?

  /// Written in one piece, where that has the family name: a nickname alone is nobody's.
  private var whole: String? {
    guard let text = self.text, !text.allSatisfy(\.isWhitespace) else { return nil }
    return text.lowercased().contains(self.family?.lowercased() ?? "") || self.family == nil ? text : nil
  }
  /// All of it, without titles; nil where it has no word. The pages name people alike (parts.js).
  var plain: String? {
    let parts = ((self.given ?? []) + [self.family].compactMap(\.self) + (self.suffix ?? [])).filter { !$0.isEmpty }
    return self.whole ?? (parts.isEmpty ? self.text : parts.joined(separator: " "))
  }
  /// With titles.
  var titled: String? {
    self.whole ?? self.plain.map { ((self.prefix ?? []) + [$0]).joined(separator: " ") }
  }

  /// The official one, else the usual one, else one that is not of former times.
  static func best(of names: [HumanName]?) -> HumanName? {
    let names = names ?? []
    let preferred = ["official", "usual"].lazy.compactMap { use in names.first { $0.use == use } }.first
    return preferred ?? names.first { $0.use != "old" && $0.use != "maiden" } ?? names.first
  }
}

/// A number by which a hospital knows somebody.
private struct Identifier: Decodable {
  struct Kind: Decodable {
    struct Coding: Decodable {
      let code: String?
      let display: String?
    }
    let text: String?
    let coding: [Coding]?
  }
  let system: String?
  let value: String?
  let type: Kind?
  let use: String?

  /// The number after what it is; nil where it is the ledger's own, or of former times.
  var words: String? {
    guard let value = self.value, !value.isEmpty, self.use != "old",
      self.system?.hasPrefix("urn:consilium:") != true
    else { return nil }
    let kind = self.type?.text ?? self.type?.coding?.lazy.compactMap { $0.display ?? $0.code }.first
    return [kind, value].compactMap(\.self).joined(separator: " ")
  }
}

private struct Patient: Decodable {
  let id: String
  let name: [HumanName]?
  let birthDate: String?
  let gender: String?
  let identifier: [Identifier]?
  /// As many numbers as the head of a chart has room for.
  private static let numbersMax = 3

  func found(account: Digest?) -> PatientFound {
    let numbers = (self.identifier ?? []).lazy.compactMap(\.words).prefix(Self.numbersMax)
    return PatientFound(
      name: HumanName.best(of: self.name)?.plain ?? self.id, birthDate: self.birthDate, sex: self.gender,
      numbers: Array(numbers), account: account?.description)
  }
}

private struct Practitioner: Decodable { let name: [HumanName]? }

/// What a clinician wrote, canonical, with its salt and the author's signature.
private struct NoteBody: Decodable {
  let patient: String
  let resource: String
  let salt: String
  let signature: String
  /// The record that it corrects, stops or withdraws; nil where it is new.
  let supersedes: String?
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
      if let trouble = self.patientsTrouble {
        throw ServiceRefusal.failed("the hospital's patients cannot be searched: \(trouble)")
      }
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
      // Sent again, because its answer was lost, it is there already: the page is told so.
      guard receipt.isApplied || receipt.outcome.number == Refusal.recordExists.rawValue else {
        throw ServiceRefusal.badRequest(receipt.outcome.explanation)
      }
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
    let supersedes = note.supersedes.flatMap { Hex.decode($0) }.flatMap { Digest($0) }
    guard (supersedes == nil) == (note.supersedes == nil) else {
      throw ServiceRefusal.badRequest("supersedes is a record's identifier")
    }
    if let supersedes, await self.service.record(supersedes)?.anchor.author != author {
      throw ServiceRefusal.badRequest("a record is corrected, stopped and withdrawn by its author only")
    }
    let resources: [FHIRResource]
    do { resources = try FHIRResource.read(Array(note.resource.utf8)) } catch {
      throw ServiceRefusal.badRequest("\(error)")
    }
    guard resources.count == 1, let resource = resources.first else {
      throw ServiceRefusal.badRequest("one resource is expected")
    }
    let draft = RecordDraft(
      resource, patient: patient, hospital: self.service.member.id, network: self.service.genesis.network,
      secrets: SealedRecord.Secrets(salt: salt, random: SecureRandom.bytes), supersedes: supersedes)
    let readers = try await self.service.readers(of: patient)
    guard let record = draft.seal(to: readers, author: author, signature: signature) else {
      throw ServiceRefusal.badRequest("it is too large, or the patient's key is none")
    }
    let receipts = try await self.service.anchor([AnchoredRecord(anchor: record.anchor, sealed: record.sealed)])
    guard let receipt = receipts.first else { throw ServiceRefusal.notOrderedYet(why: NodeStatus.busy) }
    return receipt
  }
}
