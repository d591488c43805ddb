/// Which resources are of the category that needs the practitioner's own key: by their security labels, and by codes of
/// a small table (RECORDS §3).
public enum Sensitivity {
  private static let confidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"

  /// The label that says so, and nothing else of what is inside.
  public static let label = CanonicalJSON.object([
    (name: "code", value: .string("R")), (name: "system", value: .string(confidentiality)),
  ])

  /// HL7 v3: restricted and very restricted.
  private static let restricted: Set<String> = ["R", "V"]
  /// HL7 v3: what is especially sensitive by law or by custom.
  private static let kinds: Set<String> = [
    "ALCUD", "BH", "COGN", "DVD", "EMOTDIS", "ETH", "GDIS", "HIV", "MH", "MST", "OPIOIDUD", "PSY", "PSYTHPN", "SCA",
    "SDV", "SEX", "SPI", "STD", "SUD",
  ]
  /// The labels by their systems, under the names that STU 3 had for them, too.
  private static let labels: [String: Set<String>] = [
    confidentiality: restricted, "http://hl7.org/fhir/v3/Confidentiality": restricted,
    "http://terminology.hl7.org/CodeSystem/v3-ActCode": kinds, "http://hl7.org/fhir/v3/ActCode": kinds,
  ]
  /// Genetics, by the section of a diagnostic service (HL7 v2, table 0074); the diagnoses of HIV and AIDS (SNOMED CT).
  private static let codes: [String: Set<String>] = [
    "http://terminology.hl7.org/CodeSystem/v2-0074": ["GE", "CG"],
    "http://snomed.info/sct": ["86406008", "62479008", "165816005", "91948008"],
  ]
  /// ICD-10: sexually transmitted diseases, HIV, mental and behavioural disorders.
  private static let diagnoses = (50...64).map { "A\($0)" } + (20...24).map { "B\($0)" } + ["Z21", "F"]
  private static let classifications: Set<String> = [
    "http://hl7.org/fhir/sid/icd-10", "http://hl7.org/fhir/sid/icd-10-cm", "http://fhir.de/CodeSystem/bfarm/icd-10-gm",
  ]
  /// The most labels, codings and contained resources of one resource that are looked at; ⚑ one that has more is taken
  /// for sensitive: nothing is hidden behind them.
  private static let lookedMax = 256

  /// Whether a resource's labels or codes, or those of what it contains, say that it is sensitive.
  public static func isSensitive(_ json: CanonicalJSON) -> Bool {
    let contained = json["contained"]?.items ?? []
    return contained.count > self.lookedMax || ([json] + contained).contains { self.isSensitiveAlone($0) }
  }

  private static func isSensitiveAlone(_ json: CanonicalJSON) -> Bool {
    // A Composition has its label as a code, a DocumentReference as concepts.
    if let code = json["confidentiality"]?.text, self.restricted.contains(code) { return true }
    let security = self.list(json["meta"]?["security"]) + self.codings(json["securityLabel"])
    let codings = self.codings(json["code"]) + self.codings(json["category"])
    guard security.count <= self.lookedMax, codings.count <= self.lookedMax else { return true }
    return (security + codings).contains { self.says(self.labels, $0) }
      || codings.contains { self.says(self.codes, $0) || self.isDiagnosis($0) }
  }

  /// What an element is that may be there once or often.
  private static func list(_ value: CanonicalJSON?) -> [CanonicalJSON] { value.map { $0.items ?? [$0] } ?? [] }

  private static func codings(_ concepts: CanonicalJSON?) -> [CanonicalJSON] {
    self.list(concepts).flatMap { self.list($0["coding"]) }
  }

  private static func says(_ table: [String: Set<String>], _ coding: CanonicalJSON) -> Bool {
    guard let system = coding["system"]?.text, let code = coding["code"]?.text else { return false }
    return table[system]?.contains(code) ?? false
  }

  private static func isDiagnosis(_ coding: CanonicalJSON) -> Bool {
    guard let system = coding["system"]?.text, let code = coding["code"]?.text?.uppercased() else { return false }
    return self.classifications.contains(system) && self.diagnoses.contains { code.hasPrefix($0) }
  }
}
