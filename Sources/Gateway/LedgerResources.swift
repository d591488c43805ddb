internal import Signing
internal import Ledger
public import FHIR
internal import Foundation
public import HealthRecords
internal import Messages
public import Primitives

/// What the ledger says of a patient, as FHIR resources: consents as `Consent`, every access as `AuditEvent`.
public struct LedgerResources: LedgerViews {
  private let service: any NodeService
  private let readings: any ReadingLog

  /// Views of the ledger of a node, and of who read in the hospital's own store.
  public init(service: any NodeService, readings: any ReadingLog) {
    (self.service, self.readings) = (service, readings)
  }

  /// By what right a record was erased; nil where it is not.
  public func erasure(of record: Digest) async -> Erasure? { await self.service.record(record)?.erasure }

  /// An account's consents.
  public func consents(of account: Digest, patient: String) async -> [CanonicalJSON] {
    await self.service.consents(of: account).map { Self.consent(ConsentView($0.identifier, $0.entry), patient) }
  }

  /// Who read of an account, when and why, or was refused, as the ledger has it, and who was shown anything of it by
  /// this hospital's own store: a page, the newest first, and how many there are. ⚑ Nothing is left out of all pages.
  public func accesses(
    of account: Digest, patient: String, skipping offset: Int, countMax: Int
  ) async throws -> (total: Int, page: [CanonicalJSON]) {
    let length = self.readings.intervalMilliseconds
    let ledger = Dictionary(grouping: await self.service.history(of: account)) { $0.entry.time.milliseconds / length }
    let counts = Dictionary(
      uniqueKeysWithValues: try await self.readings.counts(of: account).map { ($0.interval, $0.count) })
    func count(_ interval: UInt64) -> Int { (ledger[interval]?.count ?? 0) + (counts[interval] ?? 0) }
    let intervals = Set(ledger.keys).union(counts.keys).sorted(by: >)
    let total = intervals.reduce(0) { $0 + count($1) }
    var (skipped, page): (Int, [CanonicalJSON]) = (offset, [])
    for interval in intervals where page.count < countMax {
      guard skipped < count(interval) else {
        skipped -= count(interval)
        continue
      }
      var all: [(time: Timestamp, resource: () -> CanonicalJSON)] = []
      for line in ledger[interval] ?? [] {
        all.append((line.entry.time, { self.audit(AccessView(leaf: line.leaf, line.entry), patient) }))
      }
      let local = try await self.lines(of: account, in: interval)
      for line in local {
        all.append((line.time, { self.audit(line, patient) }))
      }
      let sorted = all.enumerated().sorted { ($0.element.time, $0.offset) > ($1.element.time, $1.offset) }
      for one in sorted.dropFirst(skipped).prefix(countMax - page.count) { page.append(one.element.resource()) }
      skipped = 0
    }
    return (total, page)
  }

  /// The most lines of the local log that are read at once.
  private static let linesMax = 10_000

  private func lines(of account: Digest, in interval: UInt64) async throws -> [LocalReading] {
    var question = ReadingQuestion(countMax: Self.linesMax)
    question.from = Timestamp(milliseconds: interval * self.readings.intervalMilliseconds)
    question.until = question.from
    var lines: [LocalReading] = []
    repeat {
      let page = try await self.readings.readings(of: account, question)
      lines += page.lines
      question.after = page.next
    } while question.after != nil
    return lines
  }

  /// Who anchored what, newest first: the author's own signature where a person signed, and the proof that the anchor
  /// stands in the log under a tree head that a quorum signed.
  public func provenance(
    of account: Digest, names: [String: String], skipping offset: Int, countMax: Int
  ) async -> (total: Int, page: [CanonicalJSON]) {
    let records = await self.service.records(of: account)
    var page: [CanonicalJSON] = []
    for entry in records.reversed().dropFirst(offset).prefix(countMax) {
      let proof = try? await self.service.proof(entry.leaf)
      page.append(self.provenance(of: entry, named: names["\(entry.anchor.record)"], proof))
    }
    return (records.count, page)
  }

  private func provenance(
    of entry: RecordEntry, named name: String?, _ proof: ProofView?
  ) -> CanonicalJSON {
    let record = Self.identified("urn:consilium:record", "\(entry.anchor.record)", reference: name)
    let hospital = Self.identified("urn:consilium:member", "\(entry.hospital.number)")
    let author = entry.anchor.author.map { Self.identified("urn:consilium:account", "\($0)") }
    var signatures: [CanonicalJSON] = []
    if let signature = entry.anchor.authorSignature {
      signatures.append(
        Self.signature(
          "1.2.840.10065.1.12.1.1", entry, by: author ?? hospital, "application/octet-stream", signature.bytes))
    }
    if let proof, let data = try? JSONEncoder().encode(proof) {
      signatures.append(
        Self.signature("1.2.840.10065.1.12.1.5", entry, by: hospital, "application/json", Array(data)))
    }
    return .members([
      ("resourceType", .string("Provenance")), ("id", .string("\(entry.leaf)")), ("target", .array([record])),
      ("recorded", .string("\(entry.time)")),
      (
        "activity",
        Self.concept(
          "http://terminology.hl7.org/CodeSystem/v3-DataOperation", entry.anchor.supersedes == nil ? "CREATE" : "UPDATE"
        )
      ),
      (
        "agent",
        .array(
          [author.map { Self.agent("author", $0) }, Self.agent("custodian", hospital)].compactMap(\.self))
      ),
      (
        "entity",
        entry.anchor.supersedes.map { before in
          .array([
            .members([
              ("role", .string("revision")), ("what", Self.identified("urn:consilium:record", "\(before)")),
            ])
          ])
        }
      ), ("signature", signatures.isEmpty ? nil : .array(signatures)),
    ])
  }

