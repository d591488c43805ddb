internal import AsyncHTTPClient
internal import Foundation
internal import NIOCore
internal import NIOHTTP1

/// Speaks to a node's FHIR interface and pages as an EHR or a browser would.
enum FHIRClient {
  /// The answer's bytes, the record that it names, and the id of what was made; a refusal is a `Failure` that says why.
  static func ask(
    _ url: String, _ method: HTTPMethod = .GET, _ body: String? = nil
  ) async throws -> (bytes: [UInt8], record: String?, id: String?) {
    var request = HTTPClientRequest(url: url)
    request.method = method
    if let body {
      request.headers.add(name: "content-type", value: "application/fhir+json")
      request.body = .bytes(ByteBuffer(string: body))
    }
    let response: HTTPClientResponse
    let bytes: [UInt8]
    do {
      response = try await NodeClient.http.execute(request, timeout: .seconds(60))
      bytes = Array(try await response.body.collect(upTo: 64 << 20).readableBytesView)
    } catch {
      throw Failure(
        "cannot reach \(url)", why: "\(error)", remedy: "stop the devnet and start it with this port",
        status: ExitStatus.unavailable)
    }
    guard response.status.code < 300 else {
      throw Failure(
        "the FHIR interface refused", why: String(decoding: bytes.prefix(400), as: UTF8.self), remedy: "report this",
        status: ExitStatus.refused)
    }
    let location = response.headers.first(name: "location")?.split(separator: "/").map(String.init) ?? []
    let place = location.firstIndex(of: "_history").map { $0 - 1 } ?? location.count - 1
    return (bytes, response.headers.first(name: "x-consilium-record"), place >= 0 ? location[place] : nil)
  }
}
