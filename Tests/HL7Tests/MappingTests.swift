// Goal: what a message says becomes the FHIR resources that HL7's own mapping has, loses nothing, and passes the
// standard's definitions. Method: messages by hand, and other people's samples, held against the validator.
@testable import FHIR
import Foundation
import HL7
import HealthRecords
import Testing

/// Other people's messages.
enum OtherMessages {
  static let files: [URL] = {
    let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Vectors/hl7v2")
    return ((try? FileManager.default.contentsOfDirectory(at: root, includingPropertiesForKeys: nil)) ?? [])
      .filter { $0.pathExtension == "hl7" }
  }()
}

@Suite("HL7 v2 to FHIR")
struct MappingTests {
  static let source = MessageSource(
    id: "adt", application: "ADT", facility: "NORTH", systems: ["MRN": "http://north.example/mrn"]
  ) { _ in 60 }

  /// The resources of a message, over what is there; each passes the standard's definitions.
  static func resources(
    _ bytes: [UInt8], over held: [ResourceKey: HeldResource] = [:], people: [String: HeldResource] = [:]
  ) throws -> [MappedResource] {
    let message = try Message(bytes)
    let found = try Mapping(message, try Header(message), Self.source).resources(
      over: HeldResources(held, people: people))
    for one in found { #expect(Validation.faults(of: one.json, type: one.key.type) == [], "\(one.key)") }
    return found
  }

  static func fault(_ bytes: [UInt8]) -> HL7Fault? {
    do {
      _ = try Self.resources(bytes)
      return nil
    } catch { return error as? HL7Fault }
  }

  /// The same as they are held after they were written.
  private static func held(_ resources: [MappedResource]) -> [ResourceKey: HeldResource] {
    var ids: [String: String] = [:]
    for (number, one) in resources.enumerated() { ids[one.fullUrl] = "\(one.key.type)/id\(number)" }
    var held: [ResourceKey: HeldResource] = [:]
    for (number, one) in resources.enumerated() {
      var text = String(decoding: one.json.canonicalBytes, as: UTF8.self)
      for (url, name) in ids { text = text.replacing(url, with: name) }
      if let json = try? CanonicalJSON(Array(text.utf8)) { held[one.key] = HeldResource(id: "id\(number)", json: json) }
    }
    return held
  }

  static func text(_ json: CanonicalJSON?, _ path: String...) -> String? {
    var value = json
    for step in path {
      if let number = Int(step) { value = value?.items?.dropFirst(number).first } else { value = value?[step] }
    }
    return value?.text
  }

  @Test("An admission makes the patient and the visit")
  func admission() throws {
    let found = try Self.resources(Sample.admission)
    #expect(found.map(\.key.type) == ["Patient", "Encounter"])
    #expect(found[0].key.system == "http://north.example/mrn" && found[0].key.value == "4711")
    let patient = found[0].json
    #expect(Self.text(patient, "name", "0", "family") == "Müller")
    #expect(patient["name"]?.items?[0]["given"] == .array([.string("Änne"), .string("Maria")]))
    #expect(Self.text(patient, "birthDate") == "1950-03-01")
    #expect(Self.text(patient, "gender") == "female")
    #expect(Self.text(patient, "address", "0", "postalCode") == "89073")
    #expect(patient["identifier"]?.items?.count == 2)
    #expect(Self.text(patient, "identifier", "1", "system") == "urn:consilium:hl7v2:adt:numbers:SSA")
    let visit = found[1].json
    #expect(Self.text(visit, "status") == "in-progress")
    #expect(Self.text(visit, "class", "code") == "IMP")
    #expect(Self.text(visit, "period", "start") == "2024-02-29T12:45:00+01:00")
    #expect(Self.text(visit, "subject", "reference") == found[0].fullUrl)
    #expect(Self.text(visit, "location", "0", "location", "display") == "3W, 12, A, NORTH")
    #expect(Self.text(visit, "participant", "0", "individual", "display") == "Dr. Anton Arzt")
    // What has no place in FHIR here is kept as it came.
    let kept = visit["extension"]?.items?.compactMap { $0["valueString"]?.text }
    #expect(kept == ["EVN|A01|20240229125900", "ZPI|1|walks with a stick"])
  }

  @Test("What is there and is not the message's stays: the account, the EHR's own elements, empty fields")
  func laidOver() throws {
    let first = try Self.resources(Sample.admission)
    var held = Self.held(first)
    let key = first[0].key
    let before = try #require(held[key])
    let account = CanonicalJSON.object([
      (name: "system", value: .string("urn:consilium:account")), (name: "value", value: .string("ab")),
    ])
    let known = before.json.setting("photo", .array([.members([("title", .string("p"))])]))
      .setting("identifier", .array((before.json["identifier"]?.items ?? []) + [account]))
    held[key] = HeldResource(id: before.id, json: known.setting("id", .string(before.id)))
    let again = try Self.resources(
      Sample.changed(
        Sample.changed(Sample.admission, "|F|||Hauptstr. 1^^Ulm^^89073^DE^H", "||||\"\""), "Müller", "Meier"),
      over: held)
    let patient = try #require(again.first { $0.key == key })
    #expect(!patient.isNew)
    #expect(patient.json["identifier"]?.items?.contains(account) == true)
    #expect(patient.json["identifier"]?.items?.count == 3)
    #expect(patient.json["photo"] != nil)
    #expect(Self.text(patient.json, "gender") == "female", "an empty field says nothing")
    #expect(patient.json["address"] == nil, "two quotation marks take away")
    #expect(Self.text(patient.json, "name", "0", "family") == "Meier")
    #expect(Self.text(patient.json, "id") == before.id)
  }

  @Test("A message that says what is there already writes nothing")
  func unchanged() throws {
    for message in [Sample.admission, Sample.results] {
      let first = try Self.resources(message)
      #expect(try Self.resources(message, over: Self.held(first)).isEmpty)
    }
  }

  @Test("A discharge ends the visit and keeps its start; taken back, it has no end; a cancelled admission is cancelled")
  func visitStates() throws {
    func event(_ name: String, _ bytes: [UInt8]) -> [UInt8] { Sample.changed(bytes, "ADT^A01^ADT_A01", "ADT^\(name)") }
    let first = try Self.resources(Sample.admission)
    let discharge = Sample.changed(event("A03", Sample.admission), "|20240229124500", "||20240305100000")
    let held = Self.held(first)
    let ended = try Self.resources(discharge, over: held)
    let visit = try #require(ended.first { $0.key.type == "Encounter" })
    #expect(Self.text(visit.json, "status") == "finished")
    #expect(Self.text(visit.json, "period", "start") == "2024-02-29T12:45:00+01:00")
    #expect(Self.text(visit.json, "period", "end") == "2024-03-05T10:00:00+01:00")
    var over = held
    over[visit.key] = HeldResource(id: "id1", json: visit.json)
    let back = try Self.resources(event("A13", Sample.admission), over: over).first { $0.key.type == "Encounter" }
    #expect(Self.text(back?.json, "status") == "in-progress")
    #expect(back?.json["period"]?["end"] == nil && back?.json["period"]?["start"] != nil)
    let cancelled = try Self.resources(event("A11", Sample.admission), over: held).last
    #expect(Self.text(cancelled?.json, "status") == "cancelled")
    // A correction says nothing of the state.
    let corrected = try Self.resources(event("A08", discharge), over: over)
    #expect(corrected.allSatisfy { Self.text($0.json, "status") ?? "finished" == "finished" })
    #expect(try Self.resources(event("A31", Sample.admission)).map(\.key.type) == ["Patient"])
  }

  @Test("What was kept of a segment stays until a message has that segment again")
  func keptBefore() throws {
    let head = "MSH|^~\\&|ADT|NORTH|||||ADT^A28|1|P|2.5\nPID|1||1^^^MRN^MR||A^B\n"
    func kept(_ resource: MappedResource?) -> [String?] {
      (resource?.json["extension"]?.items ?? []).compactMap { $0["valueString"]?.text }
    }
    let first = try Self.resources(Sample.bytes(head + "AL1|1||^Nuts\nZPI|1|stick"))
    #expect(kept(first.first) == ["AL1|1||^Nuts", "ZPI|1|stick"])
    let again = try Self.resources(Sample.bytes(head + "ZPI|1|chair"), over: Self.held(first))
    #expect(kept(again.first) == ["AL1|1||^Nuts", "ZPI|1|chair"])
    // By a visit's message the patient keeps what the visit has not.
    let visit = try Self.resources(
      Sample.bytes(head.replacing("A28", with: "A01").replacing("A^B", with: "C^B") + "PV1|1|I|||||||||||||||||7"),
      over: Self.held(first))
    #expect(kept(visit.first { $0.key.type == "Patient" }) == ["AL1|1||^Nuts", "ZPI|1|stick"])
  }

  @Test("A report that comes as a file is the report's form, and no observation")
  func reportFile() throws {
    let found = try Self.resources(
      Sample.bytes(
        "MSH|^~\\&|LAB|NORTH|||||ORU^R01|1|P|2.5\nPID|1||1^^^MRN^MR\nOBR|1||F-9|1^Report^L\n"
          + "OBX|1|ED|1^Letter^L||^application^pdf^Base64^AAAA||||||F\n"
          + "OBX|2|ED|1^Notes^L||^text^plain^A^a \\T\\ b||||||F"))
    #expect(found.map(\.key.type) == ["Patient", "DiagnosticReport"])
    let forms = found.last?.json["presentedForm"]
    #expect(Self.text(forms, "0", "contentType") == "application/pdf")
    #expect(Self.text(forms, "0", "title") == "Letter")
    #expect(Self.text(forms, "1", "data") == "YSAmIGI=")
    #expect(found.last?.json["extension"] == nil)
  }

  @Test("No message names an account of the ledger, nor this program's other names")
  func foreignNames() throws {
    for system in ["urn:consilium:account", "URN:Consilium:account", "urn:consilium:hl7v2:message"] {
      let number = "ab^^^&\(system)&URI^MR"
      let found = try Self.resources(Sample.changed(Sample.admission, "999^^^SSA^SS", number))
      let systems = found[0].json["identifier"]?.items?.compactMap { $0["system"]?.text } ?? []
      #expect(!systems.contains { $0.lowercased() == system.lowercased() }, "\(systems)")
      let alone = try Self.resources(Sample.changed(Sample.admission, "4711^^^MRN^MR~999^^^SSA^SS", number))
      #expect(alone[0].key.system.hasPrefix("urn:consilium:hl7v2:adt:numbers:"))
    }
  }

  @Test("A merge keeps both charts, each leading to the other")
  func merge() throws {
    let found = try Self.resources(
      Sample.bytes("MSH|^~\\&|ADT|NORTH|||||ADT^A40|1|P|2.5\nPID|1||1^^^MRN^MR||A^B\nMRG|2^^^MRN^MR"))
    #expect(found.map(\.key.value) == ["1", "2"])
    #expect(Self.text(found[0].json, "link", "0", "type") == "replaces")
    #expect(Self.text(found[1].json, "link", "0", "type") == "replaced-by")
    #expect(Self.text(found[1].json, "link", "0", "other", "reference") == found[0].fullUrl)
    #expect(found[1].json["active"] == .bool(false))
    #expect(
      Self.fault(Sample.bytes("MSH|^~\\&|ADT|NORTH|||||ADT^A40|1|P|2.5\nPID|1||1^^^M^MR\nMRG|1^^^M^MR"))?.segment
        == "MRG")
  }

