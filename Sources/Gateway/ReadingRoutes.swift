public import FHIR
internal import HealthRecords
internal import Hummingbird
internal import Primitives

/// Who was shown a patient's chart in the hospital's own records system, for a quarter of an hour.
public struct ReadingView: Codable, Sendable {
  /// When first.
  public var time: String
  /// Until when there may have been others like it.
  public var until: String
  /// The practitioner's account; nil where the hospital's own system asked.
  public var reader: String?
  /// The app.
  public var client: String?
  /// `read`, `history-instance`, `search-type` or `everything`.
  public var interaction: String
  /// The FHIR types of what was shown.
  public var types: [String]

  /// A line's view.
  public init(_ reading: LocalReading, interval: UInt64) {
    (self.time, self.client, self.types) = (reading.time.description, reading.client, reading.types)
    let end = (reading.time.milliseconds / interval + 1) * interval
    self.until = Timestamp(milliseconds: end).description
    (self.reader, self.interaction) = (reading.reader?.description, reading.interaction.name)
  }
}

extension ReadingLog {
  /// The most lines of an answer.
  static var linesMax: Int { 10_000 }

  func views(of patient: Digest) async throws -> [ReadingView] {
    try await self.readings(of: patient, countMax: Self.linesMax).map {
      ReadingView($0, interval: self.intervalMilliseconds)
    }
  }
}

extension Gateway {
  func addReadingRoutes(to router: Router<BasicRequestContext>) {
    router.get("/v1/patients/{patient}/readings") { [readings = self.readings] _, context in
      let patient = try digest(context, "patient")
      return try json(try await readings?.views(of: patient) ?? [])
    }
  }
}

extension PortalServer {
  /// The most characters of a question that are kept.
  private static let questionCharactersMax = 512

  /// ⚑ Notes that somebody is shown which records there are of another, before it is given: what cannot be noted is not
  /// given. Of an account that there is not, there is nothing to show.
  func note(
    _ reader: Digest, _ interaction: LocalReading.Interaction, of patient: Digest, _ request: Request
  ) async throws {
    guard let readings = self.readings, reader != patient, await self.service.account(patient)?.kind == .patient else {
      return
    }
    let reading = LocalReading(
      patient: patient, reader: reader, client: nil, interaction: interaction, types: ["DocumentReference"],
      request: String(request.uri.string.dropFirst().prefix(Self.questionCharactersMax)),
      time: Timestamp(milliseconds: self.now()))
    do { try await readings.note([reading]) } catch {
      throw ServiceRefusal.notNoted("\(error)")
    }
  }

  func addReadingRoutes(to router: Router<BasicRequestContext>) {
    router.get("/api/patients/{account}/readings") { [readings = self.readings] request, context in
      let patient = try await self.asker(request, context).identifier
      return try json(try await readings?.views(of: patient) ?? [])
    }
  }
}
