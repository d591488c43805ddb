internal import FHIR
internal import Foundation
internal import HTTPTypes
internal import HealthRecords
internal import Hummingbird
internal import NIOCore

/// The files of exports (HL7 Bulk Data Access 2.0.0).
extension FHIRServer {
  /// What answers a request for a file of an export; nil for every other. It is read from the store while it is sent,
  /// so its length bounds nothing.
  func answerLines(_ request: Request) async -> Response? {
    let path = request.uri.path.split(separator: "/").dropFirst()
      .map { String($0).removingPercentEncoding ?? String($0) }
    guard [.get, .head].contains(request.method), path.count == 3, path[0] == FHIRService.exportsPath else {
      return nil
    }
    let place = Place.current
    /// ⚑ A session that ended meanwhile reads no further, nor a system whose token was revoked. What is put together
    /// takes of the memory that all share.
    @Sendable func some(from start: Int) async throws(FHIRFailure) -> (lines: [CanonicalJSON], next: Int?) {
      var asked = FHIRRequest(method: "GET", path: path)
      asked.asker = start == 0 ? try await self.asker(of: asked, request) : try await self.fetcher(of: asked, request)
      asked.meter = AnswerMeter(bytesMax: FHIRService.lineBytesAtOnce) { place?.takeAnswer($0) ?? true }
      return try await self.service.exported(asked, from: start)
    }
    do throws(FHIRFailure) {
      let first = try await some(from: 0)
      let body = ResponseBody { writer in
        var (lines, next) = first
        while true {
          var bytes: [UInt8] = []
          for line in lines { bytes += line.canonicalBytes + [UInt8(ascii: "\n")] }
          try await writer.write(ByteBuffer(bytes: bytes))
          place?.settle(answer: 0)
          guard let from = next else { break }
          (lines, next) = try await some(from: from)
        }
        try await writer.finish(nil)
      }
      let answer = Response(
        status: .ok, headers: [.contentType: FHIRService.linesMedia, .cacheControl: "no-store"], body: body)
      return request.method == .head ? answer.createHeadResponse() : answer
    } catch {
      let answer = Self.response(error)
      return request.method == .head ? answer.createHeadResponse() : answer
    }
  }
}
