/// When an acknowledgement is wanted (HL7 table 0155).
public enum AcknowledgementCondition: String, Sendable {
  /// Always.
  case always = "AL"
  /// Never.
  case never = "NE"
  /// Where the message was refused.
  case onError = "ER"
  /// Where it was taken.
  case onSuccess = "SU"

  func isMet(bySuccess isSuccess: Bool) -> Bool {
    switch self {
    case .always: true
    case .never: false
    case .onError: !isSuccess
    case .onSuccess: isSuccess
    }
  }
}

/// What MSH says of a message, judged.
public struct Header: Sendable, Hashable {
  /// MSH-3, its first component.
  public let application: String
  /// MSH-4, its first component.
  public let facility: String
  /// MSH-9's first component, as `ADT`.
  public let type: String
  /// MSH-9's second component, as `A01`.
  public let event: String
  /// MSH-10.
  public let controlID: String
  /// MSH-11, its first component.
  public let processingID: String
  /// MSH-12, its first component.
  public let version: String
  /// MSH-15; nil for the original mode.
  public let acceptance: AcknowledgementCondition?
  /// MSH-16; nil for the original mode.
  public let answer: AcknowledgementCondition?

  /// Whether the sender asked for acknowledgements in enhanced mode.
  public var isEnhanced: Bool { self.acceptance != nil || self.answer != nil }

  /// Reads MSH.
  ///
  /// - Throws: `HL7Fault` where it lacks what every message has.
  public init(_ message: Message) throws(HL7Fault) {
    guard let segment = message.first("MSH") else { throw HL7Fault(.segmentSequence, "MSH", "there is no MSH") }
    func text(_ field: Int, isRequired: Bool = false) throws(HL7Fault) -> String {
      let text = segment.value(field) ?? ""
      guard !text.isEmpty || !isRequired else { throw segment.fault(.requiredField, field, "it is empty") }
      guard segment.raw(field).count <= HL7Limits.headerFieldBytesMax else {
        throw segment.fault(.dataType, field, "more than \(HL7Limits.headerFieldBytesMax) bytes are not taken")
      }
      return text
    }
    func condition(_ field: Int) throws(HL7Fault) -> AcknowledgementCondition? {
      guard let text = segment.value(field) else { return nil }
      guard let condition = AcknowledgementCondition(rawValue: text) else {
        throw segment.fault(.tableValue, field, "\"\(text.prefix(20))\" is none of AL, NE, ER, SU")
      }
      return condition
    }
    self.controlID = try text(10, isRequired: true)
    (self.application, self.facility) = (try text(3), try text(4))
    _ = (try text(5), try text(6))
    self.type = try text(9, isRequired: true)
    self.event = segment.first(9)?.value(2) ?? ""
    (self.processingID, self.version) = (try text(11, isRequired: true), try text(12, isRequired: true))
    (self.acceptance, self.answer) = (try condition(15), try condition(16))
    guard self.version.hasPrefix("2.") else {
      throw segment.fault(.version, 12, "version \(self.version.prefix(20)) is not taken: 2.x is expected")
    }
  }
}
