import HealthRecords

/// The interface as an OpenAPI 3.1 description, for tools that generate or test clients.
enum OpenAPI {
  private static let media = "application/fhir+json"

  static func of(base: String) -> CanonicalJSON {
    .members([
      ("openapi", .string("3.1.0")),
      (
        "info",
        .members([
          ("title", .string("Consilium: a hospital's FHIR R4 interface")), ("version", .string("4.0.1")),
          (
            "description",
            .string("What is written is stored encrypted, and anchored on the ledger once its patient is linked to it.")
          ),
        ])
      ),
      ("servers", .array([.members([("url", .string(base))])])),
      ("paths", self.paths),
      (
        "components",
        .members([
          ("parameters", self.parameters), ("schemas", self.schemas),
          (
            "securitySchemes",
            .members([
              (
                "session",
                .members([
                  ("type", .string("http")), ("scheme", .string("bearer")),
                  ("description", .string("A practitioner's session: consilium session open, or SMART App Launch.")),
                ])
              )
            ])
          ),
        ])
      ),
      // Without a token a hospital's own EHR is served, where the node's configuration lets it.
      ("security", .array([.object([]), .members([("session", .array([]))])])),
    ])
  }

  private static var paths: CanonicalJSON {
    let (type, id, version) = (self.reference("type"), self.reference("id"), self.reference("version"))
    let (match, prefer) = (self.reference("ifMatch"), self.reference("prefer"))
    let (resource, count) = ("Resource", self.reference("count"))
    return .members([
      (
        "/", .members([("post", self.operation("transaction", "A batch or a transaction", [prefer], body: "Bundle"))])
      ),
      ("/metadata", .members([("get", self.operation("capabilities", "What this server can do"))])),
      (
        "/{type}",
        .members([
          ("parameters", .array([type])),
          ("get", self.operation("search", "Search by the type's own parameters", [count], extra: ["410"])),
          (
            "post",
            self.operation("create", "Create", [self.reference("ifNoneExist"), prefer], body: resource, extra: ["201"])
          ),
          (
            "put",
            self.operation(
              "conditionalUpdate", "Update what a query names, or create", [prefer], body: resource, extra: ["201"])
          ),
          ("patch", self.operation("conditionalPatch", "Change what a query names", [prefer], body: resource)),
          ("delete", self.operation("conditionalDelete", "Delete what a query names", extra: ["204"])),
        ])
      ),
      (
        "/{type}/{id}",
        .members([
          ("parameters", .array([type, id])),
          ("get", self.operation("read", "Read", extra: ["304", "410"])),
          ("put", self.operation("update", "Update, or create", [match, prefer], body: resource, extra: ["201"])),
          (
            "patch",
            self.operation(
              "patch", "Change by a JSON Patch or a FHIRPath Patch", [match, prefer], body: resource, extra: ["410"])
          ),
          ("delete", self.operation("delete", "Delete", [match], extra: ["204"])),
        ])
      ),
      ("/_history", .members([("get", self.operation("historySystem", "All versions of all resources", [count]))])),
      (
        "/{type}/_history",
        .members([
          ("parameters", .array([type])), ("get", self.operation("historyType", "All versions of a type", [count])),
        ])
      ),
      (
        "/{type}/{id}/_history",
        .members([("parameters", .array([type, id])), ("get", self.operation("history", "All versions"))])
      ),
      (
        "/{type}/{id}/_history/{version}",
        .members([
          ("parameters", .array([type, id, version])), ("get", self.operation("vread", "A version", extra: ["410"])),
        ])
      ),
      (
        "/{type}/$validate",
        .members([
          ("parameters", .array([type])), ("post", self.operation("validate", "Check a resource", body: resource)),
        ])
      ),
      (
        "/Patient/{id}/$everything",
        .members([
          ("parameters", .array([id])), ("get", self.operation("everything", "All of a patient")),
          ("post", self.operation("everythingByPost", "All of a patient")),
        ])
      ),
      (
        "/$records",
        .members([
          (
            "get",
            self.operation(
              "records",
              "What the ledger knows of an account, at all hospitals; each is read as Binary/ID. The size is "
                + "the content's; of what media type it is, only its reading tells",
              [
                self.parameter(
                  "account", in: "query",
                  .members([("type", .string("string")), ("pattern", .string("^[0-9a-f]{64}$"))]), isRequired: true)
              ])
          )
        ])
      ),
      ("/Consent", .members([("get", self.ledgerView("consents", "What the patient's consents are"))])),
      ("/AuditEvent", .members([("get", self.ledgerView("accesses", "Who read of the patient"))])),
      ("/Provenance", .members([("get", self.ledgerView("provenance", "Who anchored what of the patient"))])),
    ])
  }

