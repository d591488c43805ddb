public import FHIR
internal import HTTPTypes
internal import Hummingbird
internal import Logging
public import Primitives

/// What stands at the FHIR interface's port where the store behind it is not as this node left it. ⚑ A client hears
/// that it cannot be told: never that there is nothing.
public struct RefusedFHIRServer: Sendable {
  private let failure: FHIRFailure
  private let entrance: Entrance
  private let doors: Doors

  /// A server that says why.
  public init(reason: String, at entrance: Entrance, limits: DoorLimits = DoorLimits()) {
    self.failure = FHIRFailure(
      503, "exception",
      "this hospital's FHIR store is not served, and nothing is stored: \(reason). What it holds of a patient is "
        + "unknown until then: do not take it for none")
    (self.entrance, self.doors) = (entrance, Doors(limits))
  }

  /// Serves until the task is cancelled.
  public func run() async throws {
    var logger = Logger(label: "fhir")
    logger.logLevel = .critical
    let application = Application(
      router: self.router, server: try await self.doors.server(self.entrance.certificate),
      configuration: .init(
        address: .hostname(self.entrance.host, port: self.entrance.port), serverName: "consilium"), logger: logger)
    try await application.serve(at: self.entrance.place)
  }

  private var router: Router<BasicRequestContext> {
    let router = Router()
    let visitors = Visitors(entrance: self.entrance, apps: [])
    let others = ["PROPFIND", "QUERY"].compactMap { HTTPRequest.Method($0) }
    for method in [.get, .head, .post, .put, .delete, .patch, .options, .trace] + others {
      for path in ["/fhir", "/fhir/**"] {
        router.on(RouterPath(path), method: method) { request, _ in
          let answer = FHIRServer.response(
            visitors.stranger(request).map { FHIRServer.forbidden(to: $0) } ?? self.failure)
          return request.method == .head ? answer.createHeadResponse() : answer
        }
      }
    }
    return router
  }
}

/// A log of readings that cannot be read nor written: a caller hears why.
public struct RefusedReadings: ReadingLog {
  /// As every log's.
  public let intervalMilliseconds: UInt64 = 900_000
  private let refusal: ServiceRefusal

  /// A log that is refused for a reason.
  public init(reason: String) { self.refusal = .failed(reason) }

  /// Is refused: a reader is noted, or is shown nothing.
  public func note(_ readings: [LocalReading]) async throws { throw self.refusal }
  /// Is refused.
  public func readings(of patient: Digest, _ question: ReadingQuestion) async throws -> ReadingPage {
    throw self.refusal
  }
  /// Is refused.
  public func counts(of patient: Digest) async throws -> [(interval: UInt64, count: Int)] { throw self.refusal }
}
