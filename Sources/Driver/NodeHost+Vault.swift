internal import EventLoop
internal import HealthRecords
internal import Ledger
internal import Messages
internal import NodeCore
internal import Ordering
internal import Primitives
internal import Rules
internal import Signing
internal import Storage
internal import Telemetry
internal import Vaults
internal import Wire

/// What a round of tending found.
struct VaultRound {
  var fetched: UInt64 = 0
  var erased: UInt64 = 0
  var missing: UInt64 = 0
  var mended: UInt64 = 0
}

/// Keeping the vault in line with the ledger: what was erased while this node was down goes before anything else, what
/// is missing or rotten comes from the other vaults, what was never anchored goes after a while (RECORDS §3.5, §4).
extension NodeHost {
  /// How many records are looked at before others have their turn.
  private static let stride = 64
  /// How long a round waits before it fetches, in milliseconds.
  private static let connectingMilliseconds = 3_000
  /// How long a node waits between rounds, in milliseconds.
  private static let roundIntervalMilliseconds = 60_000

  /// Tends the vault until the task is cancelled: a round soon after the start, then one a minute.
  public func tendVault() async {
    var unanchored: [Digest: Timestamp] = [:]
    var looked: Digest?
    while !Task.isCancelled {
      var round = VaultRound()
      unanchored = await self.clearAway(unanchored, &round)
      // Time for the others to be connected: they have what is missing here.
      do { try await Task.sleep(for: .milliseconds(Self.connectingMilliseconds)) } catch { return }
      await self.bringBack(&round)
      looked = await self.lookThrough(after: looked, &round)
      if round.fetched + round.erased + round.missing + round.mended > 0 {
        self.log.emit(
          .vaultRepaired,
          [
            "fetched": .number(round.fetched), "erased": .number(round.erased), "missing": .number(round.missing),
            "mended": .number(round.mended),
          ])
      }
      await self.challengeOthers()
      do { try await Task.sleep(for: .milliseconds(Self.roundIntervalMilliseconds)) } catch { return }
    }
  }

  /// How many records are asked of other vaults in a round.
  private static let challengesPerRound = 4

  /// Asks other vaults for records drawn by lot that they should keep: what a vault is said to have, it can give.
  private func challengeOthers() async {
    var draw = SeededGenerator(seed: SecureRandom.seed())
    for _ in 0..<Self.challengesPerRound {
      guard let driver = self.running, let own = driver.node.index else { return }
      let configuration = driver.node.configuration
      let start = StateKey.records + SecureRandom.bytes(Digest.lengthBytes)
      let pair =
        driver.state.next(after: start, prefix: StateKey.records, inclusive: true)
        ?? driver.state.next(after: StateKey.records, prefix: StateKey.records, inclusive: false)
      guard let pair, let entry = try? RecordEntry.decode(pair.value), !entry.isErased,
        let hospital = configuration.index(of: entry.hospital),
        let member = driver.challenges.holder(
          of: entry.anchor.record, from: hospital, besides: own, placement: Placement(configuration), draw: &draw),
        driver.node.connected.contains(member)
      else { continue }
      let outcome: Challenges.Outcome
      switch await self.fetch(entry, from: member) {
      case .success: outcome = .proven
      case .failure(.notHere), .failure(.vaultFull): outcome = .failed
      case .failure: outcome = .unanswered
      }
      guard driver.challenges.note(outcome, of: member) else { continue }
      self.log.emit(
        .vaultUnproven, ["member": .text(driver.name(member)), "record": .text(entry.anchor.record.short)])
    }
  }

