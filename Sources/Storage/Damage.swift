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

  /// A page that the disk does not give is one signal, an address that a broken page leads to is another.
  private static let signals: Void = {
    var action = sigaction()
    unsafe action.__sigaction_handler.sa_handler = { _ in
      StoreDamage.end(
        """
        consilium: a page of a store's file cannot be read: the disk fails, or the file was cut off while it was in \
        use; look at the disk, then start again

        """)
    }
    unsafe sigaction(SIGBUS, &action, nil)
    unsafe Self.lmdb = Self.instructions(of: "/liblmdb")
    unsafe Self.library = Self.instructions(of: "/libc.so")
    var strays = sigaction()
    strays.sa_flags = SA_SIGINFO
    unsafe strays.__sigaction_handler.sa_sigaction = { _, _, context in
      guard unsafe StoreDamage.isInRead(context) else {
        // A fault of the program's own: once more, as it was handled before.
        unsafe sigaction(SIGSEGV, &StoreDamage.before, nil)
        return
      }
      StoreDamage.end(
        """
        consilium: a page of a store's file leads nowhere: the file is damaged; keep the folder, and go on under new \
        keys: consilium init, then consilium member propose replace

        """)
    }
    unsafe sigaction(SIGSEGV, &strays, &StoreDamage.before)
  }()

  /// Ends the process from within a signal: nothing is allocated, nothing locked.
  private static func end(_ text: StaticString) -> Never {
    _ = unsafe Foundation.write(2, text.utf8Start, text.utf8CodeUnitCount)
    _exit(self.exitStatus)
  }

  /// How the second signal was handled before; written once, before the handler is in place.
  nonisolated(unsafe) private static var before = sigaction()
  /// Where the instructions of LMDB are, and those of the C library that copy and compare for it; written once.
  nonisolated(unsafe) private static var lmdb: Range<UInt> = 0..<0
  nonisolated(unsafe) private static var library: Range<UInt> = 0..<0

  private static func instructions(of library: String) -> Range<UInt> {
    // ⚑ To the end: what reads a file as a whole stops after the first page of one that has no length.
    let read = try? FileHandle(forReadingAtPath: "/proc/self/maps")?.readToEnd()
    let maps = String(decoding: read ?? Data(), as: UTF8.self)
    for line in maps.split(separator: "\n") where line.contains(library) && line.contains("r-xp") {
      let ends = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
      if ends.count == 2, ends[0] < ends[1] { return ends[0]..<ends[1] }
    }
    return 0..<0
  }

  /// Whether a signal met these instructions: the program counter stands in what the system hands over (`ucontext_t`),
  /// at a place of the processor's.
  private static func isInRead(_ context: UnsafeMutableRawPointer?) -> Bool {
    #if arch(x86_64)
      let offset = 168
    #elseif arch(arm64)
      let offset = 440
    #else
      return false
    #endif
    guard let counter = unsafe context?.load(fromByteOffset: offset, as: UInt.self) else { return false }
    return unsafe self.lmdb.contains(counter) || self.library.contains(counter)
  }
}
