/// Why bytes are no FHIR that can be taken.
public enum FHIRFault: Error, Sendable, Hashable, CustomStringConvertible {
  /// They are no JSON.
  case json(JSONFault)
  /// There is no resource type, or none of R4's.
  case resourceType(String?, entry: Int?)
  /// A bundle has no entries that are resources.
  case emptyBundle

  /// What is wrong and what to do.
  public var description: String {
    switch self {
    case .json(let fault): "\(fault)"
    case .resourceType(let found, let entry):
      (entry.map { "entry \($0): " } ?? "")
        + (found.map { "\"\($0)\" is no FHIR R4 resource type" } ?? "no FHIR: the member resourceType is missing")
    case .emptyBundle: "the bundle has no entry with a resource"
    }
  }
}

/// One FHIR resource, ready to be sealed.
public struct FHIRResource: Sendable, Hashable {
  /// The most bytes of a file of resources.
  public static let fileBytesMax = 32 << 20
  /// Its type.
  public let type: String
  /// Its canonical bytes.
  public let canonical: [UInt8]

  /// What it is about: its type's category, or `sensitive` where labels or codes say so (`Sensitivity`).
  public private(set) var category: RecordCategory

  /// The same, of the sensitive category.
  public var asSensitive: FHIRResource {
    var same = self
    same.category = .sensitive
    return same
  }

  /// The resources in a file: the entries of a bundle, or the one resource.
  ///
  /// - Throws: `FHIRFault`, with the entry.
  public static func read(_ bytes: [UInt8]) throws(FHIRFault) -> [FHIRResource] {
    guard bytes.count <= self.fileBytesMax else {
      throw .json(.tooLarge(bytes: bytes.count, max: self.fileBytesMax))
    }
    let json: CanonicalJSON
    do { json = try CanonicalJSON(bytes, limits: .outside) } catch { throw .json(error) }
    guard json["resourceType"]?.text == "Bundle" else { return [try self.resource(json, entry: nil)] }
    // What a bundle is labelled as, so is all that is in it.
    let isSensitive = Sensitivity.isSensitive(json)
    var resources: [FHIRResource] = []
    for (index, entry) in (json["entry"]?.items ?? []).enumerated() {
      guard let resource = entry["resource"] else { continue }
      let read = try self.resource(resource, entry: index)
      resources.append(isSensitive ? read.asSensitive : read)
    }
    guard !resources.isEmpty else { throw .emptyBundle }
    return resources
  }

  /// Whether a type of resources is one of FHIR R4.
  public static func isType(_ name: String) -> Bool { self.types.contains(name) }

  private static func resource(_ json: CanonicalJSON, entry: Int?) throws(FHIRFault) -> FHIRResource {
    guard let type = json["resourceType"]?.text else { throw .resourceType(nil, entry: entry) }
    guard self.types.contains(type) else { throw .resourceType(type, entry: entry) }
    let category = Sensitivity.isSensitive(json) ? .sensitive : self.categories[type] ?? .other
    return FHIRResource(type: type, canonical: json.canonicalBytes, category: category)
  }

  private static let categories: [String: RecordCategory] = [
    "Patient": .demographics, "RelatedPerson": .demographics, "Coverage": .financial, "Encounter": .encounter,
    "CarePlan": .encounter, "CareTeam": .encounter, "Goal": .encounter, "Appointment": .encounter,
    "Condition": .condition, "AllergyIntolerance": .allergy, "MedicationRequest": .medication,
    "MedicationStatement": .medication, "MedicationAdministration": .medication, "MedicationDispense": .medication,
    "Medication": .medication, "Observation": .observation, "DiagnosticReport": .observation,
    "Specimen": .observation, "Immunization": .immunization, "Procedure": .procedure, "ImagingStudy": .document,
    "DocumentReference": .document, "Binary": .document, "Media": .document, "Claim": .financial,
    "ExplanationOfBenefit": .financial, "Bundle": .bundle, "MolecularSequence": .sensitive,
  ]

  /// The resource types of FHIR R4 (4.0.1).
  private static let types = Set(
    """
    Account ActivityDefinition AdverseEvent AllergyIntolerance Appointment AppointmentResponse AuditEvent Basic Binary
    BiologicallyDerivedProduct BodyStructure Bundle CapabilityStatement CarePlan CareTeam CatalogEntry ChargeItem
    ChargeItemDefinition Claim ClaimResponse ClinicalImpression CodeSystem Communication CommunicationRequest
    CompartmentDefinition Composition ConceptMap Condition Consent Contract Coverage CoverageEligibilityRequest
    CoverageEligibilityResponse DetectedIssue Device DeviceDefinition DeviceMetric DeviceRequest DeviceUseStatement
    DiagnosticReport DocumentManifest DocumentReference EffectEvidenceSynthesis Encounter Endpoint EnrollmentRequest
    EnrollmentResponse EpisodeOfCare EventDefinition Evidence EvidenceVariable ExampleScenario ExplanationOfBenefit
    FamilyMemberHistory Flag Goal GraphDefinition Group GuidanceResponse HealthcareService ImagingStudy Immunization
    ImmunizationEvaluation ImmunizationRecommendation ImplementationGuide InsurancePlan Invoice Library Linkage List
    Location Measure MeasureReport Media Medication MedicationAdministration MedicationDispense MedicationKnowledge
    MedicationRequest MedicationStatement MedicinalProduct MedicinalProductAuthorization
    MedicinalProductContraindication MedicinalProductIndication MedicinalProductIngredient
    MedicinalProductInteraction MedicinalProductManufactured MedicinalProductPackaged MedicinalProductPharmaceutical
    MedicinalProductUndesirableEffect MessageDefinition MessageHeader MolecularSequence NamingSystem NutritionOrder
    Observation ObservationDefinition OperationDefinition OperationOutcome Organization OrganizationAffiliation
    Parameters Patient PaymentNotice PaymentReconciliation Person PlanDefinition Practitioner PractitionerRole
    Procedure Provenance Questionnaire QuestionnaireResponse RelatedPerson RequestGroup ResearchDefinition
    ResearchElementDefinition ResearchStudy ResearchSubject RiskAssessment RiskEvidenceSynthesis Schedule
    SearchParameter ServiceRequest Slot Specimen SpecimenDefinition StructureDefinition StructureMap Subscription
    Substance SubstanceNucleicAcid SubstancePolymer SubstanceProtein SubstanceReferenceInformation
    SubstanceSourceMaterial SubstanceSpecification SupplyDelivery SupplyRequest Task TerminologyCapabilities
    TestReport TestScript ValueSet VerificationResult VisionPrescription
    """.split(whereSeparator: \.isWhitespace).map(String.init))
}
