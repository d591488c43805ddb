internal import Foundation
import HealthRecords

/// This server, as references name it: relative ones and absolute ones below its own base mean what is stored here;
/// every other URL means something at another server, whatever its last parts are.
///
/// Source: FHIR R4, references.html#literal, bundle.html#references.
struct Site: Sendable {
  private let bases: [String]
  /// The bases in the one spelling of all that mean the same.
  private let normal: [String]

  /// The server of a base, and of others by which it was or is reached too. One on this machine is known by both of the
  /// machine's names for itself.
  init(base: String, others: [String] = []) {
    let names = ["127.0.0.1", "localhost"]
    let same = ([base] + others).flatMap { base in
      names.flatMap { name in
        base.hasPrefix("http://\(name):") ? names.map { "http://\($0)" + base.dropFirst("http://\(name)".count) } : []
      }
    }
    self.bases = Set([base] + others + same).sorted()
    self.normal = self.bases.compactMap { Self.normal($0) }
  }

  /// The most bases that are remembered.
  static let keptMax = 32

  /// What is remembered of the bases by which what is stored names what is here, the latest first. ⚑ Under another name
  /// or port it is still the same server: what names a patient by the base before is in that patient's chart. By a base
  /// that was set by mistake nothing was written, and it is nobody's here.
  static func kept(_ bases: [String], before: [String]) -> [String] {
    var out: [String] = []
    for base in bases + before where !base.isEmpty && !out.contains(base) { out.append(base) }
    return Array(out.prefix(self.keptMax))
  }

  /// `Type/id` of a reference to a resource here, without its version; any other reference as it is.
  func local(_ reference: String) -> String {
    guard let path = self.path(of: reference) else { return reference }
    return Self.literal(path).map { "\($0.type)/\($0.id)" } ?? reference
  }

  /// What follows this server's base in a reference; nil where it is another server's, or no URL of one.
  func path(of reference: String) -> String? {
    guard Self.hasScheme(reference) else { return reference }
    for base in self.bases where reference.hasPrefix(base + "/") { return String(reference.dropFirst(base.count + 1)) }
    return nil
  }

  /// The base of this server's by which a reference names something here; nil of any other.
  func base(of reference: String) -> String? {
    guard Self.hasScheme(reference) else { return nil }
    return self.bases.first { reference.hasPrefix($0 + "/") }
  }

  /// The base below which an entry's `fullUrl` stands; nil where it is none of a REST server.
  static func root(of fullUrl: String) -> String? {
    guard fullUrl.hasPrefix("http://") || fullUrl.hasPrefix("https://") else { return nil }
    let parts = fullUrl.split(separator: "/", omittingEmptySubsequences: false)
    for length in [2, 4] where parts.count > length + 2 {
      if self.literal(parts.suffix(length).joined(separator: "/")) != nil {
        return parts.dropLast(length).joined(separator: "/")
      }
    }
    return nil
  }

  /// Type and id of `Type/id` or `Type/id/_history/n`; nil for anything else.
  static func literal(_ path: String) -> (type: String, id: String)? {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2 || (parts.count == 4 && parts[2] == "_history"), SearchParameter.of(parts[0]) != nil,
      !parts[1].isEmpty
    else { return nil }
    return (parts[0], parts[1])
  }

  /// A reference without the version that it names.
  static func unversioned(_ reference: String) -> String {
    reference.firstRange(of: "/_history/").map { String(reference[..<$0.lowerBound]) } ?? reference
  }

  /// Type and query of a reference that is a condition, `Type?parameter=value`; nil for any other.
  func condition(_ reference: String) -> (type: String, query: String)? {
    guard let path = self.path(of: reference) else { return nil }
    let halves = path.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard halves.count == 2, halves[0].first?.isUppercase == true, halves[0].allSatisfy({ $0.isASCII && $0.isLetter })
    else { return nil }
    return (halves[0], halves[1])
  }

  /// Why a reference is not taken: it is meant for this server, and in no form that is read here. ⚑ Taken as a
  /// stranger's it would be missing from the chart whose it is. nil of every other.
  func fault(of reference: String) -> String? {
    guard !reference.hasPrefix("#"), self.isMeantHere(reference), self.condition(reference) == nil else { return nil }
    let name = Self.name(within: reference) ?? "Type/ID"
    return "\"\(reference.prefix(200))\" is no reference that is read here: \(name) is expected"
  }

