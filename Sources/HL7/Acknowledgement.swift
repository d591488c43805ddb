/// An answer to a message.
///
/// Source: HL7 v2.5.1, §2.9 (processing rules), §2.15.8 (MSA), §2.15.5 (ERR).
public struct Acknowledgement: Sendable, Hashable {
  /// HL7 table 0008.
  public enum Code: String, Sendable, CaseIterable {
    /// Taken.
    case applicationAccept = "AA"
    /// Not taken, for what the message says.
    case applicationError = "AE"
    /// Not taken, for what MSH says, or for want of something here.
    case applicationReject = "AR"
    /// Kept for good (enhanced mode).
    case commitAccept = "CA"
    /// Not kept, for what the message says (enhanced mode).
    case commitError = "CE"
    /// Not kept, for what MSH says, or for want of something here (enhanced mode).
    case commitReject = "CR"
  }

  /// How it went with a message.
  public enum Outcome: Sendable, Hashable {
    /// What it says is durable.
    case accepted
    /// What it says is not taken.
    case error(HL7Fault)
    /// It is not looked at: the sender may send it again.
    case rejected(HL7Fault)

    var fault: HL7Fault? {
      switch self {
      case .accepted: nil
      case .error(let fault), .rejected(let fault): fault
      }
    }

    var isAccepted: Bool { self.fault == nil }

    var application: Code {
      switch self {
      case .accepted: .applicationAccept
      case .error: .applicationError
      case .rejected: .applicationReject
      }
    }

    var commit: Code {
      switch self {
      case .accepted: .commitAccept
      case .error: .commitError
      case .rejected: .commitReject
      }
    }
  }

  /// The answers that a message asks for, in their order: one in the original mode, up to two in the enhanced one.
  ///
  /// `bytes` are the message as it came: of one that cannot be read as much is answered as can be told. `id` becomes
  /// MSH-10 of the answers, `time` their MSH-7.
  public static func answers(
    to bytes: [UInt8], _ header: Header?, _ outcome: Outcome, id: String, time: String
  ) -> [[UInt8]] {
    let frame = Frame(bytes)
    guard let header, header.isEnhanced else {
      return [frame.answer(outcome.application, header, outcome.fault, id: id, time: time)]
    }
    var codes: [Code] = []
    if (header.acceptance ?? .never).isMet(bySuccess: outcome.isAccepted) { codes.append(outcome.commit) }
    if (header.answer ?? .never).isMet(bySuccess: outcome.isAccepted) { codes.append(outcome.application) }
    return codes.enumerated().map { number, code in
      frame.answer(code, header, outcome.fault, id: number == 0 ? id : "\(id)-\(number)", time: time)
    }
  }

  /// What of a message's MSH goes into an answer, also where the message cannot be read.
  private struct Frame {
    private let delimiters: Delimiters
    private let charset: Charset
    private let fields: [String]

    init(_ bytes: [UInt8]) {
      let plain = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
      let line = Array(plain.prefix(16 << 10).prefix { $0 != 0x0D && $0 != 0x0A })
      let found = try? Delimiters(startOf: line)
      self.delimiters = found ?? .standard
      let parts = found == nil ? [] : line.split(separator: self.delimiters.field, omittingEmptySubsequences: false)
      let raw = parts.count > 17 ? String(decoding: parts[17].prefix(20), as: UTF8.self) : ""
      let charset = Charset(name: raw) ?? .ascii
      self.charset = charset
      self.fields = parts.map { part in
        // What is no text, or too long to be what it should, is not sent back.
        guard part.count <= HL7Limits.headerFieldBytesMax, let text = charset.utf8(of: part),
          text.allSatisfy({ $0 >= 0x20 })
        else { return "" }
        return String(decoding: text, as: UTF8.self)
      }
    }

    /// MSH-`field`.
    private func field(_ field: Int) -> String { field - 1 < self.fields.count ? self.fields[field - 1] : "" }

    func answer(_ code: Code, _ header: Header?, _ fault: HL7Fault?, id: String, time: String) -> [UInt8] {
      let (component, sign) = (self.text(self.delimiters.component), self.text(self.delimiters.field))
      // ⚑ What came out of an escape divides no answer.
      let known = header.map { self.delimiters.escaped($0.version) }
      let version = known ?? (self.field(12).hasPrefix("2.") ? self.field(12) : "2.5.1")
      let event = header.map { self.delimiters.escaped($0.event) } ?? ""
      let type = ["ACK", event, "ACK"].filter { !$0.isEmpty }.joined(separator: component)
      var first = [
        "MSH", String(decoding: self.delimiters.encoding, as: UTF8.self), self.field(5), self.field(6), self.field(3),
        self.field(4), time, "", type, self.delimiters.escaped(id), self.field(11).isEmpty ? "P" : self.field(11),
        version,
      ]
      if self.charset != .ascii { first += ["", "", "", "", "", self.charset.rawValue] }
      // MSA-3 has 80 characters; ERR says the whole.
      let said = fault.map { self.delimiters.escaped(String($0.description.prefix(80))) } ?? ""
      var segments = [first, ["MSA", code.rawValue, self.field(10)] + (said.isEmpty ? [] : [said])]
      if let fault { segments.append(self.error(fault, version, component)) }
      let text = segments.map { $0.joined(separator: sign) + "\r" }.joined()
      return self.charset.bytes(of: text)
    }

    private func error(_ fault: HL7Fault, _ version: String, _ component: String) -> [String] {
      let location =
        [fault.segment ?? "", fault.segment == nil ? "" : "\(fault.occurrence)"]
        + (fault.field.map { ["\($0)"] } ?? [])
      let code = ["\(fault.code.rawValue)", fault.code.text, "HL70357"].joined(separator: component)
      // ERR has other fields from v2.5 on.
      guard !["2.1", "2.2", "2.3", "2.4"].contains(where: { version.hasPrefix($0) }) else {
        let parts = self.text(self.delimiters.subcomponent ?? UInt8(ascii: "&"))
        let place = [fault.segment ?? "", "\(fault.occurrence)", fault.field.map { "\($0)" } ?? ""]
        return ["ERR", (place + [code.replacing(component, with: parts)]).joined(separator: component)]
      }
      return [
        "ERR", "", fault.segment == nil ? "" : location.joined(separator: component), code, "E", "", "", "",
        self.delimiters.escaped(fault.message),
      ]
    }

    private func text(_ byte: UInt8) -> String { String(decoding: [byte], as: UTF8.self) }
  }
}
