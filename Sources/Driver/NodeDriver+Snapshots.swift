internal import Merkle
internal import EventLoop
internal import Foundation
internal import Ledger
internal import Messages
internal import NodeCore
internal import Primitives
internal import Storage
internal import Telemetry

/// Snapshots of the ledger: made on a thread of their own, served to whoever is far behind, and gone on from
/// (LEDGER §7).
extension NodeDriver {
  /// Has the store hand over each snapshot that is due.
  func prepareSnapshots() {
    let (loop, folder, log) = (self.loop, self.snapshots, self.log)
    let life = self.settings.genesis.limits.transactionLifeMilliseconds
    nonisolated(unsafe) let me = self
    self.store.onSnapshot { point, reader in
      nonisolated(unsafe) let reader = reader
      let thread = Thread {
        do throws(StorageFailure) {
          guard let manifest = unsafe try folder.make(point, of: reader, lifeMilliseconds: life) else { return }
          loop.submit { unsafe me.made(manifest) }
        } catch {
          log.emit(.snapshotFailed, ["reason": .text("\(error)")])
          switch error {
          case .rotten, .damaged: loop.submit { unsafe me.found(error) }
          case .folder, .otherFormat, .otherKey, .copied, .lost, .uncompared, .foreign, .full, .system, .diverged: break
          }
        }
      }
      thread.name = "snapshot"
      thread.start()
    }
    self.noteSnapshots()
  }

  /// What is here of snapshots, and what is missing below the one that the ledger began with.
  private func noteSnapshots() {
    do throws(StorageFailure) { self.gaps = try self.state.store.gaps() } catch { return self.fail(storing: error) }
    if let newest = self.snapshots.newest() { self.give(.snapshotMade(newest)) }
    self.give(.historyMissing(self.gaps.last?.next))
  }

  private func made(_ manifest: SnapshotManifest) {
    self.log.emit(
      .snapshotMade,
      ["height": .number(manifest.sequence.number), "chunks": .number(UInt64(manifest.chunks.count))])
    self.give(.snapshotMade(manifest))
  }

  func openTransfer(_ manifest: SnapshotManifest) {
    let (folder, digest) = (self.snapshots, manifest.digest)
    nonisolated(unsafe) let me = self
    self.loop.work({ Result { () throws(StorageFailure) in try folder.open(manifest) } }) { result in
      do throws(StorageFailure) { unsafe me.give(.transferOpened(digest, held: try result.get())) } catch {
        unsafe me.fail(storing: error)
      }
    }
  }

  func keepChunk(_ bytes: [UInt8], _ number: Int, of digest: Digest) {
    do throws(StorageFailure) { try self.snapshots.keep(bytes, as: number, of: digest) } catch {
      self.fail(storing: error)
    }
  }

  /// Ends what is under way, makes the snapshot the ledger, and starts the node anew on it: as a restart would.
  func replaceLedger(by bundle: SnapshotBundle) {
    let (store, folder) = (self.store, self.snapshots)
    self.leave { [unowned self] in
      self.write({ () throws(StorageFailure) in
        try store.replaceLedger(by: bundle) { number throws(StorageFailure) in
          try folder.fetched(number, of: bundle.manifest)
        }
      }) { [unowned self] result in self.begin(after: bundle, result) }
    }
  }

  private func begin(after bundle: SnapshotBundle, _ result: Result<Void, StorageFailure>) {
    do throws(StorageFailure) {
      try result.get()
      self.log.emit(
        .snapshotAdopted,
        [
          "height": .number(bundle.manifest.sequence.number),
          "log_size": .number(bundle.manifest.point.position.log.size),
          "chunks": .number(UInt64(bundle.manifest.chunks.count)),
        ])
    } catch {
      // Nothing was changed: the node goes on from what it had, and asks again for what is damaged.
      self.log.emit(.snapshotFailed, ["reason": .text("\(error)")])
    }
    do throws(StorageFailure) { try self.restart() } catch { return self.fail(storing: error) }
    self.snapshots.close()
    self.noteSnapshots()
  }

  func keepHistory(_ items: [HistoryItem]) {
    let (store, genesis, gaps) = (self.store, self.settings.genesis, self.gaps)
    nonisolated(unsafe) let me = self
    self.loop.work({
      Result { () throws(StorageFailure) in try StoreReader(store).check(items, filling: gaps, of: genesis) }
    }) { result in unsafe me.checked(result, against: gaps) }
  }

  private func checked(
    _ result: Result<(kept: [HistoryItem], gaps: [HistoryGap]), StorageFailure>, against gaps: [HistoryGap]
  ) {
    do throws(StorageFailure) {
      let (kept, left) = try result.get()
      // Where another snapshot was gone on from meanwhile, what is missing is another thing.
      if gaps == self.gaps, !kept.isEmpty {
        self.persist(.history(kept, left))
        self.gaps = left
        if left.isEmpty { self.log.emit(.historyWhole) }
      }
    } catch { self.found(error) }
    self.give(.historyMissing(self.gaps.last?.next))
  }
}
