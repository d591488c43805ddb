internal import Foundation
internal import Gateway
internal import Messages
internal import Primitives
internal import Signing
internal import Storage

/// The node's files: who may read them, whose they are, and whether they belong together.
extension Doctor {
  private static let entriesMax = 64

  private static func attributes(_ path: String) -> [FileAttributeKey: Any]? {
    let real = URL(filePath: path).resolvingSymlinksInPath().path(percentEncoded: false)
    return try? FileManager.default.attributesOfItem(atPath: real)
  }

  private static func owner(of path: String) -> UInt64? {
    (self.attributes(path)?[.ownerAccountID] as? NSNumber)?.uint64Value
  }

  private static func exists(_ path: String) -> Bool { self.attributes(path) != nil }

  /// What stands beside the keys and belongs to them.
  private var besideKeys: [String] {
    [".seal", ".custody", ".fhir", ".readings"].map { self.config.keys + $0 }.filter { Self.exists($0) }
  }

  mutating func lookAtPermissions() {
    let before = self.findings.count
    let secret = [self.config.keys, self.config.passphraseFile].compactMap { $0 } + self.besideKeys
    for path in secret {
      guard let mode = Self.attributes(path)?[.posixPermissions] as? Int, mode & 0o077 != 0 else { continue }
      self.findings.append(
        .fault(
          .permissions, "others on this machine can read or change \(path) (mode \(String(mode, radix: 8)))",
          "chmod 600 \(path)", ExitStatus.permission))
    }
    for (path, mask, right) in [(self.path, 0o022, "644"), (self.config.data, 0o077, "700")] {
      guard let mode = Self.attributes(path)?[.posixPermissions] as? Int, mode & mask != 0 else { continue }
      self.findings.append(
        .warning(
          .permissions, "others on this machine have rights to \(path) (mode \(String(mode, radix: 8)))",
          "chmod \(right) \(path)"))
    }
    // What a command made as another user, the node cannot open.
    let owner = Self.owner(of: self.config.data)
    let inData = (try? FileManager.default.contentsOfDirectory(atPath: self.config.data)) ?? []
    let owned = secret + inData.sorted().prefix(Self.entriesMax).map { "\(self.config.data)/\($0)" }
    for path in owned {
      guard let owner, let other = Self.owner(of: path), other != owner else { continue }
      self.findings.append(
        .fault(
          .permissions, "\(path) belongs to user \(other), and \(self.config.data) to user \(owner)",
          "chown -R \(owner) \(path)", ExitStatus.permission))
    }
    if self.findings.count == before {
      self.findings.append(.ok(.permissions, "keys and data are this node's alone"))
    }
  }

  mutating func lookAtKeys() {
    if let file = self.config.passphraseFile {
      do {
        if try PassphraseOptions.read(file).isEmpty {
          self.findings.append(
            .fault(
              .keys, "the first line of \(file) is empty", "write the passphrase of \(self.config.keys) there",
              ExitStatus.configuration))
        }
      } catch { self.findings.append(.fault(.keys, error)) }
    }
    let file: KeyFile
    do { file = try KeyFile.load(self.config.keys) } catch { return self.findings.append(.fault(.keys, error)) }
    let (keys, id) = (self.config.keys, MemberID(self.config.member))
    guard file.kind == .member, let key = file.publicKeys["key"] else {
      return self.findings.append(
        .fault(
          .keys, "\(keys) is the key file of a \(file.kind.rawValue), not of a member",
          "name the member's key file as keys",
          ExitStatus.configuration))
    }
    guard let genesis else { return }
    let named = genesis.members.first { $0.id == id }?.key.description
    var described: String?
    if named != key, Self.exists(self.config.description) {
      do {
        described = try Files.readJSON(self.config.description, as: MemberFile.self, "member's description").key
      } catch { return self.findings.append(.fault(.keys, error)) }
    }
    guard named == key || described == key else {
      return self.findings.append(
        .fault(
          .keys,
          "\(keys) is not member \(id.number)'s: neither \(self.config.genesis) nor "
            + "\(self.config.description) names its key",
          "give that member's keys; if it joins or goes on under new ones, give its member.json as description",
          ExitStatus.configuration))
    }
    self.findings.append(.ok(.keys, "\(keys) is member \(id.number)'s, as far as can be told without its passphrase"))
  }

  mutating func lookAtStores() {
    let before = self.findings.count
    let hasStore = Self.exists(self.config.data + "/ledger/data.mdb")
    let seal: Seal?
    do { seal = try Seal.read(beside: self.config.keys) } catch {
      return self.findings.append(.fault(.stores, error))
    }
    let comeBack =
      "bring it back; if it is lost, come back under a new key: consilium init, then consilium member "
      + "propose replace"
    if seal != nil, !hasStore {
      self.findings.append(
        .fault(
          .stores, "the store in \(self.config.data) is gone, and this member's key has voted", comeBack,
          ExitStatus.configuration))
    }
    if seal == nil, hasStore, !self.isRunning {
      self.findings.append(
        .fault(
          .stores,
          "\(Seal.path(beside: self.config.keys)) is gone: a node that has done anything does not start "
            + "without it", comeBack, ExitStatus.configuration))
    }
    for store in HospitalStore.allCases where seal?.marked.contains(store) == true { self.lookAtMark(of: store) }
    if Self.exists(HospitalStore.uncompared(beside: self.config.keys)) {
      self.findings.append(
        .warning(
          .stores, "a loss was accepted, and the ledger was not asked yet what it has of it",
          "once consilium status says that it can be: consilium fhir accept-loss again, with the node stopped"))
    }
    guard self.findings.count == before else { return }
    let text =
      seal == nil && !hasStore
      ? "there is no store yet: the first start makes it" : "store, seal and marks are there"
    self.findings.append(.ok(.stores, "\(text); backup verify and the node's own checks tell more"))
  }

  private mutating func lookAtMark(of store: HospitalStore) {
    let (mark, folder) = (store.mark(in: self.config), store.folder(in: self.config))
    let accept =
      "stop the node and bring the folder and its mark back; what no backup has: consilium fhir accept-loss "
      + "--config \(self.path) --store \(store.rawValue)"
    guard Self.exists(folder) else {
      return self.findings.append(
        .fault(.stores, "the store in \(folder) is gone", accept, ExitStatus.configuration))
    }
    do throws(StorageFailure) {
      guard try StoreMark(path: mark, isReadOnly: true).rowCount == nil else { return }
      self.findings.append(
        .fault(.stores, "\(mark) is gone or cannot be read", accept, ExitStatus.configuration))
    } catch { self.findings.append(.fault(.stores, "\(error)", accept, ExitStatus.failedIO)) }
  }
}
