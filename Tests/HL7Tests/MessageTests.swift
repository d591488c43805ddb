// Goal: what a sender writes is read as HL7 says, whatever divides and encodes it, and nothing that comes from outside
// ends the process or grows beyond its bounds. Method: messages by hand, and each of them broken in every place.
import HL7
import Testing

/// Messages by hand, with a segment in each line.
enum Sample {
  static let admission = Self.bytes(
    """
    MSH|^~\\&|ADT|NORTH|EHR|NORTH|20240229130000+0100||ADT^A01^ADT_A01|A-1|P|2.5.1||||||UNICODE UTF-8
    EVN|A01|20240229125900
    PID|1||4711^^^MRN^MR~999^^^SSA^SS||Müller^Änne^Maria^^Dr.^^L||19500301|F|||Hauptstr. 1^^Ulm^^89073^DE^H||0731^PRN
    PV1|1|I|3W^12^A^NORTH||||77^Arzt^Anton^^^Dr.||||||||||||V-9^^^VISIT|||||||||||||||||||||||||20240229124500
    ZPI|1|walks with a stick
    """)

  static let results = Self.bytes(
    """
    MSH|^~\\&|LAB|NORTH|EHR|NORTH|20240301080000+0100||ORU^R01^ORU_R01|L-1|P|2.5.1
    PID|1||4711^^^MRN^MR
    OBR|1|P-1|F-1|24317-0^Hemogram^LN|||20240301073000+0100|||||||||||||||20240301075900+0100||HM|F
    OBX|1|NM|718-7^Hemoglobin^LN||13.40|g/dL^^UCUM|12.0-16.0|N|||F|||20240301074000+0100
    NTE|1||fasting\\.br\\twice checked
    OBX|2|SN|1988-5^CRP^LN||<^5|mg/L^^UCUM||N|||F
    OBX|3|TX|8251-1^Comment^LN||first line||||||F
    OBX|4|TX|8251-1^Comment^LN||second \\T\\ last||||||F
    """)

  static func bytes(_ text: String) -> [UInt8] {
    Array(text.split(separator: "\n").joined(separator: "\r").utf8) + [0x0D]
  }

  static func changed(_ bytes: [UInt8], _ old: String, _ new: String) -> [UInt8] {
    Array(String(decoding: bytes, as: UTF8.self).replacing(old, with: new).utf8)
  }
}

@Suite("HL7 v2 messages")
struct MessageTests {
  private static func fault(_ bytes: [UInt8]) -> HL7Fault? {
    do throws(HL7Fault) {
      _ = try Message(bytes)
      return nil
    } catch { return error }
  }

  @Test("Segments, fields, repetitions, components and subcomponents are where HL7 has them")
  func parts() throws {
    let message = try Message(Sample.admission)
    #expect(message.segments.map(\.name) == ["MSH", "EVN", "PID", "PV1", "ZPI"])
    let pid = try #require(message.first("PID"))
    #expect(pid.repetitions(3).map { $0.value(1) } == ["4711", "999"])
    #expect(pid.first(3)?.value(5) == "MR")
    #expect(pid.first(5)?.value(2) == "Änne")
    #expect(pid.value(99) == nil && pid.first(3)?.value(99) == nil)
    #expect(message.first("ZPI")?.text == "ZPI|1|walks with a stick")
    let header = try Header(message)
    #expect((header.type, header.event, header.controlID) == ("ADT", "A01", "A-1"))
    #expect((header.application, header.facility) == ("ADT", "NORTH"))
    #expect(!header.isEnhanced)
  }

  @Test("Other delimiters than the usual ones divide as well, and the usual ones are text then")
  func delimiters() throws {
    let message = try Message(Sample.bytes("MSH#*+!%#A#B#C#D#20240101##ADT*A01#1#P#2.3\nPID#1##a%b*c+d#x^y|z"))
    let pid = try #require(message.first("PID"))
    #expect(pid.repetitions(3).count == 2)
    #expect(pid.first(3)?.value(1, 2) == "b")
    #expect(pid.value(4) == "x^y|z")
  }

