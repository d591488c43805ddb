import HealthRecords

/// A search parameter of FHIR R4: how it is compared, and where its values stand in a resource.
///
/// Source: HL7 FHIR R4 (4.0.1), search-parameters.json (CC0), for the types that are stored here.
public struct SearchParameter: Sendable, Hashable {
  /// How values are compared (FHIR R4, search §3.1.1.4).
  public enum Kind: Character, Sendable {
    /// A code, perhaps with its system.
    case token = "t"
    /// Another resource.
    case reference = "r"
    /// Text, without regard to case and accents.
    case string = "s"
    /// A date, an instant or a period.
    case date = "d"
    /// A number with a unit.
    case quantity = "q"
    /// A number.
    case number = "n"
    /// A URI.
    case uri = "u"
    /// Several values of one element.
    case composite = "c"

    /// Its name in a CapabilityStatement.
    public var name: String {
      switch self {
      case .token: "token"
      case .reference: "reference"
      case .string: "string"
      case .date: "date"
      case .quantity: "quantity"
      case .number: "number"
      case .uri: "uri"
      case .composite: "composite"
      }
    }
  }

  /// Its name in a URL.
  public let code: String
  /// How values are compared.
  public let kind: Kind
  /// Where they stand: elements from the resource on, `telecom=phone` for those of one system, `?deceased` for whether
  /// there is one other than false. A composite's is the element of its parts.
  let paths: [[Substring]]
  /// What belongs together, where it is a composite.
  let parts: [SearchParameter]

  /// The parameters of a type, by code; nil where the type is not stored here.
  public static func of(_ type: String) -> [String: SearchParameter]? { self.table[type] }
  /// The types that are stored here.
  public static let types = SearchParameter.table.keys.sorted()

  /// The types that a reference can lead to.
  ///
  /// - Complexity: O(1).
  func targets(in type: String) -> [String] { Self.targets["\(type).\(self.code)"] ?? [] }

  /// What it looks at in a resource.
  func nodes(in resource: CanonicalJSON) -> [CanonicalJSON] { self.paths.flatMap { Self.nodes(resource, $0) } }

  /// What a path leads to.
  private static func nodes(_ resource: CanonicalJSON, _ path: [Substring]) -> [CanonicalJSON] {
    var nodes = [resource]
    for segment in path {
      if segment.first == "?" {
        nodes = nodes.map { .bool($0.children(String(segment.dropFirst())).contains { $0 != .bool(false) }) }
        continue
      }
      let parts = segment.split(separator: "=")
      nodes = nodes.flatMap { $0.children(String(parts[0])) }
      if parts.count == 2 { nodes = nodes.filter { $0["system"]?.text == String(parts[1]) } }
    }
    return nodes
  }

  /// The types of the elements that it looks at: `CodeableConcept`, `Identifier`; all primitives are `""`.
  func elements(in type: String) -> Set<String> {
    // What is within `meta` is the same for all types.
    if self.paths.first?.first == "meta" { return ["Coding"] }
    return Set(
      self.paths.flatMap { path in
        path.reduce([type]) { types, segment in
          let name = segment.drop { $0 == "?" }.prefix { $0 != "=" }
          return types.flatMap { type in
            (Definitions.table[type]?.elements ?? [:]).filter { $0.key == name || $0.value.choice == String(name) }
              .values
              .map { if case .object(let kind) = $0.kind { kind } else { "" } }
          }
        }
      })
  }

  private static let table: [String: [String: SearchParameter]] = {
    var table: [String: [String: SearchParameter]] = [:]
    for entry in Self.source.joined(separator: " ").split(separator: "¶") {
      let halves = entry.split(separator: ":", maxSplits: 1)
      var parameters: [String: SearchParameter] = [:]
      for text in halves.count == 2 ? halves[1].split(separator: ";") : [] {
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 3, let kind = words[1].first.flatMap({ Kind(rawValue: $0) }) else { continue }
        parameters[String(words[0])] = Self.parsed(String(words[0]), kind, words[2])
      }
      table[halves[0].trimmed] = parameters
    }
    return table
  }()