  @Test("A visit or a report of another patient is refused, unless that one's number was merged into this one's")
  func otherPatient() throws {
    let first = try Self.resources(Sample.admission)
    var held = Self.held(first)
    let other = Sample.changed(Sample.admission, "4711^^^MRN^MR", "4712^^^MRN^MR")
    let key = try #require(try Self.resources(other).first?.key)
    held[key] = HeldResource(id: "x", json: .members([("resourceType", .string("Patient")), ("id", .string("x"))]))
    #expect(throws: HL7Fault.self) { try Self.resources(other, over: held) }
    let link = CanonicalJSON.members([
      ("other", .members([("reference", .string("Patient/id0"))])), ("type", .string("replaces")),
    ])
    held[key] = HeldResource(
      id: "x",
      json: .members([("resourceType", .string("Patient")), ("id", .string("x")), ("link", .array([link]))]))
    held[first[0].key] = nil
    // ⚑ That one alone says so is no merge.
    #expect(throws: HL7Fault.self) { try Self.resources(other, over: held, people: ["Patient/id0": closed(false)]) }
    func closed(_ isIt: Bool) -> HeldResource {
      let back = CanonicalJSON.members([
        ("other", .members([("reference", .string("Patient/x"))])), ("type", .string("replaced-by")),
      ])
      return HeldResource(
        id: "id0",
        json: .members([
          ("resourceType", .string("Patient")), ("id", .string("id0")), ("link", .array([back])),
          ("active", .bool(!isIt)),
        ]))
    }
    let moved = try Self.resources(other, over: held, people: ["Patient/id0": closed(true)])
      .first { $0.key.type == "Encounter" }
    #expect(Self.text(moved?.json, "subject", "reference") == "Patient/x")
  }

