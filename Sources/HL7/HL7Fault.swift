/// Why a message is refused: what, in which segment and field, by HL7's own table of errors.
///
/// Source: HL7 v2.5.1, §2.15.5 (ERR) and table 0357.
public struct HL7Fault: Error, Sendable, Hashable, CustomStringConvertible {
  /// HL7's table 0357.
  public enum Code: Int, Sendable, CaseIterable {
    /// Segments that are not a message, or not where they belong.
    case segmentSequence = 100
    /// A field that is needed is empty.
    case requiredField = 101
    /// A field's content is not of its type.
    case dataType = 102
    /// A code that is not known here.
    case tableValue = 103
    /// A type of message that is not taken.
    case messageType = 200
    /// An event that is not taken.
    case eventCode = 201
    /// Another processing id than this system works with.
    case processingID = 202
    /// Another version than 2.x.
    case version = 203
    /// A number that names none, or more than one.
    case unknownKey = 204
    /// What was sent is in the way of what is there.
    case conflict = 206
    /// Something is wrong here, not with the message.
    case application = 207

    /// Its name in the table.
    public var text: String {
      switch self {
      case .segmentSequence: "Segment sequence error"
      case .requiredField: "Required field missing"
      case .dataType: "Data type error"
      case .tableValue: "Table value not found"
      case .messageType: "Unsupported message type"
      case .eventCode: "Unsupported event code"
      case .processingID: "Unsupported processing id"
      case .version: "Unsupported version id"
      case .unknownKey: "Unknown key identifier"
      case .conflict: "Application record locked"
      case .application: "Application internal error"
      }
    }

    /// Whether it lies in what MSH says of the message, so that it is rejected and not looked at further.
    public var isRejection: Bool {
      switch self {
      case .messageType, .eventCode, .processingID, .version: true
      case .segmentSequence, .requiredField, .dataType, .tableValue, .unknownKey, .conflict, .application: false
      }
    }
  }

  /// The kind.
  public let code: Code
  /// The segment's name, as `PID`; nil for the message.
  public let segment: String?
  /// Which of the segments of that name, from 1.
  public let occurrence: Int
  /// The field; nil for the whole segment.
  public let field: Int?
  /// What is wrong and what to do.
  public let message: String

  /// A refusal of something in a segment.
  public init(_ code: Code, _ segment: String?, occurrence: Int = 1, field: Int? = nil, _ message: String) {
    (self.code, self.segment, self.occurrence, self.field) = (code, segment, occurrence, field)
    self.message = message
  }

  /// A refusal of the whole message.
  public init(_ code: Code, _ message: String) { self.init(code, nil, message) }

  /// Where it lies, as `PID-3` or `OBX[2]-5`; empty for the message.
  public var place: String {
    guard let segment else { return "" }
    let number = self.occurrence > 1 ? "[\(self.occurrence)]" : ""
    return segment + number + (self.field.map { "-\($0)" } ?? "")
  }

  /// Where, and what.
  public var description: String { self.place.isEmpty ? self.message : "\(self.place): \(self.message)" }
}

/// What a message may have: each bound is on what one sender makes a node hold.
public enum HL7Limits {
  /// The most bytes of a message.
  public static let bytesMax = 4 << 20
  /// The most segments.
  public static let segmentsMax = 10_000
  /// The most fields of a segment.
  public static let fieldsMax = 512
  /// The most repetitions of a field.
  public static let repetitionsMax = 1000
  /// The most components of a repetition, and subcomponents of a component.
  public static let componentsMax = 200
  /// The most bytes of MSH-3, MSH-4, MSH-5, MSH-6 and MSH-10, each.
  public static let headerFieldBytesMax = 227
}
