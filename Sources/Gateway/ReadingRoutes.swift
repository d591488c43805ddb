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
  /// `read`, `history-instance`, `search-type` or `everything`; `unreadable` of a line that cannot be read any more, of
  /// which only the time is known; `lost` where lines of before that time may be missing, which every patient is told.
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

/// Some lines of the log, and what the next page is after: nothing is ever cut without a word.
public struct ReadingsView: Codable, Sendable {
  /// The lines, the latest first.
  public var items: [ReadingView]
  /// The next page's `after`; nil where there is none.
  public var next: String?
}

extension ReadingLog {
  /// The most lines of an answer.
  private var linesMax: Int { 1000 }

  /// A page of a patient's readings, as a request's query asks for it: `reader` (an account, or `system`), `from` and
  /// `until` (milliseconds since 1970), `count`, and `after`, the end of the page before.
  func page(of patient: Digest, _ request: Request) async throws -> ReadingsView {
    let count = try number("count", of: request, in: 1...Int.max, else: 100)
    var question = ReadingQuestion(countMax: min(count, self.linesMax))
    question.from = Timestamp(milliseconds: try number("from", of: request, in: 0 ... .max, else: 0))
    question.until = Timestamp(milliseconds: try number("until", of: request, in: 0 ... .max, else: .max))
    let reader = request.uri.queryParameters["reader"].map { String($0) } ?? ""
    switch reader {
    case "": break
    case "system": question.reader = .system
    default:
      guard let account = Hex.decode(reader).flatMap({ Digest($0) }) else {
        throw ServiceRefusal.badRequest("reader is an account, 64 hexadecimal digits, or \"system\"")
      }
      question.reader = .account(account)
    }
    if let text = request.uri.queryParameters["after"], !text.isEmpty {
      guard let place = Hex.decode(String(text)), place.count == 24 else {
        throw ServiceRefusal.badRequest("after is what the page before said, 48 hexadecimal digits")
      }
      question.after = place
    }
    let page = try await self.readings(of: patient, question)
    return ReadingsView(
      items: page.lines.map { ReadingView($0, interval: self.intervalMilliseconds) },
      next: page.next.map { Hex.encode($0) })
  }
}

extension Gateway {
  func addReadingRoutes(to router: Router<BasicRequestContext>) {
    router.get("/v1/patients/{patient}/readings") { [readings = self.readings] request, context in
      let patient = try digest(context, "patient")
      return try json(try await readings?.page(of: patient, request) ?? ReadingsView(items: []))
    }
  }
}

extension PortalServer {
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
      request: String(request.uri.string.dropFirst()),
      time: Timestamp(milliseconds: self.now()))
    do { try await readings.note([reading]) } catch {
      throw ServiceRefusal.notNoted("\(error)")
    }
  }

  func addReadingRoutes(to router: Router<BasicRequestContext>) {
    router.get("/api/patients/{account}/readings") { [readings = self.readings] request, context in
      let patient = try await self.asker(request, context).identifier
      return try json(try await readings?.page(of: patient, request) ?? ReadingsView(items: []))
    }
  }
}