  /// A parameter of paths; of a composite they are `ELEMENTS>PART:KIND$PART:KIND`, and `.` is the resource itself.
  private static func parsed(_ code: String, _ kind: Kind, _ text: Substring) -> SearchParameter {
    let halves = text.split(separator: ">")
    let parts = (halves.count == 2 ? halves[1].split(separator: "$") : []).compactMap { part -> SearchParameter? in
      let words = part.split(separator: ":")
      return words.last?.first.flatMap { Kind(rawValue: $0) }.map { Self.parsed(code, $0, words[0]) }
    }
    let paths = (halves.first ?? "").split(separator: "|").map { $0.split(separator: ".") }
    return SearchParameter(code: code, kind: kind, paths: paths, parts: parts)
  }

  private static let targets: [String: [String]] = {
    var targets: [String: [String]] = [:]
    for entry in Definitions.searchTargets.split(separator: "¶") {
      let halves = entry.split(separator: ":", maxSplits: 1)
      guard halves.count == 2 else { continue }
      let types = halves[0].split(whereSeparator: \.isWhitespace).map(String.init)
      for name in halves[1].split(whereSeparator: \.isWhitespace) {
        targets[String(name)] = types == ["*"] ? Self.types : types == ["-"] ? [] : types
      }
    }
    return targets
  }()

