// Goal: any S3-compatible store takes what is signed here. Method: the four worked examples of AWS, "Signature
// Calculations for the Authorization Header: Transferring Payload in a Single Chunk (AWS Signature Version 4)". That a
// real server takes whole records is seen by the script that runs other people's programs.
import Primitives
import Testing

@testable import ObjectStore

@Suite("Signatures for object stores (AWS Signature Version 4)")
struct S3SignatureTests {
  private static let file = """
    [default]
    aws_access_key_id = AKIAIOSFODNN7EXAMPLE
    aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
    """
  /// 2013-05-24T00:00:00Z.
  private static let time = Timestamp(milliseconds: 1_369_353_600_000)

  private func signature(_ request: S3Request) throws -> String {
    let credentials = try #require(S3Credentials(file: Self.file))
    var request = request
    request.headers.append(("host", "examplebucket.s3.amazonaws.com"))
    let headers = S3Signature(credentials: credentials, region: "us-east-1").headers(of: request, at: Self.time)
    let authorization = try #require(headers.first { $0.name == "authorization" }?.value)
    return try #require(authorization.split(separator: "Signature=").last.map(String.init))
  }

  @Test("GET Object with a range")
  func getObject() throws {
    let request = S3Request(method: "GET", path: ["test.txt"], headers: [("range", "bytes=0-9")])
    #expect(try signature(request) == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
  }

  @Test("PUT Object with a body, a name that must be encoded, and more headers")
  func putObject() throws {
    let request = S3Request(
      method: "PUT", path: ["test$file.text"],
      headers: [("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
      body: Array("Welcome to Amazon S3.".utf8))
    #expect(try signature(request) == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")
  }

  @Test("GET Bucket Lifecycle: a query of a name alone")
  func lifecycle() throws {
    let request = S3Request(method: "GET", path: [""], query: [("lifecycle", "")])
    #expect(try signature(request) == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
  }

  @Test("GET Bucket: a query in another order than it is signed")
  func listObjects() throws {
    let request = S3Request(method: "GET", path: [""], query: [("prefix", "J"), ("max-keys", "2")])
    #expect(try signature(request) == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
  }

  @Test("A file without a key, and an endpoint that is more than a host, are refused")
  func bad() throws {
    #expect(S3Credentials(file: "aws_access_key_id = a\n") == nil)
    let credentials = try #require(S3Credentials(file: Self.file))
    for endpoint in ["", "minio:9000", "ftp://host", "http://host/bucket", "http://me@host", "http://host?x=1"] {
      #expect(
        S3Settings(endpoint: endpoint, bucket: "b", region: "r", prefix: "", credentials: credentials) == nil,
        "\(endpoint)")
    }
  }
}
