internal import CLMDB
internal import Foundation
internal import Synchronization

/// What follows where a store's file proves damaged in a place that can throw nothing: a sentence, and the process
/// ends.
///
/// LMDB believes its file. What it finds broken it reports as an error where it looks, and as a failed assertion where
/// it does not; a page that the disk cannot give any more is a signal. None of them may end in an answer, nor without
/// words.
public enum StoreDamage {
  /// The process's exit code: reading or writing failed.
  public static let exitStatus: Int32 = 74
  private static let listener = Mutex<(@Sendable (StorageFailure) -> Void)?>(nil)

  /// From now on `listener` hears of damage right before the process ends: for the log.
  public static func onDamage(_ listener: @escaping @Sendable (StorageFailure) -> Void) {
    self.listener.withLock { $0 = listener }
  }

  /// Ends the process: nothing that a damaged store says may be seen by anybody.
  static func halt(_ failure: StorageFailure) -> Never {
    let heard = self.listener.withLock { listener in
      defer { listener = nil }
      return listener
    }
    heard?(failure)
    let line = Array("consilium: \(failure)\n".utf8)
    _ = unsafe line.withUnsafeBytes { unsafe Foundation.write(2, $0.baseAddress, $0.count) }
    _exit(self.exitStatus)
  }

  /// Has LMDB's failed assertions, and pages that the disk does not give, end in a sentence instead of a bare signal.
  static func watch(_ environment: OpaquePointer) {
    unsafe mdb_env_set_assert(environment) { environment, message in
      var path: UnsafePointer<CChar>?
      if let environment = unsafe environment { unsafe mdb_env_get_path(environment, &path) }
      let folder = unsafe path.map { unsafe String(cString: $0) } ?? "the data folder"
      let reason = unsafe message.map { unsafe String(cString: $0) } ?? "a page is not what it should be"
      StoreDamage.halt(.damaged(path: folder, reason: reason))
    }
    _ = self.signals
  }

  /// The signal comes from within a read of a mapped page, never from within the allocator or the log.
  private static let signals: Void = {
    var action = sigaction()
    unsafe action.__sigaction_handler.sa_handler = { _ in
      StoreDamage.halt(
        .system(
          action: "reading a store's file",
          reason:
            "a page of it cannot be read: the disk fails, or the file was cut off while it was in use; look at the "
            + "disk, then start again"))
    }
    unsafe sigaction(SIGBUS, &action, nil)
  }()
}
