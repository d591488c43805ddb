// Goal: nothing that a message says of one person becomes another's, whatever its order, its numbers and merges before.
// Method: a chart room in memory, into which messages go as into the store, and what is in it afterwards.
@testable import FHIR
import Foundation
import HL7
import HealthRecords
import Testing

/// The resources that messages made, found as the store finds them.
struct ChartRoom {
  private(set) var resources: [String: CanonicalJSON] = [:]
  private var count = 0

  /// The names of a type's resources that have an identifier.
  func holders(_ key: ResourceKey) -> [String] {
    self.resources.filter { name, json in
      name.hasPrefix(key.type + "/")
        && (json["identifier"]?.items ?? []).contains {
          $0["system"]?.text == key.system && $0["value"]?.text == key.value
        }
    }.keys.sorted()
  }

  private func held(_ name: String) -> HeldResource? {
    self.resources[name].map { HeldResource(id: String(name.split(separator: "/")[1]), json: $0) }
  }

  /// Takes a message in, and says what was written.
  @discardableResult
  mutating func take(_ text: String, from source: MessageSource = MappingTests.source) throws -> [MappedResource] {
    let message = try Message(Sample.bytes(text))
    let mapping = try Mapping(message, try Header(message), source)
    var held = HeldResources()
    func look(for keys: [ResourceKey]) throws {
      for key in keys {
        let names = self.holders(key)
        guard names.count <= 1 else { throw HL7Fault(.unknownKey, "\(names.count) have \(key)") }
        held.resources[key] = names.first.flatMap { self.held($0) }
      }
    }
    try look(for: mapping.keys)
    try look(for: mapping.more(after: held))
    for number in mapping.numbers {
      held.holders[number] = self.holders(number).map { String($0.split(separator: "/")[1]) }
    }
    while let name = held.missing() { held.people[name] = self.held(name) }
    let found = try mapping.resources(over: held)
    var names: [String: String] = [:]
    for one in found where one.isNew {
      self.count += 1
      names[one.fullUrl] = "\(one.key.type)/n\(self.count)"
    }
    for one in found {
      #expect(Validation.faults(of: one.json, type: one.key.type) == [], "\(one.key)")
      var text = String(decoding: one.json.canonicalBytes, as: UTF8.self)
      for (url, name) in names { text = text.replacing(url, with: name) }
      let name = try #require(names[one.fullUrl] ?? one.json["id"]?.text.map { "\(one.key.type)/\($0)" })
      let id = String(name.split(separator: "/")[1])
      self.resources[name] = try CanonicalJSON(Array(text.utf8)).setting("id", .string(id))
    }
    return found
  }

  /// Writes a resource as the EHR does.
  mutating func write(_ name: String, _ text: String) throws {
    let parts = name.split(separator: "/")
    self.resources[name] = try CanonicalJSON(Array(text.utf8)).setting("resourceType", .string(String(parts[0])))
      .setting("id", .string(String(parts[1])))
  }

  func all(_ type: String) -> [CanonicalJSON] {
    self.resources.filter { $0.key.hasPrefix(type + "/") }.sorted { $0.key < $1.key }.map(\.value)
  }

  /// The patient who has a number.
  func patient(_ number: String) -> CanonicalJSON? {
    self.all("Patient").first { one in
      (one["identifier"]?.items ?? []).contains {
        $0["value"]?.text == number && $0["system"]?.text == "http://north.example/mrn"
      }
    }
  }

  /// `Patient/ID` of that one.
  func name(_ number: String) -> String { "Patient/\(self.patient(number)?["id"]?.text ?? "")" }
}

@Suite("HL7 v2: whose it is")
struct PersonTests {
  private static func head(_ type: String) -> String { "MSH|^~\\&|ADT|NORTH|||||\(type)|1|P|2.5\n" }
  private static func person(_ number: String, _ more: String = "") -> String {
    "PID|1||\(number)^^^MRN^MR||Doe^Jo\(more)\n"
  }
  private static func result(_ number: String, _ order: String, more: String = "") -> String {
    Self.head("ORU^R01") + Self.person(number, more) + Self.order(order)
  }
  private static func order(_ order: String) -> String {
    "OBR|1||\(order)|A^A^L\nOBX|1|ST|\(order)^\(order)^L||x||||||F\n"
  }
  private static func merge(_ stays: String, _ old: String) -> String {
    Self.head("ADT^A40") + Self.person(stays) + "MRG|\(old)^^^MRN^MR"
  }
  private static func visit(_ number: String, _ visit: String) -> String {
    Self.head("ADT^A01") + Self.person(number) + "PV1|1|I|||||||||||||||||\(visit)^^^HIS"
  }

  private static func place(_ text: String, in room: ChartRoom = ChartRoom()) -> String? {
    var room = room
    do {
      try room.take(text)
      return nil
    } catch { return (error as? HL7Fault)?.place ?? "\(error)" }
  }

