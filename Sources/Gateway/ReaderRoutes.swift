internal import FHIR
internal import HealthRecords
internal import Hummingbird
internal import Messages
internal import Primitives
internal import Rules
internal import Signing
internal import Wire

/// What whoever reads by requests asks for, clinicians and those who act for a patient alike: what there is, and what
/// opens it once the ledger granted the request.
extension PortalServer {
  private func reader(
    _ request: Request, _ context: BasicRequestContext
  ) async throws -> (identifier: Digest, account: HealthRecords.Account) {
    let asker = try await self.asker(request, context)
    guard asker.account.kind == .practitioner || asker.account.kind == .patient,
      asker.account.hospital == self.service.member.id,
      asker.account.isActive(at: Timestamp(milliseconds: self.now()))
    else { throw ServiceRefusal.unauthorized("this is for accounts that this hospital registered") }
    return asker
  }

  /// What consents say now to an account that acts for a patient.
  private struct Power {
    let granted: [ConsentGrant]
    let denials: [ConsentGrant]
    /// Whether somebody acts for the patient in everything.
    let isWhole: Bool

    /// Whether there is a purpose that is granted, and not denied, for what `isMeant` says is meant.
    private func isLeft(where isMeant: (ConsentScope) -> Bool) -> Bool {
      func purposes(_ grants: [ConsentGrant]) -> Purposes {
        grants.filter { isMeant($0.scope) }.reduce(into: []) { $0.formUnion($1.purposes) }
      }
      return purposes(self.granted).subtracting(purposes(self.denials)) != []
    }
    /// Whether anything may be asked for at all.
    var isAny: Bool {
      self.granted.contains { grant in
        grant.purposes.subtracting(
          self.denials.filter { $0.scope == .all }.reduce(into: []) { $0.formUnion($1.purposes) }) != []
      }
    }
    /// Whether a record may be listed: ⚑ a consent for one record tells of no other.
    func lists(_ entry: RecordEntry) -> Bool {
      self.isLeft { $0.covers(entry.anchor.record, of: entry.anchor.category) }
    }
  }

  /// By what an account acts for a patient now.
  ///
  /// - Throws: `ServiceRefusal.noProxy` where it does not, or is denied everything.
  private func power(of account: Digest, over patient: Digest) async throws(ServiceRefusal) -> Power {
    let now = Timestamp(milliseconds: self.now())
    let isAlike = await self.service.rules().version >= 2
    let standing = await self.service.consents(of: patient).map { $0.entry }.filter { entry in
      let grant = entry.grant
      // ⚑ Who acts for a patient cannot shut out another who does.
      if isAlike, grant.isDenial, case .proxy = entry.origin { return false }
      return entry.revoked == nil && grant.grantee == .account(account) && grant.from <= now && now <= grant.until
    }.map { $0.grant }
    let denials = standing.filter(\.isDenial)
    let power = Power(
      granted: standing.filter { !$0.isDenial }, denials: denials,
      isWhole: denials.isEmpty
        && standing.contains { $0.scope == .all && $0.actions.isSuperset(of: [.read, .share]) })
    guard power.isAny else { throw .noProxy }
    return power
  }

  /// The patient for whom somebody acts in everything; the patient is told nothing less than that one.
  private func ward(
    _ request: Request, _ context: BasicRequestContext
  ) async throws -> (patient: Digest, guardian: Digest) {
    let asker = try await self.reader(request, context)
    let patient = try self.queryDigest("patient", of: request)
    guard asker.account.kind == .patient, try await self.power(of: asker.identifier, over: patient).isWhole else {
      throw ServiceRefusal.noProxy
    }
    return (patient, asker.identifier)
  }

  func queryDigest(_ name: String, of request: Request) throws -> Digest {
    guard
      let found = request.uri.queryParameters[Substring(name)].flatMap({ Hex.decode(String($0)) }).flatMap({
        Digest($0)
      })
    else { throw ServiceRefusal.badRequest("\(name) is expected, 64 hexadecimal digits") }
    return found
  }

