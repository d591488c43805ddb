// Goal: nothing that a sender said is swallowed, undone or shown to more people than it said. Method: messages one
// after the other into a chart room in memory, and what is in it afterwards.
@testable import FHIR
import Foundation
import HL7
import HealthRecords
import Testing

@Suite("HL7 v2: nothing lost, undone or shown")
struct HarmTests {
  private static let person = "PID|1||1^^^MRN^MR||Doe^Jo||19800101|F\n"
  private static func head(_ type: String, at time: String = "") -> String {
    "MSH|^~\\&|ADT|NORTH|||\(time)||\(type)|1|P|2.5\n" + Self.person
  }
  private static func result(_ rest: String, at time: String = "") -> String { Self.head("ORU^R01", at: time) + rest }
  private static func sodium(_ value: String, _ status: String, more: String = "|", notes: String = "") -> String {
    "OBR|1||F-1|BMP^Panel^L|||||||||||||||||||||\(status)\n"
      + "OBX|1|NM|NA^Na^L||\(value)|mmol/L|\(more)|||\(status)\n\(notes)"
  }

  private static func fault(_ text: String, in room: ChartRoom = ChartRoom()) -> HL7Fault? {
    var room = room
    do {
      try room.take(text)
      return nil
    } catch { return error as? HL7Fault }
  }

  private static func isSensitive(_ room: ChartRoom, _ type: String) -> [Bool] {
    room.all(type).map { Sensitivity.isSensitive($0) }
  }

  @Test("A line of a text that is deleted is not told as part of the final one")
  func deletedLine() throws {
    var room = ChartRoom()
    try room.take(
      Self.result(
        "OBR|1||F-1|CM^Comment^L\nOBX|1|TX|CM1^C^L||no tumour||||||F\nOBX|2|TX|CM1^C^L||of any kind||||||F\n"
          + "OBX|3|TX|CM1^C^L||WRONG LINE||||||D\n"))
    let told = Dictionary(
      uniqueKeysWithValues: room.all("Observation").map { ($0["status"]?.text, $0["valueString"]?.text) })
    #expect(told == ["final": "no tumour\nof any kind", "entered-in-error": "WRONG LINE"])
  }

  @Test("What the sender says is confidential is labelled, with all that is said under it, and stays so")
  func confidential() throws {
    var room = ChartRoom()
    let document = "TXA|1|PSY^Report^L|TX|20240101||||||||D-1||||||V\n"
    #expect(Self.fault(Self.head("MDM^T02") + document.replacing("|V\n", with: "|Q7\n"))?.place == "TXA-18")
    try room.take(Self.head("MDM^T02") + document)
    try room.take(Self.head("MDM^T02") + document.replacing("|V\n", with: "|U\n").replacing("Report", with: "New"))
    #expect(Self.isSensitive(room, "DocumentReference") == [true])
    #expect(room.all("DocumentReference").first?["securityLabel"]?.items?.count == 1)
    let order = "ORC|RE||F-9" + String(repeating: "|", count: 25) + "R^restricted^HL70177\n"
    try room.take(Self.result(order + Self.sodium("1", "F") + "ORC|RE\nOBR|2||F-2|X^X^L\nOBX|1|ST|X^X^L||y||||||F"))
    #expect(Self.isSensitive(room, "DiagnosticReport") == [true, false])
    #expect(Self.isSensitive(room, "Observation") == [true, false])
    #expect(Self.isSensitive(room, "Patient") == [false])
    let visit = "PV1|1|I||||||||||||||@|||V-1^^^HIS\n"
    #expect(Self.fault(Self.head("ADT^A01") + visit.replacing("@", with: "X9"))?.place == "PV1-16")
    for (said, isIt) in [("VIP", true), ("N", false), ("", false)] {
      var other = ChartRoom()
      try other.take(Self.head("ADT^A01") + visit.replacing("@", with: said))
      #expect(Self.isSensitive(other, "Encounter") == [isIt])
    }
    for (segment, isIt) in [
      ("PD1||||||||||||Y", true), ("PD1||||||||||||N", false), ("ARV|1|A|PSY", true), ("DG1|1||B20^HIV^I10", true),
      ("DG1|1||J06.9^Cold^I10", false), ("PV2|||F20.0^Schizophrenia^I10", true),
    ] {
      var other = ChartRoom()
      try other.take(Self.head("ADT^A01") + visit.replacing("@", with: "") + segment)
      #expect(Self.isSensitive(other, "Encounter") == [isIt], "\(segment)")
    }
    #expect(Self.fault(Self.head("ADT^A01") + "ARV|1|D|PSY\n" + visit.replacing("@", with: ""))?.place == "ARV-2")
  }

