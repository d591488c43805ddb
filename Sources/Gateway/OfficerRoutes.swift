internal import HealthRecords
internal import Hummingbird
internal import Messages
internal import Primitives

/// A case for the privacy officer, with the patient's name where the hospital's EHR knows it.
private struct CaseView: Encodable {
  let view: EmergencyView
  let name: String?

  private enum Key: CodingKey { case name }

  func encode(to encoder: any Encoder) throws {
    try self.view.encode(to: encoder)
    var members = encoder.container(keyedBy: Key.self)
    try members.encodeIfPresent(self.name, forKey: .name)
  }
}

/// Some cases, the newest first, and where the older ones begin.
private struct CasesView: Encodable {
  let items: [CaseView]
  let total: UInt64
  let next: UInt64?
}

/// The privacy officer's page: every question is signed by an account that this hospital's registrar made an officer's.
extension PortalServer {
  func addOfficerRoutes(to router: Router<BasicRequestContext>) {
    let service = self.service
    router.get("/api/officers/{account}/cases") { request, context in
      let (officer, asker) = try await self.asker(request, context)
      guard asker.isPrivacyOfficer, asker.hospital == service.member.id,
        asker.isActive(at: Timestamp(milliseconds: self.now()))
      else { throw ServiceRefusal.unauthorized("this is for this hospital's privacy officers") }
      let asked = try askedPage(of: request)
      let page = await service.emergencies(below: asked.below, countMax: asked.countMax)
      var cases: [CaseView] = []
      for view in page.items {
        // A case is shown also while nobody knows the patient's name here.
        let all = try? await self.patients?.patients(matching: view.patient, by: officer)
        let found = all?.first { $0.account == view.patient }
        cases.append(CaseView(view: view, name: found?.name))
      }
      return try json(CasesView(items: cases, total: page.total, next: page.next))
    }
  }
}
