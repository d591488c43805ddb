import HealthRecords

/// Transactions (FHIR R4, http.html#transaction): all or nothing, for every method.
extension FHIRService {
  /// What is wrong with one entry undoes none, for nothing is written before all are judged.
  func transaction(_ entries: [CanonicalJSON], _ whole: FHIRRequest) async throws -> FHIRResponse {
    var requests: [FHIRRequest] = []
    for (number, entry) in entries.enumerated() {
      var request = try Self.request(of: entry, number, for: whole)
      request.told = whole.told
      try Self.entry(number) {
        _ = try Presentation.of(request)
        try self.judge(request)
        guard !request.path.isEmpty else {
          throw FHIRFailure(400, "not-supported", "a bundle within a transaction is not taken: send its entries")
        }
      }
      do { request.writesRecord = try await self.writesRecord(request) } catch {
        throw (error as? FHIRFailure)?.inEntry(number) ?? error
      }
      requests.append(request)
    }
    var answers: [Int: FHIRResponse] = [:]
    // The ledger does not depend on what is written here.
    for (number, request) in requests.enumerated() {
      try Task.checkCancellation()
      do {
        guard let (type, query) = try self.ledgerQuestion(request) else { continue }
        answers[number] = try await self.ledgerView(type, query, request.meter, for: request.asker)
      } catch { throw (error as? FHIRFailure)?.inEntry(number) ?? error }
    }
    var (planned, writes) = try self.judged(entries, requests, answered: Set(answers.keys))
    var isAsked = false
    // ⚑ Before anything is written: what conditions tell is noted, and then they are judged again.
    for (number, one) in planned.sorted(by: { $0.key < $1.key }) {
      do throws(FHIRFailure) { isAsked = try await self.requireSensitiveFiles([one]) || isAsked } catch {
        throw error.inEntry(number)
      }
    }
    let isNoted = try await self.noteTold(whole)
    if isAsked || isNoted {
      (planned, writes) = try self.judged(entries, requests, answered: Set(answers.keys))
    }
    // ⚑ From the judgement to the commit nothing is waited for: what was judged is what is written.
    let changed = try self.commit(writes)
    let shown = Preferences(whole.prefer).shows == nil ? "return=minimal" : whole.prefer
    for (number, request) in requests.enumerated() where answers[number] == nil {
      answers[number] =
        planned[number].map { self.finish($0, prefer: shown, whole.meter) }
        ?? self.answered(request)
    }
    for (number, request) in requests.enumerated() {
      guard let answer = answers[number] else { continue }
      // What is written is written: a reading that cannot be noted is refused alone.
      do {
        try await self.note(request, answer)
        answers[number] = answer.presented(by: try Presentation.of(request))
      } catch { answers[number] = Self.refusal(error) }
    }
    if whole.waitsForLedger { await self.settle(changed) }
    return FHIRResponse(
      body: self.bundle(
        "transaction-response",
        requests.indices.map { self.answer(answers[$0] ?? FHIRResponse()) }, total: nil, links: []))
  }

  /// What the writes come to; reads that would fail once those are done fail the whole.
  private func judged(
    _ entries: [CanonicalJSON], _ requests: [FHIRRequest], answered: Set<Int>
  ) throws -> (planned: [Int: Planned], writes: Writes) {
    do {
      let looks = Looks(max: Looks.transactionMax)
      let judging = Judging(at: self.site, looks)
      let targets = try self.targets(entries, requests, judging)
      let resources = try self.resources(entries, requests, targets, judging)
      var writes = Writes()
      var planned: [Int: Planned] = [:]
      for number in Self.order(requests) {
        try Task.checkCancellation()
        guard let target = targets[number] else { continue }
        planned[number] = try Self.entry(number) {
          try self.plan(
            target, requests[number], try Self.known(requests[number].path[0]), resources[number] ?? .null,
            into: &writes)
        }
      }
      for (number, one) in planned.sorted(by: { $0.key < $1.key }) {
        try Self.entry(number) {
          try self.requireOnlyChart(one, after: writes, for: requests[number])
          try self.requireOwnBinaries(one, after: &writes, for: requests[number])
        }
      }
      for (number, request) in requests.enumerated() where planned[number] == nil && !answered.contains(number) {
        try Self.entry(number) { try self.requireReadable(request, after: writes, looks) }
      }
      return (planned, writes)
    } catch let failure as FHIRFailure {
      for (number, request) in requests.enumerated() where failure.inEntry(number).expression == failure.expression {
        self.tell(refused: request, failure.status)
      }
      throw failure
    }
  }

  /// What fails inside an entry names it.
  private static func entry<Value>(_ number: Int, _ body: () throws -> Value) throws -> Value {
    do { return try body() } catch let failure as FHIRFailure { throw failure.inEntry(number) }
  }

  private static func isWrite(_ request: FHIRRequest) -> Bool {
    ["DELETE", "PUT", "PATCH"].contains(request.method) || (request.method == "POST" && request.path.count == 1)
  }

  /// Writes in the order in which they are done: what is deleted, what is made, what is changed.
  private static func order(_ requests: [FHIRRequest]) -> [Int] {
    ["DELETE", "POST", "PUT", "PATCH"].flatMap { method in
      requests.indices.filter { requests[$0].method == method && Self.isWrite(requests[$0]) }
    }
  }