  @Test("A corrected value keeps nothing that was said of the wrong one")
  func corrected() throws {
    var room = ChartRoom()
    try room.take(Self.result(Self.sodium("112", "F", more: "135-145|LL", notes: "NTE|1||critical, phoned")))
    try room.take(Self.result(Self.sodium("139", "C")))
    let one = try #require(room.all("Observation").first)
    #expect(one["valueQuantity"]?["value"] == .number("139"))
    for name in ["interpretation", "note", "referenceRange"] { #expect(one[name] == nil) }
  }

  @Test("A result that comes late undoes neither its correction nor what is final, whatever its number")
  func late() throws {
    var room = ChartRoom()
    try room.take(Self.result(Self.sodium("139", "C"), at: "20240102"))
    for (status, time) in [("P", "20240102"), ("F", "20240102"), ("P", "20240105"), ("C", "20240101")] {
      #expect(Self.fault(Self.result(Self.sodium("112", status), at: time), in: room) != nil, "\(status) \(time)")
    }
    #expect(Self.fault(Self.result(Self.sodium("112", "F"), at: "20240103"), in: room) == nil)
    #expect(Self.fault(Self.result(Self.sodium("139", "C"), at: "20240101"), in: room) == nil, "it changes nothing")
  }

  @Test("An event that comes late does not take back the state of a visit or a document")
  func lateEvents() throws {
    func event(_ name: String, _ time: String) -> String {
      Self.head("ADT^\(name)").replacing("PID|", with: "EVN|\(name)|\(time)\nPID|")
        + "PV1|1|I|||||||||||||||||V-1^^^HIS"
    }
    var room = ChartRoom()
    try room.take(event("A01", "20240101"))
    try room.take(event("A03", "20240105"))
    #expect(Self.fault(event("A02", "20240103"), in: room) != nil)
    #expect(Self.fault(event("A02", ""), in: room) != nil)
    #expect(Self.fault(event("A13", "20240106"), in: room) == nil)
    func document(_ name: String) -> String { Self.head("MDM^\(name)") + "TXA|1|D^D^L|TX|20240101||||||||D-1\n" }
    try room.take(document("T02"))
    try room.take(document("T11"))
    #expect(Self.fault(document("T02"), in: room) != nil)
  }

  @Test("Of organisms with one code a correction of some is refused, and one of all meets each")
  func organisms() throws {
    func culture(_ rows: [(Int, String)], _ status: String) -> String {
      Self.result(
        "OBR|1||CU|C^Culture^L\n"
          + rows.map { "OBX|\($0.0)|CE|ORG^Organism^L||\($0.1)^\($0.1)^L||||||\(status)\n" }.joined())
    }
    var room = ChartRoom()
    try room.take(culture([(1, "ECOLI"), (2, "STAPH")], "F"))
    for rows in [[(2, "MRSA")], [(1, "ECOLI"), (2, "STAPH"), (3, "MRSA")]] {
      #expect(Self.fault(culture(rows, "C"), in: room)?.place == "OBX-4")
    }
    try room.take(culture([(1, "ECOLI"), (2, "MRSA")], "C"))
    let found = room.all("Observation").compactMap {
      $0["valueCodeableConcept"]?["coding"]?.items?.first?["code"]?.text
    }
    #expect(Set(found) == ["ECOLI", "MRSA"])
  }

  @Test("A report has the results of all its messages, and one number with two panels is two reports")
  func panels() throws {
    var room = ChartRoom()
    try room.take(Self.result("OBR|1||A|CBC^Blood^L\nOBX|1|NM|HB^Hb^L||6.1||||||F"))
    try room.take(Self.result("OBR|1||A|CBC^Blood^L\nOBX|1|NM|WBC^W^L||4||||||F"))
    try room.take(Self.result("OBR|1||A|BMP^Chem^L\nOBX|1|NM|K^K^L||4.1||||||F"))
    #expect(room.all("DiagnosticReport").compactMap { $0["result"]?.items?.count }.sorted() == [1, 2])
    #expect(room.all("Observation").count == 3)
  }

  @Test("Two quotation marks take away wherever an element is made of a field")
  func taken() throws {
    var room = ChartRoom()
    func person(_ rest: String) -> String { Self.head("ADT^A31").replacing("|F\n", with: "|F" + rest + "\n") }
    let dead = String(repeating: "|", count: 22) + "Y"
    try room.take(person(dead))
    #expect(room.patient("1")?["deceasedBoolean"] == .bool(true))
    try room.take(person(dead.replacing("Y", with: "\"\"")))
    #expect(room.patient("1")?["deceasedBoolean"] == nil)
    func visit(_ place: String, _ doctor: String, _ referrer: String = "", _ end: String = "") -> String {
      Self.head("ADT^A08") + "PV1|1|I|\(place)||||\(doctor)|\(referrer)|||||||||||V-1^^^HIS"
        + String(repeating: "|", count: 26) + end
    }
    try room.take(visit("W^1^2", "77^Wrong", "78^Refer", "20240102"))
    try room.take(visit("", "79^Right"))
    #expect(room.all("Encounter").first?["participant"]?.items?.count == 2, "who referred stays")
    try room.take(visit("\"\"", "\"\"", "\"\"", "\"\""))
    let encounter = try #require(room.all("Encounter").first)
    for name in ["location", "participant", "period"] { #expect(encounter[name] == nil, "\(name)") }
  }

  @Test("No text is cut at a sign that divides, and no segment hides behind a line feed")
  func whole() throws {
    var room = ChartRoom()
    try room.take(
      Self.head("MDM^T02") + "TXA|1|D^D^L|TX|20240101||||||||D-1\n"
        + "OBX|1|ED|D^R^L||^TEXT^plain^A^Stop warfarin & start apixaban||||||F\n")
    let data = room.all("DocumentReference").first?["content"]?.items?.first?["attachment"]?["data"]?.text
    #expect(data.flatMap { Data(base64Encoded: $0) } == Data("Stop warfarin & start apixaban".utf8))
    try room.take(Self.result("OBR|1||A|M^M^L\nOBX|1|CE|AMP^A^L||R^resistant & ESBL^L||||||F"))
    #expect("\(room.all("Observation"))".contains("resistant & ESBL"))
    #expect(Self.fault(Self.result("OBR|1||A|M^M^L\nOBX|1|NM|C^c^L||5^6&7||||||F"))?.place == "OBX-5")
    let hidden = Self.result("OBR|1||A|M^M^L\nOBX|1|NM|K^K^L||5||||||F|||@OBX|2|NM|N^N^L||119||||||F")
    let bytes = Sample.bytes(hidden).map { $0 == UInt8(ascii: "@") ? 0x0A : $0 }
    #expect(throws: HL7Fault.self) { try Message(bytes) }
  }

  @Test("A vaccination that was not given, or in part, is none that was given")
  func vaccinations() throws {
    func status(_ segment: String) throws -> CanonicalJSON? {
      var room = ChartRoom()
      try room.take(Self.head("VXU^V04") + "ORC|RE||VX\n" + segment)
      return room.all("Immunization").first
    }
    #expect(try status("RXA|0|1|20240101||998^no vaccine^CVX|999")?["status"]?.text == "not-done")
    let part = try status("RXA|0|1|20240101||03^MMR^CVX|0.5|mL|||||||||||||PA")
    #expect(part?["isSubpotent"] == .bool(true))
    #expect(Self.fault(Self.head("VXU^V04") + "ORC|RE||VX\nRXA|0|1|20240101||03^MMR^CVX|much")?.place == "RXA-6")
  }
}
