/// What a client prefers (RFC 7240; FHIR R4, http.html#ops and search.html#errors). What is not understood is left out.
struct Preferences {
  enum Handling: String {
    case strict, lenient
  }

  /// What the answer to a write shows.
  enum Return: String {
    case minimal, representation
    case outcome = "OperationOutcome"
  }

  private(set) var handling: Handling?
  private(set) var shows: Return?
  /// Whether the answer may come later, elsewhere.
  private(set) var isAsync = false

  init(_ header: String?) {
    for part in (header ?? "").split(whereSeparator: { $0 == "," || $0 == ";" }) {
      let halves = part.split(separator: "=", maxSplits: 1).map { $0.trimmed }
      if halves.count == 1, halves[0].lowercased() == "respond-async" { self.isAsync = true }
      guard halves.count == 2 else { continue }
      let value = halves[1].filter { $0 != "\"" }
      switch halves[0].lowercased() {
      case "handling": self.handling = self.handling ?? Handling(rawValue: value)
      case "return": self.shows = self.shows ?? Return(rawValue: value)
      default: break
      }
    }
  }
}
