public import HealthRecords

/// Why a FHIR request was refused: it becomes an `OperationOutcome` (FHIR R4, issue types).
public struct FHIRFailure: Error, Sendable, Hashable {
  /// The HTTP status.
  public let status: Int
  /// The issue's type: `invalid`, `not-found`, `conflict`, …
  public let code: String
  /// What is wrong and what to do.
  public let message: String
  /// Where in the request; nil for the whole.
  public let expression: String?
  /// After how many seconds it is worth asking again (`Retry-After`); nil where that is not known.
  public var retrySeconds: Int?

  /// A refusal of given parts.
  public init(_ status: Int, _ code: String, _ message: String, at expression: String? = nil) {
    (self.status, self.code, self.message, self.expression) = (status, code, message, expression)
  }

  /// The same, inside an entry of a bundle.
  func inEntry(_ index: Int) -> FHIRFailure {
    FHIRFailure(self.status, self.code, "entry \(index): \(self.message)", at: "Bundle.entry[\(index)]")
  }

  /// The resource that says it.
  public var outcome: CanonicalJSON {
    Self.outcome([(severity: "error", code: self.code, message: self.message, expression: self.expression)])
  }

  static func outcome(
    _ issues: [(severity: String, code: String, message: String, expression: String?)]
  ) -> CanonicalJSON {
    .members([
      ("resourceType", .string("OperationOutcome")),
      (
        "issue",
        .array(
          issues.map { issue in
            .members([
              ("severity", .string(issue.severity)), ("code", .string(issue.code)),
              ("diagnostics", .string(issue.message)),
              ("expression", issue.expression.map { .array([.string($0)]) }),
            ])
          })
      ),
    ])
  }
}

/// A failure of the store, which tells want of room from the others.
public protocol ResourceStoreFailure: Error {
  /// Whether there is no room for what was to be written.
  var isWantOfRoom: Bool { get }
}

extension CanonicalJSON {
  /// An object of the members that are there, in canonical order.
  public static func members(_ members: [(String, CanonicalJSON?)]) -> CanonicalJSON {
    .object(
      members.compactMap { name, value in value.map { (name: name, value: $0) } }
        .sorted { $0.name.utf16.lexicographicallyPrecedes($1.name.utf16) })
  }

  /// The same with a line for each member and item.
  public var prettyBytes: [UInt8] {
    var out: [UInt8] = []
    self.write(into: &out, indent: "\n")
    return out + [0x0a]
  }

  private func write(into out: inout [UInt8], indent: String) {
    let inner = indent + "  "
    switch self {
    case .array(let items) where !items.isEmpty:
      for (number, item) in items.enumerated() {
        out += Array(((number == 0 ? "[" : ",") + inner).utf8)
        item.write(into: &out, indent: inner)
      }
      out += Array((indent + "]").utf8)
    case .object(let members) where !members.isEmpty:
      for (number, member) in members.enumerated() {
        out += Array(((number == 0 ? "{" : ",") + inner).utf8)
        out += CanonicalJSON.string(member.name).canonicalBytes + Array(": ".utf8)
        member.value.write(into: &out, indent: inner)
      }
      out += Array((indent + "}").utf8)
    case .null, .bool, .number, .string, .array, .object: out += self.canonicalBytes
    }
  }

  /// The same object with a member set; nil takes it away.
  public func setting(_ name: String, _ value: CanonicalJSON?) -> CanonicalJSON {
    guard case .object(let members) = self else { return self }
    return .members(members.filter { $0.name != name }.map { ($0.name, $0.value) } + [(name, value)])
  }

  /// The same value with every string that a member holds, alone or in an array, replaced by what `replace` makes of it
  /// and the member's name.
  func replacing(_ replace: (_ name: String, _ text: String) throws -> String) rethrows -> CanonicalJSON {
    try self.replacing(in: "", replace)
  }

  private func replacing(
    in name: String, _ replace: (_ name: String, _ text: String) throws -> String
  ) rethrows -> CanonicalJSON {
    switch self {
    case .null, .bool, .number: return self
    case .string(let text): return .string(try replace(name, text))
    case .array(let items): return .array(try items.map { try $0.replacing(in: name, replace) })
    case .object(let members):
      return .object(try members.map { ($0.name, try $0.value.replacing(in: $0.name, replace)) })
    }
  }

  /// Calls `body` for each text of a `Reference`.
  func forEachReference(_ body: (String) throws -> Void) rethrows {
    switch self {
    case .null, .bool, .number, .string: return
    case .array(let items): for item in items { try item.forEachReference(body) }
    case .object(let members):
      for member in members {
        if member.name == "reference", let text = member.value.text {
          try body(text)
        } else {
          try member.value.forEachReference(body)
        }
      }
    }
  }
}
