/// What belongs to a patient, by the standard's own definition (FHIR R4, compartmentdefinition-patient.html): the
/// parameters of each type by which a resource names the patient whose it is.
enum Compartment {
  /// The parameters of a type; nil where no resource of it belongs to a patient, or none is stored here.
  static func parameters(of type: String) -> [String]? { self.patient[type] }

  /// The types of which resources belong to patients.
  static let types = Self.patient.keys.sorted()

  private static let patient: [String: [String]] = [
    "AllergyIntolerance": ["patient", "recorder", "asserter"], "Appointment": ["actor"],
    "CarePlan": ["patient", "performer"], "CareTeam": ["patient", "participant"], "Claim": ["patient", "payee"],
    "Communication": ["subject", "sender", "recipient"], "Composition": ["subject", "author", "attester"],
    "Condition": ["patient", "asserter"], "Coverage": ["policy-holder", "subscriber", "beneficiary", "payor"],
    "DiagnosticReport": ["subject"], "DocumentReference": ["subject", "author"], "Encounter": ["patient"],
    "EpisodeOfCare": ["patient"], "ExplanationOfBenefit": ["patient", "payee"], "FamilyMemberHistory": ["patient"],
    "Goal": ["patient"], "Group": ["member"], "ImagingStudy": ["patient"], "Immunization": ["patient"],
    "List": ["subject", "source"], "Media": ["subject"],
    "MedicationAdministration": ["patient", "performer", "subject"],
    "MedicationDispense": ["subject", "patient", "receiver"], "MedicationRequest": ["subject"],
    "MedicationStatement": ["subject"], "Observation": ["subject", "performer"], "Patient": ["link"],
    "Procedure": ["patient", "performer"], "Provenance": ["patient"], "QuestionnaireResponse": ["subject", "author"],
    "RelatedPerson": ["patient"], "Schedule": ["actor"], "ServiceRequest": ["subject", "performer"],
    "Specimen": ["subject"],
  ]
}