  @Test("Results make a report and its observations; numbers keep their zeros, lines of a text are one")
  func results() throws {
    let found = try Self.resources(Sample.results)
    #expect(found.map(\.key.type) == ["Patient", "DiagnosticReport", "Observation", "Observation", "Observation"])
    let report = found[1].json
    #expect(Self.text(report, "status") == "final")
    #expect(Self.text(report, "code", "coding", "0", "system") == "http://loinc.org")
    #expect(report["result"]?.items?.count == 3)
    let hemoglobin = found[2].json
    #expect(hemoglobin["valueQuantity"]?["value"] == .number("13.40"))
    #expect(Self.text(hemoglobin, "valueQuantity", "system") == "http://unitsofmeasure.org")
    #expect(Self.text(hemoglobin, "referenceRange", "0", "text") == "12.0-16.0")
    #expect(Self.text(hemoglobin, "note", "0", "text") == "fasting\ntwice checked")
    #expect(Self.text(found[3].json, "valueQuantity", "comparator") == "<")
    #expect(Self.text(found[4].json, "valueString") == "first line\nsecond & last")
  }

  @Test("A corrected result meets the observation that it corrects, wherever it stands in the message")
  func corrected() throws {
    let first = Self.held(try Self.resources(Sample.results))
    let changed = try Self.resources(
      Sample.changed(
        Sample.changed(Sample.results, "OBX|1|NM", "OBX|7|NM"), "13.40|g/dL^^UCUM|12.0-16.0|N|||F",
        "13.9|g/dL^^UCUM|12.0-16.0|N|||C"),
      over: first)
    #expect(changed.map(\.key.type) == ["Observation"])
    #expect(Self.text(changed.first?.json, "status") == "corrected")
    // Of one who is there, what results say of the person changes nothing.
    let other = try Self.resources(Sample.changed(Sample.results, "MRN^MR\r", "MRN^MR||Other^Name\r"), over: first)
    #expect(other.isEmpty)
  }

