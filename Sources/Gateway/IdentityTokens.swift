internal import Foundation
internal import JWTKit
internal import Primitives
internal import Signing

/// Tells apps who let them in: ID tokens (OpenID Connect Core 1.0 §2), signed by a key of this process, which the node
/// publishes.
struct IdentityTokens: Sendable {
  /// What an ID token says.
  struct Claims: JWTPayload {
    let iss: IssuerClaim
    let sub: SubjectClaim
    let aud: AudienceClaim
    let iat: IssuedAtClaim
    let exp: ExpirationClaim
    let nonce: String?
    let fhirUser: String?

    func verify(using algorithm: some JWTAlgorithm) throws { try self.exp.verifyNotExpired() }
  }

  /// The key as apps read it (RFC 7517).
  struct PublishedKeys: Encodable {
    struct Key: Encodable {
      let kty = "EC"
      let crv = "P-256"
      let alg = "ES256"
      let use = "sig"
      let kid: String
      let x: String
      let y: String
    }
    let keys: [Key]
  }

  private static let lifeSeconds: Double = 300
  private let keys = JWTKeyCollection()
  private let key = ES256PrivateKey()
  private let kid: String
  /// Who signs: the FHIR interface's base.
  let issuer: String

  /// A fresh key.
  init(issuer: String) async {
    self.issuer = issuer
    self.kid = Hex.encode(SecureRandom.bytes(8))
    await self.keys.add(ecdsa: self.key, kid: JWKIdentifier(string: self.kid))
  }

  /// The public half.
  var published: PublishedKeys {
    guard let (x, y) = self.key.publicKey.parameters else { return PublishedKeys(keys: []) }
    return PublishedKeys(keys: [PublishedKeys.Key(kid: self.kid, x: Base64.urlSafe(x), y: Base64.urlSafe(y))])
  }

  /// Says to an app that a practitioner's account let it in, at a time in milliseconds since 1970.
  func token(for account: Digest, app: String, nonce: String?, fhirUser: String?, at time: UInt64) async throws
    -> String
  {
    // Whole seconds: what checks a token to the letter takes a fraction for the future.
    let now = Date(timeIntervalSince1970: Double(time / 1000))
    let claims = Claims(
      iss: IssuerClaim(value: self.issuer), sub: SubjectClaim(value: "\(account)"),
      aud: AudienceClaim(value: app), iat: IssuedAtClaim(value: now),
      exp: ExpirationClaim(value: now.addingTimeInterval(Self.lifeSeconds)), nonce: nonce, fhirUser: fhirUser)
    return try await self.keys.sign(claims, kid: JWKIdentifier(string: self.kid))
  }
}

extension Base64 {
  /// Base 64 for URLs, without padding (RFC 4648 §5).
  static func urlSafe(_ text: String) -> String {
    text.replacing("+", with: "-").replacing("/", with: "_").trimmingSuffix("=")
  }
}
