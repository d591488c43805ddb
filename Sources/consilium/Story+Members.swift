internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Ledger
internal import Messages
internal import Primitives
internal import Signing

/// The story's chapter on members: one joins, one loses its disk, one leaves, while the ledger goes on (LEDGER §8).
extension Story {
  mutating func changeMembers() async throws {
    try await self.rotateCustody()
    try await self.join()
    try await self.renew()
    try await self.leave()
    try await self.refreshCustody()
  }

  private mutating func refreshCustody() async throws {
    try await self.step("The shares of the custody key are dealt again: what was stolen before opens nothing now") {
      story in
      let before = await story.devnet.status(0).custody
      let files = (0..<4).map { story.devnet.member($0).path + "/node.key.custody" }
      let secrets = files.map { FileManager.default.contents(atPath: $0) }
      try story.claim(!secrets.contains(nil), "each hospital keeps the secret to which its share was sent")
      let refresh = CustodyRefresh(epoch: before.epoch)
      let receipt = try await story.submit(.refreshCustody, refresh, at: 1, signedBy: story.registrars[1])
      try story.claim(receipt.applied, "the registrar's request was refused: \(receipt.outcome)")
      try await story.waitForCustodians([1, 2, 3, 4], after: before.epoch)
      // Each forgets when it has executed that; not all are as far in the same moment.
      var isNew = false
      for _ in 0..<500 where !isNew {
        let after = files.map { FileManager.default.contents(atPath: $0) }
        isNew = zip(secrets, after).allSatisfy { $0 != $1 && $1?.count == $0?.count }
        if !isNew { try await Task.sleep(for: .milliseconds(20)) }
      }
      try story.claim(isNew, "each hospital has one secret, another than before")
      let asked = try await story.ask(
        story.doctors[2], for: [story.records[0][1].record], of: story.patients[0], kind: .breakGlass)
      let read = try await story.read(asked, at: 2)
      try story.claim(read.count == 1, "a record that was sealed before does not open any more")
      return "epoch \(before.epoch + 1): the key is the same, and a record from before opens with the new shares"
    }
  }

  private mutating func rotateCustody() async throws {
    try await self.step("Another custody key: live records go over to it, an erased one stays closed for ever") {
      story in
      let before = await story.devnet.status(0).custody
      let rotation = CustodyRotation(generation: before.generation)
      let receipt = try await story.submit(.rotateCustody, rotation, at: 3, signedBy: story.registrars[3])
      try story.claim(receipt.applied, "the registrar's request was refused: \(receipt.outcome)")
      try await story.devnet.wait("the old custody key is out of use, its shares are destroyed", seconds: 60) {
        $0.allSatisfy { status in
          let custody = status.custody
          return custody.generation == before.generation + 1 && custody.phase == "active" && custody.retiring == nil
            && custody.destroyedBy == [1, 2, 3, 4]
        }
      }
      // Whoever began with a snapshot, after a kill, has what was before it a moment later.
      try await story.devnet.wait("all hospitals have the whole history", seconds: 60) {
        $0.allSatisfy { $0.historyLeft == 0 }
      }
      let asked = try await story.ask(
        story.doctors[2], for: [story.records[0][1].record], of: story.patients[0], kind: .breakGlass)
      let read = try await story.read(asked, at: 2)
      try story.claim(read.count == 1, "a record that was sealed before does not open any more")
      return "key \(before.generation + 1) is in use; all four hospitals signed that their shares of key "
        + "\(before.generation) are destroyed, and a record from before opens with the new ones"
    }
  }

  private mutating func join() async throws {
    try await self.step("A fifth hospital joins: a quorum's registrars approve, its node checks the whole ledger") {
      story in
      let member = try story.makeFolder(4, name: "Eastgate Hospital")
      let action = MembershipAction.add(member)
      let few = try await story.change(action, approvedBy: [0, 1])
      try story.claim(!few.applied, "two approvals of four hospitals changed the members")
      let receipt = try await story.change(action, approvedBy: [0, 1, 2])
      try story.claim(receipt.applied, "the change was refused: \(receipt.outcome)")
      try await story.devnet.start(4)
      try await story.waitForMembers(5, at: [0, 1, 2, 3, 4])
      let written = try await story.write(at: 4)
      try story.claim(written.applied, "the new hospital's own transaction was refused: \(written.outcome)")
      try await story.waitForCustodians([1, 2, 3, 4, 5])
      let status = await story.devnet.status(4)
      return
        "two approvals were too few, three were enough; it went on from \(Self.origin(status)) to height "
        + "\(status.height), votes, writes a lane of its own, and holds shares of the custody key"
    }
  }

  private mutating func renew() async throws {
    try await self.step(
      "Hospital 3's disk is lost: its old key is refused an empty store, it comes back under a new one"
    ) {
      story in
      let (devnet, folder) = (story.devnet, story.devnet.member(2))
      try await devnet.end(2, signal: SIGKILL)
      try FileManager.default.removeItem(atPath: folder.path + "/data")
      do {
        try await devnet.start(2)
        try story.claim(false, "a member that forgot its votes was let in under its old key")
      } catch let failure as Failure where failure.what.contains("did not start") {}
      for name in ["node.key", "node.key.seal", "node.key.custody", "registrar.key", "member.json", "node.toml"] {
        try FileManager.default.removeItem(atPath: folder.path + "/" + name)
      }
      let member = try story.makeFolder(2, name: DevnetFolder.names[2])
      let receipt = try await story.change(.replace(member), approvedBy: [0, 1, 3, 4])
      try story.claim(receipt.applied, "the change was refused: \(receipt.outcome)")
      try await devnet.start(2)
      try await story.waitForMembers(5, at: [0, 1, 2, 3, 4])
      let written = try await story.write(at: 2)
      try story.claim(written.applied, "its own transaction was refused: \(written.outcome)")
      try await story.waitForCustodians([1, 2, 3, 4, 5])
      let status = await devnet.status(2)
      try story.claim(status.baseHeight > 0, "it replayed the whole ledger, though there are snapshots")
      try await story.waitForHistory(at: 2)
      return
        "it went on from \(Self.origin(status)); its lane goes on where it was, new shares replace the lost, and what "
        + "was before the snapshot came after it"
    }
  }