  @Test("A vaccination, a document and an appointment")
  func others() throws {
    let head = "MSH|^~\\&|ADT|NORTH|||20240101||TYPE|1|P|2.5\nPID|1||1^^^MRN^MR\n"
    func found(_ type: String, _ rest: String) throws -> CanonicalJSON? {
      try Self.resources(Sample.bytes(head.replacing("TYPE", with: type) + rest)).last?.json
    }
    let vaccination = try found(
      "VXU^V04",
      "ORC|RE||65930\nRXA|0|1|20240110||08^HepB^CVX|0.5|mL^^UCUM||||||||L1|20250101|MSD^Merck^MVX|||CP|A\nRXR|IM")
    #expect(Self.text(vaccination, "vaccineCode", "coding", "0", "code") == "08")
    #expect(Self.text(vaccination, "status") == "completed")
    #expect(vaccination?["doseQuantity"]?["value"] == .number("0.5"))
    let document = try found(
      "MDM^T02",
      "TXA|1|DS^Discharge^L|TX|20240110||||||||D-1|||||AU\nOBX|1|TX|x||line\nOBX|2|ED|y||^application^pdf^Base64^AAAA"
    )
    #expect(Self.text(document, "content", "1", "attachment", "contentType") == "application/pdf")
    #expect(Self.text(document, "docStatus") == "final")
    let appointment = try found(
      "SIU^S12", "SCH|1|S-1|||||R^Reason^L||||^^^20240401100000^20240401103000||||||||||||||Booked")
    #expect(Self.text(appointment, "start") == "2024-04-01T10:00:00+01:00")
    #expect(Self.text(appointment, "status") == "booked")
    let cancelled = try found("SIU^S15", "SCH|1|S-1")
    #expect(Self.text(cancelled, "status") == "cancelled")
  }

