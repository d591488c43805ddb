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
    guard request.method == .get, path.count == 3, path[0] == FHIRService.exportsPath else { return nil }
    var question = FHIRRequest(method: "GET", path: path)
    do throws(FHIRFailure) {
      question.asker = try await self.asker(of: question, request)
      let asked = question
      let first = try await self.service.exported(asked, from: 0)
      let body = ResponseBody { writer in
        var (lines, next) = first
        while true {
          var bytes: [UInt8] = []
          for line in lines { bytes += line.canonicalBytes + [UInt8(ascii: "\n")] }
          try await writer.write(ByteBuffer(bytes: bytes))
          guard let from = next else { break }
          // ⚑ A session that ended meanwhile reads no further.
          _ = try await self.asker(of: asked, request)
          (lines, next) = try await self.service.exported(asked, from: from)
        }
        try await writer.finish(nil)
      }
      return Response(
        status: .ok, headers: [.contentType: FHIRService.linesMedia, .cacheControl: "no-store"], body: body)
    } catch { return Self.response(error) }
  }
}