  private static func agent(_ role: String, _ who: CanonicalJSON) -> CanonicalJSON {
    .members([
      (
        "type", self.concept("http://terminology.hl7.org/CodeSystem/provenance-participant-type", role)
      ), ("who", who),
    ])
  }

  private static func identified(_ system: String, _ value: String, reference: String? = nil) -> CanonicalJSON {
    .members([
      ("reference", reference.map { .string($0) }),
      ("identifier", .members([("system", .string(system)), ("value", .string(value))])),
    ])
  }

  private static func signature(
    _ type: String, _ entry: RecordEntry, by who: CanonicalJSON, _ format: String, _ data: [UInt8]
  ) -> CanonicalJSON {
    .members([
      ("type", .array([self.coding("urn:iso-astm:E1762-95:2013", type)])), ("when", .string("\(entry.time)")),
      ("who", who), ("sigFormat", .string(format)), ("data", .string(Base64.encode(data))),
    ])
  }

  private static func consent(_ view: ConsentView, _ patient: String) -> CanonicalJSON {
    .members([
      ("resourceType", .string("Consent")), ("id", .string(view.consent)),
      ("status", .string(view.revoked == nil ? "active" : "inactive")),
      ("scope", self.concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy")),
      ("category", .array([self.concept("http://loinc.org", "59284-0")])),
      ("patient", .members([("reference", .string("Patient/\(patient)"))])),
      ("dateTime", .string(view.from)),
      ("policyRule", self.concept("http://terminology.hl7.org/CodeSystem/consentpolicycodes", "hipaa-auth")),
      (
        "provision",
        .members([
          ("type", .string(view.kind == "denial" ? "deny" : "permit")),
          ("period", .members([("start", .string(view.from)), ("end", self.end(of: view).map { .string($0) })])),
          (
            "actor",
            .array([
              .members([
                ("role", self.concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP")),
                ("reference", .members([("display", .string(view.grantee))])),
              ])
            ])
          ),
          (
            "purpose",
            view.purposes.isEmpty ? nil : .array(view.purposes.map { self.coding(self.purposeSystem, $0) })
          ),
          ("code", .array([.members([("text", .string(view.scope))])])),
        ])
      ),
    ])
  }

  /// When it ended, or will; nil for never.
  private static func end(of view: ConsentView) -> String? {
    view.revoked ?? (view.until == Timestamp.never.description ? nil : view.until)
  }

  /// IHE Basic Audit Log Patterns, PatientRead: reading is a request that stands on the ledger.
  private func audit(_ view: AccessView, _ patient: String) -> CanonicalJSON {
    let site = self.service.member.name
    return .members([
      ("resourceType", .string("AuditEvent")), ("id", .string("\(view.leaf)")),
      (
        "meta",
        .members([
          (
            "profile",
            .array([.string("https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientRead")])
          )
        ])
      ),
      ("type", Self.coding("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest")),
      ("subtype", .array([Self.coding("http://hl7.org/fhir/restful-interaction", "read")])),
      ("action", .string("R")), ("recorded", .string(view.time)), ("outcome", .string(view.granted ? "0" : "4")),
      ("outcomeDesc", .string(view.outcome)),
      (
        "purposeOfEvent",
        view.purpose.isEmpty
          ? nil
          : .array(view.purpose.split(separator: ",").map { Self.concept(Self.purposeSystem, String($0)) })
      ),
      (
        "agent",
        .array([
          Self.agent("110152", "urn:consilium:account", view.reader, "at hospital \(view.hospital)", isRequestor: true),
          Self.agent("110153", "urn:consilium:member", "\(self.service.member.id.number)", site, isRequestor: false),
        ])
      ),
      (
        "source",
        .members([
          ("site", .string(site)), ("observer", .members([("display", .string(site))])),
          ("type", .array([Self.coding("http://terminology.hl7.org/CodeSystem/security-source-type", "4")])),
        ])
      ),
      (
        "entity",
        .array(
          [
            Self.entity(
              .members([("reference", .string("Patient/\(patient)"))]), type: "1", role: "1",
              "http://terminology.hl7.org/CodeSystem/audit-entity-type")
          ]
            + view.records.map { record in
              Self.entity(
                .members([
                  (
                    "identifier",
                    .members([("system", .string("urn:consilium:record")), ("value", .string(record))])
                  )
                ]), type: "2", role: "4", "http://terminology.hl7.org/CodeSystem/audit-entity-type")
            })
      ),
    ])
  }

  /// IHE Basic Audit Log Patterns, PatientRead or PatientQuery: what this hospital's own store showed, once for all
  /// such requests of an interval.
  private func audit(_ reading: LocalReading, _ patient: String) -> CanonicalJSON {
    let isQuery = reading.interaction == .search || reading.interaction == .everything
    let site = self.service.member.name
    let name = Hash.sha256(
      reading.patient.bytes, (reading.reader ?? .zero).bytes,
      Array("\(reading.client ?? "") \(reading.interaction.rawValue) \(reading.time.milliseconds)".utf8))
    let interval = self.readings.intervalMilliseconds
    let end = Timestamp(milliseconds: (reading.time.milliseconds / interval + 1) * interval)
    let app = reading.client.map { ", by the app \($0)" } ?? ""
    let here = "\(self.service.member.id.number)"
    let unknown = Self.unknown(reading.interaction)
    let isReadable = unknown == nil
    let nobody = Self.agent("110152", "urn:consilium:member", here, "who it was is not known", isRequestor: true)
    let who =
      !isReadable
      ? nobody
      : reading.reader.map {
        Self.agent("110152", "urn:consilium:account", "\($0)", "at hospital \(here)\(app)", isRequestor: true)
      } ?? Self.agent("110152", "urn:consilium:member", here, "the hospital's own system", isRequestor: true)
    let profile = isQuery ? "PatientQuery" : "PatientRead"
    let system = "http://hl7.org/fhir/restful-interaction"
    let types = CanonicalJSON.members([("display", .string(reading.types.joined(separator: ", ")))])
    var shown = Self.entity(types, type: "2", role: isQuery ? "24" : "4", Self.entitySystem)
    shown = shown.setting("query", isQuery ? .string(Base64.encode(Array(reading.question.utf8))) : nil)
    return .members([
      ("resourceType", .string("AuditEvent")), ("id", .string("local-\(name.description.prefix(32))")),
      (
        "meta",
        .members([
          (
            "profile",
            .array([.string("https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.\(profile)")])
          )
        ])
      ),
      ("type", Self.coding("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest")),
      (
        "subtype",
        isReadable
          ? .array([Self.coding(system, reading.interaction == .everything ? "operation" : reading.interaction.name)])
          : nil
      ),
      ("action", .string(isQuery ? "E" : "R")),
      (
        "period", .members([("start", .string("\(reading.time)")), ("end", .string("\(end)"))])
      ),
      ("recorded", .string("\(reading.time)")), ("outcome", .string("0")),
      (
        "outcomeDesc",
        .string(
          unknown ?? "shown by the hospital's own store, once or several times until the period's end")
      ),
      (
        "agent",
        .array([who, Self.agent("110153", "urn:consilium:member", here, site, isRequestor: false)])
      ),
      ("source", Self.source(site)),
      (
        "entity",
        .array([
          Self.entity(
            .members([("reference", .string("Patient/\(patient)"))]), type: "1", role: "1", Self.entitySystem), shown,
        ])
      ),
    ])
  }

  /// What a line says that tells of no reading; nil of one that does.
  private static func unknown(_ interaction: LocalReading.Interaction) -> String? {
    switch interaction {
    case .unreadable: "this line of the hospital's own log cannot be read any more"
    case .lost: "lines of the hospital's own log from before this time may be lost; the hospital went on without them"
    case .read, .history, .search, .everything: nil
    }
  }

  private static let entitySystem = "http://terminology.hl7.org/CodeSystem/audit-entity-type"

  private static func source(_ site: String) -> CanonicalJSON {
    .members([
      ("site", .string(site)), ("observer", .members([("display", .string(site))])),
      ("type", .array([self.coding("http://terminology.hl7.org/CodeSystem/security-source-type", "4")])),
    ])
  }

  private static let purposeSystem = "http://terminology.hl7.org/CodeSystem/v3-ActReason"

  private static func coding(_ system: String, _ code: String) -> CanonicalJSON {
    .members([("system", .string(system)), ("code", .string(code))])
  }

  private static func concept(_ system: String, _ code: String) -> CanonicalJSON {
    .members([("coding", .array([self.coding(system, code)]))])
  }

  private static func agent(
    _ role: String, _ system: String, _ who: String, _ display: String, isRequestor: Bool
  ) -> CanonicalJSON {
    .members([
      ("type", self.concept("http://dicom.nema.org/resources/ontology/DCM", role)),
      (
        "who",
        .members([
          ("identifier", .members([("system", .string(system)), ("value", .string(who))])),
          ("display", .string(display)),
        ])
      ),
      ("requestor", .bool(isRequestor)),
    ])
  }

  private static func entity(
    _ what: CanonicalJSON, type: String, role: String, _ system: String
  ) -> CanonicalJSON {
    .members([
      ("what", what), ("type", self.coding(system, type)),
      ("role", self.coding("http://terminology.hl7.org/CodeSystem/object-role", role)),
    ])
  }
}
