import HealthRecords
import Primitives

/// Batches and transactions (FHIR R4, http §3.1.0.11).
extension FHIRService {
  /// The most entries of a bundle.
  static let entriesMax = 20_000

  func bundle(_ json: CanonicalJSON, prefer: String?) async throws -> FHIRResponse {
    guard json["resourceType"]?.text == "Bundle" else {
      throw FHIRFailure(400, "invalid", "a Bundle is expected at the base", at: "resourceType")
    }
    let entries = json["entry"]?.items ?? []
    guard entries.count <= Self.entriesMax else {
      throw FHIRFailure(413, "too-costly", "\(entries.count) entries, at most \(Self.entriesMax); send it in parts")
    }
    switch json["type"]?.text {
    case "batch": return try await self.batch(entries)
    case "transaction": return try await self.transaction(entries, prefer: prefer)
    default: throw FHIRFailure(400, "value", "the type must be batch or transaction", at: "Bundle.type")
    }
  }

  private func batch(_ entries: [CanonicalJSON]) async throws -> FHIRResponse {
    var answers: [CanonicalJSON] = []
    for (number, entry) in entries.enumerated() {
      let response: FHIRResponse
      do { response = await self.handle(try Self.request(of: entry, number)) } catch {
        response = FHIRResponse(status: error.status, body: error.outcome)
      }
      answers.append(self.answer(response))
    }
    return FHIRResponse(body: self.bundle("batch-response", answers, total: nil, links: []))
  }

  /// All or nothing: what is wrong with one entry undoes none, for nothing is written before all are judged.
  private func transaction(_ entries: [CanonicalJSON], prefer: String?) async throws -> FHIRResponse {
    var requests: [FHIRRequest] = []
    for (number, entry) in entries.enumerated() { requests.append(try Self.request(of: entry, number)) }
    let assigned = try self.assign(entries, requests)
    var writes = Writes()
    var planned: [Int: Planned] = [:]
    // DELETE, POST, PUT, then reads.
    for method in ["DELETE", "POST", "PUT"] {
      for (number, request) in requests.enumerated() where request.method == method {
        do {
          var request = request
          if let resource = entries[number]["resource"] {
            request.body = try self.resolve(resource, assigned.references).canonicalBytes
          }
          planned[number] = try self.plan(request, into: &writes, assigned: assigned.identifiers[number])
        } catch let failure as FHIRFailure { throw failure.inEntry(number) }
      }
    }
    let anchors = try await self.commit(writes)
    var answers: [CanonicalJSON] = []
    for (number, request) in requests.enumerated() {
      if let plan = planned[number] {
        answers.append(self.answer(self.finish(plan, anchors: anchors, prefer: prefer ?? "return=minimal")))
      } else {
        answers.append(self.answer(await self.handle(request)))
      }
    }
    return FHIRResponse(body: self.bundle("transaction-response", answers, total: nil, links: []))
  }

  private static func request(of entry: CanonicalJSON, _ number: Int) throws(FHIRFailure) -> FHIRRequest {
    guard let request = entry["request"], let method = request["method"]?.text, let url = request["url"]?.text else {
      throw FHIRFailure(400, "required", "it has no request with method and url").inEntry(number)
    }
    let halves = url.split(separator: "?", maxSplits: 1).map(String.init)
    var asked = FHIRRequest(
      method: method, path: (halves.first ?? "").split(separator: "/").map(String.init),
      query: halves.count == 2 ? FHIRURL.parameters(halves[1]) : [], body: entry["resource"]?.canonicalBytes ?? [])
    asked.ifMatch = request["ifMatch"]?.text
    asked.ifNoneExist = request["ifNoneExist"]?.text
    return asked
  }

  /// Gives what is to be made its identifier before anything is written, so that entries can refer to one another.
  private func assign(
    _ entries: [CanonicalJSON], _ requests: [FHIRRequest]
  ) throws -> (identifiers: [Int: String], references: [String: String]) {
    var identifiers: [Int: String] = [:]
    var references: [String: String] = [:]
    for (number, request) in requests.enumerated() {
      let type = request.path.first ?? ""
      var id = request.path.count > 1 ? request.path[1] : nil
      do {
        if request.method == "POST" {
          _ = try Self.known(type)
          id = try request.ifNoneExist.flatMap { try self.find(type, FHIRURL.parameters($0)).first }
        } else if request.method == "PUT", request.path.count == 1 {
          id = try self.find(type, request.query).first ?? entries[number]["resource"]?["id"]?.text
        }
      } catch let failure as FHIRFailure { throw failure.inEntry(number) }
      guard request.method == "POST" || request.method == "PUT" else { continue }
      let chosen = id ?? self.freshIdentifier()
      if id == nil { identifiers[number] = chosen }
      guard let fullUrl = entries[number]["fullUrl"]?.text else { continue }
      if references.updateValue("\(type)/\(chosen)", forKey: fullUrl) != nil {
        throw FHIRFailure(400, "duplicate", "the fullUrl \(fullUrl) occurs twice").inEntry(number)
      }
    }
    return (identifiers, references)
  }

  /// A resource whose references to other entries, and those that are conditions, name what they mean.
  private func resolve(_ resource: CanonicalJSON, _ references: [String: String]) throws -> CanonicalJSON {
    try resource.replacing(["reference", "url", "uri"]) { text in
      if let known = references[text] { return known }
      let halves = text.split(separator: "?", maxSplits: 1).map(String.init)
      guard halves.count == 2, !text.contains(":/"), SearchParameter.of(halves[0]) != nil else {
        if text.hasPrefix("urn:uuid:") {
          throw FHIRFailure(400, "not-found", "\(text) is no entry of this bundle")
        }
        return text
      }
      let found = try self.find(halves[0], FHIRURL.parameters(halves[1]))
      guard let one = found.first, found.count == 1 else {
        throw FHIRFailure(412, "not-found", "\(text) names \(found.count) resources, one is expected")
      }
      return "\(halves[0])/\(one)"
    }
  }

  private func answer(_ response: FHIRResponse) -> CanonicalJSON {
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
    case 404: "404 Not Found"
    case 410: "410 Gone"
    case 412: "412 Precondition Failed"
    default: "\(status)"
    }
  }
}
