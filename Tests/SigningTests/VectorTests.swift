// Goal: the primitives agree with the published vectors, the adversarial ones included, so that every member's
// verifier accepts the same signatures. Method: each vector of the files in Tests/Vectors is one case.
import Foundation
import Primitives
import Signing
import Testing

/// Reads a JSON file of Tests/Vectors.
func vectors<T: Decodable>(_ name: String, as type: T.Type) throws -> T {
  let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  return try JSONDecoder().decode(type, from: Data(contentsOf: folder.appending(path: "Vectors/\(name)")))
}

private struct Wycheproof<Group: Decodable>: Decodable {
  let testGroups: [Group]
}

private struct EdGroup: Decodable {
  struct Key: Decodable { let pk: String }
  struct Case: Decodable {
    let tcId: Int
    let msg, sig, result: String
  }
  let publicKey: Key
  let tests: [Case]
}

private struct CurveGroup: Decodable {
  struct Case: Decodable {
    let tcId: Int
    let `public`, `private`, shared, result: String
  }
  let tests: [Case]
}

private struct BoxGroup: Decodable {
  struct Case: Decodable {
    let tcId: Int
    let key, iv, aad, msg, ct, tag, result: String
  }
  let tests: [Case]
}

private struct EdgeCase: Decodable {
  let number: Int
  let key, sig, msg: String
  let flags: [String]?
}

private struct RFCCase: Decodable {
  let priv, pub, msg, sig: String
}

private func hex(_ text: String) throws -> [UInt8] { try #require(Hex.decode(text)) }

@Suite("Published vectors")
struct VectorTests {
  @Test("Ed25519: every Wycheproof signature is accepted or refused as it says")
  func wycheproofEd25519() throws {
    var count = 0
    for group in try vectors("wycheproof/ed25519_test.json", as: Wycheproof<EdGroup>.self).testGroups {
      let key = try #require(PublicKey(try hex(group.publicKey.pk)))
      for test in group.tests {
        let accepted = Signature(try hex(test.sig)).map { key.verifies($0, of: Hex.decode(test.msg) ?? []) }
        #expect((accepted ?? false) == (test.result == "valid"), "case \(test.tcId)")
        count += 1
      }
    }
    #expect(count == 151)
  }

  @Test("Ed25519: RFC 8032 keys sign to the published signatures")
  func rfc8032() throws {
    for test in try vectors("ed25519/rfc8032-ed25519.json", as: [RFCCase].self) {
      guard let key = SigningKey(seed: try hex(test.priv)) else {
        Issue.record("no key of \(test.priv.count) digits")
        continue
      }
      let signature = key.sign(try hex(test.msg))
      #expect(Hex.encode(key.publicKey.bytes) == test.pub)
      #expect(Hex.encode(signature.bytes) == test.sig)
      #expect(key.publicKey.verifies(signature, of: try hex(test.msg)))
    }
  }

  @Test("Ed25519: of the 914 edge cases exactly those are accepted that the documentation names")
  func edgeCases() throws {
    let cases = try vectors("ed25519/cctv_ed25519vectors.json", as: [EdgeCase].self)
    #expect(cases.count == 914)
    for test in cases {
      let key = try #require(PublicKey(try hex(test.key)))
      let signature = try #require(Signature(try hex(test.sig)))
      #expect(
        key.verifies(signature, of: Array(test.msg.utf8)) == Self.isAccepted(Set(test.flags ?? [])),
        "case \(test.number) \(test.flags ?? [])")
    }
  }

  /// libsodium's rule, in the flags' words: no small-order A or R, no encoding but the canonical one, and the
  /// equation without the cofactor.
  private static func isAccepted(_ flags: Set<String>) -> Bool {
    flags.isDisjoint(with: [
      "low_order_A", "low_order_R", "non_canonical_A", "non_canonical_R", "low_order_residue",
    ])
  }

  @Test("X25519: every Wycheproof exchange gives its secret, and a zero secret is refused")
  func wycheproofX25519() throws {
    for group in try vectors("wycheproof/x25519_test.json", as: Wycheproof<CurveGroup>.self).testGroups {
      for test in group.tests {
        let shared = KeyAgreement.shared(secret: try hex(test.private), with: try hex(test.public))
        if Set(test.shared) == ["0"] {
          #expect(shared == nil, "case \(test.tcId)")
        } else {
          #expect(shared.map(Hex.encode) == test.shared, "case \(test.tcId)")
        }
      }
    }
  }

  @Test("XChaCha20-Poly1305: every Wycheproof box opens, or is refused, as it says")
  func wycheproofBoxes() throws {
    let name = "wycheproof/xchacha20_poly1305_test.json"
    for group in try vectors(name, as: Wycheproof<BoxGroup>.self).testGroups {
      for test in group.tests {
        let (key, nonce, associated) = (try hex(test.key), try hex(test.iv), try hex(test.aad))
        let box = try hex(test.ct) + hex(test.tag)
        let opened = AEAD.openExtended(box, key: key, nonce: nonce, associated: associated)
        #expect(opened == (test.result == "valid" ? try hex(test.msg) : nil), "case \(test.tcId)")
        guard test.result == "valid" else { continue }
        let sealed = AEAD.sealExtended(try hex(test.msg), key: key, nonce: nonce, associated: associated)
        #expect(sealed == box, "case \(test.tcId)")
      }
    }
  }

  @Test("HKDF-SHA-256: RFC 5869's first test case")
  func hkdf() throws {
    let output = KeyDerivation.hkdf(
      secret: [UInt8](repeating: 0x0b, count: 22), salt: try hex("000102030405060708090a0b0c"),
      info: try hex("f0f1f2f3f4f5f6f7f8f9"), count: 42)
    let expected =
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    #expect(Hex.encode(output) == expected)
  }

  @Test("SHA-256 and BLAKE2b give the published digests")
  func hashes() {
    #expect(
      Hash.sha256(Array("abc".utf8)).description
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(Hash.sha256([0x61], [0x62, 0x63]) == Hash.sha256(Array("abc".utf8)))
  }
}
