internal import Foundation
internal import HTTPTypes
internal import Hummingbird

/// Where an interface listens, and the address by which its clients come to it.
public struct Entrance: Sendable {
  /// The address on which it listens.
  public let host: String
  /// The port.
  public let port: Int
  /// Scheme, name and port by which clients come, as `https://fhir.hospital.example`.
  public let origin: String
  /// What it shows its clients (TLS); nil where it speaks plain HTTP.
  let certificate: ServerCertificate?

  /// What listens on an address and a port. Clients come by another `origin` where a proxy or a name leads here.
  public init(
    host: String = "127.0.0.1", port: Int, origin: String? = nil, certificate: ServerCertificate? = nil
  ) {
    (self.host, self.port, self.certificate) = (host, port, certificate)
    let shown = ["0.0.0.0", "::"].contains(host) ? "127.0.0.1" : host.contains(":") ? "[\(host)]" : host
    self.origin = origin ?? "\(certificate == nil ? "http" : "https")://\(shown):\(port)"
  }

  /// Address and port on which it listens, for people.
  var place: String { "\(self.host):\(self.port)" }

  /// This machine's own names for itself.
  static let ownNames: Set<String> = ["127.0.0.1", "localhost", "::1"]

  /// The name by which clients come, in small letters.
  var name: String { URL(string: self.origin)?.host()?.lowercased() ?? "" }

  /// The FHIR interface's bases by which it answers besides the one that its clients come by: at its own port, by this
  /// machine's own address, by the name in its origin, and by those `addresses` of the machine at which it listens.
  public func ownBases(_ addresses: [String]) -> [String] {
    let shown = addresses.map { $0.contains(":") ? "[\($0)]" : $0 }
    let hosts: [String] =
      switch self.host {
      case _ where self.isListeningHere: []
      case "0.0.0.0": shown.filter { !$0.hasPrefix("[") }
      case "::": shown
      default: [self.host.contains(":") ? "[\(self.host)]" : self.host]
      }
    let name = self.name.contains(":") ? "[\(self.name)]" : self.name
    let named = self.isListeningHere || name.isEmpty ? [] : [name]
    let scheme = self.certificate == nil ? "http" : "https"
    return (["127.0.0.1"] + named + hosts.prefix(Self.addressesMax)).flatMap { host -> [String] in
      // The port that goes without saying is left out by most.
      let short = self.port == (self.certificate == nil ? 80 : 443) ? ["\(scheme)://\(host)/fhir"] : []
      return ["\(scheme)://\(host):\(self.port)/fhir"] + short
    }
  }

  /// The most addresses of the machine by which references are read.
  private static let addressesMax = 8

  /// Whether it listens for this machine alone; a proxy may lead here.
  public var isListeningHere: Bool { Self.ownNames.contains(self.host) }

  /// Whether only programs of this machine come: it listens for them alone, and no proxy leads here.
  public var isLocal: Bool { self.isListeningHere && Self.ownNames.contains(self.name) }

  /// Whether a name or an address leads here, and to nobody else who could choose it (DNS rebinding).
  func isOwn(_ host: String) -> Bool {
    if Self.ownNames.contains(host) || host == self.name || host == self.host.lowercased() { return true }
    // An address leads nowhere else, as a name that somebody else owns can.
    return !self.isLocal && Self.isAddress(host)
  }

  /// Whether a host is an IP address.
  public static func isAddress(_ host: String) -> Bool {
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return host.contains(":") || parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
  }

  /// Scheme, name and port of a URL that ends with a path, as `https://fhir.hospital.example/fhir`; nil where it is
  /// neither https nor this machine's, or says anything else.
  public static func origin(of text: String, below path: String) -> String? {
    guard text.hasSuffix(path), text.utf8.count <= 512, text.allSatisfy(\.isASCII), let url = URL(string: text),
      let host = url.host(), !host.isEmpty, let scheme = url.scheme, url.user() == nil,
      url.port.map({ (1...65_535).contains($0) }) ?? true,
      scheme == "https" || scheme == "http" && Self.ownNames.contains(host)
    else { return nil }
    let port = url.port.map { ":\($0)" } ?? ""
    let name = host.contains(":") ? "[\(host)]" : host
    return text == "\(scheme)://\(name)\(port)\(path)" && name == name.lowercased() ? "\(scheme)://\(name)\(port)" : nil
  }
}

/// Which pages in people's browsers may use an interface.
struct Visitors: Sendable {
  let entrance: Entrance
  /// The origins of the apps that the hospital named.
  let apps: Set<String>

  /// Another site than this, in whose name a browser asks: by its origin, by what the browser says of the page that
  /// asks (⚑ a page's pictures and frames state no origin), or by a name that leads here (DNS rebinding). Nil for
  /// everybody else.
  func stranger(_ request: Request) -> String? {
    if let authority = request.head.authority {
      guard let host = Self.host(of: "http://\(authority)"), self.entrance.isOwn(host) else {
        return "http://\(authority)"
      }
    }
    guard !self.isApp(request) else { return nil }
    if let origin = request.headers[.origin] {
      let isOwn =
        self.entrance.isLocal
        ? Self.host(of: origin).map { Entrance.ownNames.contains($0) } ?? false : origin == self.entrance.origin
      guard isOwn else { return origin }
    }
    return SameSite.isForeign(request) ? "another site" : nil
  }

  /// Whether a page of an app asks that the hospital named.
  func isApp(_ request: Request) -> Bool { request.headers[.origin].map { self.apps.contains($0) } ?? false }

  private static func host(of url: String) -> String? {
    URL(string: url)?.host()?.lowercased().trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
  }
}

/// Lets pages of the apps that the hospital named read what they are answered (CORS, Fetch §3.2).
struct CrossOrigin: RouterMiddleware {
  typealias Context = DoorContext
  let visitors: Visitors

  private static let methods = "GET, HEAD, POST, PUT, PATCH, DELETE"
  private static let asked = """
    Authorization, Accept, Content-Type, If-Match, If-None-Match, If-Modified-Since, If-None-Exist, Prefer, \
    X-Consilium-Category, X-Consilium-Purpose, X-Security-Context
    """
  private static let shown = """
    ETag, Last-Modified, Location, Content-Location, Content-Disposition, Retry-After, WWW-Authenticate, \
    X-Consilium-Record
    """

  func handle(
    _ request: Request, context: Context, next: (Request, Context) async throws -> Response
  ) async throws -> Response {
    guard let origin = request.headers[.origin], self.visitors.isApp(request) else {
      return try await next(request, context)
    }
    let isPreflight = request.method == .options && request.headers[.accessControlRequestMethod] != nil
    var response = isPreflight ? Response(status: .noContent) : try await next(request, context)
    response.headers[.accessControlAllowOrigin] = origin
    response.headers.append(HTTPField(name: .vary, value: "Origin"))
    if isPreflight {
      response.headers[.accessControlAllowMethods] = Self.methods
      response.headers[.accessControlAllowHeaders] = Self.asked
      response.headers[.accessControlMaxAge] = "600"
    } else {
      response.headers[.accessControlExposeHeaders] = Self.shown
    }
    return response
  }
}
