import HealthRecords

/// What this server can do (FHIR R4, CapabilityStatement).
enum CapabilityStatement {
  static func of(base: String) -> CanonicalJSON {
    .members([
      ("resourceType", .string("CapabilityStatement")), ("status", .string("active")),
      ("date", .string("2026-11-25")), ("kind", .string("instance")), ("fhirVersion", .string("4.0.1")),
      ("format", .array([.string("json")])), ("software", .members([("name", .string("Consilium"))])),
      (
        "implementation",
        .members([("description", .string("A hospital's node of a Consilium ledger")), ("url", .string(base))])
      ),
      (
        "rest",
        .array([
          .members([
            ("mode", .string("server")),
            ("interaction", .array(["transaction", "batch"].map { .members([("code", .string($0))]) })),
            (
              "resource",
              .array(
                SearchParameter.types.map { self.resource($0) } + self.views.map { self.view($0) })
            ),
          ])
        ])
      ),
    ])
  }

  /// The types that the ledger itself answers.
  static let views = ["AuditEvent", "Consent", "Provenance"]

  /// What the ledger itself says: read only, of one patient at a time.
  private static func view(_ type: String) -> CanonicalJSON {
    .members([
      ("type", .string(type)), ("interaction", .array([.members([("code", .string("search-type"))])])),
      ("searchParam", .array([.members([("name", .string("patient")), ("type", .string("reference"))])])),
    ])
  }

  private static func resource(_ type: String) -> CanonicalJSON {
    let interactions = ["read", "vread", "update", "delete", "history-instance", "create", "search-type"]
    let parameters = (SearchParameter.of(type) ?? [:]).values.sorted { $0.code < $1.code }
    let common: [(String, String)] = [
      ("_id", "token"), ("_lastUpdated", "date"), ("_profile", "uri"), ("_tag", "token"),
    ]
    let search = (common + parameters.map { ($0.code, $0.kind.name) }).map { code, kind in
      CanonicalJSON.members([("name", .string(code)), ("type", .string(kind))])
    }
    let includes = parameters.filter { $0.kind == .reference }.map { CanonicalJSON.string("\(type):\($0.code)") }
    let operations: [CanonicalJSON] =
      type == "Patient"
      ? [
        .members([
          ("name", .string("everything")),
          ("definition", .string("http://hl7.org/fhir/OperationDefinition/Patient-everything")),
        ])
      ] : []
    return .members([
      ("type", .string(type)),
      (
        "documentation",
        type == "Binary"
          ? .string(
            "Other media types than JSON are taken as they are, for the patient whom X-Security-Context names, up to "
              + "4 GiB; the id is the record's, at every hospital, and Accept: */* gives the bytes back.") : nil
      ), ("versioning", .string("versioned-update")), ("readHistory", .bool(true)),
      ("updateCreate", .bool(true)), ("conditionalCreate", .bool(true)), ("conditionalUpdate", .bool(true)),
      ("conditionalDelete", .string("single")),
      ("interaction", .array(interactions.map { .members([("code", .string($0))]) })),
      ("searchParam", .array(search)), ("searchInclude", includes.isEmpty ? nil : .array(includes)),
      ("operation", operations.isEmpty ? nil : .array(operations)),
    ])
  }
}
