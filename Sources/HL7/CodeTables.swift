/// HL7's codes and what FHIR has for them.
///
/// Source: HL7 v2-to-FHIR implementation guide, concept maps; HL7 v2 tables 0001, 0004, 0085, 0123 and on.
enum CodeTables {
  /// A table's name in FHIR.
  static func v2(_ number: String) -> String { "http://terminology.hl7.org/CodeSystem/v2-\(number)" }

  /// Coding systems (table 0396).
  static let systems = [
    "LN": "http://loinc.org", "LOINC": "http://loinc.org", "SCT": "http://snomed.info/sct",
    "SNOMED": "http://snomed.info/sct", "SNM": "http://snomed.info/sct", "UCUM": "http://unitsofmeasure.org",
    "CVX": "http://hl7.org/fhir/sid/cvx", "MVX": "http://hl7.org/fhir/sid/mvx", "NDC": "http://hl7.org/fhir/sid/ndc",
    "I10": "http://hl7.org/fhir/sid/icd-10", "ICD10": "http://hl7.org/fhir/sid/icd-10",
    "ICD-10": "http://hl7.org/fhir/sid/icd-10", "ICD-10-CM": "http://hl7.org/fhir/sid/icd-10-cm",
    "ICD10CM": "http://hl7.org/fhir/sid/icd-10-cm",
    "I10C": "http://hl7.org/fhir/sid/icd-10-cm",
    "I9": "http://hl7.org/fhir/sid/icd-9-cm", "I9C": "http://hl7.org/fhir/sid/icd-9-cm",
    "RXNORM": "http://www.nlm.nih.gov/research/umls/rxnorm", "ATC": "http://www.whocc.no/atc",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM", "C4": "http://www.ama-assn.org/go/cpt",
    "MDC": "urn:iso:std:iso:11073:10101", "ISO639": "urn:ietf:bcp:47", "BCP47": "urn:ietf:bcp:47",
  ]

  /// 0001, administrative sex.
  static let gender = ["M": "male", "F": "female", "O": "other", "A": "other", "N": "other", "U": "unknown"]
  /// 0200, name type.
  static let nameUse = [
    "L": "official", "D": "usual", "C": "official", "N": "nickname", "M": "maiden", "S": "anonymous", "T": "temp",
    "B": "old", "BAD": "old",
  ]
  /// 0190, address type, where it says a use.
  static let addressUse = ["H": "home", "C": "temp", "B": "work", "O": "work", "BA": "old", "HV": "temp"]
  /// 0201, telecommunication use.
  static let telecomUse = ["PRN": "home", "ORN": "home", "VHN": "home", "WPN": "work", "PRS": "mobile"]
  /// 0202, telecommunication equipment.
  static let telecomSystem = [
    "PH": "phone", "CP": "phone", "SAT": "phone", "FX": "fax", "BP": "pager", "INTERNET": "email", "X.400": "email",
    "TDD": "other", "TTY": "other", "MD": "other",
  ]
  /// 0004, patient class, where FHIR's has it.
  static let encounterClass = [
    "I": ("IMP", "inpatient encounter"), "O": ("AMB", "ambulatory"), "E": ("EMER", "emergency"),
    "P": ("PRENC", "pre-admission"),
  ]
  /// 0085, observation result status.
  static let observationStatus = [
    "A": "amended", "B": "amended", "C": "corrected", "D": "entered-in-error", "F": "final", "I": "registered",
    "N": "registered", "O": "registered", "P": "preliminary", "R": "preliminary", "S": "preliminary", "U": "final",
    "V": "final", "W": "entered-in-error", "X": "cancelled",
  ]
  /// 0123, result status.
  static let reportStatus = [
    "A": "partial", "C": "corrected", "F": "final", "I": "registered", "M": "partial", "N": "registered",
    "O": "registered", "P": "preliminary", "R": "partial", "S": "registered", "X": "cancelled", "Y": "registered",
    "Z": "registered",
  ]
  /// 0271, document completion status: FHIR's `docStatus`.
  static let documentStatus = [
    "AU": "final", "LA": "final", "DO": "final", "DI": "preliminary", "IN": "preliminary", "IP": "preliminary",
    "PA": "preliminary",
  ]
  /// 0322, completion status of a vaccination.
  static let vaccination = ["CP": "completed", "PA": "completed", "NA": "not-done", "RE": "not-done"]
  /// 0278, filler status of an appointment.
  static let appointment = [
    "BOOKED": "booked", "PENDING": "pending", "WAITLIST": "waitlist", "STARTED": "arrived", "COMPLETE": "fulfilled",
    "CANCELLED": "cancelled", "DC": "cancelled", "NOSHOW": "noshow", "OVERBOOK": "booked", "BLOCKED": "proposed",
    "DELETED": "entered-in-error",
  ]
}
