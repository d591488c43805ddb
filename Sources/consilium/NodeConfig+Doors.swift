internal import Foundation
internal import Gateway
internal import Primitives
internal import Telemetry

/// The part of the configuration that says who reaches the FHIR interface and the pages, and how.
extension NodeConfig {
  mutating func takeDoors(
    _ values: [String: String], resolve: (String) -> String, bad: (String, String) -> Failure
  ) throws {
    func words(_ key: String) -> [String] { (values[key] ?? "").split(separator: " ").map(String.init) }
    func origin(_ key: String, below path: String) throws -> String? {
      guard let text = values[key] else { return nil }
      guard let origin = Entrance.origin(of: text, below: path) else {
        throw bad(key, "https://NAME\(path) in small letters is expected, or http:// with this machine's own address")
      }
      return origin
    }
    self.fhirHost = values["fhir_host"] ?? self.fhirHost
    self.fhirOrigin = try origin("fhir_url", below: "/fhir")
    self.portalHost = values["portal_host"] ?? self.portalHost
    self.portalOrigin = try origin("portal_url", below: "")
    self.portalNames = words("portal_names")
    self.proxies = Set(words("proxies"))
    if let wrong = self.proxies.first(where: { !Entrance.isAddress($0) }) {
      throw bad("proxies", "\"\(wrong)\" is no IP address")
    }
    try self.takeCertificate(values, resolve: resolve, bad: bad)
    try self.takeClients(words, resolve: resolve, bad: bad)
    let fhir = Entrance(host: self.fhirHost, port: self.fhirPort ?? 0, origin: self.fhirOrigin)
    guard fhir.isListeningHere || self.certificate != nil || !self.proxies.isEmpty else {
      throw bad(
        "fhir_host",
        "on other addresses than this machine's own, records would cross the network in the open: give "
          + "tls_certificate and tls_key, or proxies, which alone may then come")
    }
    if let text = values["fhir_token_required"] {
      guard let isRequired = Bool(text) else { throw bad("fhir_token_required", "true or false is expected") }
      guard isRequired || fhir.isLocal else {
        throw bad("fhir_token_required", "other machines reach the FHIR interface: a token is always required then")
      }
      self.isTokenRequired = isRequired
    }
  }

  private mutating func takeCertificate(
    _ values: [String: String], resolve: (String) -> String, bad: (String, String) -> Failure
  ) throws {
    switch (values["tls_certificate"], values["tls_key"]) {
    case (nil, nil): return
    case (let chain?, let key?): self.certificate = (resolve(chain), resolve(key))
    case (_?, nil): throw bad("tls_certificate", "tls_key is missing")
    case (nil, _?): throw bad("tls_key", "tls_certificate is missing")
    }
  }

  private mutating func takeClients(
    _ words: (String) -> [String], resolve: (String) -> String, bad: (String, String) -> Failure
  ) throws {
    for text in words("smart_clients") {
      guard let app = SMARTClient(text) else {
        throw bad("smart_clients", "\"\(text)\" is no ID=URL with a URL of https, or of this machine")
      }
      self.apps.append(app)
    }
    for text in words("fhir_systems") {
      guard let system = SMARTSystem(text)?.resolved(resolve) else {
        throw bad("fhir_systems", "\"\(text)\" is no ID=FILE,SCOPE with scopes as system/*.cruds or system/Patient.rs")
      }
      guard FileManager.default.fileExists(atPath: system.keys) else {
        throw bad("fhir_systems", "there is no file \(system.keys) with the public keys of \(system.id)")
      }
      if let fault = SystemAuthorization.fault(inKeys: system.keys) { throw bad("fhir_systems", fault) }
      self.systems.append(system)
    }
    let names = self.apps.map(\.id) + self.systems.map(\.id)
    if let twice = names.first(where: { name in names.count(where: { $0 == name }) > 1 }) {
      throw bad(self.systems.isEmpty ? "smart_clients" : "fhir_systems", "\"\(twice)\" is there twice")
    }
    guard self.apps.isEmpty || self.fhirPort != nil && self.portalPort != nil else {
      throw bad("smart_clients", "apps need fhir_port and portal_port")
    }
    guard self.systems.isEmpty || self.fhirPort != nil else {
      throw bad("fhir_systems", "systems need fhir_port")
    }
  }

