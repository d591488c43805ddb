internal import Discovery
internal import Foundation
internal import Gateway
internal import ObjectStore
internal import Primitives
internal import Signing
internal import Telemetry
internal import TOMLKit

/// A node's configuration file.
struct NodeConfig {
  var genesis = "genesis.json"
  var description = "member.json"
  var observers: Set<PublicKey> = []
  var member: UInt32 = 0
  var keys = "node.key"
  var data = "data"
  var listen = ""
  var api = "api.sock"
  var fhirHost = "127.0.0.1"
  var fhirPort: Int?
  /// Scheme, name and port by which clients come; nil where they come as it listens.
  var fhirOrigin: String?
  var isTokenRequired = false
  var apps: [SMARTClient] = []
  var systems: [SMARTSystem] = []
  var portalHost = "127.0.0.1"
  var portalPort: Int?
  var portalOrigin: String?
  /// The files of what both show by TLS.
  var certificate: (chain: String, key: String)?
  var proxies: Set<String> = []
  var messages = MessageSettings()
  var portalNames: [String] = []
  var metricsPort: Int?
  var logLevel = EventLevel.info
  var logFormat = LogFormat.json
  var logFile: String?
  var passphraseFile: String?
  var mapSizeMax = 1 << 40
  var workers = 4
  var snapshotInterval = 65_536
  /// Where the vault is, if it is not on this machine.
  var objectStore: S3Settings?
  var vaultShareBytesMax: UInt64?

  static let keys = [
    "api", "data", "description", "fhir_host", "fhir_port", "fhir_systems", "fhir_token_required", "fhir_url",
    "genesis", "hl7_clients", "hl7_host", "hl7_port", "hl7_processing", "hl7_sources", "hl7_systems", "hl7_timezone",
    "keys", "listen", "log_file",
    "log_format", "log_level",
    "map_size_max_gib",
    "member", "metrics_port", "observers", "passphrase_file", "portal_host", "portal_names", "portal_port",
    "portal_url", "proxies",
    "smart_clients", "snapshot_interval", "tls_certificate", "tls_key",
    "vault_s3_bucket", "vault_s3_credentials", "vault_s3_endpoint", "vault_s3_prefix", "vault_s3_region",
    "vault_share_gib", "workers",
  ]

  static func template(member: UInt32, listen: String, passphraseFile: String?) -> String {
    """
    # A Consilium node. Paths are relative to this file. Every key can be overridden: consilium node --set key=value

    # What the members agreed on.
    genesis = "genesis.json"
    # Which member this is.
    member = \(member)
    # The member's public description, as consilium init made it.
    description = "member.json"
    # Who may follow the ledger without being a member: member keys, separated by spaces. A hospital that is
    # about to join need not be named.
    # observers = ""
    # The member's encrypted keys, and the file with their passphrase (0600); without it the node asks.
    keys = "node.key"
    \(passphraseFile.map { "passphrase_file = \(Self.quoted($0))" } ?? "# passphrase_file = \"passphrase\"")
    # The ledger and the vault.
    data = "data"
    # A vault in an S3-compatible object store instead of on this machine: the store, a bucket that keeps no versions,
    # and a file (0600) with aws_access_key_id and aws_secret_access_key. Try it: consilium vault check --config FILE
    # vault_s3_endpoint = "https://s3.example.org"
    # vault_s3_bucket = "consilium"
    # vault_s3_credentials = "s3-credentials"
    # vault_s3_region = "us-east-1"
    # vault_s3_prefix = ""
    # The most that each other member's records may take in this vault, in GiB; without it there is no bound.
    # vault_share_gib = 500
    # Where this node listens: an IP address and a port; /ip4/0.0.0.0 for all of this machine's addresses. Where the
    # others dial it is what it published in member.json.
    listen = "\(listen)"
    # The API's Unix socket, for this user only.
    api = "api.sock"
    # Figures for Prometheus at http://127.0.0.1:PORT/metrics, with /readyz and /livez, for programs of this machine;
    # off where there is no port. The API's socket has them, too.
    # metrics_port = 9464
    \(Self.doorsTemplate)
    \(Self.messagesTemplate)
    # trace, debug, info, audit, warn or error; json or text; a file, or standard error where there is none.
    log_level = "info"
    log_format = "json"
    log_file = "node.log"
    # Address space for each store, in GiB; files grow as needed.
    map_size_max_gib = 1024
    # A snapshot of the ledger is made each time the height is a multiple of this; 0 for never. It should be the same at
    # all members: a hospital that joins goes on from a snapshot that several of them made.
    snapshot_interval = 65536
    # Threads that check signatures.
    workers = 4

    """
  }

