internal import AsyncHTTPClient
internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import Primitives
internal import HealthRecords

/// Speaks to an S3-compatible object store: signed requests, tried again where it is busy or the connection broke.
struct S3Client: Sendable {
  /// An answer.
  struct Answer: Sendable {
    let status: Int
    let etag: String?
    let body: [UInt8]
    /// Which version an answer is about, and whether a deletion left a marker in its place, as a bucket with versions
    /// says.
    var version: String?
    var isMarker = false

    /// Whether what was to be deleted is still in the bucket, as a version of its own. ⚑ The store says 204 all the
    /// same.
    var keepsVersions: Bool { self.isMarker || self.version.map { $0 != "null" } ?? false }

    /// The texts of the elements of one name, in order. What is asked of the store has no text that XML would escape.
    func texts(of element: String) -> [String] {
      let text = String(decoding: self.body, as: UTF8.self)
      return text.components(separatedBy: "<\(element)>").dropFirst().compactMap {
        $0.components(separatedBy: "</\(element)>").first
      }
    }
  }

  /// A body of more bytes goes up in parts of this size; the protocol wants at least 5 MiB for all but the last.
  static let partBytes = 8 << 20
  /// The most bytes of an answer.
  private static let answerBytesMax = 64 << 20
  private static let attemptsMax = 3
  /// How long a request may take: a part on its way up has its time, whoever reads can ask another vault.
  private static let storingSeconds: Int64 = 30
  private static let readingSeconds: Int64 = 10

  /// One for the whole process. Whether a broken connection is tried again is decided here.
  private static let http = {
    var configuration = HTTPClient.Configuration()
    configuration.timeout.connect = .seconds(3)
    configuration.connectionPool.retryConnectionEstablishment = false
    return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
  }()

  let settings: S3Settings
  private let signature: S3Signature

  init(_ settings: S3Settings) {
    self.settings = settings
    self.signature = S3Signature(credentials: settings.credentials, region: settings.region)
  }

  /// Asks for `key` in the bucket, or for the bucket itself where it is empty. An answer of 404 for a key is an answer.
  ///
  /// - Throws: `VaultFailure` where the store refuses, is out of reach, or has no such bucket.
  func ask(
    _ method: String, _ key: String = "", query: [(name: String, value: String)] = [], body: [UInt8] = []
  ) async throws(VaultFailure) -> Answer {
    let path = [self.settings.bucket] + key.split(separator: "/").map(String.init)
    var request = S3Request(method: method, path: path, query: query, body: body)
    request.headers = [("host", self.settings.host)]
    let what = "\(method) \(self.settings.endpoint)\(request.encodedPath)"
    var why = ""
    for attempt in 0..<Self.attemptsMax {
      if attempt > 0 {
        do { try await Task.sleep(for: .milliseconds(25 << (2 * attempt))) } catch { break }
      }
      do {
        let answer = try await self.send(request)
        if answer.status < 300 || answer.status == 404 && answer.texts(of: "Code") != ["NoSuchBucket"] { return answer }
        why = Self.reason(answer)
        guard answer.status >= 500 && answer.status != 507 || answer.status == 429 else { break }
      } catch { why = "\(error)" }
    }
    throw VaultFailure("\(what): \(why)")
  }

  private func send(_ request: S3Request) async throws -> Answer {
    let query = request.encodedQuery
    var http = HTTPClientRequest(
      url: self.settings.endpoint + request.encodedPath + (query.isEmpty ? "" : "?" + query))
    http.method = HTTPMethod(rawValue: request.method)
    let now = Timestamp(milliseconds: UInt64(max(0, Date().timeIntervalSince1970 * 1000)))
    for (name, value) in self.signature.headers(of: request, at: now) { http.headers.add(name: name, value: value) }
    if !request.body.isEmpty || request.method == "PUT" { http.body = .bytes(ByteBuffer(bytes: request.body)) }
    let patience = request.body.isEmpty ? Self.readingSeconds : Self.storingSeconds
    let response = try await Self.http.execute(http, timeout: .seconds(patience))
    let body = try await response.body.collect(upTo: Self.answerBytesMax)
    return Answer(
      status: Int(response.status.code), etag: response.headers.first(name: "etag"),
      body: Array(body.readableBytesView), version: response.headers.first(name: "x-amz-version-id"),
      isMarker: response.headers.first(name: "x-amz-delete-marker")?.lowercased() == "true")
  }