  /// What both show by TLS; nil where they do not. ⚑ Files that cannot be used close the doors, and nothing else.
  func serverCertificate(_ log: Log, now: @escaping @Sendable () -> UInt64) -> ServerCertificate? {
    self.serverCertificate(now: now) { news in
      switch news {
      case .taken(let until): Self.tell(.certificateTaken, until, log, now())
      case .closed(let unfit): log.emit(.certificateUnfit, ["reason": .text("\(unfit)")])
      case .ending(let until): Self.tell(.certificateEnding, until, log, now())
      case .refused(let unfit): log.emit(.certificateRefused, ["reason": .text("\(unfit)")])
      }
    }
  }

  /// The same; `report` hears of what becomes of the files.
  func serverCertificate(
    now: @escaping @Sendable () -> UInt64, report: @escaping @Sendable (ServerCertificate.News) -> Void
  ) -> ServerCertificate? {
    let isAnyOpen = self.fhirPort != nil || self.portalPort != nil || self.messages.port != nil
    guard let (chain, key) = self.certificate, isAnyOpen else { return nil }
    let doors = [
      (self.fhirHost, self.fhirPort, self.fhirOrigin), (self.portalHost, self.portalPort, self.portalOrigin),
    ]
    var (hosts, proxied): ([String], Set<String>) = ([], [])
    for (host, port, origin) in doors {
      guard let port, let url = origin.flatMap({ URL(string: $0) }), let name = url.host() else { continue }
      hosts.append(name)
      let isDirect = self.proxies.isEmpty && !Entrance(host: host, port: port).isListeningHere
      if !isDirect || (url.port ?? 443) != port { proxied.insert(name) }
    }
    return ServerCertificate(chain: chain, key: key, hosts: hosts, proxied: proxied, now: now, report: report)
  }

  /// Why the FHIR interface is refused, or doors are closed, and what helps; nil where they are not.
  func trouble(ofDoors certificate: ServerCertificate?, besides store: String?) -> String? {
    guard let why = certificate?.trouble else {
      let senders = self.messages.clients.flatMap { MLLPServer.trouble(ofClients: $0) }
      let closed = senders.map {
        "closed: the port for HL7 v2, for \($0). Correct the file: the node looks at it each second, and opens without "
          + "a restart"
      }
      let all = [store, closed].compactMap { $0 }
      return all.isEmpty ? nil : all.joined(separator: "; ")
    }
    let doors = [
      self.fhirPort.map { _ in "the FHIR interface" }, self.portalPort.map { _ in "the pages" },
      self.messages.port.map { _ in "the port for HL7 v2" },
    ]
    let closed =
      "closed: \(doors.compactMap { $0 }.joined(separator: " and ")), for nothing goes out without TLS, and \(why). "
      + "Correct the files of tls_certificate and tls_key: the node looks at them each second, and opens without a "
      + "restart"
    return [store, closed].compactMap { $0 }.joined(separator: "; ")
  }

  private static func tell(_ kind: EventKind, _ until: Int, _ log: Log, _ now: UInt64) {
    let days = max(0, until - Int(clamping: now / 1000)) / 86_400
    log.emit(kind, ["days": .number(UInt64(days))])
  }

  /// Where the FHIR interface listens; nil where there is none.
  func fhirEntrance(_ certificate: ServerCertificate?) -> Entrance? {
    self.fhirPort.map {
      Entrance(host: self.fhirHost, port: $0, origin: self.fhirOrigin, certificate: certificate)
    }
  }

  /// Where the pages are; nil where there are none.
  func portalEntrance(_ certificate: ServerCertificate?) -> Entrance? {
    self.portalPort.map {
      Entrance(host: self.portalHost, port: $0, origin: self.portalOrigin, certificate: certificate)
    }
  }

  /// How apps and the hospital's own systems are let in; nil where there are none.
  func smart(
    _ fhir: Entrance?, _ portal: Entrance?, now: @escaping @Sendable () -> UInt64
  ) -> SMARTAuthorization? {
    guard let fhir, !self.apps.isEmpty || !self.systems.isEmpty else { return nil }
    return SMARTAuthorization(
      clients: self.apps, systems: self.systems,
      places: SMARTAuthorization.Places(
        fhir: FHIRServer.base(at: fhir), authorize: self.apps.isEmpty ? nil : portal.map { $0.origin + "/authorize" },
        token: fhir.origin + "/auth/token"), now: now)
  }
}
