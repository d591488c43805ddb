internal import FHIR
internal import Foundation
internal import Gateway
internal import HL7
internal import Primitives

/// What the configuration says of HL7 v2.
struct MessageSettings {
  var host = "127.0.0.1"
  var port: Int?
  var senders: [MessageSender] = []
  var processing: Set<String> = ["P"]
  /// The file of the certificates one of which has signed each client's own.
  var clients: String?
}

/// The part of the configuration that says which systems send HL7 v2 messages, and what their names mean.
extension NodeConfig {
  /// The part of it about messages.
  static let messagesTemplate = """
    # HL7 v2 messages over MLLP; off where there is no port. On another address than this machine's own it needs
    # tls_certificate, tls_key, and the certificates that signed the senders' own.
    # hl7_port = 2575
    # hl7_host = "127.0.0.1"
    # hl7_clients = "senders-ca.pem"
    # Who sends, as ID=MSH-3/MSH-4, perhaps with @ADDRESS, separated by spaces; %20 is a space in a name.
    # hl7_sources = "adt=ADT/NORTH lab=LAB/NORTH@10.0.0.7"
    # FHIR's systems of the names that messages have for assigning authorities and codes, as NAME=URI.
    # hl7_systems = "MRN=https://hospital.example/mrn"
    # Which processing ids are taken (P, T, D), and by which clocks times without a zone are.
    # hl7_processing = "P"
    # hl7_timezone = "Europe/Berlin"
    """

  mutating func takeMessages(
    _ values: [String: String], resolve: (String) -> String, bad: (String, String) -> Failure
  ) throws {
    func words(_ key: String) -> [String] { (values[key] ?? "").split(separator: " ").map(String.init) }
    guard self.messages.port != nil else {
      guard let key = values.keys.filter({ $0.hasPrefix("hl7_") }).min() else { return }
      throw bad(key, "hl7_port is missing")
    }
    self.messages.host = values["hl7_host"] ?? self.messages.host
    self.messages.clients = values["hl7_clients"].map(resolve)
    if let path = self.messages.clients {
      guard FileManager.default.fileExists(atPath: path) else { throw bad("hl7_clients", "there is no file \(path)") }
      guard self.certificate != nil else { throw bad("hl7_clients", "it needs tls_certificate and tls_key") }
    }
    guard Entrance(host: self.messages.host, port: 0).isListeningHere || self.messages.clients != nil else {
      throw bad(
        "hl7_host",
        "on other addresses than this machine's own, anybody could write records: give tls_certificate, tls_key and "
          + "hl7_clients, the certificates that signed the senders' own")
    }
    if let text = values["hl7_processing"] {
      let letters = Set(text.split(separator: " ").map(String.init))
      guard !letters.isEmpty, letters.isSubset(of: ["P", "T", "D"]) else {
        throw bad("hl7_processing", "P, T and D are expected, separated by spaces")
      }
      self.messages.processing = letters
    }
    let zone = try Self.zone(values["hl7_timezone"], bad)
    let systems = try Self.systems(words("hl7_systems"), bad)
    for text in words("hl7_sources") {
      self.messages.senders.append(try Self.sender(text, systems, zone, bad))
    }
    guard !self.messages.senders.isEmpty else { throw bad("hl7_port", "hl7_sources is missing: it says who sends") }
    let ids = self.messages.senders.map(\.source.id)
    if let twice = ids.first(where: { id in ids.count(where: { $0 == id }) > 1 }) {
      throw bad("hl7_sources", "\"\(twice)\" is there twice")
    }
  }

  private static func zone(_ name: String?, _ bad: (String, String) -> Failure) throws -> HL7Time.Zone {
    let found = name.map { TimeZone(identifier: $0) } ?? TimeZone.current
    guard let zone = found else {
      throw bad("hl7_timezone", "\"\(name ?? "")\" is no time zone as Europe/Berlin")
    }
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = zone
    return { [calendar] local in
      let parts = DateComponents(
        year: local.year, month: local.month, day: local.day, hour: local.hour, minute: local.minute)
      return calendar.date(from: parts).map { calendar.timeZone.secondsFromGMT(for: $0) / 60 } ?? 0
    }
  }

  private static func systems(_ words: [String], _ bad: (String, String) -> Failure) throws -> [String: String] {
    var systems: [String: String] = [:]
    for text in words {
      let halves = text.split(separator: "=", maxSplits: 1).map(String.init)
      guard halves.count == 2, halves[1].contains(":"), let name = halves[0].removingPercentEncoding else {
        throw bad("hl7_systems", "\"\(text)\" is no NAME=URI")
      }
      // ⚑ Messages would give and take the link to an account of the ledger.
      guard halves[1] != FHIRService.accountSystem else {
        throw bad("hl7_systems", "\"\(halves[1])\" is the ledger's: no message says whose account it is")
      }
      systems[name] = halves[1]
    }
    return systems
  }

  private static func sender(
    _ text: String, _ systems: [String: String], _ zone: @escaping HL7Time.Zone, _ bad: (String, String) -> Failure
  ) throws -> MessageSender {
    let expected = "\"\(text)\" is no ID=APPLICATION/FACILITY or ID=APPLICATION/FACILITY@ADDRESS"
    let halves = text.split(separator: "=", maxSplits: 1).map(String.init)
    guard halves.count == 2, !halves[0].isEmpty,
      halves[0].allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") })
    else { throw bad("hl7_sources", expected) }
    let place = halves[1].split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let names = place[0].split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
      .map { String($0).removingPercentEncoding ?? "" }
    guard names.count == 2, !names.allSatisfy({ $0.isEmpty }) else { throw bad("hl7_sources", expected) }
    let address = place.count == 2 ? place[1] : nil
    if let address, !Entrance.isAddress(address) { throw bad("hl7_sources", "\"\(address)\" is no IP address") }
    return MessageSender(
      MessageSource(id: halves[0], application: names[0], facility: names[1], systems: systems, zone: zone),
      from: address)
  }

  /// What takes messages; nil where none are to come.
  func messageDesk(_ service: FHIRService?, trouble: String?) -> MessageDesk? {
    guard self.messages.port != nil else { return nil }
    return MessageDesk(
      service: service, trouble: trouble, senders: self.messages.senders, processing: self.messages.processing,
      now: { Timestamp(milliseconds: UInt64(max(0, Date().timeIntervalSince1970 * 1000))) })
  }

  /// What they come to; nil where none are to come.
  func messageServer(_ desk: MessageDesk?, _ certificate: ServerCertificate?) -> MLLPServer? {
    guard let desk, let port = self.messages.port else { return nil }
    return MLLPServer(
      desk: desk, at: Entrance(host: self.messages.host, port: port, certificate: certificate),
      clients: self.messages.clients)
  }
}
