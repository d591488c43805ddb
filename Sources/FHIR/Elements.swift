import HealthRecords

/// The elements of a resource type: which there are, whether they repeat, must be there, and of what shape they are.
///
/// Source: HL7 FHIR R4 (4.0.1), fhir.schema.json (CC0), for the types that are stored here, and what all have.
struct Element: Sendable {
  let repeats: Bool
  let isRequired: Bool
  /// b: boolean, n: number, s: text, c: a code, o: an object.
  let shape: Character
  /// The codes that there are; none where they are not listed here.
  let codes: [Substring]

  /// What is wrong with a resource, each with the element; none where its form is right.
  static func faults(of resource: CanonicalJSON, type: String) -> [String] {
    guard case .object(let members) = resource, let elements = Self.table[type] else { return ["no \(type)"] }
    var faults: [String] = []
    for (name, value) in members where !Self.common.contains(name) && !name.hasPrefix("_") {
      guard let element = elements[name] else {
        faults.append("\(type).\(name): there is no such element")
        continue
      }
      if let fault = element.fault(of: value) { faults.append("\(type).\(name): \(fault)") }
    }
    for name in elements.keys.sorted() where elements[name]?.isRequired == true {
      if resource[name] == nil, resource["_" + name] == nil { faults.append("\(type).\(name): it must be there") }
    }
    return faults + Self.emptiness(of: resource, at: type)
  }

  private func fault(of value: CanonicalJSON) -> String? {
    if self.repeats {
      guard let items = value.items else { return "an array is expected" }
      return items.lazy.compactMap { self.faultOfOne($0) }.first
    }
    return value.items == nil ? self.faultOfOne(value) : "it does not repeat, so no array is expected"
  }

  private func faultOfOne(_ value: CanonicalJSON) -> String? {
    switch (self.shape, value) {
    case ("b", .bool), ("n", .number), ("s", .string), ("o", .object): return nil
    case ("c", .string(let code)):
      guard !self.codes.isEmpty, !self.codes.contains(Substring(code)) else { return nil }
      return "\"\(code)\" is none of \(self.codes.joined(separator: ", "))"
    // An item without a value may carry extensions beside it.
    case (_, .null) where self.repeats: return nil
    case ("b", _): return "true or false is expected"
    case ("n", _): return "a number is expected"
    case ("o", _): return "an object is expected"
    default: return "a string is expected"
    }
  }

  /// FHIR R4, JSON §2.6.2: nothing is empty, and nothing is null but in arrays of primitives.
  private static func emptiness(of value: CanonicalJSON, at path: String) -> [String] {
    switch value {
    case .object(let members):
      if members.isEmpty { return ["\(path): an object is never empty"] }
      return members.flatMap { member in
        member.value == .null
          ? ["\(path).\(member.name): null is left out"]
          : self.emptiness(of: member.value, at: "\(path).\(member.name)")
      }
    case .array(let items):
      if items.isEmpty { return ["\(path): an array is never empty"] }
      return items.flatMap { self.emptiness(of: $0, at: path) }
    case .string(let text): return text.isEmpty ? ["\(path): a string is never empty"] : []
    case .null, .bool, .number: return []
    }
  }

  private static let common: Set<String> = [
    "resourceType", "id", "meta", "implicitRules", "language", "text", "contained", "extension", "modifierExtension",
  ]

  private static let table: [String: [String: Element]] = {
    var table: [String: [String: Element]] = [:]
    var type = ""
    for word in Self.source.split(whereSeparator: \.isWhitespace) {
      guard let colon = word.firstIndex(of: ":") else {
        type = String(word)
        continue
      }
      let name = word[..<colon].prefix { $0 != "*" && $0 != "!" }
      let shape = word[word.index(after: colon)...]
      let codes = shape.split(separator: "=").dropFirst().first?.split(separator: ",") ?? []
      table[type, default: [:]][String(name)] = Element(
        repeats: word[..<colon].contains("*"), isRequired: word[..<colon].contains("!"), shape: shape.first ?? "o",
        codes: codes)
    }
    return table
  }()

