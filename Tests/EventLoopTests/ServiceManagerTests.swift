// Goal: the program that started the node hears when it serves and how it is, and a sign of life only while the loop
// turns. Method: real datagram sockets, by path and abstract; the loop is stopped by a job that waits.
import EventLoop
import Foundation
import Primitives
import Testing

@Suite("Service manager", .timeLimit(.minutes(1)))
struct ServiceManagerTests {
  /// What systemd has: a datagram socket with a name.
  private final class Listener {
    let name: String
    private let descriptor: Int32

    init(abstract isAbstract: Bool) throws {
      let unique = "c-notify-\(UUID().uuidString.prefix(8))"
      self.name = isAbstract ? "@" + unique : NSTemporaryDirectory() + unique
      self.descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      let bytes = Array(self.name.utf8)
      unsafe withUnsafeMutableBytes(of: &address.sun_path) { target in
        for (place, byte) in bytes.enumerated() { unsafe target[place] = isAbstract && place == 0 ? 0 : byte }
      }
      let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count + (isAbstract ? 0 : 1))
      let status = unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(self.descriptor, $0, length) }
      }
      try #require(status == 0)
    }

    deinit {
      close(self.descriptor)
      if self.name.hasPrefix("/") { unsafe unlink(self.name) }
    }

    /// The next word, for which it waits; nil where it is not to wait and there is none.
    func next(waits: Bool = true) -> String? {
      var bytes = [UInt8](repeating: 0, count: 4096)
      let count = unsafe recv(self.descriptor, &bytes, bytes.count, waits ? 0 : Int32(MSG_DONTWAIT))
      return count >= 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }
  }

  @Test("What it is told comes as it was said, by a path and by an abstract name", arguments: [false, true])
  func words(isAbstract: Bool) throws {
    let listener = try Listener(abstract: isAbstract)
    let manager = try #require(ServiceManager(environment: ["NOTIFY_SOCKET": listener.name]))
    #expect(manager.watchInterval == nil)
    manager.ready()
    manager.state("two\nlines")
    manager.state(String(repeating: "x", count: 5000))
    manager.stopping()
    #expect(listener.next() == "READY=1" && listener.next() == "STATUS=two")
    #expect(listener.next()?.utf8.count == 1024)
    #expect(listener.next() == "STOPPING=1" && listener.next(waits: false) == nil)
  }

  @Test("A name that is none, or another process's watchdog, is none; a socket that is gone harms nothing")
  func refusals() throws {
    #expect(ServiceManager(environment: [:]) == nil)
    for name in ["", "/", "@", "relative", "vsock:2:1", "/" + String(repeating: "x", count: 200)] {
      #expect(ServiceManager(environment: ["NOTIFY_SOCKET": name]) == nil, "\(name)")
    }
    func interval(_ microseconds: String, _ process: String) -> Span? {
      ServiceManager(
        environment: ["NOTIFY_SOCKET": "@nobody", "WATCHDOG_USEC": microseconds, "WATCHDOG_PID": process]
      )?.watchInterval
    }
    #expect(interval("2000000", "\(getpid())") == .milliseconds(1000))
    for wrong in ["0", "1", "-5", "x", "99999999999999999999999"] { #expect(interval(wrong, "\(getpid())") == nil) }
    #expect(interval("18446744073709551615", "\(getpid())") != nil)
    #expect(interval("2000000", "1") == nil)
    ServiceManager(socket: "/nowhere/at/all", watchInterval: nil)?.ready()
  }

  @Test("A loop that turns gives signs of life; one that stands still gives none until it turns again")
  func watched() throws {
    let listener = try Listener(abstract: true)
    let loop = EventLoop(workers: 1)
    loop.start()
    let manager = try #require(ServiceManager(socket: listener.name, watchInterval: .milliseconds(5)))
    manager.follow(loop) { "height 7" }
    for _ in 0..<3 { #expect(listener.next() == "WATCHDOG=1\nSTATUS=height 7") }
    let (stands, goesOn) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    loop.submit {
      stands.signal()
      goesOn.wait()
    }
    stands.wait()
    // The thread that says it waits: what is there was said before, and nothing follows.
    while listener.next(waits: false) != nil {}
    #expect(listener.next(waits: false) == nil)
    goesOn.signal()
    #expect(listener.next() == "WATCHDOG=1\nSTATUS=height 7")
  }
}
