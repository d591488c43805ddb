import HealthRecords
import Primitives

/// Creates, updates and deletions (FHIR R4, http.html#create and on): judged first, then written together.
extension FHIRService {
  /// Versions that are to be written together.
  struct Writes {
    var resources: [StoredResource] = []
    var places: [String: Int] = [:]
    /// What is written, or deleted where there is nothing.
    var named: Set<String> = []
    /// How many resources are new.
    var madeCount = 0
    /// The patients that are linked to each account.
    var charts: [Digest: [String]] = [:]
    /// What is written, and the patient whom each names itself.
    var patients: [String: String?] = [:]
    /// The Binaries that are borne, of which patients, and what bears them.
    var borne: [String: [String: String]] = [:]
    /// The same of what is stored and not written, where it was looked at.
    var borneBefore: [String: [String: String]] = [:]
    /// The bases by which what is written names what is here, and that are to be remembered.
    var bases: Set<String> = []

    mutating func add(_ resource: StoredResource) {
      if resource.version == 1 { self.madeCount += 1 }
      self.places[resource.name] = self.resources.count
      self.resources.append(resource)
    }
    mutating func note(_ name: String, of patient: String?, bearing binaries: [String]) {
      self.patients.updateValue(patient, forKey: name)
      guard let patient else { return }
      for binary in binaries { self.borne[binary, default: [:]][patient] = name }
    }
    func latest(_ name: String) -> StoredResource? { self.places[name].map { self.resources[$0] } }
  }

  /// What a write is about, once its conditions are judged.
  enum Target {
    /// It exists, so it is not made again.
    case found(id: String)
    /// A new resource, under an id that this server chose.
    case create(id: String)
    /// An update, or a creation under an id that the client chose.
    case update(id: String)
    /// A deletion.
    case delete(id: String)
    /// Nothing meets the condition of a deletion.
    case nothing

    var id: String? {
      switch self {
      case .found(let id), .create(let id), .update(let id), .delete(let id): id
      case .nothing: nil
      }
    }
  }

  /// What a write comes to, before it is durable.
  struct Planned {
    var status: Int
    var resource: StoredResource?
    var name: String
    /// The account that it links, where it is a patient.
    var account: Digest?
    /// The patient whom it is about.
    var patient: String?
    /// The Binaries that it bears.
    var borne: [String] = []
    /// What it names as its security context, where it is a Binary, and that is no patient.
    var context: String?
  }

  /// A write by itself.
  func write(_ asked: FHIRRequest) async throws -> FHIRResponse {
    var request = try await Self.judgedAside(asked)
    request.writesRecord = try await self.writesRecord(request)
    if let answer = try await self.withdrawal(by: request) { return answer }
    var (planned, writes) = try self.judged(request)
    // ⚑ Before anything is written: what conditions tell is noted, and then they are judged again.
    let isAsked = try await self.requireSensitiveFiles([planned])
    let isNoted = try await self.noteTold(request)
    if isAsked || isNoted { (planned, writes) = try self.judged(request) }
    let changed = try self.commit(writes)
    // ⚑ The answer is made before anything is waited for: it tells what this request wrote, whoever writes next.
    var response = self.finish(planned, prefer: request.prefer, request.meter)
    await self.settle(changed)
    response.anchor = try planned.resource.flatMap { try self.recordText($0) }
    return response
  }

  /// What a write by itself comes to.
  private func judged(_ request: FHIRRequest) throws -> (planned: Planned, writes: Writes) {
    let judging = Judging(at: self.site, request.looks)
    let type = try Self.known(request.path.first ?? "")
    let isPlain = request.method == "POST" || request.method == "PUT"
    var json = isPlain ? try request.judged?.json ?? Self.read(request.body) : CanonicalJSON.null
    if isPlain, type == "Binary", let said = request.securityContext { json = try Self.secured(json, by: said) }
    let target = try self.target(of: request, type, json, by: judging)
    if !isPlain { json = try self.content(of: request, type, target) }
    var writes = Writes()
    if case .create = target { json = try self.conditioned(json, by: judging, for: request) }
    if case .update = target { json = try self.conditioned(json, by: judging, for: request) }
    let planned = try self.plan(target, request, type, json, into: &writes)
    try self.requireOnlyChart(planned, after: writes, for: request)
    try self.requireOwnBinaries(planned, after: &writes, for: request)
    return (planned, writes)
  }