  private static func ledgerView(_ name: String, _ summary: String) -> CanonicalJSON {
    let patient = self.parameter("patient", in: "query", .members([("type", .string("string"))]), isRequired: true)
    return self.operation(name, summary + ", as the ledger has it", [patient, self.reference("count")])
  }

  private static func operation(
    _ name: String, _ summary: String, _ parameters: [CanonicalJSON] = [], body: String? = nil, extra: [String] = []
  ) -> CanonicalJSON {
    let refusals = ["400", "401", "403", "404", "405", "406", "409", "412", "413", "415", "422"]
    let good = extra.contains("204") ? extra : ["200"] + extra
    let answers = (good + refusals).map { status -> (String, CanonicalJSON?) in
      let isEmpty = ["204", "304"].contains(status)
      let schema = Int(status) ?? 0 < 400 ? "Resource" : "OperationOutcome"
      return (
        status,
        .members([
          ("description", .string(Int(status) ?? 0 < 400 ? "Done" : "Refused: the outcome says why")),
          ("content", isEmpty ? nil : self.content(schema)),
        ])
      )
    }
    return .members([
      ("operationId", .string(name)), ("summary", .string(summary)),
      ("parameters", parameters.isEmpty ? nil : .array(parameters)),
      ("requestBody", body.map { .members([("required", .bool(true)), ("content", self.content($0))]) }),
      ("responses", .members(answers)),
    ])
  }

  private static func content(_ schema: String) -> CanonicalJSON {
    .members([
      (
        self.media,
        .members([("schema", .members([("$ref", .string("#/components/schemas/\(schema)"))]))])
      )
    ])
  }

  private static func reference(_ name: String) -> CanonicalJSON {
    .members([("$ref", .string("#/components/parameters/\(name)"))])
  }

  private static func parameter(
    _ name: String, in place: String, _ schema: CanonicalJSON, isRequired: Bool = false
  ) -> CanonicalJSON {
    .members([
      ("name", .string(name)), ("in", .string(place)), ("required", .bool(isRequired)), ("schema", schema),
    ])
  }

  private static var parameters: CanonicalJSON {
    let text = CanonicalJSON.members([("type", .string("string"))])
    let types = CanonicalJSON.members([
      ("type", .string("string")), ("enum", .array(SearchParameter.types.map { .string($0) })),
    ])
    let id = CanonicalJSON.members([
      ("type", .string("string")), ("pattern", .string("^[A-Za-z0-9.-]{1,64}$")),
    ])
    let number = CanonicalJSON.members([("type", .string("integer")), ("minimum", .number("0"))])
    return .members([
      ("type", self.parameter("type", in: "path", types, isRequired: true)),
      ("id", self.parameter("id", in: "path", id, isRequired: true)),
      ("version", self.parameter("version", in: "path", number, isRequired: true)),
      ("count", self.parameter("_count", in: "query", number)),
      ("ifMatch", self.parameter("If-Match", in: "header", text)),
      ("ifNoneExist", self.parameter("If-None-Exist", in: "header", text)),
      ("prefer", self.parameter("Prefer", in: "header", text)),
    ])
  }

  private static var schemas: CanonicalJSON {
    func resource(_ type: CanonicalJSON) -> CanonicalJSON {
      .members([
        ("type", .string("object")), ("required", .array([.string("resourceType")])),
        ("properties", .members([("resourceType", type)])),
      ])
    }
    func constant(_ name: String) -> CanonicalJSON { .members([("const", .string(name))]) }
    return .members([
      ("Resource", resource(.members([("type", .string("string"))]))), ("Bundle", resource(constant("Bundle"))),
      ("OperationOutcome", resource(constant("OperationOutcome"))),
    ])
  }
}
