import HealthRecords
import Primitives

/// Batches and transactions (FHIR R4, http §3.1.0.11).
extension FHIRService {
  /// The most entries of a bundle.
  static let entriesMax = 20_000

  func bundle(_ json: CanonicalJSON, _ request: FHIRRequest) async throws -> FHIRResponse {
    var whole = request
    guard json["resourceType"]?.text == "Bundle" else {
      throw FHIRFailure(400, "invalid", "a Bundle is expected at the base", at: "resourceType")
    }
    var entries = json["entry"]?.items ?? []
    guard entries.count <= Self.entriesMax else {
      throw FHIRFailure(413, "too-costly", "\(entries.count) entries, at most \(Self.entriesMax); send it in parts")
    }
    try Self.requireForm(of: json)
    // ⚑ What holds for the bundle holds for each entry, as where a bundle is given as a file.
    let label = CanonicalJSON.members([("meta", json["meta"])])
    whole.isLabelled = Sensitivity.isSensitive(label)
    if whole.isLabelled {
      entries = entries.map { entry in
        // What a patch makes is labelled once it is made.
        guard let resource = entry["resource"], entry["request"]?["method"]?.text != "PATCH" else { return entry }
        return entry.setting("resource", Sensitivity.labelled(resource))
      }
    }
    switch json["type"]?.text {
    case "batch": return try await self.batch(entries, whole)
    case "transaction": return try await self.transaction(entries, whole)
    default: throw FHIRFailure(400, "value", "the type must be batch or transaction", at: "Bundle.type")
    }
  }

  private static let members: Set = [
    "resourceType", "id", "meta", "implicitRules", "language", "identifier", "type", "timestamp", "total", "link",
    "entry", "signature", "_id", "_implicitRules", "_language", "_type", "_timestamp", "_total",
  ]
  private static let entryMembers: Set = [
    "id", "extension", "modifierExtension", "link", "fullUrl", "resource", "search", "request", "response", "_id",
    "_fullUrl",
  ]

  /// ⚑ A label that is not well formed, under another name or in another place would be none.
  private static func requireForm(of bundle: CanonicalJSON) throws(FHIRFailure) {
    func require(_ json: CanonicalJSON, _ known: Set<String>, _ place: String) throws(FHIRFailure) {
      guard case .object(let said) = json else {
        throw FHIRFailure(422, "structure", "an object is expected", at: place)
      }
      if let other = said.first(where: { !known.contains($0.name) })?.name {
        throw FHIRFailure(422, "structure", "\(place) has no \(other.prefix(100))", at: place)
      }
    }
    try require(bundle, self.members, "Bundle")
    for (number, entry) in (bundle["entry"]?.items ?? []).enumerated() {
      try require(entry, self.entryMembers, "Bundle.entry[\(number)]")
    }
    guard let meta = bundle["meta"] else { return }
    guard case .object = meta else {
      throw FHIRFailure(422, "structure", "an object is expected", at: "Bundle.meta")
    }
    guard let fault = Validation.faults(of: meta, type: "Meta").first else { return }
    throw FHIRFailure(422, "structure", fault, at: "Bundle.meta")
  }

  private func batch(_ entries: [CanonicalJSON], _ whole: FHIRRequest) async throws -> FHIRResponse {
    let looks = Looks(max: Looks.batchMax)
    var answers: [CanonicalJSON] = []
    for (number, entry) in entries.enumerated() {
      // ⚑ Others are answered between its entries, and nothing is done for a client who has left.
      try Task.checkCancellation()
      await Task.yield()
      let response: FHIRResponse
      do {
        var request = try Self.request(of: entry, number, for: whole)
        request.looks = looks
        guard !request.path.isEmpty else {
          throw FHIRFailure(400, "not-supported", "a bundle within a batch is not taken: send its entries")
            .inEntry(number)
        }
        // Entries of a batch do not know of one another; a relative reference is still one below the entry's own base.
        if let resource = entry["resource"], let fullUrl = entry["fullUrl"]?.text {
          request.body = BundleReferences(site: self.site).resolved(resource, in: fullUrl).canonicalBytes
        }
        response = await self.handle(request)
      } catch { response = Self.refusal(error) }
      answers.append(self.answer(response))
    }
    return FHIRResponse(body: self.bundle("batch-response", answers, total: nil, links: []))
  }

  static func request(
    of entry: CanonicalJSON, _ number: Int, for whole: FHIRRequest
  ) throws(FHIRFailure) -> FHIRRequest {
    guard let request = entry["request"], let method = request["method"]?.text, let url = request["url"]?.text else {
      throw FHIRFailure(400, "required", "it has no request with method and url").inEntry(number)
    }
    let halves = url.split(separator: "?", maxSplits: 1).map(String.init)
    let query: [(name: String, value: String)]
    do throws(FHIRFailure) { query = halves.count == 2 ? try FHIRURL.parameters(halves[1]) : [] } catch {
      throw error.inEntry(number)
    }
    var asked = FHIRRequest(
      method: method, path: (halves.first ?? "").split(separator: "/").map(String.init), query: query,
      body: entry["resource"]?.canonicalBytes ?? [])
    (asked.asker, asked.meter, asked.isLabelled) = (whole.asker, whole.meter, whole.isLabelled)
    asked.ifMatch = request["ifMatch"]?.text
    asked.ifNoneMatch = request["ifNoneMatch"]?.text
    asked.ifNoneExist = request["ifNoneExist"]?.text
    return asked
  }

  func answer(_ response: FHIRResponse) -> CanonicalJSON {
    let isError = response.status >= 400
    return .members([
      ("resource", isError ? nil : response.body),
      (
        "response",
        .members([
          ("status", .string(Self.statusLine(response.status))),
          ("location", response.location.map { .string("\(self.base)/\($0)") }),
          ("etag", response.version.map { .string("W/\"\($0)\"") }),
          ("lastModified", response.updated.map { .string($0.description) }),
          ("outcome", isError ? response.body : nil),
        ])
      ),
    ])
  }

  private static func statusLine(_ status: Int) -> String {
    switch status {
    case 200: "200 OK"
    case 201: "201 Created"
    case 204: "204 No Content"
    case 304: "304 Not Modified"
    case 404: "404 Not Found"
    case 410: "410 Gone"
    case 412: "412 Precondition Failed"
    default: "\(status)"
    }
  }
}

extension Sensitivity {
  /// A resource with the label, where nothing says yet that it is sensitive; what is no resource, or has labels that
  /// are no list, stays as it is.
  static func labelled(_ resource: CanonicalJSON) -> CanonicalJSON {
    let (meta, security) = (resource["meta"] ?? .object([]), resource["meta"]?["security"] ?? .array([]))
    guard resource["resourceType"]?.text != nil, !self.isSensitive(resource), case .object = meta,
      let labels = security.items
    else { return resource }
    return resource.setting("meta", meta.setting("security", .array(labels + [self.label])))
  }
}
