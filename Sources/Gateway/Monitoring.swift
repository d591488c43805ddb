internal import Hummingbird
internal import Logging
internal import NIOCore

/// What a supervisor and a monitoring system ask: whether the node lives, whether it does all that it should, and
/// figures. On the API's socket, and at a port of this machine where one is given.
struct Monitoring: Sendable {
  let service: any NodeService
  /// Why the FHIR interface is refused, or it and the pages are closed; nil where they are not.
  let fhirTrouble: @Sendable () -> String?
  /// What else somebody should see to.
  let notices: @Sendable () -> [String]

  /// OpenMetrics 1.0.0.
  private static let media = "application/openmetrics-text; version=1.0.0; charset=utf-8"

  func addRoutes(to router: Router<BasicRequestContext>) {
    router.get("/livez") { _, _ in Response(status: .ok, body: .init(byteBuffer: ByteBuffer(string: "ok\n"))) }
    router.get("/readyz") { _, _ in
      let status = await self.service.status()
      let troubles = status.troubles + [self.fhirTrouble()].compactMap { $0 }
      let state = troubles.isEmpty ? "ready\n" : "not ready: \(troubles.joined(separator: "; "))\n"
      // What keeps nothing from being ordered makes no other hospital worse off: it is said, and no reason to restart.
      let notices = (status.notices ?? []) + self.notices()
      let text = state + notices.map { "notice: \($0)\n" }.joined()
      return Response(
        status: troubles.isEmpty ? .ok : .serviceUnavailable, body: .init(byteBuffer: ByteBuffer(string: text)))
    }
    router.get("/metrics") { _, _ in
      let text = await self.service.metrics(fhirTrouble: self.fhirTrouble(), notices: self.notices())
      return Response(
        status: .ok, headers: [.contentType: Self.media], body: .init(byteBuffer: ByteBuffer(string: text)))
    }
  }
}

/// What monitoring systems of this machine scrape: `/metrics`, `/readyz` and `/livez`, and nothing else.
public struct MonitoringServer: Sendable {
  private let monitoring: Monitoring
  private let entrance: Entrance
  private let doors: Doors

  /// A server at a port of this machine, which answers as a gateway does.
  public init(_ gateway: Gateway, port: Int) {
    self.monitoring = gateway.monitoring
    self.entrance = Entrance(port: port)
    var limits = DoorLimits()
    // So few that they fit into what is reserved: scrapers come one by one.
    (limits.connectionsMax, limits.requestsMax, limits.uploadsMax) = (16, 8, 1)
    self.doors = Doors(limits)
  }

  /// Serves until the task is cancelled.
  public func run() async throws {
    var logger = Logger(label: "metrics")
    logger.logLevel = .critical
    let application = Application(
      router: self.router, server: try await self.doors.server(),
      configuration: .init(
        address: .hostname(self.entrance.host, port: self.entrance.port), serverName: "consilium"), logger: logger)
    try await application.serve(at: self.entrance.place)
  }

  private var router: Router<BasicRequestContext> {
    let router = Router(options: .autoGenerateHeadEndpoints)
    router.add(middleware: RefusalMiddleware<BasicRequestContext>(doors: self.doors))
    router.add(middleware: SameSite(names: [], entrance: self.entrance, closed: "/"))
    self.monitoring.addRoutes(to: router)
    return router
  }
}