  /// Why an attachment's URL is not taken: it means a Binary here, in no form that is read; nil of every other.
  func fault(ofURL url: String) -> String? {
    guard let why = self.fault(of: url), Self.name(within: url)?.hasPrefix("Binary/") == true else { return nil }
    return why
  }

  /// Whether a reference leads to this server by any spelling but those that are read.
  private func isMeantHere(_ reference: String) -> Bool {
    if let path = self.path(of: reference) { return !Self.isName(path) }
    guard ["http:", "https:"].contains(where: { reference.prefix($0.count).lowercased() == $0 }) else { return false }
    guard let normal = Self.normal(reference) else { return true }
    return self.normal.contains { normal == $0 || normal.hasPrefix($0 + "/") }
  }

  /// Whether a path is `Type/ID` or `Type/ID/_history/n`, of any type of FHIR's.
  private static func isName(_ path: String) -> Bool {
    let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map(Substring.init)
    guard parts.count == 2 || (parts.count == 4 && parts[2] == "_history"), FHIRResource.isType(String(parts[0])) else {
      return false
    }
    return self.isID(parts[1]) && self.isID(parts[parts.count - 1])
  }

  private static func isID(_ text: Substring) -> Bool {
    !text.isEmpty && text.utf8.count <= 64
      && text.utf8.allSatisfy {
        self.isLetter($0) || self.isDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".")
      }
  }

  // Bytes rather than characters: every reference that is written comes by here several times.
  private static func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) }
  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  /// `Type/ID` of what a reference in another form seems to mean.
  private static func name(within reference: String) -> String? {
    let parts = (reference.removingPercentEncoding ?? reference).prefix { !"?#".contains($0) }
      .split { "/:".contains($0) }.map { $0.trimmingCharacters(in: .whitespaces) }
    for (part, next) in zip(parts, parts.dropFirst()) where self.isID(next[...]) {
      if let type = SearchParameter.types.first(where: { $0.lowercased() == part.lowercased() }) {
        return "\(type)/\(next)"
      }
    }
    return nil
  }

  /// A URL in one spelling of all that mean the same (RFC 3986, §6.2): host, port and path, for one port speaks one
  /// protocol; nil where it has no host.
  private static func normal(_ url: String) -> String? {
    guard let mark = url.firstRange(of: "://") else { return nil }
    let (scheme, rest) = (url[..<mark.lowerBound].lowercased(), url[mark.upperBound...])
    let authority = rest.prefix { !"/?#".contains($0) }
    var host = authority.split(separator: "@").last?.lowercased() ?? ""
    var port = scheme == "https" ? 443 : 80
    if let colon = host.lastIndex(of: ":"), let number = Int(host[colon...].dropFirst()) {
      port = number
      host = String(host[..<colon])
    }
    while let last = host.last, ".:".contains(last) { host.removeLast() }
    guard !host.isEmpty else { return nil }
    if self.isLoopback(host) { host = "localhost" }
    let path = String(rest.dropFirst(authority.count).prefix { !"?#".contains($0) })
    var segments: [Substring] = []
    for segment in (path.removingPercentEncoding ?? path).split(separator: "/") where segment != "." {
      if segment == ".." { _ = segments.popLast() } else { segments.append(segment) }
    }
    return ([Substring("\(host):\(port)")] + segments).joined(separator: "/")
  }

  /// Whether a host is the machine itself, by any of the names and addresses that it has for itself.
  private static func isLoopback(_ host: String) -> Bool {
    if host == "localhost" || host.hasSuffix(".localhost") { return true }
    guard host.hasPrefix("["), host.hasSuffix("]") else {
      // 127.1 is short for 127.0.0.1, and 0.0.0.0 is every address of this machine.
      let parts = host.split(separator: ".", omittingEmptySubsequences: false).map { UInt32($0) ?? .max }
      return !parts.contains(.max) && (parts[0] == 127 || parts.allSatisfy { $0 == 0 })
    }
    let groups = host.dropFirst().dropLast().split(separator: ":")
    if groups.count == 2, groups[0] == "ffff" { return self.isLoopback(String(groups[1])) }
    let numbers = groups.map { UInt32($0, radix: 16) ?? .max }
    return numbers.dropLast().allSatisfy { $0 == 0 } && (numbers.last ?? 0) < 2
  }

  /// RFC 3986, §3.1.
  private static func hasScheme(_ text: String) -> Bool {
    let bytes = text.utf8
    guard let first = bytes.first, self.isLetter(first), let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else {
      return false
    }
    return bytes[..<colon].allSatisfy { self.isLetter($0) || self.isDigit($0) || "+-.".utf8.contains($0) }
  }
}
