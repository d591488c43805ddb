internal import Foundation
internal import Hummingbird
internal import NIOCore

/// Why nothing is served at an address, in one sentence.
public struct ListenFailure: Error, Sendable, Hashable, CustomStringConvertible {
  /// Where: an address with its port, or a socket's path.
  public let place: String
  /// Whether another process listens there.
  public let isTaken: Bool
  /// Whether it is not the port that is wrong, but the address.
  public let isForeign: Bool
  private let reason: String

  /// What the system said when it was to listen at a place; nil where that has another cause.
  init?(_ error: IOError, at place: String) {
    (self.place, self.isTaken) = (place, error.errnoCode == EADDRINUSE)
    self.isForeign = error.errnoCode == EADDRNOTAVAIL
    switch error.errnoCode {
    case EADDRINUSE: self.reason = "another process uses it (EADDRINUSE)"
    case EACCES, EPERM: self.reason = "this user may not (EACCES)"
    case EADDRNOTAVAIL: self.reason = "the address is none of this machine's (EADDRNOTAVAIL)"
    case ENOENT, ENOTDIR: self.reason = "its folder is not there (ENOENT)"
    default: return nil
    }
  }

  /// That a name has no address.
  init(unknownNameAt place: String) {
    (self.place, self.isTaken, self.isForeign) = (place, false, true)
    self.reason = "the name has no address here"
  }

  /// Where, and why.
  public var description: String { "it cannot listen on \(self.place): \(self.reason)" }
}

extension Application {
  /// Serves at a place until the task is cancelled.
  ///
  /// - Throws: `ListenFailure` where that place cannot be had.
  func serve(at place: String) async throws {
    do { try await self.run() } catch let error as IOError {
      throw ListenFailure(error, at: place) ?? error
    } catch is SocketAddressError.UnknownHost { throw ListenFailure(unknownNameAt: place) }
  }
}
