internal import Foundation
internal import HTTPTypes
internal import Hummingbird

/// Refuses what pages of other sites ask in a browser of somebody who may: by the origin that the browser states, and
/// by the name by which it came here, so that no foreign name leads here (DNS rebinding).
struct SameSite: RouterMiddleware {
  typealias Context = BasicRequestContext
  /// The names by which a proxy leads here.
  let names: Set<String>
  /// Where it listens.
  let entrance: Entrance
  /// Where what begins with it is nothing for pages of other sites, not even to follow a link to.
  var closed = "/api/"

  func handle(
    _ request: Request, context: Context, next: (Request, Context) async throws -> Response
  ) async throws -> Response {
    guard let own = request.head.authority, let host = Self.host(of: own), self.isOwn(host) else {
      throw ServiceRefusal.stranger(request.head.authority ?? "no name")
    }
    if let origin = request.headers[.origin] {
      // Through a proxy the origin's scheme and port are others: its name must be one of ours.
      guard let url = URL(string: origin), let name = url.host()?.lowercased(),
        name == host || self.names.contains(name)
      else { throw ServiceRefusal.stranger(origin) }
      // What else listens at this name listens at another port.
      guard name != host || self.names.contains(name) || self.port(of: own) == url.port ?? Self.port(of: url.scheme)
      else { throw ServiceRefusal.stranger(origin) }
    }
    if request.uri.path.hasPrefix(self.closed), Self.isForeign(request) {
      throw ServiceRefusal.stranger("another site")
    }
    return try await next(request, context)
  }

  /// Whether a browser says that a page of another site asks.
  static func isForeign(_ request: Request) -> Bool {
    HTTPField.Name("Sec-Fetch-Site").flatMap { request.headers[$0] } == "cross-site"
  }

  private static func host(of authority: String) -> String? { URL(string: "http://\(authority)")?.host()?.lowercased() }

  private func port(of authority: String) -> Int {
    URL(string: "http://\(authority)")?.port ?? Self.port(of: self.entrance.certificate == nil ? "http" : "https")
  }

  private static func port(of scheme: String?) -> Int { scheme == "https" ? 443 : 80 }

  /// An address leads nowhere else than a name that somebody else owns can.
  private func isOwn(_ host: String) -> Bool {
    host == "localhost" || host == self.entrance.host.lowercased() || self.names.contains(host)
      || Entrance.isAddress(host)
  }
}