  private mutating func leave() async throws {
    try await self.step(
      "The fifth hospital leaves; with the genesis alone one still follows every change of members"
    ) {
      story in
      let receipt = try await story.change(.remove(MemberID(5)), approvedBy: [0, 1, 2, 3])
      try story.claim(receipt.applied, "the change was refused: \(receipt.outcome)")
      try await story.waitForMembers(4, at: [0, 1, 2, 3])
      try await story.devnet.end(4, signal: SIGTERM)
      let last = try await story.write(at: 0)
      try await story.waitForCustodians([1, 2, 3, 4])
      let view = try await Reading.proof(leaf: last.leaf, story.client(0))
      let links = (view.configurations ?? []).compactMap(\.proof)
      var chain = ConfigurationChain(story.genesis)
      try story.claim(
        (try? chain.extend(by: links)) != nil && chain.configurations.count == 4, "the three changes are proved")
      try story.claim((try? view.proof?.verify(by: chain)) != nil, "the newest entry is proved by the new members")
      // With one change left out nothing that follows is believed.
      var short = ConfigurationChain(story.genesis)
      try story.claim((try? short.extend(by: Array(links.dropFirst()))) == nil, "a chain with a gap was believed")
      let asked = try await story.ask(
        story.doctors[2], for: [story.records[0][1].record], of: story.patients[0], kind: .breakGlass)
      let read = try await story.read(asked, at: 2)
      try story.claim(read.count == 1, "a record that was sealed before all that does not open any more")
      return
        "configuration \(chain.last.number.number), \(chain.last.voterCount) members vote; a record from before all "
        + "that opens with shares that were made since"
    }
  }

  /// What a node's ledger began with, in words.
  private static func origin(_ status: NodeStatus) -> String {
    status.baseHeight > 0 ? "a snapshot at height \(status.baseHeight) that f + 1 members vouch for" : "the genesis"
  }

  /// Makes a hospital's folder, with the genesis in it; gives what its member.json says.
  private mutating func makeFolder(_ index: Int, name: String) throws -> Member {
    let word = try PassphraseOptions.read(self.devnet.passphrase)
    let folder = try self.devnet.make(index, name: name, passphrase: word)
    try Files.writeJSON(folder.genesis, GenesisFile(self.genesis))
    let registrar = try KeyFile.registrar(folder.registrar, passphrase: word)
    if index < self.registrars.count { self.registrars[index] = registrar } else { self.registrars.append(registrar) }
    return try Files.readJSON(folder.description, as: MemberFile.self, "member's description")
      .member(in: folder.description)
  }

  /// Submits a change at hospital 1 with some hospitals' approvals.
  private func change(_ action: MembershipAction, approvedBy hospitals: [Int]) async throws -> ReceiptView {
    let configuration = try await self.client(0).configuration()
    let change = MembershipChange(
      configuration: configuration.number, action: action, validUntil: Drafts.now.adding(milliseconds: 3_600_000))
    let bytes = change.signedBytes(network: self.genesis.network)
    let approvals = hospitals.compactMap { index -> VoteSignature? in
      guard let key = SigningKey(seed: self.registrars[index]) else { return nil }
      return VoteSignature(signer: index, signature: key.sign(bytes))
    }
    return try await self.client(0).submit(
      Drafts.hospital(
        .changeMembers, ApprovedChange(change, approvals: approvals), genesis: self.genesis, hospital: self.hospital(0))
    )
  }

  /// A transaction of a hospital's own: it commits to a digest.
  private func write(at index: Int) async throws -> ReceiptView {
    try await self.client(index).submit(
      Drafts.hospital(
        .commitDigests, Hash.sha256(SecureRandom.bytes(32)), genesis: self.genesis, hospital: self.hospital(index)))
  }

  /// Waits until the custody key has gone over to these members.
  private func waitForCustodians(_ numbers: [UInt32], after epoch: UInt64? = nil) async throws {
    for _ in 0..<1500 {
      let custody = await self.devnet.status(0).custody
      let isLater = epoch.map { $0 < custody.epoch } ?? true
      if custody.phase == "active", custody.custodians == numbers, isLater { return }
      try await Task.sleep(for: .milliseconds(20))
    }
    try self.claim(false, "within 30 s the custody key goes over to members \(numbers)")
  }

  /// Waits until a hospital has the whole ledger again.
  func waitForHistory(at index: Int) async throws {
    for _ in 0..<1500 {
      if await self.devnet.status(index).historyLeft == 0 { return }
      try await Task.sleep(for: .milliseconds(20))
    }
    try self.claim(false, "within 30 s hospital \(index + 1) has the history below its snapshot")
  }

  /// Waits until so many members vote, all of these among them, each connected to all others.
  private func waitForMembers(_ count: Int, at hospitals: [Int]) async throws {
    for _ in 0..<1500 {
      var isDone = true
      for index in hospitals {
        let status = await self.devnet.status(index)
        let votes = !["observer", "catching up", "stopped"].contains(status.role)
        isDone = isDone && votes && status.members == count && status.peers == count - 1
      }
      if isDone { return }
      try await Task.sleep(for: .milliseconds(20))
    }
    try self.claim(false, "within 30 s \(count) members vote")
  }
}