  @Test(
    "Delimiters that are the same, letters, spaces, too few or too many are refused",
    arguments: [
      "MSH|^^\\&|A", "MSH|a~\\&|A", "MSH|^ \\&|A", "MSHA^~\\&AB", "MSH||A|B", "MSH|^~\\&#!+|A", "MSH",
      "MSH|",
      "MSH|^", "", "PID|1", "msh|^~\\&|", "\u{0B}MSH|^~\\&|",
    ])
  func wrongDelimiters(_ text: String) {
    #expect(Self.fault(Array(text.utf8)) != nil)
  }

  @Test("Escapes are read once: what comes out of one is none")
  func escapes() throws {
    func text(_ field: String, charset: String = "UNICODE UTF-8") throws -> String? {
      try Message(Sample.bytes("MSH|^~\\&|A|B|||||ADT^A01|1|P|2.5||||||\(charset)\nZZZ|\(field)")).first("ZZZ")?.value(
        1)
    }
    #expect(try text("a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f") == "a|b^c&d~e\\f")
    #expect(try text("\\E\\F\\E\\") == "\\F\\")
    #expect(try text("\\X5C465C\\") == "\\F\\")
    #expect(try text("\\XC3A4\\") == "ä")
    #expect(try text("\\XE4\\", charset: "8859/1") == "ä")
    #expect(try text("one\\.br\\two") == "one\ntwo")
    #expect(try text("\\H\\loud\\N\\") == "loud")
    // What is none stays as it is.
    for field in ["\\", "a\\b", "\\Q\\", "\\X\\", "\\X4\\", "\\XZZ\\", "\\X00\\", "\\XFF\\", "\\\\\\", "a\\Zb\\Zc"] {
      #expect(try text(field) == field)
    }
    #expect(try text("\\Q\\F\\") == "\\Q|")
  }

  @Test("Each encoding is read as MSH-18 says, and bytes that are none of it are refused")
  func encodings() throws {
    func name(_ charset: String, _ bytes: [UInt8], mark: [UInt8] = []) throws -> String? {
      let head = Array("MSH|^~\\&|A|B|||||ADT^A01|1|P|2.5||||||\(charset)\rPID|1||||".utf8)
      return try Message(mark + head + bytes).first("PID")?.value(5)
    }
    #expect(try name("8859/1", [0x4D, 0xFC]) == "Mü")
    #expect(try name("UNICODE UTF-8", [0x4D, 0xC3, 0xBC]) == "Mü")
    #expect(try name("ASCII", [0x4D]) == "M")
    #expect(try name("", [0xC3, 0xBC], mark: [0xEF, 0xBB, 0xBF]) == "ü")
    let wrong: [(String, [UInt8])] = [
      ("", [0xC3, 0xBC]), ("ASCII", [0xFC]), ("UNICODE UTF-8", [0xFC]), ("8859/15", [0x4D]),
    ]
    for (charset, bytes) in wrong {
      #expect(throws: HL7Fault.self) { try name(charset, bytes) }
    }
    #expect(throws: HL7Fault.self) { try name("8859/1", [0x4D], mark: [0xEF, 0xBB, 0xBF]) }
  }

  @Test("Segments that end with LF or CR and LF are read as well")
  func lineEnds() throws {
    let lines = ["MSH|^~\\&|A|B|||||ADT^A01|1|P|2.5", "PID|1", "ZZZ|x"]
    for end in ["\r", "\n", "\r\n"] {
      let message = try Message(Array(lines.joined(separator: end).utf8))
      #expect(message.segments.map(\.text) == lines)
    }
  }

  @Test("A message that is cut, or has a byte replaced, is read or refused, at every byte, and answered in any case")
  func broken() {
    for whole in [Sample.admission, Sample.results] {
      for place in whole.indices {
        var bytes = whole
        for broken in [Array(whole[..<place]), Array(whole[place...])] { Self.judge(broken) }
        for byte in [0x0D, 0x5C, 0x7C, 0xFF] as [UInt8] {
          bytes[place] = byte
          Self.judge(bytes)
        }
      }
    }
  }

