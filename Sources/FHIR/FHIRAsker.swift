public import Primitives

/// In whose name a request is made, and what may be done in it.
public struct FHIRAsker: Sendable, Hashable {
  /// The practitioner's account; nil where the hospital's own system asks.
  public let account: Digest?
  /// The app's `client_id`; nil where there is none.
  public let client: String?
  /// What the app was let in for.
  public let scopes: SMARTScopes
  /// The Patient here in whose chart the app was launched, by its id; nil where it was not.
  public let patient: String?

  /// Whoever asks, with what they may do.
  public init(account: Digest?, client: String? = nil, scopes: SMARTScopes, patient: String? = nil) {
    (self.account, self.client, self.scopes, self.patient) = (account, client, scopes, patient)
  }

  /// The hospital's own system, which may do everything.
  public static let system = FHIRAsker(account: nil, scopes: .everything)

  /// Refuses what is not allowed.
  public func require(_ action: SMARTScopes.Action, _ type: String) throws(FHIRFailure) {
    guard !self.scopes.allow(action, type) else { return }
    throw FHIRFailure(403, "forbidden", "the app was let in for \(self.scopes.text) only")
  }

  /// Whether a resource of a type may be shown where another resource brings it, at least where it is the patient's.
  func maySee(_ type: String) -> Bool { self.scopes.allow(.read, type) || self.scopes.allow(.search, type) }
  /// Whether whatever is found may be shown.
  var seesEverything: Bool { self.maySee("*") && self.patientToSee("*") == nil }

  /// The patient whose a resource of a type must be for something to be done with it; nil where it may be anybody's.
  /// ⚑ Scopes of a patient without a patient reach nobody: no id is empty.
  public func patient(to action: SMARTScopes.Action, _ type: String) -> String? {
    self.scopes.allowOfAnybody(action, type) ? nil : self.patient ?? ""
  }

  /// The same of what is shown where another resource brings it.
  func patientToSee(_ type: String) -> String? {
    self.scopes.allowOfAnybody(.search, type) ? nil : self.patient(to: .read, type)
  }
}

extension FHIRRequest {
  /// What a request's method, path and conditions need. Entries of a bundle, chains of a search and what is given with
  /// its matches are judged one by one.
  public var needs: [(action: SMARTScopes.Action, type: String)] {
    let path = self.path
    // Which types may be in them is judged for each.
    if FHIRService.isExport(path) || path.first == FHIRService.exportsPath { return [] }
    let type = path.first.flatMap { $0.first?.isUppercase == true ? $0 : nil } ?? "*"
    switch (self.method, path.count) {
    case ("POST", 0): return []
    case ("GET", 1): return ["metadata", "openapi.json"].contains(path[0]) ? [] : [(.search, type)]
    case ("GET", 2): return [(path[1] == "_history" ? .search : .read, type)]
    case ("GET", 3), ("GET", 4), ("POST", 3):
      if ["_history", "$everything"].contains(path[2]) { return [(.read, type)] }
      // A compartment.
      if path[2].first?.isUppercase == true { return [(.read, type), (.search, path[2])] }
    case ("POST", 1): return [(.create, type)] + (self.ifNoneExist == nil ? [] : [(.search, type)])
    case ("POST", 2):
      if path[1] == "_search" { return [(.search, type)] }
      if path[1] == "$validate" { return [] }
    case ("PUT", 1): return [(.update, type), (.search, type)]
    case ("PUT", 2): return [(.update, type)]
    // Its tests and its answer show what is there.
    case ("PATCH", 1): return [(.update, type), (.read, type), (.search, type)]
    case ("PATCH", 2): return [(.update, type), (.read, type)]
    case ("DELETE", 1): return [(.delete, type), (.search, type)]
    case ("DELETE", 2): return [(.delete, type)]
    default: break
    }
    return SMARTScopes.Action.allCases.map { ($0, "*") }
  }

  /// Refuses what its asker may not do.
  public func authorize() throws(FHIRFailure) {
    // Who is told who let the app in may also look that practitioner up (SMART App Launch 2.1, fhirUser).
    if self.asker.scopes.wantsUser, let account = self.asker.account, self.method == "GET",
      self.path == ["Practitioner", "\(account)"]
    {
      return
    }
    for need in self.needs { try self.asker.require(need.action, need.type) }
    // ⚑ What is no one patient's is for those who may see all of them.
    let isOfAll =
      self.path == ["$records"] || FHIRService.isExport(self.path) || self.path.first == FHIRService.exportsPath
      || self.path.count < 3 && self.path.last == "_history"
    guard self.asker.scopes.isOfPatient, isOfAll else { return }
    let isTypes = self.path.count == 2 && self.path.last == "_history"
    guard self.asker.patient(to: .search, isTypes ? self.path[0] : "*") != nil else { return }
    throw FHIRFailure(
      403, "forbidden",
      "it is of all patients, and the app was let in for \(self.asker.scopes.text): ask for what is Patient/"
        + "\(self.asker.patient ?? "")'s")
  }
}