  /// The types, each after a ¶: code, kind and paths of each parameter.
  private static let source = """
    ¶ AllergyIntolerance: asserter r asserter; category t category; clinical-status t clinicalStatus; code t
      code|reaction.substance; criticality t criticality; date d recordedDate; identifier t identifier; last-date d
      lastOccurrence; manifestation t reaction.manifestation; onset d reaction.onset; patient r patient; recorder r
      recorder; route t reaction.exposureRoute; severity t reaction.severity; type t type; verification-status t
      verificationStatus
    ¶ Appointment: actor r participant.actor; appointment-type t appointmentType; based-on r basedOn; date d start;
      identifier t identifier; location r participant.actor; part-status t participant.status; patient r
      participant.actor; practitioner r participant.actor; reason-code t reasonCode; reason-reference r
      reasonReference; service-category t serviceCategory; service-type t serviceType; slot r slot; specialty t
      specialty; status t status; supporting-info r supportingInformation
    ¶ Binary:
    ¶ CarePlan: activity-code t activity.detail.code; activity-date d activity.detail.scheduled; activity-reference r
      activity.reference; based-on r basedOn; care-team r careTeam; category t category; condition r addresses; date
      d period; encounter r encounter; goal r goal; identifier t identifier; instantiates-canonical r
      instantiatesCanonical; instantiates-uri u instantiatesUri; intent t intent; part-of r partOf; patient r
      subject; performer r activity.detail.performer; replaces r replaces; status t status; subject r subject
    ¶ CareTeam: category t category; date d period; encounter r encounter; identifier t identifier; participant r
      participant.member; patient r subject; status t status; subject r subject
    ¶ Claim: care-team r careTeam.provider; created d created; detail-udi r item.detail.udi; encounter r
      item.encounter; enterer r enterer; facility r facility; identifier t identifier; insurer r insurer; item-udi r
      item.udi; patient r patient; payee r payee.party; priority t priority; procedure-udi r procedure.udi; provider
      r provider; status t status; subdetail-udi r item.detail.subDetail.udi; use t use
    ¶ Communication: based-on r basedOn; category t category; encounter r encounter; identifier t identifier;
      instantiates-canonical r instantiatesCanonical; instantiates-uri u instantiatesUri; medium t medium; part-of r
      partOf; patient r subject; received d received; recipient r recipient; sender r sender; sent d sent; status t
      status; subject r subject
    ¶ Composition: attester r attester.party; author r author; category t category; confidentiality t confidentiality;
      context t event.code; date d date; encounter r encounter; entry r section.entry; identifier t identifier;
      patient r subject; period d event.period; related-id t relatesTo.targetIdentifier; related-ref r
      relatesTo.targetReference; section t section.code; status t status; subject r subject; title s title; type t
      type
    ¶ Condition: abatement-age q abatementAge|abatementRange; abatement-date d abatementDateTime|abatementPeriod;
      abatement-string s abatementString; asserter r asserter; body-site t bodySite; category t category;
      clinical-status t clinicalStatus; code t code; encounter r encounter; evidence t evidence.code;
      evidence-detail r evidence.detail; identifier t identifier; onset-age q onsetAge|onsetRange; onset-date d
      onsetDateTime|onsetPeriod; onset-info s onsetString; patient r subject; recorded-date d recordedDate; severity
      t severity; stage t stage.summary; subject r subject; verification-status t verificationStatus
    ¶ Coverage: beneficiary r beneficiary; class-type t class.type; class-value s class.value; dependent s dependent;
      identifier t identifier; patient r beneficiary; payor r payor; policy-holder r policyHolder; status t status;
      subscriber r subscriber; type t type
    ¶ Device: device-name s deviceName.name|type.coding.display|type.text; identifier t identifier; location r
      location; manufacturer s manufacturer; model s modelNumber; organization r owner; patient r patient; status t
      status; type t type; udi-carrier s udiCarrier.carrierHRF; udi-di s udiCarrier.deviceIdentifier; url u url
    ¶ DiagnosticReport: based-on r basedOn; category t category; code t code; conclusion t conclusionCode; date d
      effective; encounter r encounter; identifier t identifier; issued d issued; media r media.link; patient r
      subject; performer r performer; result r result; results-interpreter r resultsInterpreter; specimen r
      specimen; status t status; subject r subject
    ¶ DocumentReference: authenticator r authenticator; author r author; category t category; contenttype t
      content.attachment.contentType; custodian r custodian; date d date; description s description; encounter r
      context.encounter; event t context.event; facility t context.facilityType; format t content.format; identifier
      t masterIdentifier|identifier; language t content.attachment.language; location u content.attachment.url;
      patient r subject; period d context.period; related r context.related; relatesto r relatesTo.target;
      relationship c relatesTo>code:t$target:r; relation
      t relatesTo.code; security-label t securityLabel; setting t context.practiceSetting; status t status; subject
      r subject; type t type
    ¶ Encounter: account r account; appointment r appointment; based-on r basedOn; class t class; date d period;
      diagnosis r diagnosis.condition; episode-of-care r episodeOfCare; identifier t identifier; length q length;
      location r location.location; location-period d location.period; part-of r partOf; participant r
      participant.individual; participant-type t participant.type; patient r subject; practitioner r
      participant.individual; reason-code t reasonCode; reason-reference r reasonReference; service-provider r
      serviceProvider; special-arrangement t hospitalization.specialArrangement; status t status; subject r subject;
      type t type
    ¶ EpisodeOfCare: care-manager r careManager; condition r diagnosis.condition; date d period; identifier t
      identifier; incoming-referral r referralRequest; organization r managingOrganization; patient r patient;
      status t status; type t type
    ¶ ExplanationOfBenefit: care-team r careTeam.provider; claim r claim; coverage r insurance.coverage; created d
      created; detail-udi r item.detail.udi; disposition s disposition; encounter r item.encounter; enterer r
      enterer; facility r facility; identifier t identifier; item-udi r item.udi; patient r patient; payee r
      payee.party; procedure-udi r procedure.udi; provider r provider; status t status; subdetail-udi r
      item.detail.subDetail.udi
    ¶ FamilyMemberHistory: code t condition.code; date d date; identifier t identifier; instantiates-canonical r
      instantiatesCanonical; instantiates-uri u instantiatesUri; patient r patient; relationship t relationship; sex
      t sex; status t status
    ¶ Goal: achievement-status t achievementStatus; category t category; identifier t identifier; lifecycle-status t
      lifecycleStatus; patient r subject; start-date d startDate; subject r subject; target-date d target.dueDate
    ¶ Group: actual t actual;
      characteristic-value c characteristic>code:t$valueCodeableConcept|valueBoolean:t; characteristic t
      characteristic.code; code t code; exclude t characteristic.exclude;
      identifier t identifier; managing-entity r managingEntity; member r member.entity; type t type; value t
      characteristic.valueCodeableConcept|characteristic.valueBoolean
    ¶ ImagingStudy: basedon r basedOn; bodysite t series.bodySite; dicom-class t series.instance.sopClass; encounter r
      encounter; endpoint r endpoint|series.endpoint; identifier t identifier; instance t series.instance.uid;
      interpreter r interpreter; modality t series.modality; patient r subject; performer r series.performer.actor;
      reason t reasonCode; referrer r referrer; series t series.uid; started d started; status t status; subject r
      subject
    ¶ Immunization: date d occurrence; identifier t identifier; location r location; lot-number s lotNumber;
      manufacturer r manufacturer; patient r patient; performer r performer.actor; reaction r reaction.detail;
      reaction-date d reaction.date; reason-code t reasonCode; reason-reference r reasonReference; series s
      protocolApplied.series; status t status; status-reason t statusReason; target-disease t
      protocolApplied.targetDisease; vaccine-code t vaccineCode
    ¶ List: code t code; date d date; empty-reason t emptyReason; encounter r encounter; identifier t identifier; item
      r entry.item; notes s note.text; patient r subject; source r source; status t status; subject r subject; title
      s title
    ¶ Location: address s address; address-city s address.city; address-country s address.country; address-postalcode
      s address.postalCode; address-state s address.state; address-use t address.use; endpoint r endpoint;
      identifier t identifier; name s name|alias; operational-status t operationalStatus; organization r
      managingOrganization; partof r partOf; status t status; type t type
    ¶ Media: based-on r basedOn; created d created; device r device; encounter r encounter; identifier t identifier;
      modality t modality; operator r operator; patient r subject; site t bodySite; status t status; subject r
      subject; type t type; view t view
    ¶ Medication: code t code; expiration-date d batch.expirationDate; form t form; identifier t identifier;
      ingredient r ingredient.itemReference; ingredient-code t ingredient.itemCodeableConcept; lot-number t
      batch.lotNumber; manufacturer r manufacturer; status t status
    ¶ MedicationAdministration: code t medicationCodeableConcept; context r context; device r device; effective-time d
      effective; identifier t identifier; medication r medicationReference; patient r subject; performer r
      performer.actor; reason-given t reasonCode; reason-not-given t statusReason; request r request; status t
      status; subject r subject
    ¶ MedicationDispense: code t medicationCodeableConcept; context r context; destination r destination; identifier t
      identifier; medication r medicationReference; patient r subject; performer r performer.actor; prescription r
      authorizingPrescription; receiver r receiver; responsibleparty r substitution.responsibleParty; status t
      status; subject r subject; type t type; whenhandedover d whenHandedOver; whenprepared d whenPrepared
    ¶ MedicationRequest: authoredon d authoredOn; category t category; code t medicationCodeableConcept; date d
      dosageInstruction.timing.event; encounter r encounter; identifier t identifier; intended-dispenser r
      dispenseRequest.performer; intended-performer r performer; intended-performertype t performerType; intent t
      intent; medication r medicationReference; patient r subject; priority t priority; requester r requester;
      status t status; subject r subject
    ¶ MedicationStatement: category t category; code t medicationCodeableConcept; context r context; effective d
      effective; identifier t identifier; medication r medicationReference; part-of r partOf; patient r subject;
      source r informationSource; status t status; subject r subject
    ¶ Observation: based-on r basedOn; category t category; code t code; combo-code t code|component.code;
      combo-data-absent-reason t dataAbsentReason|component.dataAbsentReason; combo-value-concept t
      valueCodeableConcept|component.valueCodeableConcept; combo-value-quantity q
      valueQuantity|valueSampledData|component.valueQuantity|component.valueSampledData; component-code t
      component.code; component-data-absent-reason t component.dataAbsentReason; component-value-concept t
      component.valueCodeableConcept; component-value-quantity q component.valueQuantity|component.valueSampledData;
      code-value-concept c .>code:t$valueCodeableConcept:t; code-value-date c .>code:t$valueDateTime|valuePeriod:d;
      code-value-quantity c .>code:t$valueQuantity:q; code-value-string c .>code:t$valueString:s;
      combo-code-value-concept c .|component>code:t$valueCodeableConcept:t;
      combo-code-value-quantity c .|component>code:t$valueQuantity:q;
      component-code-value-concept c component>code:t$valueCodeableConcept:t;
      component-code-value-quantity c component>code:t$valueQuantity:q;
      data-absent-reason t dataAbsentReason; date d effective; derived-from r derivedFrom; device r device;
      encounter r encounter; focus r focus; has-member r hasMember; identifier t identifier; method t method;
      part-of r partOf; patient r subject; performer r performer; specimen r specimen; status t status; subject r
      subject; value-concept t valueCodeableConcept; value-date d valueDateTime|valuePeriod; value-quantity q
      valueQuantity|valueSampledData; value-string s valueString|valueCodeableConcept.text
    ¶ Organization: active t active; address s address; address-city s address.city; address-country s
      address.country; address-postalcode s address.postalCode; address-state s address.state; address-use t
      address.use; endpoint r endpoint; identifier t identifier; name s name|alias; partof r partOf; phonetic s
      name; type t type
    ¶ Patient: active t active; address s address; address-city s address.city; address-country s address.country;
      address-postalcode s address.postalCode; address-state s address.state; address-use t address.use; birthdate d
      birthDate; death-date d deceasedDateTime;
      deceased t ?deceased; email t telecom=email; family s name.family; gender t gender;
      general-practitioner r generalPractitioner; given s name.given; identifier t identifier; language t
      communication.language; link r link.other; name s name; organization r managingOrganization; phone t
      telecom=phone; phonetic s name; telecom t telecom
    ¶ Practitioner: active t active; address s address; address-city s address.city; address-country s
      address.country; address-postalcode s address.postalCode; address-state s address.state; address-use t
      address.use; communication t communication; email t telecom=email; family s name.family; gender t gender;
      given s name.given; identifier t identifier; name s name; phone t telecom=phone; phonetic s name; telecom t
      telecom
    ¶ PractitionerRole: active t active; date d period; email t telecom=email; endpoint r endpoint; identifier t
      identifier; location r location; organization r organization; phone t telecom=phone; practitioner r
      practitioner; role t code; service r healthcareService; specialty t specialty; telecom t telecom
    ¶ Procedure: based-on r basedOn; category t category; code t code; date d performed; encounter r encounter;
      identifier t identifier; instantiates-canonical r instantiatesCanonical; instantiates-uri u instantiatesUri;
      location r location; part-of r partOf; patient r subject; performer r performer.actor; reason-code t
      reasonCode; reason-reference r reasonReference; status t status; subject r subject
    ¶ Provenance: agent r agent.who; agent-role t agent.role; agent-type t agent.type; entity r entity.what; location
      r location; patient r target; recorded d recorded; signature-type t signature.type; target r target; when d
      occurredDateTime
    ¶ QuestionnaireResponse: author r author; authored d authored; based-on r basedOn; encounter r encounter;
      identifier t identifier; part-of r partOf; patient r subject; questionnaire r questionnaire; source r source;
      status t status; subject r subject
    ¶ RelatedPerson: active t active; address s address; address-city s address.city; address-country s
      address.country; address-postalcode s address.postalCode; address-state s address.state; address-use t
      address.use; birthdate d birthDate; email t telecom=email; gender t gender; identifier t identifier; name s
      name; patient r patient; phone t telecom=phone; phonetic s name; relationship t relationship; telecom t
      telecom
    ¶ Schedule: active t active; actor r actor; date d planningHorizon; identifier t identifier; service-category t
      serviceCategory; service-type t serviceType; specialty t specialty
    ¶ ServiceRequest: authored d authoredOn; based-on r basedOn; body-site t bodySite; category t category; code t
      code; encounter r encounter; identifier t identifier; instantiates-canonical r instantiatesCanonical;
      instantiates-uri u instantiatesUri; intent t intent; occurrence d occurrence; patient r subject; performer r
      performer; performer-type t performerType; priority t priority; replaces r replaces; requester r requester;
      requisition t requisition; specimen r specimen; status t status; subject r subject
    ¶ Slot: appointment-type t appointmentType; identifier t identifier; schedule r schedule; service-category t
      serviceCategory; service-type t serviceType; specialty t specialty; start d start; status t status
    ¶ Specimen: accession t accessionIdentifier; bodysite t collection.bodySite; collected d collection.collected;
      collector r collection.collector; container t container.type; container-id t container.identifier; identifier
      t identifier; parent r parent; patient r subject; status t status; subject r subject; type t type
    ¶ Substance: category t category; code t code|ingredient.substanceCodeableConcept; container-identifier t
      instance.identifier; expiry d instance.expiry; identifier t identifier; quantity q instance.quantity; status t
      status; substance-reference r ingredient.substanceReference
    ¶ Task: authored-on d authoredOn; based-on r basedOn; business-status t businessStatus; code t code; encounter r
      encounter; focus r focus; group-identifier t groupIdentifier; identifier t identifier; intent t intent;
      modified d lastModified; owner r owner; part-of r partOf; patient r for; performer t performerType; period d
      executionPeriod; priority t priority; requester r requester; status t status; subject r for
    """.split(separator: "\n")
}

extension Substring {
  /// Without white space around it.
  var trimmed: String {
    String(self.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
  }
}

extension CanonicalJSON {
  /// The values of an element, of each item where it repeats; `value` finds valueQuantity too.
  func children(_ name: String) -> [CanonicalJSON] {
    guard case .object(let members) = self else { return [] }
    let found =
      members.first { $0.name == name }
      ?? members.first { member in
        member.name.hasPrefix(name) && member.name.dropFirst(name.count).first?.isUppercase == true
      }
    guard let value = found?.value else { return [] }
    return value.items ?? [value]
  }
}