  @Test("Results of several patients in one message are each one's")
  func severalPatients() throws {
    var room = ChartRoom()
    try room.take(Self.result("1", "A-1") + Self.person("2") + Self.order("B-1"))
    for type in ["DiagnosticReport", "Observation"] {
      for (number, order) in [("1", "A-1"), ("2", "B-1")] {
        let its = room.all(type).filter { $0["subject"]?["reference"]?.text == room.name(number) }
        #expect(its.count == 1)
        #expect(its.first.map { String(decoding: $0.canonicalBytes, as: UTF8.self).contains(order) } == true)
      }
    }
  }

  @Test(
    "What stands where the event does not know it is refused, and named",
    arguments: [
      ("ADT^A01", "P1 V1 P2", "PID[2]"), ("ADT^A01", "P1 V1 V2", "PV1[2]"), ("ADT^A01", "V1 P1", "PV1"),
      ("ADT^A08", "P1 M1", "MRG"), ("ADT^A28", "P1 B1", "OBR"), ("ADT^A40", "P1 M1 P2 M2", "PID[2]"),
      ("ADT^A40", "M1 P1", "MRG"), ("ORU^R01", "P1 X1", "OBX"), ("ORU^R01", "P1 B1 C1 X1", "OBX"),
      ("ORU^R01", "B1 X1 P1", "OBR"), ("ORU^R01", "P1 B1 X1 V1", "PV1"), ("ORU^R01", "P1 B1 T1", "TXA"),
      ("MDM^T02", "P1 T1 X1 T2 X2", "TXA[2]"), ("MDM^T02", "P1 X1 T1", "OBX"), ("MDM^T02", "P1 T1 P2", "PID[2]"),
      ("SIU^S12", "S1 P1 P2", "PID[2]"), ("SIU^S12", "S1 P1 S2", "SCH[2]"), ("VXU^V04", "P1 R1", "RXA"),
      ("VXU^V04", "P1 C1 R1 R2", "RXA[2]"), ("VXU^V04", "P1 C1 R1 P2 C2 R2", "PID[2]"),
    ])
  func structures(_ type: String, _ segments: String, _ place: String) {
    let lines = segments.split(separator: " ").map { one in
      let number = String(one.dropFirst())
      return switch one.first {
      case "P": Self.person(number)
      case "V": "PV1|1|I|||||||||||||||||\(number)\n"
      case "M": "MRG|9\(number)^^^MRN^MR\n"
      case "B": "OBR|1||\(number)|A^A^L\n"
      case "C": "ORC|RE||\(number)\n"
      case "X": "OBX|1|ST|\(number)^a^L||x||||||F\n"
      case "T": "TXA|1|D^D^L|TX|20240101||||||||\(number)\n"
      case "S": "SCH||\(number)|||||R^R^L||||^^^20240301100000^20240301103000\n"
      default: "RXA|0|1|20240101||03^MMR^CVX|0.5|mL|||||||||||||CP\n"
      }
    }
    #expect(Self.place(Self.head(type) + lines.joined()) == place)
  }

