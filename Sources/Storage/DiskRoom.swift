internal import Foundation
internal import Synchronization

/// Whether a write failed for want of room, which a full disk says in several ways.
public enum DiskRoom {
  /// With less than this left, a write of some pages may end early.
  static let freeBytesMin: UInt64 = 1 << 20

  /// ⚑ A write that ends before its end has no error of its own: LMDB calls it EIO, as it does what a broken disk
  /// answers. It is a full disk where nothing is left.
  static func isGone(_ code: Int32, freeBytes: UInt64?) -> Bool {
    switch code {
    case ENOSPC, EDQUOT, EFBIG: true
    case EIO: freeBytes.map { $0 < self.freeBytesMin } ?? false
    default: false
    }
  }

  /// How many bytes a file can still grow, by its disk and by this process's limit for files; nil where the system does
  /// not say. The file need not be there yet.
  public static func freeBytes(for file: String) -> UInt64? {
    var disk = statvfs()
    let folder = (file as NSString).deletingLastPathComponent
    guard unsafe statvfs(folder.isEmpty ? "." : folder, &disk) == 0, disk.f_blocks > 0 else { return nil }
    let free = UInt64(disk.f_bavail) * UInt64(disk.f_frsize)
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0 else { return free }
    let size = (try? FileManager.default.attributesOfItem(atPath: file)[.size] as? UInt64) ?? 0
    return min(free, limit.rlim_cur > size ? UInt64(limit.rlim_cur) - size : 0)
  }

  /// Whether a file cannot grow for want of room: what a write that failed without a reason met.
  public static func isGone(for file: String) -> Bool { self.isGone(EIO, freeBytes: self.freeBytes(for: file)) }
}

/// Which stores take nothing for want of room, from the first write that is refused until the next that is not.
public enum StoreRoom {
  private struct State {
    var full: [String: String] = [:]
    var listener: (@Sendable (_ path: String, _ reason: String?) -> Void)?
  }

  private static let state = Mutex(State())

  /// From now on `listener` hears of each store once when it is full, and once, without a reason, when it takes again.
  public static func onChange(_ listener: @escaping @Sendable (_ path: String, _ reason: String?) -> Void) {
    self.state.withLock { $0.listener = listener }
  }

  /// The folders of those that are full now, and why.
  public static var full: [String: String] { self.state.withLock { $0.full } }

  /// A write came to an end, `failure` where it was refused. One that failed otherwise tells nothing of the room.
  static func wrote(to path: String, _ failure: StorageFailure?) {
    let reason: String?
    switch failure {
    case nil: reason = nil
    case .full(_, let why)?: reason = why
    case .folder?, .damaged?, .rotten?, .diverged?, .otherFormat?, .copied?, .foreign?, .otherKey?, .lost?,
      .uncompared?,
      .system?:
      return
    }
    let listener = self.state.withLock { state -> (@Sendable (String, String?) -> Void)? in
      let isNews = (state.full[path] == nil) != (reason == nil)
      state.full[path] = reason
      return isNews ? state.listener : nil
    }
    listener?(path, reason)
  }
}

extension StorageFailure {
  /// A write to a file, or its sync, that failed with `code`: EIO where it ended before its end.
  static func writing(_ file: String, _ code: Int32) -> Self {
    let reason = unsafe String(cString: strerror(code))
    guard DiskRoom.isGone(code, freeBytes: DiskRoom.freeBytes(for: file)) else {
      return .system(action: "writing \(file)", reason: reason)
    }
    return .full(path: file, reason: code == EIO ? "the disk is full" : reason)
  }

  /// A file that could not be opened or made.
  static func opening(_ file: String, _ code: Int32) -> Self {
    DiskRoom.isGone(code, freeBytes: DiskRoom.freeBytes(for: file))
      ? .writing(file, code)
      : .folder(
        path: (file as NSString).deletingLastPathComponent, reason: unsafe String(cString: strerror(code)))
  }

  /// A folder that could not be made.
  static func making(_ folder: String, _ error: any Error) -> Self {
    switch Self.code(of: error) {
    case let code? where DiskRoom.isGone(code, freeBytes: DiskRoom.freeBytes(for: folder)): .writing(folder, code)
    case _?, nil: .folder(path: folder, reason: error.localizedDescription)
    }
  }

  /// The system's number of what Foundation reports.
  static func code(of error: any Error) -> Int32? {
    if let error = error as? POSIXError { return error.code.rawValue }
    if let inner = (error as NSError).userInfo[NSUnderlyingErrorKey] as? any Error { return Self.code(of: inner) }
    return (error as? CocoaError)?.code == .fileWriteOutOfSpace ? ENOSPC : nil
  }
}