  /// Reads, maps and answers.
  private static func judge(_ bytes: [UInt8]) {
    let source = MessageSource(id: "adt", application: "ADT", facility: "NORTH")
    var header: Header?
    do throws(HL7Fault) {
      let message = try Message(bytes)
      header = try Header(message)
      if let header { _ = try Mapping(message, header, source).resources(over: HeldResources()) }
    } catch {
      #expect(!error.message.isEmpty)
    }
    let fault = HL7Fault(.dataType, "PID", field: 3, "x")
    for answer in Acknowledgement.answers(to: bytes, header, .error(fault), id: "1", time: "20240101") {
      #expect((try? Message(answer))?.first("MSA") != nil, "\(String(decoding: answer, as: UTF8.self))")
    }
  }

  @Test("What is over a bound is refused, and names it")
  func bounds() {
    let head = "MSH|^~\\&|A|B|||||ADT^A01|1|P|2.5"
    func refusal(_ rest: String) -> HL7Fault? { Self.fault(Sample.bytes(head + "\n" + rest)) }
    #expect(refusal(Array(repeating: "ZZZ|1", count: 9999).joined(separator: "\n")) == nil)
    #expect(refusal(Array(repeating: "ZZZ|1", count: 10_000).joined(separator: "\n"))?.code == .segmentSequence)
    #expect(refusal("ZZZ" + String(repeating: "|", count: 600))?.segment == "ZZZ")
    #expect(refusal("ZZZ|" + String(repeating: "a~", count: 1100))?.field == 1)
    #expect(refusal("ZZZ|" + String(repeating: "^", count: 300))?.field == 1)
    #expect(refusal("ZZZ|" + String(repeating: "&", count: 300))?.field == 1)
    #expect(Self.fault([UInt8](repeating: 0x41, count: HL7Limits.bytesMax + 1)) != nil)
    #expect(refusal("ZZZ|a\u{07}b")?.code == .dataType)
    #expect(refusal("zz|1")?.code == .segmentSequence)
    #expect(refusal("MSH|^~\\&|A")?.occurrence == 2)
  }

  @Test("What a header needs is asked for by name")
  func headers() throws {
    func fault(_ line: String) -> HL7Fault? {
      do throws(HL7Fault) {
        _ = try Header(try Message(Sample.bytes(line)))
        return nil
      } catch { return error }
    }
    #expect(fault("MSH|^~\\&|A|B|||||ADT^A01||P|2.5")?.field == 10)
    #expect(fault("MSH|^~\\&|A|B||||||1|P|2.5")?.field == 9)
    #expect(fault("MSH|^~\\&|A|B|||||ADT^A01|1||2.5")?.field == 11)
    #expect(fault("MSH|^~\\&|A|B|||||ADT^A01|1|P|3.0")?.code == .version)
    #expect(fault("MSH|^~\\&|A|B|||||ADT^A01|1|P|2.5|||XX")?.field == 15)
    #expect(fault("MSH|^~\\&|A|B|||||ADT^A01|\(String(repeating: "1", count: 300))|P|2.5")?.field == 10)
  }
}

@Suite("HL7 v2 acknowledgements")
struct AcknowledgementTests {
  private static func answers(_ line: String, _ outcome: Acknowledgement.Outcome) throws -> [[String]] {
    let bytes = Sample.bytes(line)
    let header = try Header(try Message(bytes))
    return Acknowledgement.answers(to: bytes, header, outcome, id: "x1", time: "20240229").map { answer in
      String(decoding: answer, as: UTF8.self).split(separator: "\r").map { String($0) }
    }
  }

  private static let fault = HL7Fault(.requiredField, "PID", field: 3, "a|b")

