internal import Foundation
public import Primitives

/// Tells the program that started this one, such as systemd, how it is: a word at a time to the datagram socket that
/// the environment names. Source: sd_notify(3), sd_watchdog_enabled(3).
///
/// ⚑ Nothing waits for it: a word that finds no room is lost, and the next one says the same or more.
public final class ServiceManager: Sendable {
  /// The most bytes of a socket's name, its path or what follows the `@` of an abstract one.
  static let nameBytesMax = 107
  /// The most bytes of a word.
  static let wordBytesMax = 1024
  /// How often the state is told where nobody asked for a sign of life.
  private static let stateInterval = Span.milliseconds(10_000)

  private let descriptor: Int32
  private let name: [UInt8]
  /// How often a sign of life is due, twice as often as it is waited for; nil where nobody waits.
  public let watchInterval: Span?

  /// The one that an environment names; nil where it names none, or what can be no socket's name.
  public convenience init?(environment: [String: String]) {
    guard let name = environment["NOTIFY_SOCKET"] else { return nil }
    // What is meant for the process that started this one is not for it.
    let isOurs = environment["WATCHDOG_PID"].map { $0 == "\(getpid())" } ?? true
    let microseconds = environment["WATCHDOG_USEC"].flatMap { UInt64($0) }.flatMap { $0 > 1 && isOurs ? $0 : nil }
    let interval = microseconds.map { Span(nanoseconds: min($0, UInt64(UInt32.max)) * 500) }
    self.init(socket: name, watchInterval: interval)
  }

  /// The one that listens to a socket: a path, or `@` with the name of an abstract one.
  public init?(socket name: String, watchInterval: Span?) {
    var bytes = Array(name.utf8)
    guard bytes.first == 0x2f || bytes.first == 0x40, (2...(Self.nameBytesMax)).contains(bytes.count),
      !bytes.contains(0)
    else { return nil }
    if bytes[0] == 0x40 { bytes[0] = 0 } else { bytes.append(0) }
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    (self.descriptor, self.name, self.watchInterval) = (descriptor, bytes, watchInterval)
  }

  deinit { close(self.descriptor) }

  /// Says that it serves from now on.
  public func ready() { self.tell("READY=1") }

  /// Says that it ends.
  public func stopping() { self.tell("STOPPING=1") }

  /// Says how it is, in a line for people.
  public func state(_ text: String) { self.tell("STATUS=" + Self.line(text)) }

  /// Goes on saying how it is from the loop's thread, as a sign of life where one is waited for: a loop that stands
  /// still gives none.
  public func follow(_ loop: EventLoop, state: @escaping @Sendable () -> String) {
    loop.submit {
      let heartbeat = Heartbeat(self, loop, state)
      heartbeat.beat()
    }
  }

  private static func line(_ text: String) -> String { String(text.split(whereSeparator: \.isNewline).first ?? "") }

  private func tell(_ word: String) {
    let bytes = Array(word.utf8.prefix(Self.wordBytesMax))
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { target in
      for (place, byte) in self.name.enumerated() { unsafe target[place] = byte }
    }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + self.name.count)
    unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { place in
        _ = unsafe sendto(
          self.descriptor, bytes, bytes.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL), place, length)
      }
    }
  }

  /// Its timer is the loop's, and goes on for as long.
  private final class Heartbeat {
    private let (manager, loop): (ServiceManager, EventLoop)
    private let state: @Sendable () -> String
    private var timer: LoopTimer?

    init(_ manager: ServiceManager, _ loop: EventLoop, _ state: @escaping @Sendable () -> String) {
      (self.manager, self.loop, self.state) = (manager, loop, state)
      self.timer = loop.makeTimer { self.beat() }
    }

    func beat() {
      let life = self.manager.watchInterval == nil ? "" : "WATCHDOG=1\n"
      self.manager.tell("\(life)STATUS=" + ServiceManager.line(self.state()))
      self.timer?.set(to: self.loop.now + (self.manager.watchInterval ?? ServiceManager.stateInterval))
    }
  }
}