  /// What each write is about. Conditions hold or do not as if the writes before had been done: what one entry makes
  /// under a condition, another of the same condition finds.
  private func targets(
    _ entries: [CanonicalJSON], _ requests: [FHIRRequest], _ judging: Judging
  ) throws -> [Int: Target] {
    let isConditional = requests.contains { request in
      request.ifNoneExist != nil || (request.path.count == 1 && ["DELETE", "PUT", "PATCH"].contains(request.method))
    }
    var targets: [Int: Target] = [:]
    for number in Self.order(requests) {
      try Task.checkCancellation()
      let request = requests[number]
      try Self.entry(number) {
        let type = try Self.known(request.path[0])
        let isPlain = request.method == "POST" || request.method == "PUT"
        let target = try self.target(
          of: request, type, isPlain ? try Self.read(request.body) : .null, by: judging)
        targets[number] = target
        if isConditional {
          self.expect(try self.content(of: request, type, target), target, type, in: &judging.pending)
        }
      }
    }
    return targets
  }

  /// Lets searches find what a write will have made.
  private func expect(_ json: CanonicalJSON, _ target: Target, _ type: String, in pending: inout ResourceIndex) {
    let (id, body): (String, [UInt8])
    switch target {
    case .nothing, .found: return
    case .create(let made): (id, body) = (made, json.setting("id", .string(made)).canonicalBytes)
    case .update(let made): (id, body) = (made, json.setting("id", .string(made)).canonicalBytes)
    case .delete(let gone): (id, body) = (gone, [])
    }
    pending.put(
      StoredResource(type: type, id: id, version: 1, ordinal: 0, updated: self.now(), body: body, record: nil))
  }

  /// The resources of all writes, with references to one another and conditions as what they mean.
  private func resources(
    _ entries: [CanonicalJSON], _ requests: [FHIRRequest], _ targets: [Int: Target], _ judging: Judging
  ) throws -> [Int: CanonicalJSON] {
    var references = BundleReferences(site: self.site)
    for number in entries.indices where requests[number].method != "DELETE" {
      guard let id = targets[number]?.id, let fullUrl = entries[number]["fullUrl"]?.text else { continue }
      guard references.add(fullUrl, as: "\(requests[number].path[0])/\(id)") else {
        throw FHIRFailure(400, "duplicate", "the fullUrl \(fullUrl) occurs twice").inEntry(number)
      }
    }
    var resources: [Int: CanonicalJSON] = [:]
    var isConditional = false
    for number in Self.order(requests) {
      guard let target = targets[number] else { continue }
      let isPatch = requests[number].method == "PATCH"
      let patched =
        try isPatch
        ? Self.entry(number) { try self.content(of: requests[number], requests[number].path[0], target) } : nil
      guard let resource = patched ?? entries[number]["resource"] else { continue }
      let resolved = references.resolved(resource, in: entries[number]["fullUrl"]?.text)
      resources[number] = resolved
      isConditional = isConditional || Self.namesByIdentifier(resolved)
      try Self.entry(number) {
        try resolved.forEachReference { text in
          isConditional = isConditional || self.site.condition(text) != nil
          if text.hasPrefix("urn:uuid:") || text.hasPrefix("urn:oid:") {
            throw FHIRFailure(400, "not-found", "\(text) is no entry of this bundle")
          }
        }
      }
    }
    guard isConditional else { return resources }
    // What conditions name may be what this transaction makes.
    judging.pending = ResourceIndex(site: self.site)
    for number in Self.order(requests) {
      guard let target = targets[number] else { continue }
      self.expect(resources[number] ?? .null, target, requests[number].path[0], in: &judging.pending)
    }
    for (number, resource) in resources.sorted(by: { $0.key < $1.key }) {
      resources[number] = try Self.entry(number) {
        try self.conditioned(resource, by: judging, for: requests[number])
      }
    }
    return resources
  }

  /// A resource in which each reference that is a condition names the one resource that meets it, and each that names a
  /// patient by an identifier alone the one who has it.
  func conditioned(
    _ resource: CanonicalJSON, by judging: Judging, for request: FHIRRequest
  ) throws -> CanonicalJSON {
    let named = try self.identified(resource, by: judging, for: request)
    var isConditional = false
    named.forEachReference { isConditional = isConditional || self.site.condition($0) != nil }
    guard isConditional else { return named }
    return try named.replacing { name, text in
      guard name == "reference", let condition = self.site.condition(text) else { return text }
      let isKnown = SearchParameter.of(condition.type) != nil
      var found = judging.references[text]
      if found == nil, isKnown {
        found = try self.find(condition.type, try FHIRURL.parameters(condition.query), by: judging, for: request)
        judging.references[text] = found
      }
      let names = found ?? []
      guard let one = names.first, names.count == 1 else {
        throw FHIRFailure(412, "not-found", "\(text) names \(names.count) resources, one is expected")
      }
      return "\(condition.type)/\(one)"
    }
  }

  /// Whether a read will be answered once the transaction's writes are done.
  private func requireReadable(_ asked: FHIRRequest, after writes: Writes, _ looks: Looks) throws {
    try Task.checkCancellation()
    var request = asked
    // What is only looked at takes no room of the answer.
    request.meter = AnswerMeter()
    request.looks = looks
    let path = request.path
    guard request.method == "GET", path.count > 1, let written = writes.latest("\(path[0])/\(path[1])") else {
      _ = try self.reading(request)
      return
    }
    if path.count == 3, path[2] == "_history" { return }
    if path.count == 4, path[3] != "\(written.version)" {
      _ = try self.reading(request)
      return
    }
    guard !written.isDeleted else {
      throw FHIRFailure(410, "deleted", "\(written.name) is deleted by this transaction")
    }
    if path.count == 3 {
      _ = try SearchQuery(
        type: "Patient", request.query.filter { $0.name == "_count" || $0.name == "_offset" }, at: self.site,
        self.now())
    }
  }

  /// A read of a transaction that is written: what could refuse it was asked before.
  private func answered(_ request: FHIRRequest) -> FHIRResponse {
    do { return try self.reading(request).unlessNamed(by: request) } catch { return Self.refusal(error) }
  }
}