  @Test("In the original mode one answer says AA, AE or AR, from the receiver to the sender")
  func original() throws {
    let line = "MSH|^~\\&|A^1|B|C|D|2024||ADT^A01|77|P|2.5"
    let taken = try Self.answers(line, .accepted)
    #expect(taken == [["MSH|^~\\&|C|D|A^1|B|20240229||ACK^A01^ACK|x1|P|2.5", "MSA|AA|77"]])
    let error = try Self.answers(line, .error(Self.fault))
    #expect(error[0][1] == "MSA|AE|77|PID-3: a\\F\\b")
    #expect(error[0][2] == "ERR||PID^1^3|101^Required field missing^HL70357|E||||a\\F\\b")
    #expect(try Self.answers(line, .rejected(Self.fault))[0][1].hasPrefix("MSA|AR|77|"))
  }

  @Test("What a sender hides in escapes divides no answer")
  func hidden() throws {
    let line = "MSH|^~\\&|A|B|C|D|2024||ADT^A\\F\\9\\X0D\\MSA\\F\\AA|77|P|2.5\\X0D\\MSA\\F\\AA"
    let answer = try Self.answers(line, .rejected(Self.fault))[0]
    #expect(answer.count == 3 && answer[1].hasPrefix("MSA|AR|77|"))
    #expect(answer[0].split(separator: "|", omittingEmptySubsequences: false).count == 12)
  }

  @Test("Before version 2.5 the place and the code stand in ERR-1")
  func older() throws {
    let answer = try Self.answers("MSH|^~\\&|A|B|C|D|2024||ADT^A01|77|P|2.3", .error(Self.fault))
    #expect(answer[0][2] == "ERR|PID^1^3^101&Required field missing&HL70357")
  }

  @Test("In the enhanced mode the sender says which answers it wants, and when")
  func enhanced() throws {
    func codes(_ accept: String, _ answer: String, _ outcome: Acknowledgement.Outcome) throws -> [String] {
      try Self.answers("MSH|^~\\&|A|B|C|D|2024||ADT^A01|77|P|2.5|||\(accept)|\(answer)", outcome)
        .map { String($0[1].split(separator: "|")[1]) }
    }
    #expect(try codes("AL", "NE", .accepted) == ["CA"])
    #expect(try codes("AL", "AL", .accepted) == ["CA", "AA"])
    #expect(try codes("NE", "NE", .error(Self.fault)) == [])
    #expect(try codes("ER", "SU", .accepted) == ["AA"])
    #expect(try codes("ER", "ER", .error(Self.fault)) == ["CE", "AE"])
    #expect(try codes("AL", "", .rejected(Self.fault)) == ["CR"])
  }

  @Test("What cannot be read is answered with as much of its header as can")
  func unreadable() {
    let bytes = Array("MSH|^~\\&|A|B|C|D|2024||ADT^A01|77|P|9.9\rx".utf8)
    let answer = Acknowledgement.answers(to: bytes, nil, .rejected(Self.fault), id: "x", time: "2024")
    #expect(String(decoding: answer[0], as: UTF8.self).contains("MSA|AR|77|"))
    let none = Acknowledgement.answers(to: [0xFF, 0x00], nil, .rejected(Self.fault), id: "x", time: "2024")
    #expect(String(decoding: none[0], as: UTF8.self).hasPrefix("MSH|^~\\&|||||2024||ACK^ACK|x|P|2.5.1\rMSA|AR||"))
  }

  @Test("An answer is written as its message was")
  func encoding() throws {
    let bytes = Array("MSH|^~\\&|A|M".utf8) + [0xFC] + Array("|C|D|2024||ADT^A01|77|P|2.5||||||8859/1\r".utf8)
    let header = try Header(try Message(bytes))
    let answer = Acknowledgement.answers(to: bytes, header, .accepted, id: "x", time: "2024")[0]
    #expect(answer.contains(0xFC))
    #expect(try Message(answer).first("MSH")?.value(6) == "Mü")
  }
}
