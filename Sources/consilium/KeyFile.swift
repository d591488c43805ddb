internal import ArgumentParser
internal import Foundation
internal import HealthRecords
internal import Messages
internal import NodeCore
internal import Primitives
internal import Signing

/// Where a key file's passphrase comes from.
struct PassphraseOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A file whose first line is the passphrase; else CONSILIUM_PASSPHRASE_FILE, CONSILIUM_PASSPHRASE, a prompt.",
      valueName: "file"))
  var passphraseFile: String?

  /// The passphrase of keys that there are.
  func read() throws -> String { try self.given() ?? Self.ask("Passphrase: ") }

  /// The passphrase for fresh keys: not empty, and typed twice where it is typed.
  func readNew() throws -> String {
    if let given = try self.given() { return try Self.refuseEmpty(given) }
    let first = try Self.refuseEmpty(Self.ask("Passphrase for the new keys: "))
    guard try Self.ask("The same once more: ") == first else {
      throw Failure(
        "no keys were made", why: "the two passphrases differ", remedy: "try again", status: ExitStatus.badInput)
    }
    return first
  }

  private func given() throws -> String? {
    let environment = ProcessInfo.processInfo.environment
    if let path = self.passphraseFile ?? environment["CONSILIUM_PASSPHRASE_FILE"] { return try Self.read(path) }
    return environment["CONSILIUM_PASSPHRASE"]
  }

  private static func ask(_ prompt: String) throws -> String {
    guard isatty(0) == 1, let typed = unsafe getpass(prompt) else {
      throw Failure(
        "no passphrase", why: "the keys are encrypted and nobody is here to ask",
        remedy: "give --passphrase-file FILE", status: ExitStatus.configuration)
    }
    return unsafe String(cString: typed)
  }

  private static func refuseEmpty(_ passphrase: String) throws -> String {
    guard passphrase.contains(where: { !$0.isWhitespace }) else {
      throw Failure(
        "no keys were made", why: "the passphrase is empty, so anybody with the file would have the keys",
        remedy: "choose a passphrase of several words", status: ExitStatus.badInput)
    }
    return passphrase
  }

  static func read(_ path: String) throws -> String {
    try KeyFile.refuseOpenPermissions(path)
    let text = String(decoding: try Files.read(path, max: 4096), as: UTF8.self)
    return String(text.split(separator: "\n", omittingEmptySubsequences: false).first ?? "")
  }
}

/// Secret keys in a file: Argon2id and XChaCha20-Poly1305 over the secrets, the public halves beside them.
struct KeyFile: Codable {
  /// Whose keys they are.
  enum Kind: String, Codable, CaseIterable, ExpressibleByArgument {
    case member, registrar, practitioner, patient
    case thirdParty = "third-party"
  }

  static let format = "consilium-keys-v1"
  var format: String
  var kind: Kind
  var publicKeys: [String: String]
  var salt: String
  var nonce: String
  var box: String

  /// Encrypts secrets of a kind.
  init(kind: Kind, secrets: [UInt8], passphrase: String) throws {
    let (salt, nonce) = (SecureRandom.bytes(16), SecureRandom.bytes(AEAD.extendedNonceLengthBytes))
    guard let key = PassphraseKey.derive(passphrase: passphrase, salt: salt) else {
      throw Failure("cannot encrypt the keys", why: "64 MiB of memory are missing", remedy: "free memory and try again")
    }
    (self.format, self.kind) = (Self.format, kind)
    self.publicKeys = Self.publicKeys(kind, secrets)
    (self.salt, self.nonce) = (Hex.encode(salt), Hex.encode(nonce))
    self.box = Hex.encode(
      AEAD.sealExtended(secrets, key: key, nonce: nonce, associated: Array("\(Self.format) \(kind.rawValue)".utf8)))
  }

  /// How many secret bytes a kind has.
  private static func secretLength(_ kind: Kind) -> Int {
    switch kind {
    case .member: 96
    case .registrar, .patient: 32
    case .practitioner, .thirdParty: 64
    }
  }

  /// Fresh secrets of a kind, encrypted.
  static func fresh(_ kind: Kind, passphrase: String) throws -> KeyFile {
    try KeyFile(kind: kind, secrets: SecureRandom.bytes(self.secretLength(kind)), passphrase: passphrase)
  }