  /// The part of it about who reaches the node from outside, and how.
  private static let doorsTemplate = """
    # FHIR R4 for this hospital's own EHR, at http://127.0.0.1:PORT/fhir; off where there is no port. Every program
    # that can open connections on this machine may use it.
    # fhir_port = 8080
    # Where it listens; on another address than this machine's own it needs TLS, or proxies, and every request a token.
    # fhir_host = "127.0.0.1"
    # The address by which clients come, where a name or a proxy leads here; it ends with /fhir.
    # fhir_url = "https://fhir.hospital.example/fhir"
    # The hospital's own systems that get tokens by a key (SMART backend services), as ID=JWKS-FILE,SCOPES, separated
    # by spaces.
    # fhir_systems = "ehr=ehr.jwks,system/*.cruds lab=lab.jwks,system/Observation.c,system/Patient.rs"
    # Apps that practitioners may let in by SMART App Launch, as ID=RETURN-URL, separated by spaces. They need both
    # ports.
    # smart_clients = "growth-chart=http://127.0.0.1:9000/callback"
    # Whether every FHIR request needs a token, also from this machine.
    # fhir_token_required = false
    # The patients' pages, at http://HOST:PORT/; off where there is no port. Browsers make keys only for pages from this
    # machine or over HTTPS: for others give tls_certificate, or put a TLS proxy in front.
    # portal_port = 8443
    # portal_host = "127.0.0.1"
    # More names by which browsers reach them, separated by spaces. Under other names the pages are refused.
    # portal_names = "records.hospital.example"
    # The address by which browsers reach them, where a name or a proxy leads here.
    # portal_url = "https://records.hospital.example"
    # With both files, in PEM, the FHIR interface and the pages speak TLS; files that replace them are taken at once.
    # While they cannot be used, both stay closed, and the node votes.
    # tls_certificate = "fullchain.pem"
    # tls_key = "privkey.pem"
    # The addresses of proxies on other machines, separated by spaces. Without TLS the FHIR interface takes no other
    # connections from outside.
    # proxies = "10.0.0.5"
    """

