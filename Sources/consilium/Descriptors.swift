internal import Foundation

/// How many files and connections this process may have open.
enum Descriptors {
  /// Raises the limit to the most that the system allows this process; what it is then.
  static func raise() -> Int {
    let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    var limit = rlimit()
    guard unsafe getrlimit(kind, &limit) == 0 else { return Self.usual }
    var raised = limit
    raised.rlim_cur = limit.rlim_max
    if unsafe setrlimit(kind, &raised) == 0 { limit = raised }
    return Int(clamping: limit.rlim_cur)
  }

  /// What a system gives that does not say.
  private static let usual = 1024
}