  /// A type, then its elements: name, * where it repeats, ! where it must be there, shape, codes.
  private static let source = """
    AllergyIntolerance identifier*:o clinicalStatus:o verificationStatus:o type:c=allergy,intolerance
      category*:c=food,medication,environment,biologic criticality:c=low,high,unable-to-assess code:o patient!:o
      encounter:o onsetDateTime:s onsetAge:o onsetPeriod:o onsetRange:o onsetString:s recordedDate:s recorder:o
      asserter:o lastOccurrence:s note*:o reaction*:o
    Appointment identifier*:o
      status!:c=proposed,pending,booked,arrived,fulfilled,cancelled,noshow,entered-in-error,checked-in,waitlist
      cancelationReason:o serviceCategory*:o serviceType*:o specialty*:o appointmentType:o reasonCode*:o
      reasonReference*:o priority:n description:s supportingInformation*:o start:s end:s minutesDuration:n slot*:o
      created:s comment:s patientInstruction:s basedOn*:o participant*!:o requestedPeriod*:o
    Binary contentType!:s securityContext:o data:s
    CarePlan identifier*:o instantiatesCanonical*:s instantiatesUri*:s basedOn*:o replaces*:o partOf*:o status!:s
      intent!:s category*:o title:s description:s subject!:o encounter:o period:o created:s author:o contributor*:o
      careTeam*:o addresses*:o supportingInfo*:o goal*:o activity*:o note*:o
    CareTeam identifier*:o status:c=proposed,active,suspended,inactive,entered-in-error category*:o name:s subject:o
      encounter:o period:o participant*:o reasonCode*:o reasonReference*:o managingOrganization*:o telecom*:o
      note*:o
    Claim identifier*:o status!:s type!:o subType:o use!:c=claim,preauthorization,predetermination patient!:o
      billablePeriod:o created!:s enterer:o insurer:o provider!:o priority!:o fundsReserve:o related*:o
      prescription:o originalPrescription:o payee:o referral:o facility:o careTeam*:o supportingInfo*:o diagnosis*:o
      procedure*:o insurance*!:o accident:o item*:o total:o
    Communication identifier*:o instantiatesCanonical*:s instantiatesUri*:s basedOn*:o partOf*:o inResponseTo*:o
      status!:s statusReason:o category*:o priority:s medium*:o subject:o topic:o about*:o encounter:o sent:s
      received:s recipient*:o sender:o reasonCode*:o reasonReference*:o payload*:o note*:o
    Composition identifier:o status!:c=preliminary,final,amended,entered-in-error type!:o category*:o subject:o
      encounter:o date!:s author*!:o title!:s confidentiality:s attester*:o custodian:o relatesTo*:o event*:o
      section*:o
    Condition identifier*:o clinicalStatus:o verificationStatus:o category*:o severity:o code:o bodySite*:o
      subject!:o encounter:o onsetDateTime:s onsetAge:o onsetPeriod:o onsetRange:o onsetString:s abatementDateTime:s
      abatementAge:o abatementPeriod:o abatementRange:o abatementString:s recordedDate:s recorder:o asserter:o
      stage*:o evidence*:o note*:o
    Coverage identifier*:o status!:s type:o policyHolder:o subscriber:o subscriberId:s beneficiary!:o dependent:s
      relationship:o period:o payor*!:o class*:o order:n network:s costToBeneficiary*:o subrogation:b contract*:o
    Device identifier*:o definition:o udiCarrier*:o status:c=active,inactive,entered-in-error,unknown
      statusReason*:o distinctIdentifier:s manufacturer:s manufactureDate:s expirationDate:s lotNumber:s
      serialNumber:s deviceName*:o modelNumber:s partNumber:s type:o specialization*:o version*:o property*:o
      patient:o owner:o contact*:o location:o url:s note*:o safety*:o parent:o
    DiagnosticReport identifier*:o basedOn*:o
      status!:c=registered,partial,preliminary,final,amended,corrected,appended,cancelled,entered-in-error,unknown
      category*:o code!:o subject:o encounter:o effectiveDateTime:s effectivePeriod:o issued:s performer*:o
      resultsInterpreter*:o specimen*:o result*:o imagingStudy*:o media*:o conclusion:s conclusionCode*:o
      presentedForm*:o
    DocumentReference masterIdentifier:o identifier*:o status!:c=current,superseded,entered-in-error docStatus:s
      type:o category*:o subject:o date:s author*:o authenticator:o custodian:o relatesTo*:o description:s
      securityLabel*:o content*!:o context:o
    Encounter identifier*:o
      status!:c=planned,arrived,triaged,in-progress,onleave,finished,cancelled,entered-in-error,unknown
      statusHistory*:o class!:o classHistory*:o type*:o serviceType:o priority:o subject:o episodeOfCare*:o
      basedOn*:o participant*:o appointment*:o period:o length:o reasonCode*:o reasonReference*:o diagnosis*:o
      account*:o hospitalization:o location*:o serviceProvider:o partOf:o
    EpisodeOfCare identifier*:o status!:c=planned,waitlist,active,onhold,finished,cancelled,entered-in-error
      statusHistory*:o type*:o diagnosis*:o patient!:o managingOrganization:o period:o referralRequest*:o
      careManager:o team*:o account*:o
    ExplanationOfBenefit identifier*:o status!:c=active,cancelled,draft,entered-in-error type!:o subType:o use!:s
      patient!:o billablePeriod:o created!:s enterer:o insurer!:o provider!:o priority:o fundsReserveRequested:o
      fundsReserve:o related*:o prescription:o originalPrescription:o payee:o referral:o facility:o claim:o
      claimResponse:o outcome!:s disposition:s preAuthRef*:s preAuthRefPeriod*:o careTeam*:o supportingInfo*:o
      diagnosis*:o procedure*:o precedence:n insurance*!:o accident:o item*:o addItem*:o adjudication*:o total*:o
      payment:o formCode:o form:o processNote*:o benefitPeriod:o benefitBalance*:o
    FamilyMemberHistory identifier*:o instantiatesCanonical*:s instantiatesUri*:s
      status!:c=partial,completed,entered-in-error,health-unknown dataAbsentReason:o patient!:o date:s name:s
      relationship!:o sex:o bornPeriod:o bornDate:s bornString:s ageAge:o ageRange:o ageString:s estimatedAge:b
      deceasedBoolean:b deceasedAge:o deceasedRange:o deceasedDate:s deceasedString:s reasonCode*:o
      reasonReference*:o note*:o condition*:o
    Goal identifier*:o
      lifecycleStatus!:c=proposed,planned,accepted,active,on-hold,completed,cancelled,entered-in-error,rejected
      achievementStatus:o category*:o priority:o description!:o subject!:o startDate:s startCodeableConcept:o
      target*:o statusDate:s statusReason:s expressedBy:o addresses*:o note*:o outcomeCode*:o outcomeReference*:o
    Group identifier*:o active:b type!:c=person,animal,practitioner,device,medication,substance actual!:b code:o
      name:s quantity:n managingEntity:o characteristic*:o member*:o
    ImagingStudy identifier*:o status!:c=registered,available,cancelled,entered-in-error,unknown modality*:o
      subject!:o encounter:o started:s basedOn*:o referrer:o interpreter*:o endpoint*:o numberOfSeries:n
      numberOfInstances:n procedureReference:o procedureCode*:o location:o reasonCode*:o reasonReference*:o note*:o
      description:s series*:o
    Immunization identifier*:o status!:s statusReason:o vaccineCode!:o patient!:o encounter:o occurrenceDateTime:s
      occurrenceString:s recorded:s primarySource:b reportOrigin:o location:o manufacturer:o lotNumber:s
      expirationDate:s site:o route:o doseQuantity:o performer*:o note*:o reasonCode*:o reasonReference*:o
      isSubpotent:b subpotentReason*:o education*:o programEligibility*:o fundingSource:o reaction*:o
      protocolApplied*:o
    List identifier*:o status!:c=current,retired,entered-in-error mode!:c=working,snapshot,changes title:s code:o
      subject:o encounter:o date:s source:o orderedBy:o note*:o entry*:o emptyReason:o
    Location identifier*:o status:c=active,suspended,inactive operationalStatus:o name:s alias*:s description:s
      mode:c=instance,kind type*:o telecom*:o address:o physicalType:o position:o managingOrganization:o partOf:o
      hoursOfOperation*:o availabilityExceptions:s endpoint*:o
    Media identifier*:o basedOn*:o partOf*:o status!:s type:o modality:o view:o subject:o encounter:o
      createdDateTime:s createdPeriod:o issued:s operator:o reasonCode*:o bodySite:o deviceName:s device:o height:n
      width:n frames:n duration:n content!:o note*:o
    Medication identifier*:o code:o status:s manufacturer:o form:o amount:o ingredient*:o batch:o
    MedicationAdministration identifier*:o instantiates*:s partOf*:o status!:s statusReason*:o category:o
      medicationCodeableConcept:o medicationReference:o subject!:o context:o supportingInformation*:o
      effectiveDateTime:s effectivePeriod:o performer*:o reasonCode*:o reasonReference*:o request:o device*:o
      note*:o dosage:o eventHistory*:o
    MedicationDispense identifier*:o partOf*:o status!:s statusReasonCodeableConcept:o statusReasonReference:o
      category:o medicationCodeableConcept:o medicationReference:o subject:o context:o supportingInformation*:o
      performer*:o location:o authorizingPrescription*:o type:o quantity:o daysSupply:o whenPrepared:s
      whenHandedOver:s destination:o receiver*:o note*:o dosageInstruction*:o substitution:o detectedIssue*:o
      eventHistory*:o
    MedicationRequest identifier*:o status!:s statusReason:o intent!:s category*:o priority:s doNotPerform:b
      reportedBoolean:b reportedReference:o medicationCodeableConcept:o medicationReference:o subject!:o encounter:o
      supportingInformation*:o authoredOn:s requester:o performer:o performerType:o recorder:o reasonCode*:o
      reasonReference*:o instantiatesCanonical*:s instantiatesUri*:s basedOn*:o groupIdentifier:o
      courseOfTherapyType:o insurance*:o note*:o dosageInstruction*:o dispenseRequest:o substitution:o
      priorPrescription:o detectedIssue*:o eventHistory*:o
    MedicationStatement identifier*:o basedOn*:o partOf*:o status!:s statusReason*:o category:o
      medicationCodeableConcept:o medicationReference:o subject!:o context:o effectiveDateTime:s effectivePeriod:o
      dateAsserted:s informationSource:o derivedFrom*:o reasonCode*:o reasonReference*:o note*:o dosage*:o
    Observation identifier*:o basedOn*:o partOf*:o
      status!:c=registered,preliminary,final,amended,corrected,cancelled,entered-in-error,unknown category*:o
      code!:o subject:o focus*:o encounter:o effectiveDateTime:s effectivePeriod:o effectiveTiming:o
      effectiveInstant:s issued:s performer*:o valueQuantity:o valueCodeableConcept:o valueString:s valueBoolean:b
      valueInteger:n valueRange:o valueRatio:o valueSampledData:o valueTime:s valueDateTime:s valuePeriod:o
      dataAbsentReason:o interpretation*:o note*:o bodySite:o method:o specimen:o device:o referenceRange*:o
      hasMember*:o derivedFrom*:o component*:o
    Organization identifier*:o active:b type*:o name:s alias*:s telecom*:o address*:o partOf:o contact*:o
      endpoint*:o
    Patient identifier*:o active:b name*:o telecom*:o gender:c=male,female,other,unknown birthDate:s
      deceasedBoolean:b deceasedDateTime:s address*:o maritalStatus:o multipleBirthBoolean:b multipleBirthInteger:n
      photo*:o contact*:o communication*:o generalPractitioner*:o managingOrganization:o link*:o
    Practitioner identifier*:o active:b name*:o telecom*:o address*:o gender:c=male,female,other,unknown birthDate:s
      photo*:o qualification*:o communication*:o
    PractitionerRole identifier*:o active:b period:o practitioner:o organization:o code*:o specialty*:o location*:o
      healthcareService*:o telecom*:o availableTime*:o notAvailable*:o availabilityExceptions:s endpoint*:o
    Procedure identifier*:o instantiatesCanonical*:s instantiatesUri*:s basedOn*:o partOf*:o status!:s
      statusReason:o category:o code:o subject!:o encounter:o performedDateTime:s performedPeriod:o
      performedString:s performedAge:o performedRange:o recorder:o asserter:o performer*:o location:o reasonCode*:o
      reasonReference*:o bodySite*:o outcome:o report*:o complication*:o complicationDetail*:o followUp*:o note*:o
      focalDevice*:o usedReference*:o usedCode*:o
    Provenance target*!:o occurredPeriod:o occurredDateTime:s recorded:s policy*:s location:o reason*:o activity:o
      agent*!:o entity*:o signature*:o
    QuestionnaireResponse identifier:o basedOn*:o partOf*:o questionnaire:s
      status!:c=in-progress,completed,amended,entered-in-error,stopped subject:o encounter:o authored:s author:o
      source:o item*:o
    RelatedPerson identifier*:o active:b patient!:o relationship*:o name*:o telecom*:o
      gender:c=male,female,other,unknown birthDate:s address*:o photo*:o period:o communication*:o
    Schedule identifier*:o active:b serviceCategory*:o serviceType*:o specialty*:o actor*!:o planningHorizon:o
      comment:s
    ServiceRequest identifier*:o instantiatesCanonical*:s instantiatesUri*:s basedOn*:o replaces*:o requisition:o
      status!:s intent!:s category*:o priority:s doNotPerform:b code:o orderDetail*:o quantityQuantity:o
      quantityRatio:o quantityRange:o subject!:o encounter:o occurrenceDateTime:s occurrencePeriod:o
      occurrenceTiming:o asNeededBoolean:b asNeededCodeableConcept:o authoredOn:s requester:o performerType:o
      performer*:o locationCode*:o locationReference*:o reasonCode*:o reasonReference*:o insurance*:o
      supportingInfo*:o specimen*:o bodySite*:o note*:o patientInstruction:s relevantHistory*:o
    Slot identifier*:o serviceCategory*:o serviceType*:o specialty*:o appointmentType:o schedule!:o
      status!:c=busy,free,busy-unavailable,busy-tentative,entered-in-error start!:s end!:s overbooked:b comment:s
    Specimen identifier*:o accessionIdentifier:o status:c=available,unavailable,unsatisfactory,entered-in-error
      type:o subject:o receivedTime:s parent*:o request*:o collection:o processing*:o container*:o condition*:o
      note*:o
    Substance identifier*:o status:c=active,inactive,entered-in-error category*:o code!:o description:s instance*:o
      ingredient*:o
    Task identifier*:o instantiatesCanonical:s instantiatesUri:s basedOn*:o groupIdentifier:o partOf*:o
      status!:c
      statusReason:o businessStatus:o
      intent!:c=unknown,proposal,plan,order,original-order,reflex-order,filler-order,instance-order,option
      priority:s code:o description:s focus:o for:o encounter:o executionPeriod:o authoredOn:s lastModified:s
      requester:o performerType*:o owner:o location:o reasonCode:o reasonReference:o insurance*:o note*:o
      relevantHistory*:o restriction:o input*:o output*:o
    """
}