  /// Looks at every record that this vault should keep, and fetches those that it lacks.
  private func bringBack(_ round: inout VaultRound) async {
    var key = StateKey.records
    var kept: [ReplicaIndex: UInt64] = [:]
    while !Task.isCancelled, let driver = self.running {
      guard let own = driver.node.index else { return }
      let configuration = driver.node.configuration
      let placement = Placement(configuration)
      var wanted: [RecordEntry] = []
      var looked = 0
      while looked < Self.stride,
        let pair = driver.state.next(after: key, prefix: StateKey.records, inclusive: false)
      {
        (key, looked) = (pair.key, looked + 1)
        guard let entry = try? RecordEntry.decode(pair.value), !entry.isErased,
          let hospital = configuration.index(of: entry.hospital),
          placement.isHolder(own, of: entry.anchor.record, from: hospital)
        else { continue }
        wanted.append(entry)
      }
      let missing = try? await self.vault.missing(of: wanted.map(\.anchor.record))
      for entry in wanted {
        guard let hospital = configuration.index(of: entry.hospital) else { continue }
        if missing?.contains(entry.anchor.record) == true {
          let bytes = kept[hospital, default: 0] + entry.anchor.sizeBytes
          let hasRoom = hospital == own || bytes <= driver.intake.shareBytesMax ?? .max
          if !hasRoom { driver.noteFull(hospital) }
          guard hasRoom, await self.bringBack(entry) else {
            round.missing += 1
            continue
          }
          round.fetched += 1
        }
        kept[hospital, default: 0] += entry.anchor.sizeBytes
      }
      guard looked == Self.stride else { return driver.intake.counted(kept) }
    }
  }

  /// How much of its own vault a node reads in a round: a million records of some kilobytes each take three days.
  private static let lookedThroughMax = (records: 256, bytes: UInt64(64 << 20))

  /// Reads what this vault keeps, a stretch each round, and holds it against the anchors; what a disk or a store let
  /// rot comes from the others, before anybody asks for it. Gives the last record that was read; nil at the end.
  private func lookThrough(after last: Digest?, _ round: inout VaultRound) async -> Digest? {
    guard let held = try? await self.vault.records(after: last, countMax: Self.lookedThroughMax.records) else {
      return last
    }
    var bytes: UInt64 = 0
    var previous = last
    for record in held {
      guard bytes < Self.lookedThroughMax.bytes else { return previous }
      defer { previous = record }
      guard let entry = self.record(record), !entry.isErased else { continue }
      // One that cannot be read is as good as a rotten one.
      let kept = try? await self.vault.record(record)
      bytes += kept?.sizeBytes ?? 0
      if let kept, entry.anchor.names(kept) { continue }
      if await self.bringBack(entry) { round.mended += 1 } else { round.missing += 1 }
    }
    return held.count < Self.lookedThroughMax.records ? nil : held.last
  }

  private func bringBack(_ entry: RecordEntry) async -> Bool {
    guard let sealed = await self.fetch(entry) else { return false }
    // ⚑ It can have been erased meanwhile: what is erased does not come back.
    guard self.record(entry.anchor.record)?.isErased == false else { return true }
    return (try? await self.vault.store([sealed])) != nil
  }

  /// Takes away what the ledger erased, and what can never be anchored any more: so long after it was first seen that
  /// every transaction of that time is expired. Gives what has no anchor yet, with the time when it was first seen.
  private func clearAway(
    _ unanchored: [Digest: Timestamp], _ round: inout VaultRound
  ) async -> [Digest: Timestamp] {
    var waiting: [Digest: Timestamp] = [:]
    let life = self.genesis.limits.transactionLifeMilliseconds
    var last: Digest?
    while !Task.isCancelled, let driver = self.running {
      guard let held = try? await self.vault.records(after: last, countMax: Self.stride), !held.isEmpty else {
        return waiting
      }
      let executed = driver.node.execution.position.time
      for record in held {
        if let entry = self.record(record) {
          guard entry.isErased else { continue }
        } else {
          // Of both clocks the later one: a node that is behind executes anchors of a time that is past elsewhere.
          let seen = unanchored[record] ?? max(executed, driver.moment.wall)
          guard seen.adding(milliseconds: 2 * life) < executed else {
            waiting[record] = seen
            continue
          }
        }
        driver.eraseHere(record)
        round.erased += 1
      }
      last = held.last
    }
    return waiting
  }
}