  /// Judges a write's condition. What is pending counts as if it were written.
  func target(
    of request: FHIRRequest, _ type: String, _ json: CanonicalJSON, by judging: Judging
  ) throws -> Target {
    func one(_ query: [(name: String, value: String)]) throws -> String? {
      let found = try self.find(type, query, by: judging, for: request)
      guard found.count <= 1 else {
        throw FHIRFailure(412, "multiple-matches", "\(found.count) \(type) match \(FHIRURL.text(query))")
      }
      return found.first
    }
    switch (request.method, request.path.count) {
    case ("POST", 1):
      guard let condition = request.ifNoneExist else { return .create(id: self.freshIdentifier()) }
      // The query alone is what the standard asks for; some write the type before it.
      let query = condition.hasPrefix("\(type)?") ? String(condition.dropFirst(type.count + 1)) : condition
      return try one(try FHIRURL.parameters(query)).map { .found(id: $0) } ?? .create(id: self.freshIdentifier())
    case ("PUT", 2):
      guard let id = json["id"]?.text, id == request.path[1] else {
        throw FHIRFailure(400, "invalid", "the resource's id must be \(request.path[1])", at: "\(type).id")
      }
      return .update(id: id)
    case ("PUT", 1):
      let (found, given) = (try one(request.query), json["id"]?.text)
      if let found {
        guard given == nil || given == found else {
          throw FHIRFailure(
            400, "invalid", "the one that matches is \(type)/\(found), and the resource's id is another",
            at: "\(type).id")
        }
        return .update(id: found)
      }
      guard let given else { return .create(id: self.freshIdentifier()) }
      // ⚑ Who has that id is not the one who was asked for.
      let holder = judging.pending.row("\(type)/\(given)") ?? self.index.row("\(type)/\(given)")
      guard holder?.isDeleted ?? true else {
        try self.requireOwn(type, given, .update, for: request)
        if let holder { self.tell(holder, "\(type)/\(given)", .read, to: request) }
        throw FHIRFailure(
          409, "conflict",
          "nothing matches, and \(type)/\(given) is another: leave the id out, or change that one by it",
          at: "\(type).id")
      }
      return .update(id: given)
    case ("PATCH", 2): return .update(id: request.path[1])
    case ("PATCH", 1):
      guard !request.query.isEmpty else { throw FHIRFailure(412, "required", "say which: Type?parameter=value") }
      guard let found = try one(request.query) else {
        throw FHIRFailure(404, "not-found", "no \(type) matches \(FHIRURL.text(request.query))")
      }
      return .update(id: found)
    case ("DELETE", 2): return .delete(id: request.path[1])
    case ("DELETE", 1):
      guard !request.query.isEmpty else { throw FHIRFailure(412, "required", "say which: Type?parameter=value") }
      return try one(request.query).map { .delete(id: $0) } ?? .nothing
    default: throw FHIRFailure(400, "invalid", "\(request.method) \(request.path.joined(separator: "/")) is no write")
    }
  }

  /// Works out a create, update or delete; nothing is written yet.
  func plan(
    _ target: Target, _ request: FHIRRequest, _ type: String, _ json: CanonicalJSON, into writes: inout Writes
  ) throws -> Planned {
    switch target {
    case .found(let id): Planned(status: 200, resource: nil, name: "\(type)/\(id)")
    case .create(let id):
      try self.planVersion(type, id, json.setting("id", .string(id)), request, isNew: true, into: &writes)
    case .update(let id):
      try self.planVersion(type, id, json.setting("id", .string(id)), request, isNew: false, into: &writes)
    case .delete(let id): try self.planDeletion(type, id, request, into: &writes)
    case .nothing: Planned(status: 204, resource: nil, name: type)
    }
  }