  private static func publicKeys(_ kind: Kind, _ secrets: [UInt8]) -> [String: String] {
    func signing(_ range: Range<Int>) -> String {
      SigningKey(seed: Array(secrets[range]))?.publicKey.description ?? ""
    }
    func sealing(_ range: Range<Int>) -> String { Hex.encode(KeyAgreement.publicKey(of: Array(secrets[range]))) }
    switch kind {
    case .member: return ["key": signing(0..<32), "checkpointKey": signing(32..<64), "sealingKey": sealing(64..<96)]
    case .registrar: return ["registrarKey": signing(0..<32)]
    case .practitioner, .thirdParty: return ["key": signing(0..<32), "sealingKey": sealing(32..<64)]
    case .patient: return [:]  // A patient's keys differ from hospital to hospital; none stands for all.
    }
  }

  func save(_ path: String) throws {
    guard !FileManager.default.fileExists(atPath: path) else {
      throw Failure("\(path) exists", why: "keys are never overwritten", remedy: "choose another name or move it away")
    }
    try Files.writeJSON(path, self, mode: 0o600)
  }

  static func refuseOpenPermissions(_ path: String) throws {
    guard let attributes = try? FileManager.default.attributesOfItem(atPath: path),
      let mode = attributes[.posixPermissions] as? Int
    else { return }
    guard mode & 0o077 == 0 else {
      throw Failure(
        "\(path) is not used", why: "others on this machine can read it (mode \(String(mode, radix: 8)))",
        remedy: "chmod 600 \(path)", status: ExitStatus.permission)
    }
  }

  static func load(_ path: String) throws -> KeyFile {
    try self.refuseOpenPermissions(path)
    let file = try Files.readJSON(path, as: KeyFile.self, "key file")
    guard file.format == self.format else {
      throw Failure("\(path) is no key file", why: "its format is \(file.format)", remedy: "check the path")
    }
    return file
  }

  func secrets(
    passphrase: String, path: String, remedy: String = "check the passphrase"
  ) throws -> [UInt8] {
    guard let salt = Hex.decode(self.salt), let nonce = Hex.decode(self.nonce), let box = Hex.decode(self.box),
      let key = PassphraseKey.derive(passphrase: passphrase, salt: salt),
      let secrets = AEAD.openExtended(
        box, key: key, nonce: nonce, associated: Array("\(Self.format) \(self.kind.rawValue)".utf8)),
      secrets.count == Self.secretLength(self.kind)
    else {
      throw Failure(
        "cannot open \(path)", why: "the passphrase is wrong, or the file was changed", remedy: remedy,
        status: ExitStatus.permission)
    }
    return secrets
  }

  /// The keys of a practitioner or third party; of a patient, those of the pseudonym at a hospital.
  static func person(
    _ path: String, passphrase: String, network: Digest, hospital: MemberID
  ) throws -> PersonKeys {
    let file = try self.load(path)
    let secrets = try file.secrets(passphrase: passphrase, path: path)
    switch file.kind {
    case .practitioner, .thirdParty:
      return PersonKeys(signingSeed: Array(secrets[..<32]), sealingSecret: Array(secrets[32...]))
    case .patient: return RecoveryPhrase(entropy: secrets).keys(network: network, hospital: hospital)
    case .member, .registrar:
      throw Failure(
        "\(path) holds no person's keys", why: "it is a \(file.kind.rawValue)'s", remedy: "give another file")
    }
  }

  /// A registrar's signing key.
  static func registrar(_ path: String, passphrase: String) throws -> [UInt8] {
    let file = try self.load(path)
    guard file.kind == .registrar else {
      throw Failure(
        "\(path) holds no registrar's key", why: "it is a \(file.kind.rawValue)'s", remedy: "give another file")
    }
    return try file.secrets(passphrase: passphrase, path: path)
  }

  /// A member's keys.
  static func member(
    _ path: String, passphrase: String, remedy: String = "check the passphrase"
  ) throws -> NodeKeys {
    let file = try self.load(path)
    let secrets = try file.secrets(passphrase: passphrase, path: path, remedy: remedy)
    guard file.kind == .member,
      let keys = NodeKeys(
        memberSeed: Array(secrets[..<32]), checkpointSeed: Array(secrets[32..<64]), sealingSecret: Array(secrets[64...])
      )
    else {
      throw Failure(
        "\(path) holds no member's keys", why: "it is a \(file.kind.rawValue)'s", remedy: "give another file")
    }
    return keys
  }
}