  /// A text as TOML writes it.
  private static func quoted(_ text: String) -> String {
    "\"" + text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"") + "\""
  }

  /// Reads a configuration; every mistake names its line, and what was meant where it is near.
  init(path: String, overrides: [String]) throws {
    let text = String(decoding: try Files.read(path, max: 1 << 20), as: UTF8.self)
    let table: TOMLTable
    do { table = try TOMLTable(string: text) } catch let error as TOMLParseError {
      throw Self.bad(path, "line \(error.source.begin.line): \(error.description)", "correct that line")
    }
    var values: [String: String] = [:]
    for key in table.keys {
      guard Self.keys.contains(key) else {
        throw Self.bad(path, "line \(Self.line(of: key, in: text)): there is no key \"\(key)\"", Self.suggestion(key))
      }
      values[key] = table[key]?.string ?? table[key]?.int.map { "\($0)" } ?? table[key]?.bool.map { "\($0)" } ?? ""
    }
    for override in overrides {
      let parts = override.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2, Self.keys.contains(parts[0]) else {
        throw Self.bad("--set \(override)", "key=value is expected", Self.suggestion(parts.first ?? ""))
      }
      values[parts[0]] = parts[1]
    }
    var folder = URL(filePath: path).deletingLastPathComponent().path(percentEncoded: false)
    while folder.count > 1, folder.hasSuffix("/") { folder.removeLast() }
    try self.take(values, folder: folder) { key, why in
      let given = overrides.last { $0.hasPrefix(key + "=") }
      return given.map { Self.bad("--set \($0)", "\(key): \(why)", "give it another value") }
        ?? Self.bad(
          path, "line \(Self.line(of: key, in: text)): \(key): \(why)",
          "correct that line; where a node is given keys by --set, its other commands need the same --set")
    }
  }

  private mutating func take(
    _ values: [String: String], folder: String, bad: (String, String) -> Failure
  ) throws {
    func resolve(_ path: String) -> String { path.hasPrefix("/") ? path : folder + "/" + path }
    func number(_ key: String, _ range: ClosedRange<Int>) throws -> Int? {
      guard let text = values[key] else { return nil }
      guard let value = Int(text), range.contains(value) else {
        throw bad(key, "a number from \(range.lowerBound) to \(range.upperBound) is expected")
      }
      return value
    }
    self.genesis = resolve(values["genesis"] ?? self.genesis)
    self.description = resolve(values["description"] ?? self.description)
    for text in (values["observers"] ?? "").split(separator: " ") {
      guard let key = Hex.decode(String(text)).flatMap({ PublicKey($0) }) else {
        throw bad("observers", "\"\(text)\" is no key of 64 hexadecimal digits")
      }
      self.observers.insert(key)
    }
    self.keys = resolve(values["keys"] ?? self.keys)
    self.data = resolve(values["data"] ?? self.data)
    self.api = resolve(values["api"] ?? self.api)
    self.logFile = values["log_file"].map(resolve)
    self.passphraseFile = values["passphrase_file"].map(resolve)
    self.listen = values["listen"] ?? ""
    guard let member = try number("member", 1...Int(UInt32.max)) else { throw bad("member", "it is missing") }
    self.member = UInt32(member)
    self.mapSizeMax = (try number("map_size_max_gib", 1...65_536) ?? 1024) << 30
    self.vaultShareBytesMax = try number("vault_share_gib", 1...(1 << 30)).map { UInt64($0) << 30 }
    self.workers = try number("workers", 1...64) ?? self.workers
    self.snapshotInterval = try number("snapshot_interval", 0...(1 << 40)) ?? self.snapshotInterval
    self.fhirPort = try number("fhir_port", 1...65_535)
    self.portalPort = try number("portal_port", 1...65_535)
    self.metricsPort = try number("metrics_port", 1...65_535)
    try self.takeDoors(values, resolve: resolve, bad: bad)
    self.messages.port = try number("hl7_port", 1...65_535)
    try self.takeMessages(values, resolve: resolve, bad: bad)
    if let text = values["log_level"] {
      guard let level = EventLevel(name: text) else {
        throw bad("log_level", "\"\(text)\" is none of \(EventLevel.allCases.map(\.name).joined(separator: ", "))")
      }
      self.logLevel = level
    }
    if let text = values["log_format"] {
      guard let format = LogFormat(rawValue: text) else {
        throw bad("log_format", "\"\(text)\" is neither json nor text")
      }
      self.logFormat = format
    }
    self.objectStore = try Self.objectStore(values, resolve: resolve, bad: bad)
    guard self.api.utf8.count < 104 else {
      throw bad("api", "a socket's path has at most 103 bytes, this has \(self.api.utf8.count)")
    }
  }

  private static func objectStore(
    _ values: [String: String], resolve: (String) -> String, bad: (String, String) -> Failure
  ) throws -> S3Settings? {
    guard let endpoint = values["vault_s3_endpoint"] else {
      guard let key = values.keys.filter({ $0.hasPrefix("vault_s3_") }).min() else { return nil }
      throw bad(key, "vault_s3_endpoint is missing")
    }
    guard let bucket = values["vault_s3_bucket"], let file = values["vault_s3_credentials"].map(resolve) else {
      throw bad("vault_s3_endpoint", "vault_s3_bucket and vault_s3_credentials belong to it")
    }
    try KeyFile.refuseOpenPermissions(file)
    guard let credentials = S3Credentials(file: String(decoding: try Files.read(file, max: 4096), as: UTF8.self)) else {
      throw bad("vault_s3_credentials", "\(file) has no aws_access_key_id and aws_secret_access_key, each with a value")
    }
    for (key, text) in [("vault_s3_bucket", bucket), ("vault_s3_prefix", values["vault_s3_prefix"] ?? "")] {
      guard text.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-._/".contains($0)) }), !text.contains("//")
      else { throw bad(key, "letters, digits and -._ are expected") }
    }
    guard
      let settings = S3Settings(
        endpoint: endpoint, bucket: bucket, region: values["vault_s3_region"] ?? "us-east-1",
        prefix: values["vault_s3_prefix"] ?? "", credentials: credentials)
    else { throw bad("vault_s3_endpoint", "\"\(endpoint)\" is not https://HOST or http://HOST:PORT alone") }
    return settings
  }

  private static func bad(_ path: String, _ why: String, _ remedy: String) -> Failure {
    Failure("cannot use \(path)", why: why, remedy: remedy, status: ExitStatus.configuration)
  }

  private static func line(of key: String, in text: String) -> Int {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    return (lines.firstIndex { $0.drop(while: { $0 == " " }).hasPrefix(key) } ?? 0) + 1
  }

  private static func suggestion(_ key: String) -> String {
    let near = self.keys.min { Self.distance($0, key) < Self.distance($1, key) } ?? "genesis"
    return "did you mean \"\(near)\"? The keys are \(self.keys.joined(separator: ", "))"
  }

  /// How many letters must be changed (Levenshtein).
  private static func distance(_ one: String, _ other: String) -> Int {
    var row = Array(0...other.count)
    for (i, a) in one.enumerated() {
      var previous = row[0]
      row[0] = i + 1
      for (j, b) in other.enumerated() {
        let cost = a == b ? previous : min(previous, min(row[j], row[j + 1])) + 1
        previous = row[j + 1]
        row[j + 1] = cost
      }
    }
    return row[other.count]
  }
}