  private static func reason(_ answer: Answer) -> String {
    let code = answer.texts(of: "Code").first ?? "status \(answer.status)"
    let message = answer.texts(of: "Message").first ?? ""
    let remedy =
      switch code {
      case "NoSuchBucket": "make the bucket, or mend vault_s3_bucket"
      case "InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "InvalidToken", "ExpiredToken":
        "mend the file of vault_s3_credentials, or the bucket's policy"
      case "RequestTimeTooSkewed": "set this machine's clock"
      case "AuthorizationHeaderMalformed", "PermanentRedirect": "mend vault_s3_region"
      default: "see the object store's own log"
      }
    return "\(code)\(message.isEmpty ? "" : ": " + message); \(remedy)"
  }

  /// Stores an object: in one request, or in parts of which each is tried again alone.
  func put(_ key: String, _ body: [UInt8]) async throws(VaultFailure) {
    guard body.count > Self.partBytes else {
      _ = try Self.found(try await self.ask("PUT", key, body: body), key)
      return
    }
    let begun = try await self.ask("POST", key, query: [("uploads", "")])
    guard let upload = begun.texts(of: "UploadId").first else {
      throw VaultFailure("beginning \(key): the object store names no upload")
    }
    do throws(VaultFailure) {
      var parts = ""
      for (index, start) in stride(from: 0, to: body.count, by: Self.partBytes).enumerated() {
        let part = Array(body[start..<min(start + Self.partBytes, body.count)])
        let query = [(name: "partNumber", value: "\(index + 1)"), (name: "uploadId", value: upload)]
        let answer = try Self.found(try await self.ask("PUT", key, query: query, body: part), key)
        parts += "<Part><PartNumber>\(index + 1)</PartNumber><ETag>\(answer.etag ?? "")</ETag></Part>"
      }
      let list = Array("<CompleteMultipartUpload>\(parts)</CompleteMultipartUpload>".utf8)
      let done = try Self.found(try await self.ask("POST", key, query: [("uploadId", upload)], body: list), key)
      // The store may find out only after it said 200.
      guard done.texts(of: "Code").isEmpty else {
        throw VaultFailure("completing \(key): \(Self.reason(done))")
      }
    } catch {
      // What was begun is paid for until it is given up.
      _ = try? await self.ask("DELETE", key, query: [("uploadId", upload)])
      throw error
    }
  }

  private static func found(_ answer: Answer, _ key: String) throws(VaultFailure) -> Answer {
    guard answer.status < 300 else { throw VaultFailure("storing \(key): \(Self.reason(answer))") }
    return answer
  }

  /// An object's bytes; nil where there is none.
  func get(_ key: String) async throws(VaultFailure) -> [UInt8]? {
    let answer = try await self.ask("GET", key)
    return answer.status == 404 ? nil : answer.body
  }

  /// Deletes an object, if there is one.
  ///
  /// - Throws: `VaultFailure` also where it is hidden only: the bucket keeps versions.
  func delete(_ key: String) async throws(VaultFailure) {
    guard try await self.ask("DELETE", key).keepsVersions else { return }
    throw VaultFailure("\(key) is not deleted: \(Self.versioned)")
  }

  /// Why nothing is deleted, and what to do.
  static let versioned =
    "the bucket keeps old versions or locks objects; take that away, and delete the versions by hand"

  /// The keys that begin with `prefix`, in order, from after one on; with a delimiter, what they have before it.
  func list(
    _ prefix: String, after last: String?, delimiter: String? = nil, countMax: Int
  ) async throws(VaultFailure) -> [String] {
    var query = [
      (name: "list-type", value: "2"), (name: "prefix", value: prefix),
      (name: "max-keys", value: "\(min(countMax, 1000))"),
    ]
    if let last { query.append((name: "start-after", value: last)) }
    if let delimiter { query.append((name: "delimiter", value: delimiter)) }
    let answer = try await self.ask("GET", query: query)
    guard delimiter != nil else { return answer.texts(of: "Key") }
    return answer.texts(of: "CommonPrefixes").compactMap {
      $0.components(separatedBy: "<Prefix>").last?.components(separatedBy: "</Prefix>").first
    }
  }
}