  private func planVersion(
    _ type: String, _ id: String, _ json: CanonicalJSON, _ request: FHIRRequest, isNew: Bool,
    into writes: inout Writes
  ) throws -> Planned {
    guard json["resourceType"]?.text == type else {
      throw FHIRFailure(
        400, "invalid", "\(json["resourceType"]?.text ?? "no resourceType") was sent to \(type)", at: "resourceType")
    }
    guard id.utf8.count <= 64, !id.isEmpty,
      id.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-.".contains($0)) })
    else { throw FHIRFailure(400, "value", "\"\(id)\" is no id: 1 to 64 letters, digits, - and .", at: "\(type).id") }
    let faults = request.judged?.faults ?? Validation.faults(of: json, type: type)
    guard faults.isEmpty else {
      let more = faults.count > 1 ? " (and \(faults.count - 1) more; see $validate)" : ""
      throw FHIRFailure(422, "structure", faults[0] + more, at: String(faults[0].prefix { $0 != ":" }))
    }
    writes.bases.formUnion(try self.requireReferences(of: json, type))
    // ⚑ What was left out of a reading would be gone.
    guard !Presentation.isPart(json) else {
      throw FHIRFailure(
        422, "business-rule", "it is a part of a resource (SUBSETTED): read it whole, change that and send it",
        at: "\(type).meta.tag")
    }
    let name = "\(type)/\(id)"
    if request.writesRecord { throw Self.failure(ofRecord: id, 409) }
    try Self.requireFirst(name, in: &writes)
    let before = self.index.row(name)
    if before != nil { try self.requireOwn(type, id, isNew ? .create : .update, for: request) }
    try self.requireOwn(written: json, type, id, for: request)
    try self.requireNotErased(name, before, json, request)
    let exists = before.map { !$0.isDeleted } ?? false
    try Self.check(request, against: exists ? before?.version : nil, name)
    let version = (before?.version ?? 0) + 1
    let updated = self.now()
    let meta = (json["meta"] ?? .members([])).setting("versionId", .string("\(version)"))
      .setting("lastUpdated", .string(updated.description))
    let account = type == "Patient" ? ResourceIndex.account(in: json, at: updated) : nil
    if type == "Patient" {
      try self.requireNotOutdated(id, before, account, request)
      try self.requireSamePerson(id, before, json, account, after: writes)
    }
    if let account { writes.charts[account, default: []].append(id) }
    let resource = StoredResource(
      type: type, id: id, version: version,
      ordinal: before?.ordinal ?? UInt64(self.index.count + writes.madeCount), updated: updated,
      body: json.setting("meta", meta).canonicalBytes, record: nil)
    writes.add(resource)
    var planned = Planned(status: isNew || !exists ? 201 : 200, resource: resource, name: name, account: account)
    planned.patient = self.index.patient(of: json, type: type, id: id)
    let named = Attached.names(in: json, type: type, at: self.site)
    planned.borne = named.held.union(named.linked).union(self.index.bearers.names(under: name)).sorted()
    planned.context = type == "Binary" ? Attached.context(of: json, at: self.site) : nil
    writes.note(name, of: planned.patient, bearing: planned.borne)
    return planned
  }

  /// A Binary with the security context that its request names; the two are one.
  private static func secured(_ binary: CanonicalJSON, by said: String) throws(FHIRFailure) -> CanonicalJSON {
    guard let own = binary["securityContext"] else {
      return binary.setting("securityContext", .members([("reference", .string(said))]))
    }
    guard own["reference"]?.text == said else {
      throw FHIRFailure(
        400, "invalid", "X-Security-Context says \"\(said.prefix(200))\", and its securityContext another",
        at: "Binary.securityContext")
    }
    return binary
  }