  @Test(
    "What cannot be understood is refused, with the segment and the field",
    arguments: [
      ("ADT^A01^ADT_A01", "ORM^O01", "MSH-9", 200), ("ADT^A01^ADT_A01", "ADT^A99", "MSH-9", 201),
      ("4711^^^MRN^MR~999^^^SSA^SS", "", "PID-3", 101), ("4711^^^MRN^MR~999^^^SSA^SS", "1^^^A^X~2^^^B^Y", "PID-3", 204),
      ("19500301", "19500231", "PID-7", 102), ("|F|", "|Q|", "PID-8", 103), ("V-9^^^VISIT", "", "PV1-19", 101),
      ("PV1|", "ZV1|", "PV1", 100), ("PID|", "ZID|", "PID", 100), ("20240229124500", "yesterday", "PV1-44", 102),
    ])
  func refused(_ old: String, _ new: String, _ place: String, _ code: Int) throws {
    let fault = try #require(Self.fault(Sample.changed(Sample.admission, old, new)))
    #expect((fault.place, fault.code.rawValue) == (place, code))
  }

  @Test(
    "A value that is not of its type is refused, and a text as it is is taken",
    arguments: [
      ("NM", "1.5.2", false), ("NM", "1e5", false), ("NM", "-0.50", true), ("NM", "+7", true), ("NM", ".5", true),
      ("SN", "^1^-^5", true), ("SN", "^1^:^128", true), ("SN", "<>^5", false), ("SN", "^a", false),
      ("DT", "20240230", false),
      ("TM", "2460", false), ("TM", "0815", true), ("ST", "1.5.2", true), ("CWE", "A^B^L", true), ("HD", "a.b", true),
      ("", "1", false), ("NM", "1~2", true),
    ])
  func values(_ type: String, _ value: String, _ isTaken: Bool) {
    let bytes = Sample.changed(
      Sample.results, "|NM|718-7^Hemoglobin^LN||13.40|", "|\(type)|718-7^Hemoglobin^LN||\(value)|")
    #expect((Self.fault(bytes) == nil) == isTaken)
  }

  @Test("Other people's sample messages are understood, or refused with a place", arguments: OtherMessages.files)
  func others(from file: URL) throws {
    let bytes = Array(try Data(contentsOf: file))
    let found: [MappedResource]
    do { found = try Self.resources(bytes) } catch let fault as HL7Fault {
      #expect(fault.segment != nil, "\(file.lastPathComponent): \(fault)")
      return
    }
    #expect(!found.isEmpty, "\(file.lastPathComponent)")
  }
}
