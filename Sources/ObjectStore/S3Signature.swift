internal import Crypto
internal import Foundation
internal import Primitives

/// A request to an object store, before it is signed.
struct S3Request: Sendable {
  /// GET, PUT, POST, HEAD or DELETE.
  var method: String
  /// The path's segments, not encoded: none, a bucket, or a bucket and a key's parts.
  var path: [String]
  /// The query, not encoded; a name alone has an empty value.
  var query: [(name: String, value: String)] = []
  /// Headers besides those that signing adds; `host` among them.
  var headers: [(name: String, value: String)] = []
  /// The body.
  var body: [UInt8] = []

  /// The path as it is sent: every segment's bytes but letters, digits and `-._~` encoded.
  var encodedPath: String { "/" + self.path.map(Self.encode).joined(separator: "/") }

  /// The query as it is sent, in the order in which it is signed.
  var encodedQuery: String {
    let pairs = self.query.map { (name: Self.encode($0.name), value: Self.encode($0.value)) }
    return pairs.sorted { ($0.name, $0.value) < ($1.name, $1.value) }.map { "\($0.name)=\($0.value)" }
      .joined(separator: "&")
  }

  private static func encode(_ text: String) -> String {
    var out = ""
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        out.unicodeScalars.append(Unicode.Scalar(byte))
      default: out += "%" + Hex.encode([byte]).uppercased()
      }
    }
    return out
  }
}

/// Keys for an object store.
public struct S3Credentials: Sendable {
  let accessKey: String
  let secretKey: String
  let sessionToken: String?

  /// Reads an AWS credentials file: `aws_access_key_id`, `aws_secret_access_key`, perhaps `aws_session_token`, each
  /// with `=` and its value, in lines of their own; nil where one of the first two is missing.
  public init?(file text: String) {
    var values: [String: String] = [:]
    for line in text.split(whereSeparator: \.isNewline) {
      let parts = line.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
      if parts.count == 2 { values[parts[0].lowercased()] = parts[1] }
    }
    guard let access = values["aws_access_key_id"], let secret = values["aws_secret_access_key"], !access.isEmpty,
      !secret.isEmpty
    else { return nil }
    (self.accessKey, self.secretKey, self.sessionToken) = (access, secret, values["aws_session_token"])
  }
}

/// Signs requests. Source: AWS, "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)".
struct S3Signature: Sendable {
  let credentials: S3Credentials
  let region: String

  /// The request's headers with those that prove who sends it, at `time`.
  func headers(of request: S3Request, at time: Timestamp) -> [(name: String, value: String)] {
    let stamp = String(time.civilSeconds.filter { $0 != "-" && $0 != ":" }) + "Z"
    let digest = Self.hex(SHA256.hash(data: request.body))
    var headers = request.headers + [("x-amz-content-sha256", digest), ("x-amz-date", stamp)]
    if let token = self.credentials.sessionToken { headers.append(("x-amz-security-token", token)) }
    let sorted = headers.map { (name: $0.name.lowercased(), value: $0.value) }.sorted { $0.name < $1.name }
    let names = sorted.map(\.name).joined(separator: ";")
    let canonical =
      ([request.method, request.encodedPath, request.encodedQuery] + sorted.map { "\($0.name):\($0.value)" }
      + ["", names, digest]).joined(separator: "\n")
    let day = String(stamp.prefix(8))
    let scope = "\(day)/\(self.region)/s3/aws4_request"
    let text = "AWS4-HMAC-SHA256\n\(stamp)\n\(scope)\n\(Self.hex(SHA256.hash(data: Array(canonical.utf8))))"
    var key = SymmetricKey(data: Array("AWS4\(self.credentials.secretKey)".utf8))
    for part in [day, self.region, "s3", "aws4_request"] { key = SymmetricKey(data: Self.code(part, key)) }
    let authorization =
      "AWS4-HMAC-SHA256 Credential=\(self.credentials.accessKey)/\(scope),SignedHeaders=\(names),"
      + "Signature=\(Self.hex(Self.code(text, key)))"
    return headers + [("authorization", authorization)]
  }

  private static func code(_ text: String, _ key: SymmetricKey) -> HMAC<SHA256>.MAC {
    HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key)
  }

  private static func hex(_ bytes: some Sequence<UInt8>) -> String { Hex.encode(bytes) }
}