  @Test(
    "An appointment, a visit or a report of one patient becomes no other's by a message, nor by the number of a subject"
  )
  func otherPatients() throws {
    var room = ChartRoom()
    func appointment(_ number: String) -> String {
      Self.head("SIU^S12") + "SCH||7|||||R^R^L||||^^^20240301100000^20240301103000\n" + Self.person(number)
    }
    for message in [appointment("1"), Self.visit("1", "V1"), Self.result("1", "A"), Self.result("2", "B")] {
      try room.take(message)
    }
    let before = room.resources
    for message in [appointment("2"), Self.visit("2", "V1"), Self.result("2", "A")] {
      #expect(Self.place(message, in: room) == "")
      #expect(room.resources == before)
    }
    try room.write(
      "Encounter/e",
      #"{"status":"in-progress","class":{"code":"IMP"},"identifier":[{"system":"urn:consilium:hl7v2:adt:numbers:HIS","#
        + #""value":"V8"}],"subject":{"identifier":{"system":"http://north.example/mrn","value":"1"}}}"#)
    #expect(Self.place(Self.visit("2", "V8"), in: room) == "")
    #expect(Self.place(Self.visit("1", "V8"), in: room) == nil)
  }

  @Test("Of several numbers the one whose authority the hospital named is the patient's; where two are left, nobody is")
  func numbers() throws {
    var room = ChartRoom()
    try room.take(Self.head("ADT^A28") + Self.person("1"))
    try room.take(Self.head("ADT^A31") + "PID|1||99^^^OTHER^MR~1^^^MRN^MR||Doe^Jo")
    #expect(room.all("Patient").count == 1)
    #expect(room.patient("1")?["identifier"]?.items?.count == 2)
    #expect(Self.place(Self.head("ADT^A31") + "PID|1||1^^^MRN^MR~2^^^MRN^PI||Doe^Jo", in: room) == "PID-3")
    #expect(Self.place(Self.head("ADT^A31") + "PID|1||8^^^A^MR~9^^^B^MR||Doe^Jo", in: room) == "PID-3")
    #expect(Self.place(Self.merge("1", "2^^^MRN^MR~3"), in: room) == "MRG-1")
    // A number that is another's here.
    try room.take(Self.head("ADT^A28") + "PID|1||2^^^MRN^MR~55^^^SSA^SS||Roe^Al")
    for event in ["ADT^A31", "ADT^A28"] {
      #expect(Self.place(Self.head(event) + "PID|1||1^^^MRN^MR~55^^^SSA^SS||Doe^Jo", in: room) == "PID-3")
    }
    #expect(Self.place(Self.head("ADT^A28") + "PID|1||3^^^MRN^MR~55^^^SSA^SS||Roe^Al", in: room) == "PID-3")
    // ⚑ What the EHR says of a second number stays.
    try room.write(
      "Patient/two",
      #"{"identifier":[{"system":"http://north.example/mrn","value":"10"},"#
        + #"{"system":"http://north.example/mrn","value":"11"}]}"#)
    try room.take(Self.head("ADT^A31") + Self.person("10"))
    #expect(room.name("10") == "Patient/two" && room.name("11") == "Patient/two")
  }

  @Test("A result under a number of somebody else, by birth date and sex or name, waits for a person")
  func otherPerson() throws {
    var room = ChartRoom()
    try room.take(Self.head("ADT^A28") + Self.person("1", "||19800101|F"))
    #expect(Self.place(Self.result("1", "A", more: "||19550505|M"), in: room) == "PID-3")
    #expect(Self.place(Self.result("1", "A", more: "||19550505|F").replacing("Doe", with: "Roe"), in: room) == "PID-3")
    for same in ["||1980|F", "||19800101|M", "||19550505|F", ""] {
      #expect(Self.place(Self.result("1", "A", more: same), in: room) == nil)
    }
  }

  @Test("After a merge results by the old number are of the one that stays, and nothing else comes by it")
  func afterMerge() throws {
    var room = ChartRoom()
    for number in ["1", "2", "3"] { try room.take(Self.visit(number, "V\(number)")) }
    try room.take(Self.result("1", "A"))
    try room.take(Self.merge("2", "1"))
    try room.take(Self.merge("3", "2"))
    try room.take(Self.result("1", "B"))
    try room.take(Self.result("1", "A").replacing("|x|", with: "|y|"))
    #expect(
      (room.all("Observation") + room.all("DiagnosticReport")).allSatisfy {
        $0["subject"]?["reference"]?.text == room.name("3")
      })
    #expect(room.patient("1")?["active"] == .bool(false))
    #expect(Self.place(Self.visit("1", "V9"), in: room) == "PID-3")
    #expect(Self.place(Self.merge("1", "9"), in: room) == "PID-3")
    #expect(Self.place(Self.merge("9", "1"), in: room) == "MRG-1")
    // A visit of the first is named by the last: the whole chain is one person's.
    try room.take(Self.visit("3", "V1"))
    #expect(
      room.all("Encounter").contains { "\($0)".contains("V1") && $0["subject"]?["reference"]?.text == room.name("3") })
  }

  @Test("A merge that is turned round opens the chart that it had closed")
  func turned() throws {
    var room = ChartRoom()
    for number in ["1", "2"] { try room.take(Self.head("ADT^A28") + Self.person(number)) }
    try room.take(Self.merge("2", "1"))
    try room.take(Self.merge("1", "2"))
    #expect(room.patient("1")?["active"] == .bool(true))
    #expect(room.patient("2")?["active"] == .bool(false))
    #expect(room.patient("1")?["link"]?.items?.map { $0["type"]?.text } == ["replaces"])
    #expect(room.patient("2")?["link"]?.items?.map { $0["type"]?.text } == ["replaced-by"])
    try room.take(Self.result("2", "A"))
    #expect(room.all("Observation").first?["subject"]?["reference"]?.text == room.name("1"))
  }

  @Test("Two accounts of the ledger are two persons: no merge makes one of them")
  func accounts() throws {
    func patient(_ number: String, _ account: String?) -> String {
      let more = account.map { #",{"system":"urn:consilium:account","value":"\#($0)"}"# } ?? ""
      return #"{"identifier":[{"system":"http://north.example/mrn","value":"\#(number)"}\#(more)]}"#
    }
    let cases: [(String?, String?, Bool)] = [
      ("a", "b", false), (nil, "b", false), ("a", "a", true), ("a", nil, true),
    ]
    for (stays, old, isTaken) in cases {
      var room = ChartRoom()
      try room.write("Patient/one", patient("1", stays))
      try room.write("Patient/two", patient("2", old))
      #expect(Self.place(Self.merge("1", "2"), in: room) == (isTaken ? nil : "MRG-1"))
    }
    // ⚑ Neither does a link that only one side has.
    var room = ChartRoom()
    try room.write("Patient/one", patient("1", "a"))
    try room.write("Patient/two", patient("2", "b"))
    try room.take(Self.visit("2", "V"))
    let link = #"{"link":[{"type":"replaces","other":{"reference":"Patient/two"}}],"#
    try room.write("Patient/one", link + String(patient("1", "a").dropFirst()))
    #expect(Self.place(Self.visit("1", "V"), in: room) == "")
  }
}
