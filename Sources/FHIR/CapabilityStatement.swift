import HealthRecords

/// What this server can do (FHIR R4, CapabilityStatement): written from what searches, writes and routes go by
/// themselves, so nothing is claimed that is not done.
enum CapabilityStatement {
  /// The types that the ledger itself answers, and nobody writes.
  static let views = ["AuditEvent", "Consent"]

  /// An interaction, and how it is asked for. `Type` and `ID` stand for those of a resource.
  struct Interaction: Sendable {
    let code: String
    let method: String
    let path: [String]
  }

  /// What can be done with each type that is stored here.
  static let ofTypes = [
    Interaction(code: "read", method: "GET", path: ["Type", "ID"]),
    Interaction(code: "vread", method: "GET", path: ["Type", "ID", "_history", "1"]),
    Interaction(code: "update", method: "PUT", path: ["Type", "ID"]),
    Interaction(code: "patch", method: "PATCH", path: ["Type", "ID"]),
    Interaction(code: "delete", method: "DELETE", path: ["Type", "ID"]),
    Interaction(code: "history-instance", method: "GET", path: ["Type", "ID", "_history"]),
    Interaction(code: "history-type", method: "GET", path: ["Type", "_history"]),
    Interaction(code: "create", method: "POST", path: ["Type"]),
    Interaction(code: "search-type", method: "GET", path: ["Type"]),
  ]

  /// What can be done with all of them at once.
  static let ofSystem = [
    Interaction(code: "transaction", method: "POST", path: []),
    Interaction(code: "batch", method: "POST", path: []),
    Interaction(code: "history-system", method: "GET", path: ["_history"]),
  ]

  static func of(base: String) -> CanonicalJSON {
    .members([
      ("resourceType", .string("CapabilityStatement")), ("status", .string("active")),
      ("date", .string("2026-11-30")), ("kind", .string("instance")),
      ("instantiates", .array([.string("http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data")])),
      ("fhirVersion", .string("4.0.1")),
      ("format", .array([.string("json"), .string(MediaTypes.fhir)])),
      ("patchFormat", .array([.string(JSONPatch.media), .string(MediaTypes.fhir)])),
      ("software", .members([("name", .string("Consilium"))])),
      (
        "implementation",
        .members([("description", .string("A hospital's node of a Consilium ledger")), ("url", .string(base))])
      ),
      (
        "rest",
        .array([
          .members([
            ("mode", .string("server")), ("documentation", .string(self.documentation)),
            ("interaction", self.codes(self.ofSystem)),
            ("resource", .array(self.resources)),
            ("searchParam", self.parameters(SearchParameter.common.values, of: "Resource")),
            ("compartment", .array([.string("http://hl7.org/fhir/CompartmentDefinition/patient")])),
            ("operation", self.operations([("export", self.bulk + "export")])),
          ])
        ])
      ),
    ])
  }

  private static let resources = SearchParameter.types.map { Self.resource($0) } + Self.views.map { Self.view($0) }

  private static let documentation =
    "What is not named here is refused, with what there is instead. Searches also take _has, _list, "
    + (SearchQuery.ofResults.filter { !["_offset", "_state"].contains($0) } + Presentation.names).joined(
      separator: ", ")
    + "; _include and _revinclude take :iterate. Parameters that are not known are refused, and left out where "
    + "Prefer: handling=lenient asks for it. Histories take _count, _since and _at. Pages of one search show one state."

  private static func codes(_ interactions: [Interaction]) -> CanonicalJSON {
    .array(interactions.map { .members([("code", .string($0.code))]) })
  }

  /// What the ledger itself says: read only, of one patient at a time.
  private static func view(_ type: String) -> CanonicalJSON {
    .members([
      ("type", .string(type)), ("interaction", .array([.members([("code", .string("search-type"))])])),
      ("documentation", .string("What the ledger says of one patient: \(type)?patient=ID.")),
      ("searchParam", .array([.members([("name", .string("patient")), ("type", .string("reference"))])])),
    ])
  }

  private static func parameters(_ parameters: some Collection<SearchParameter>, of type: String) -> CanonicalJSON {
    .array(
      parameters.sorted { $0.code < $1.code }.map { parameter in
        let modifiers = SearchModifier.taken(by: parameter, in: type).map { ":\($0)" }
        let prefixes = parameter.kind.prefixes.map(\.rawValue)
        let words =
          [modifiers.isEmpty ? "no modifier" : modifiers.joined(separator: " ")]
          + (prefixes.isEmpty ? [] : [prefixes.joined(separator: " ")])
        return .members([
          ("name", .string(parameter.code)), ("type", .string(parameter.kind.name)),
          ("documentation", .string(words.joined(separator: "; "))),
        ])
      })
  }

  private static let documentationOfTypes = [
    "Binary":
      "Other media types than JSON are taken as they are, for the patient whom X-Security-Context names, up to 4 GiB, "
      + "as sensitive where X-Consilium-Category says so; "
      + "the id is the record's, at every hospital, and Accept: */* gives the bytes back.",
    "Provenance":
      "Provenance?patient=ID alone, of a patient who is linked to the ledger, gives what the ledger proves, and then "
      + "what is stored here.",
  ]

  private static func resource(_ type: String) -> CanonicalJSON {
    let parameters = (SearchParameter.of(type) ?? [:]).values.sorted { $0.code < $1.code }
    let includes = parameters.filter { $0.kind == .reference }.map { "\(type):\($0.code)" }
    let reverse = SearchParameter.types.flatMap { source in
      (SearchParameter.of(source) ?? [:]).values.filter { $0.targets(in: source).contains(type) }.map(\.code).sorted()
        .map { "\(source):\($0)" }
    }
    func strings(_ texts: [String]) -> CanonicalJSON? { texts.isEmpty ? nil : .array(texts.map { .string($0) }) }
    var operations = [("validate", "http://hl7.org/fhir/OperationDefinition/Resource-validate")]
    if type == "Patient" {
      operations.append(("everything", "http://hl7.org/fhir/OperationDefinition/Patient-everything"))
      operations.append(("export", self.bulk + "patient-export"))
    }
    if type == "Group" { operations.append(("export", self.bulk + "group-export")) }
    return .members([
      ("type", .string(type)), ("documentation", self.documentationOfTypes[type].map { .string($0) }),
      ("versioning", .string("versioned-update")), ("readHistory", .bool(true)), ("updateCreate", .bool(true)),
      ("conditionalCreate", .bool(true)), ("conditionalRead", .string("full-support")),
      ("conditionalUpdate", .bool(true)), ("conditionalDelete", .string("single")),
      ("referencePolicy", .array([.string("literal"), .string("logical")])),
      ("interaction", self.codes(self.ofTypes)),
      ("searchParam", parameters.isEmpty ? nil : self.parameters(parameters, of: type)),
      ("searchInclude", strings(includes)), ("searchRevInclude", strings(reverse)),
      ("operation", self.operations(operations)),
    ])
  }

  private static let bulk = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"

  private static func operations(_ operations: [(String, String)]) -> CanonicalJSON {
    .array(operations.map { .members([("name", .string($0.0)), ("definition", .string($0.1))]) })
  }
}