  func addReaderRoutes(to router: Router<BasicRequestContext>) {
    let service = self.service
    self.addReadingRoutes(to: router)
    self.addOpeningRoutes(to: router)
    router.get("/api/keys/{key}") { _, context in
      guard let identifier = await service.account(ofKey: try digest(context, "key")),
        let account = await service.account(identifier)
      else { throw ServiceRefusal.notFound("account of that key") }
      return try json(KeyView(account: identifier.description, hospital: account.hospital.number))
    }
    router.get("/api/readers/{account}/records") { request, context in
      let asker = try await self.reader(request, context)
      let patient = try self.queryDigest("patient", of: request)
      let page = try askedPage(of: request)
      if asker.account.kind == .patient, asker.identifier != patient {
        let power = try await self.power(of: asker.identifier, over: patient)
        var records = await service.records(of: patient, below: page.below, countMax: page.countMax)
        records.items.removeAll { !power.lists($0) }
        try await self.note(asker.identifier, .search, of: patient, request)
        return try json(await records.map { await service.view(of: $0) })
      }
      try await self.note(asker.identifier, .search, of: patient, request)
      return try json(await service.recordViews(of: patient, below: page.below, countMax: page.countMax))
    }
    // Somebody who acts for a patient in everything sees what the patient sees: two parents are told the same.
    router.get("/api/readers/{account}/consents") { request, context in
      let (patient, guardian) = try await self.ward(request, context)
      try await self.note(guardian, .search, of: patient, request)
      return try json(await service.consents(of: patient).map { ConsentView($0.identifier, $0.entry) })
    }
    router.get("/api/readers/{account}/history") { request, context in
      let (patient, guardian) = try await self.ward(request, context)
      let page = try askedPage(of: request)
      try await self.note(guardian, .search, of: patient, request)
      return try json(await service.accessViews(of: patient, below: page.below, countMax: page.countMax))
    }
    router.get("/api/readers/{account}/anchor") { request, context in
      let (asker, account) = try await self.reader(request, context)
      guard let entry = await service.record(try self.queryDigest("record", of: request)) else {
        throw ServiceRefusal.notFound("record")
      }
      if account.kind == .patient, asker != entry.anchor.patient {
        guard try await self.power(of: asker, over: entry.anchor.patient).lists(entry) else {
          throw ServiceRefusal.noProxy
        }
      }
      try await self.note(asker, .read, of: entry.anchor.patient, request)
      return try binary(entry.anchor.encoded)
    }
  }

  /// What opens a record.
  private func addOpeningRoutes(to router: Router<BasicRequestContext>) {
    let service = self.service
    router.get("/api/readers/{account}/release") { request, context in
      let asker = try await self.reader(request, context).identifier
      let question = ReleaseQuestion(
        request: try self.queryDigest("request", of: request), record: try self.queryDigest("record", of: request))
      // ⚑ Whose request it is, that account alone is answered.
      if let reader = await service.reader(ofRequest: question.request), reader != asker {
        throw ServiceRefusal.unauthorized("another account made this request")
      }
      var settled = ReplicaSet()
      let without = request.uri.queryParameters["without"] ?? ""
      for place in without.split(separator: ".").compactMap({ Int($0) }) { settled.insert(place) }
      return try binary(try await service.release(question, without: settled).encoded)
    }
    router.get("/api/readers/{account}/part") { request, context in
      let asker = try await self.reader(request, context).identifier
      let record = try self.queryDigest("record", of: request)
      let asked = request.uri.queryParameters["request"] == nil ? nil : try self.queryDigest("request", of: request)
      // ⚑ For an account without a granted request this hospital neither checks the record nor fetches it elsewhere.
      guard await service.mayFetch(record, by: asker, request: asked) else {
        throw ServiceRefusal.unauthorized("no granted request of this account names the record: ask for it first")
      }
      return try binary(try await service.part(record, from: try Self.start(of: request)).encoded)
    }
  }
}

/// Whose account a key is of.
private struct KeyView: Encodable, Sendable {
  let account: String
  let hospital: UInt32
}
