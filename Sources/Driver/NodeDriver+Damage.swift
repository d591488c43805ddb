internal import EventLoop
internal import Foundation
internal import Ledger
internal import Messages
internal import NodeCore
internal import Primitives
internal import Storage
internal import Telemetry

/// What a disk did to the store: never given to anybody, fetched again where others have it, and else the end.
extension NodeDriver {
  /// The most holes in the history at once; whoever has more has lost its disk.
  private static let holesMax = 256
  /// A store of at most so many bytes is compared before the node starts; a larger one while it runs.
  private static let checkedFirstBytesMax = 32 << 20
  /// How long after a reading through the next begins.
  private static let checkAgainSeconds = 6 * 3600.0

  /// Compares a small store with what was written, before it is acted on.
  static func checkFirst(_ store: Store, _ reader: StoreReader) throws(StorageFailure) {
    guard store.sizes.used <= self.checkedFirstBytesMax else { return }
    _ = try reader.checkContent()
  }

  /// Reads the store through on a thread of its own, now and from time to time.
  func startChecking() {
    let (loop, store, log) = (self.loop, self.store, self.log)
    nonisolated(unsafe) let me = self
    let thread = Thread {
      // So that ordering and execution do not wait for it.
      setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
      while true {
        do throws(StorageFailure) {
          let begin = ProcessInfo.processInfo.systemUptime
          let rows = try StoreReader(store).checkContent()
          let (heights, rotten) = try StoreReader(store).checkHistory()
          let milliseconds = UInt64((ProcessInfo.processInfo.systemUptime - begin) * 1000)
          if rotten.isEmpty {
            log.emit(
              .storeChecked,
              ["rows": .number(rows), "heights": .number(heights), "milliseconds": .number(milliseconds)])
          }
          loop.submit { for failure in rotten { unsafe me.found(failure) } }
        } catch {
          return loop.submit { unsafe me.found(error) }
        }
        Thread.sleep(forTimeInterval: Self.checkAgainSeconds)
      }
    }
    thread.name = "check"
    thread.start()
  }

  /// Something is not what was written. A cut that the others have too is asked for again; without anything else the
  /// node cannot go on.
  func found(_ failure: StorageFailure) {
    guard case .rotten(_, let sequence, let reason) = failure else { return self.fail(storing: failure) }
    guard !self.gaps.contains(where: { $0.low < sequence && sequence <= $0.next }) else { return }
    do throws(StorageFailure) {
      guard self.gaps.count < Self.holesMax, self.node.configuration.voterCount > 1,
        let gap = try self.state.store.gap(around: sequence, among: self.gaps)
      else { return self.fail(storing: failure) }
      self.log.emit(.storeRotten, ["height": .number(sequence.number), "reason": .text(reason)])
      self.gaps = (self.gaps + [gap]).sorted { $0.next < $1.next }
      self.persist(.history([], self.gaps))
      self.give(.historyMissing(self.gaps.last?.next))
    } catch { self.fail(storing: error) }
  }

  /// The log's entry at a place; nil where it is not here, or is fetched again.
  func logged(_ leaf: UInt64) -> LogEntry? {
    do throws(StorageFailure) { return try self.state.store.entries(from: leaf, to: leaf + 1).first } catch {
      self.found(error)
      return nil
    }
  }
}
