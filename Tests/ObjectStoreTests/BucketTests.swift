// Goal: a vault is no bucket that gives erased records back. Method: what stores answer about versions and locks.
import Testing

@testable import ObjectStore

@Suite("Buckets as vaults")
struct BucketTests {
  private static func answer(_ body: String, status: Int = 200) -> S3Client.Answer {
    S3Client.Answer(status: status, etag: nil, body: Array(body.utf8))
  }

  private static let space = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

  @Test(
    "A bucket with versions, now or once, or with locks, does not delete for good",
    arguments: [
      ("<VersioningConfiguration \(space)/>", nil, true), ("<VersioningConfiguration/>", "", true),
      ("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", nil, false),
      ("<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>", nil, false),
      ("<VersioningConfiguration/>", "<Error><Code>ObjectLockConfigurationNotFoundError</Code></Error>", true),
      (
        "<VersioningConfiguration/>",
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>", false
      ),
    ] as [(String, String?, Bool)])
  func deletes(_ versioning: String, _ lock: String?, _ deletes: Bool) {
    let fit = S3Vault.deletesForGood(versioning: Self.answer(versioning), lock: lock.map { Self.answer($0) })
    #expect(fit == deletes)
  }

  @Test(
    "⚑ A deletion that leaves a version, or a marker over one, is none",
    arguments: [
      (nil, false, false), ("null", false, false), ("3sL4", false, true), ("null", true, true), (nil, true, true),
    ]
      as [(String?, Bool, Bool)])
  func keeps(_ version: String?, _ isMarker: Bool, _ keeps: Bool) {
    var answer = Self.answer("", status: 204)
    (answer.version, answer.isMarker) = (version, isMarker)
    #expect(answer.keepsVersions == keeps)
  }
}
