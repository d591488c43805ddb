internal import ArgumentParser
internal import HealthRecords

/// A number of the ledger's that has a word for people; the number of another is taken as it is.
protocol Worded: ExpressibleByArgument {
  /// Numbers with their words and what each means.
  static var table: [(number: UInt32, word: String, meaning: String)] { get }
  var number: UInt32 { get }
  init?(number: UInt32)
}

extension Worded {
  init?(argument: String) {
    let known = Self.table.first { $0.word == argument.lowercased() }?.number
    guard let number = known ?? UInt32(argument) else { return nil }
    self.init(number: number)
  }

  var defaultValueDescription: String { self.word }

  /// Its word, or its number where it has none.
  var word: String { Self.table.first { $0.number == self.number }?.word ?? "\(self.number)" }

  /// A line for each, for help.
  static var help: String {
    self.table.map { "  \($0.word) (\($0.number)): \($0.meaning)" }.joined(separator: "\n")
  }
}

/// Why the glass is broken, as the clinicians' page words it.
struct GlassReason: Worded {
  static let table: [(number: UInt32, word: String, meaning: String)] = [
    (1, "life-at-risk", "the patient cannot consent, and life or health is at risk"),
    (2, "asked-for-help", "the patient asks for help and cannot use the keys"),
    (3, "disaster", "an outbreak or disaster"),
  ]
  let number: UInt32

  init?(number: UInt32) {
    guard (1...UInt32(UInt16.max)).contains(number) else { return nil }
    self.number = number
  }
}

/// What a practitioner is: the first three digits of the NUCC taxonomy.
struct Role: Worded {
  static let table: [(number: UInt32, word: String, meaning: String)] = [
    (103, "psychologist", "psychologist"), (104, "social-worker", "social worker"), (122, "dentist", "dentist"),
    (133, "dietitian", "dietitian"), (146, "paramedic", "emergency medical service"),
    (163, "nurse", "registered nurse"), (176, "midwife", "midwife"), (183, "pharmacist", "pharmacist"),
    (207, "physician", "physician of a specialty"),
    (208, "general-physician", "general practice, paediatrics, surgery"),
    (225, "therapist", "physical, occupational or respiratory therapist"),
    (HealthRecords.Account.privacyOfficer, "privacy-officer", "reviews broken glass for the hospital"),
  ]
  let number: UInt32

  init?(number: UInt32) {
    guard number > 0 else { return nil }
    self.number = number
  }
}

/// Where the review of a broken glass stands, in words.
enum ReviewWords {
  static func of(_ state: String) -> String {
    switch state {
    case "reviewDue": "review due"
    case "overdue": "review overdue"
    case "justified": "was justified"
    case "unjustified": "was not justified"
    default: state
    }
  }
}
