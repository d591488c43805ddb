internal import NIOHTTP1
internal import Merkle
internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Ledger
internal import Messages
internal import Primitives
internal import Signing
internal import Wire

/// Killing and pausing nodes under load, and what must be equal at the end.
extension Story {
  mutating func survive() async throws {
    let load = BackgroundLoad(self.genesis)
    let before = await self.devnet.statuses()
    let primary = before.firstIndex { ["primary", "leader"].contains($0.role) } ?? 0
    let others = (0..<4).filter { $0 != primary }
    let clients = others.map { (self.client($0), self.hospital($0)) }
    let tasks = clients.map { client, hospital in
      Task.detached { await load.run(client, hospital: hospital, batchSize: 50) }
    }
    do {
      try await self.killPrimary(primary, others, load)
      try await self.readWithout(primary)
      try await self.restart(primary, load)
      try await self.pauseAnother(primary, load)
      if self.kills > 0 { try await self.killAtRandom(load) }
    } catch {
      load.end()
      throw error
    }
    load.end()
    for task in tasks { await task.value }
    try await self.checkAcknowledged(load)
  }

  private func waitForAcknowledged(_ load: BackgroundLoad, beyond count: Int, seconds: Int, _ claim: String)
    async throws
  {
    for _ in 0..<(seconds * 100) {
      if load.acknowledged.count > count { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    try self.claim(false, claim)
  }

  private mutating func killPrimary(_ primary: Int, _ others: [Int], _ load: BackgroundLoad) async throws {
    try await self.step(
      "Under load the primary, hospital \(primary + 1), is killed with SIGKILL: the others go over to another"
    ) { story in
      try await story.waitForAcknowledged(load, beyond: 1000, seconds: 20, "the load is acknowledged")
      let view = await story.devnet.status(others[0]).view
      let acknowledged = load.acknowledged.count
      try await story.devnet.end(primary, signal: SIGKILL)
      let begun = ContinuousClock.now
      try await story.waitForAcknowledged(
        load, beyond: acknowledged + 1000, seconds: 30, "the others go on without the primary")
      let spent = ContinuousClock.now - begun
      let now = await story.devnet.status(others[0])
      try story.claim(now.view > view, "the view changed")
      let milliseconds = spent.components.seconds * 1000 + spent.components.attoseconds / 1_000_000_000_000_000
      return
        "view \(view) → \(now.view); the next 1,000 transactions were acknowledged \(milliseconds) ms after the kill"
    }
  }

  private mutating func restart(_ primary: Int, _ load: BackgroundLoad) async throws {
    try await self.step("Hospital \(primary + 1) starts again, catches up and rejoins, while the load goes on") {
      story in
      let target = (await story.devnet.statuses()).map(\.height).max() ?? 0
      try await story.devnet.start(primary)
      try await story.devnet.wait("hospital \(primary + 1) caught up", seconds: 60) { statuses in
        statuses[primary].height >= target && statuses[primary].peers == 3
      }
      let status = await story.devnet.status(primary)
      return
        "at height \(status.height) (it had to reach \(target)), started in \(status.startMilliseconds) ms, "
        + "\(status.peers) peers"
    }
  }

  private mutating func pauseAnother(_ killed: Int, _ load: BackgroundLoad) async throws {
    let statuses = await self.devnet.statuses()
    let paused = (0..<4).first { $0 != killed && statuses[$0].role == "backup" } ?? (killed + 1) % 4
    try await self.step("Hospital \(paused + 1) is paused (SIGSTOP) for a while and continued") { story in
      guard let pid = story.devnet.process(paused) else {
        throw Failure("no process", why: "it stopped", remedy: "see its log")
      }
      kill(pid, SIGSTOP)
      let acknowledged = load.acknowledged.count
      do {
        try await story.waitForAcknowledged(
          load, beyond: acknowledged + 2000, seconds: 30, "the others go on while one is paused")
      } catch {
        kill(pid, SIGCONT)
        throw error
      }
      let target = (0..<4).filter { $0 != paused }
      var height: UInt64 = 0
      for index in target { height = max(height, await story.devnet.status(index).height) }
      kill(pid, SIGCONT)
      let goal = height
      try await story.devnet.wait("hospital \(paused + 1) caught up", seconds: 60) { $0[paused].height >= goal }
      return "2,000 transactions were acknowledged meanwhile; it caught up to height \(goal)"
    }
  }

  private mutating func killAtRandom(_ load: BackgroundLoad) async throws {
    try await self.step("\(self.kills) times some hospital is killed at a random instant and started again") {
      story in
      let before = load.acknowledged.count
      var victims: [Int] = []
      for _ in 0..<story.kills {
        let victim = Int.random(in: 0..<4)
        victims.append(victim + 1)
        try await Task.sleep(for: .milliseconds(Int.random(in: 20...600)))
        try await story.devnet.end(victim, signal: SIGKILL)
        try await Task.sleep(for: .milliseconds(Int.random(in: 0...1200)))
        try await story.devnet.start(victim)
      }
      try await story.devnet.wait("all are connected again", seconds: 60) { $0.allSatisfy { $0.peers == 3 } }
      try await story.waitForAcknowledged(load, beyond: before, seconds: 60, "the load goes on after the kills")
      let (names, count) = (victims.map(String.init).joined(separator: ", "), load.acknowledged.count - before)
      return "hospitals \(names); \(count) transactions were acknowledged meanwhile"
    }
  }

  private mutating func checkAcknowledged(_ load: BackgroundLoad) async throws {
    try await self.step("Everything that a client saw committed is in every hospital's log, at its place") { story in
      let acknowledged = load.acknowledged
      try await story.settle()
      for index in 0..<4 { try await story.waitForHistory(at: index) }
      guard let first = acknowledged.keys.min(), let last = acknowledged.keys.max() else { return "nothing" }
      for index in 0..<4 {
        var found = 0
        var start = first
        while start <= last {
          var decoder = Decoder(try await story.client(index).send(.GET, "/v1/log/entries?from=\(start)&count=1024"))
          var count: UInt64 = 0
          while decoder.remaining > 0 {
            let entry = try LogEntry.decode(try decoder.blob(max: 1 << 20, "entry"))
            if let expected = acknowledged[start + count] {
              try story.claim(
                entry.transaction.identifier(network: story.genesis.network) == expected,
                "leaf \(start + count) at hospital \(index + 1) is another transaction")
              found += 1
            }
            count += 1
          }
          try story.claim(count > 0, "hospital \(index + 1) has no entry at \(start)")
          start += count
        }
        try story.claim(found == acknowledged.count, "hospital \(index + 1) has \(found) of \(acknowledged.count)")
      }
      return "\(acknowledged.count) acknowledged transactions, compared one by one at all four"
    }
  }

  private func settle() async throws {
    try await self.devnet.wait("all four stand at one height, with the history whole", seconds: 60) { statuses in
      Set(statuses.map(\.height)).count == 1
        && statuses.allSatisfy {
          $0.running && $0.stableSize == $0.logSize && $0.pendingBytes == 0 && $0.historyLeft == 0
        }
    }
  }

  mutating func searchForPlaintext() async throws {
    try await self.step("Ledger files and logs of all four are searched for the records' words") { story in
      let words = story.plaintexts.map { Array($0.utf8) }
      var bytes = 0
      for index in 0..<4 {
        let member = story.devnet.member(index)
        for path in [member.path + "/data/ledger/data.mdb", member.log] {
          let data = [UInt8](FileManager.default.contents(atPath: path) ?? Data())
          bytes += data.count
          if let found = ByteSearch(words).first(in: data) {
            try story.claim(false, "\"\(story.plaintexts[found])\" stands in \(path)")
          }
        }
      }
      return "\(words.count) words (names, places, diagnoses), \(bytes >> 20) MiB searched, none found"
    }
  }

  mutating func conclude() async throws {
    // Whoever was behind may have gone on from a snapshot, and fetches what is below it still.
    try await self.settle()
    try await self.step("Hospital 3's ledger, which began with a snapshot, is re-executed from the genesis") { story in
      let (position, stored) = try Audit.ReplayCommand.replay(
        story.devnet.member(2).path + "/data/ledger", story.genesis, story.hospital(2))
      try story.claim(position == stored, "re-execution gives another state")
      return "height \(position.sequence), \(position.log.size) entries: same log root, same state digest"
    }
    let statuses = await self.devnet.statuses()
    Console.line("")
    DevnetTable.show(statuses)
    try self.claim(Set(statuses.map(\.stateDigest)).count == 1, "state digests are equal")
    try self.claim(Set(statuses.map(\.logRoot)).count == 1, "log roots are equal")
    try self.claim(Set(statuses.map(\.logSize)).count == 1, "log sizes are equal")
    try self.claim(Set(statuses.map(\.view)).count == 1, "views are equal")
    try self.claim(statuses.count { ["primary", "leader"].contains($0.role) } == 1, "there is one primary")
    try self.claim(statuses.allSatisfy { $0.peers == 3 }, "every node has three peers")
  }
}

/// Looks for many words at once: by their first four bytes, then whole.
struct ByteSearch {
  private let words: [[UInt8]]
  private var starts: [UInt32: [Int]] = [:]

  init(_ words: [[UInt8]]) {
    self.words = words
    for (index, word) in words.enumerated() where word.count >= 4 {
      self.starts[Self.key(word, 0), default: []].append(index)
    }
  }

  private static func key(_ bytes: [UInt8], _ at: Int) -> UInt32 {
    UInt32(bytes[at]) | UInt32(bytes[at + 1]) << 8 | UInt32(bytes[at + 2]) << 16 | UInt32(bytes[at + 3]) << 24
  }

  /// The index of a word that stands in `data`; nil where none does.
  func first(in data: [UInt8]) -> Int? {
    guard data.count >= 4 else { return nil }
    var filter = [Bool](repeating: false, count: 1 << 16)
    for key in self.starts.keys { filter[Int(key & 0xffff)] = true }
    for at in 0...(data.count - 4) where filter[Int(data[at]) | Int(data[at + 1]) << 8] {
      for index in self.starts[Self.key(data, at)] ?? [] {
        let word = self.words[index]
        if at + word.count <= data.count, data[at..<(at + word.count)].elementsEqual(word) { return index }
      }
    }
    return nil
  }
}