  /// Refuses references that mean nothing, or something here in a form that is not read; says by which bases they name
  /// what is here, where those are not remembered yet.
  private func requireReferences(of json: CanonicalJSON, _ type: String) throws -> Set<String> {
    var bases: Set<String> = []
    let contained = json.children("contained")
    let fragments = Set(contained.compactMap { one in one["id"]?.text.map { "#\($0)" } })
    try (contained.isEmpty ? json : json.setting("contained", nil)).forEachReference {
      try self.requireReference($0, in: fragments, type)
      if let base = self.unkeptBase(of: $0) { bases.insert(base) }
    }
    for url in Attached.urls(in: json, type: type) {
      if let base = self.unkeptBase(of: url) { bases.insert(base) }
      if let why = self.site.fault(ofURL: url) { throw FHIRFailure(422, "value", why, at: "\(type)") }
    }
    // There # alone is what contains it.
    let within = fragments.union(["#"])
    for one in contained {
      try one.forEachReference {
        try self.requireReference($0, in: within, type)
        if let base = self.unkeptBase(of: $0) { bases.insert(base) }
      }
    }
    return bases
  }

  /// The base by which a reference names something here; nil of any other, and where it is remembered.
  private func unkeptBase(of reference: String) -> String? {
    self.site.base(of: reference).flatMap { self.bases.contains($0) ? nil : $0 }
  }

  private func requireReference(_ text: String, in fragments: Set<String>, _ type: String) throws(FHIRFailure) {
    guard text.contains(where: { "/:#?".contains($0) }) || text.isEmpty else {
      throw FHIRFailure(422, "value", "the reference \"\(text)\" says no type: Type/ID is expected", at: "\(type)")
    }
    guard text.first != "#" || fragments.contains(text) else {
      throw FHIRFailure(
        422, "value",
        "\"\(text.prefix(200))\" is nothing that the resource contains: Type/ID is expected of what is stored here",
        at: "\(type)")
    }
    if let why = self.site.fault(of: text) { throw FHIRFailure(422, "value", why, at: "\(type)") }
  }

  private func planDeletion(
    _ type: String, _ id: String, _ request: FHIRRequest, into writes: inout Writes
  ) throws -> Planned {
    let name = "\(type)/\(id)"
    try Self.requireFirst(name, in: &writes)
    let row = self.index.row(name)
    if row != nil { try self.requireOwn(type, id, .delete, for: request) }
    try self.requireNoOwnPatient(deleted: type, for: request)
    try Self.check(request, against: row.flatMap { $0.isDeleted ? nil : $0.version }, name)
    // ⚑ What this store lost, and the ledger has, is deleted all the same.
    let isGone = row.map { $0.isDeleted && $0.erased == nil } ?? true
    let isLost = isGone && self.book.notes[name]?.anchored.map { $0.isLost && !$0.isWithdrawal } ?? false
    guard isLost || row.map({ !$0.isDeleted }) ?? false else {
      if request.writesRecord { throw Self.failure(ofRecord: id, 405) }
      return Planned(status: 204, resource: nil, name: name)
    }
    let deletion = StoredResource(
      type: type, id: id, version: (row?.version ?? 0) + 1,
      ordinal: row?.ordinal ?? UInt64(self.index.count + writes.madeCount), updated: self.now(), body: [],
      record: row?.record)
    writes.add(deletion)
    return Planned(status: 204, resource: deletion, name: name)
  }

  private static func requireFirst(_ name: String, in writes: inout Writes) throws(FHIRFailure) {
    guard !writes.named.insert(name).inserted else { return }
    throw FHIRFailure(400, "duplicate", "\(name) is written twice in one transaction")
  }

