/// What an app may do by FHIR, as SMART App Launch writes it: `user/Observation.rs`, `user/*.read` (versions 2 and 1).
public struct SMARTScopes: Sendable, Hashable {
  /// One thing that is done with resources, in the order in which scopes name them.
  public enum Action: Character, Sendable, Hashable, CaseIterable {
    /// Create.
    case create = "c"
    /// Read one, or its versions.
    case read = "r"
    /// Update.
    case update = "u"
    /// Delete.
    case delete = "d"
    /// Search.
    case search = "s"
  }

  /// In whose name something is done.
  public enum Level: String, Sendable, Hashable {
    /// A practitioner's.
    case user
    /// A practitioner's, of the one patient whose chart the app was launched in.
    case patient
    /// The hospital's own, by a system that has a key.
    case system
  }

  /// What is allowed of each type; `*` is every type.
  private var allowed: [String: Set<Action>] = [:]
  /// What is allowed besides of each type where it is the patient's.
  private var allowedOfPatient: [String: Set<Action>] = [:]
  /// The scopes as they were granted.
  public let text: String
  /// Whether the app is told who let it in (`openid`).
  public let wantsIdentity: Bool
  /// Whether it is told which FHIR resource that is (`fhirUser`, `profile`).
  public let wantsUser: Bool
  /// Whether it goes on by itself when its token is over, until the session is (`online_access`, `offline_access`).
  public let wantsRefresh: Bool

  /// Everything, for whoever is let in without scopes.
  public static let everything = SMARTScopes("user/*.cruds") ?? SMARTScopes(none: ())

  private init(none: ()) {
    self.text = ""
    (self.wantsIdentity, self.wantsUser, self.wantsRefresh) = (false, false, false)
  }

  /// Reads scopes separated by spaces. Scopes that mean nothing here, such as `launch`, or that have another level, are
  /// left out.
  /// Those of a patient (`patient/Observation.rs`) mean something where the app was launched in a chart, `inChart`, and
  /// so do `launch` and `launch/patient`. ⚑ One that asks for a part of a type (`user/Observation.rs?category=…`) is
  /// left out: granted as a whole it would be more than was asked.
  /// Nil where none is left that allows something.
  public init?(_ text: String, of level: Level = .user, inChart: Bool = false) {
    var (granted, others): ([String], Set<Substring>) = ([], [])
    for scope in text.split(separator: " ").prefix(64) {
      if let (type, actions) = Self.parse(scope, level) {
        self.allowed[type, default: []].formUnion(actions)
      } else if inChart, let (type, actions) = Self.parse(scope, .patient) {
        self.allowedOfPatient[type, default: []].formUnion(actions)
      } else {
        // These allow nothing: the token says or does more.
        guard level == .user, Self.others.contains(scope) || inChart && Self.ofCharts.contains(scope),
          others.insert(scope).inserted
        else { continue }
      }
      granted.append(String(scope))
    }
    guard !self.allowed.isEmpty || !self.allowedOfPatient.isEmpty else { return nil }
    self.text = granted.joined(separator: " ")
    self.wantsIdentity = others.contains("openid")
    self.wantsUser = self.wantsIdentity && (others.contains("fhirUser") || others.contains("profile"))
    self.wantsRefresh = others.contains("online_access") || others.contains("offline_access")
  }

  private static let others: Set<Substring> = ["openid", "fhirUser", "profile", "online_access", "offline_access"]
  private static let ofCharts: Set<Substring> = ["launch", "launch/patient", "launch/encounter"]

  private static func parse(_ scope: Substring, _ level: Level) -> (type: String, actions: Set<Action>)? {
    let halves = scope.split(separator: "/", omittingEmptySubsequences: false)
    guard halves.count == 2, halves[0] == level.rawValue else { return nil }
    let parts = halves[1].split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, let first = parts[0].first, first == "*" ? parts[0].count == 1 : first.isUppercase,
      parts[0] == "*" || parts[0].allSatisfy({ $0.isASCII && $0.isLetter })
    else { return nil }
    switch parts[1] {
    case "read": return (String(parts[0]), [.read, .search])
    case "write": return (String(parts[0]), [.create, .update, .delete])
    case "*": return (String(parts[0]), Set(Action.allCases))
    default:
      // Letters of cruds in their order, each once.
      let order = Action.allCases
      let places = parts[1].map { letter in order.firstIndex { $0.rawValue == letter } }
      let known = places.compactMap(\.self)
      guard !known.isEmpty, known.count == places.count, zip(known, known.dropFirst()).allSatisfy({ $0 < $1 }) else {
        return nil
      }
      return (String(parts[0]), Set(known.map { order[$0] }))
    }
  }

  /// Whether all that others allow is allowed by these too, and nothing else is asked.
  public func cover(_ others: SMARTScopes) -> Bool {
    others.allowed.allSatisfy { type, actions in actions.allSatisfy { self.allowOfAnybody($0, type) } }
      && others.allowedOfPatient.allSatisfy { type, actions in actions.allSatisfy { self.allow($0, type) } }
      && (self.wantsIdentity || !others.wantsIdentity) && (self.wantsUser || !others.wantsUser)
      && (self.wantsRefresh || !others.wantsRefresh)
  }

  /// Whether something may be done with resources of a type, at least the patient's; `*` asks for all types.
  public func allow(_ action: Action, _ type: String) -> Bool {
    self.allowOfAnybody(action, type) || Self.allow(action, type, self.allowedOfPatient)
  }

  /// Whether something may be done with all resources of a type, of whichever patient.
  func allowOfAnybody(_ action: Action, _ type: String) -> Bool { Self.allow(action, type, self.allowed) }

  private static func allow(_ action: Action, _ type: String, _ allowed: [String: Set<Action>]) -> Bool {
    allowed["*"]?.contains(action) ?? false || allowed[type]?.contains(action) ?? false
  }

  /// Whether any of them is of one patient.
  public var isOfPatient: Bool { !self.allowedOfPatient.isEmpty }
}
