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

  /// Whether an account acts for a patient now.
  private func isProxy(_ account: Digest, of patient: Digest) async -> Bool {
    let now = Timestamp(milliseconds: self.now())
    return await self.service.consents(of: patient).contains { _, entry in
      let grant = entry.grant
      return entry.revoked == nil && !grant.isDenial && grant.grantee == .account(account) && grant.from <= now
        && now <= grant.until
    }
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
    router.get("/api/keys/{key}") { _, context in
      guard let account = await service.account(ofKey: try digest(context, "key")) else {
        throw ServiceRefusal.notFound("account of that key")
      }
      return try json(["account": account.description])
    }
    router.get("/api/readers/{account}/records") { request, context in
      let asker = try await self.reader(request, context)
      let patient = try self.queryDigest("patient", of: request)
      if asker.account.kind == .patient, asker.identifier != patient {
        guard await self.isProxy(asker.identifier, of: patient) else {
          throw ServiceRefusal.noProxy
        }
      }
      let page = try askedPage(of: request)
      try await self.note(asker.identifier, .search, of: patient, request)
      return try json(await service.recordViews(of: patient, below: page.below, countMax: page.countMax))
    }
    router.get("/api/readers/{account}/anchor") { request, context in
      let asker = try await self.reader(request, context).identifier
      guard let entry = await service.record(try self.queryDigest("record", of: request)) else {
        throw ServiceRefusal.notFound("record")
      }
      try await self.note(asker, .read, of: entry.anchor.patient, request)
      return binary(entry.anchor.encoded)
    }
    router.get("/api/readers/{account}/release") { request, context in
      _ = try await self.reader(request, context)
      let question = ReleaseQuestion(
        request: try self.queryDigest("request", of: request), record: try self.queryDigest("record", of: request))
      var settled = ReplicaSet()
      let without = request.uri.queryParameters["without"] ?? ""
      for place in without.split(separator: ".").compactMap({ Int($0) }) { settled.insert(place) }
      return binary(try await service.release(question, without: settled).encoded)
    }
    router.get("/api/readers/{account}/part") { request, context in
      // Ciphertext is of use to nobody without the key, which a granted request alone gives.
      _ = try await self.reader(request, context)
      let record = try self.queryDigest("record", of: request)
      return binary(try await service.part(record, from: try Self.start(of: request)).encoded)
    }
  }
}