  /// Holds a request's preconditions against a version; nil where there is none.
  static func check(
    _ request: FHIRRequest, against version: UInt64?, _ name: String
  ) throws(FHIRFailure) {
    func tags(_ text: String, of field: String) throws(FHIRFailure) -> EntityTags {
      guard let tags = EntityTags(text) else {
        throw FHIRFailure(400, "value", "\(field): * or tags like W/\"3\" are expected, not \(text)")
      }
      return tags
    }
    let place = version.map { "at version \($0)" } ?? "not there"
    if let text = request.ifMatch, !(try tags(text, of: "If-Match")).names(version) {
      throw FHIRFailure(412, "conflict", "\(name) is \(place), not \(text); read it and change it again")
    }
    if let text = request.ifNoneMatch, try tags(text, of: "If-None-Match").names(version) {
      throw FHIRFailure(412, "conflict", "\(name) is \(place) already; read it and change it again")
    }
  }

  /// A random UUID (RFC 9562, version 4).
  func freshIdentifier() -> String {
    var bytes = self.entropy(16)
    (bytes[6], bytes[8]) = (bytes[6] & 0x0f | 0x40, bytes[8] & 0x3f | 0x80)
    let hex = Array(Hex.encode(bytes))
    return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(hex[$0]) }.joined(separator: "-")
  }

  /// Makes writes durable, without a wait in between; what the ledger is to be told of.
  func commit(_ writes: Writes) throws -> [String] {
    guard !writes.resources.isEmpty else { return [] }
    let patients = writes.resources.filter { $0.type == "Patient" }
    let links = patients.map { self.index.account(ofPatient: $0.id) }
    let held = patients.map { self.book.isHolding($0.id, in: self.index) }
    // ⚑ First: what is named by a base is this server's for as long as it is kept.
    if !writes.bases.isEmpty {
      let kept = Site.kept(writes.bases.sorted(), before: self.bases)
      try self.store.keep(bases: kept)
      self.bases = kept
    }
    try self.store.write(writes.resources, notes: [])
    for resource in writes.resources { self.index.put(resource) }
    self.tellWatches(writes.resources)
    let written = Set(writes.resources.map(\.name))
    var names = writes.resources.map(\.name) + self.index.takeMoved().filter { !written.contains($0) }
    // With a link everything of the patient comes and goes, and with a Patient what waited for it.
    for ((patient, link), isHeld) in zip(zip(patients, links), held)
    where isHeld || self.index.account(ofPatient: patient.id) != link {
      let known = Set(names)
      names += self.index.names(ofPatient: patient.id).filter { !known.contains($0) }
    }
    // What bears a file says how sensitive that is.
    let bearing = writes.resources.map(\.name).filter { self.index.row($0)?.isSensitive ?? false }
    if !bearing.isEmpty {
      let borne = bearing.reduce(into: Set<String>()) { $0.formUnion(self.index.bearers.names(borneBy: $1)) }
      names += borne.subtracting(names).sorted()
    }
    for name in names { self.book.touch(name, in: self.index) }
    return names
  }

  /// What the client who wrote a version is told of its record.
  func recordText(_ written: StoredResource) throws -> String? {
    let isLatest = self.index.row(written.name)?.version == written.version
    return self.anchorText(
      isLatest ? written : try self.stored(written.type, written.id, written.version) ?? written)
  }

  /// The answer to a write that is durable, but for its record. ⚑ Nothing may be waited for between the two.
  func finish(_ planned: Planned, prefer: String?, _ meter: AnswerMeter) -> FHIRResponse {
    var response = FHIRResponse(status: planned.status)
    let row = self.index.row(planned.name)
    (response.version, response.updated) = (row?.version, row?.updated)
    if planned.status != 204, let row {
      response.location = "\(planned.name)/_history/\(row.version)"
      let type = String(planned.name.prefix { $0 != "/" })
      switch Preferences(prefer).shows {
      case .minimal: break
      case .outcome:
        response.body = FHIRFailure.outcome([("information", "informational", "written as version \(row.version)", nil)]
        )
      case .representation, nil:
        // What is written is written: where the answer is full, it names the resource and leaves it out.
        if let resource = planned.resource ?? (try? self.stored(type, row.id, row.version)),
          (try? meter.admits(resource)) == true
        {
          response.body = resource.json
        }
      }
    }
    return response
  }
}
