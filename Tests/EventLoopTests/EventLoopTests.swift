// Goal: what the node hears from the system comes in order, once, on the loop's thread, and a failure says why.
// Method: a real loop with real sockets on this machine; each test waits for what it expects, not for a time.
import EventLoop
import Primitives
import Synchronization
import Testing

@Suite("Event loop", .timeLimit(.minutes(1)))
struct EventLoopTests {
  /// What was heard, from the loop's thread; the test waits until there is enough of it.
  private final class Heard<Item: Sendable>: Sendable {
    private let stream: AsyncStream<Item>
    private let continuation: AsyncStream<Item>.Continuation

    init() { (self.stream, self.continuation) = AsyncStream.makeStream() }
    func note(_ item: Item) { self.continuation.yield(item) }
    func first(_ count: Int) async -> [Item] {
      var out: [Item] = []
      for await item in self.stream {
        out.append(item)
        if out.count == count { break }
      }
      return out
    }
  }

  /// What lives on the loop's thread only.
  private final class Box<Value>: @unchecked Sendable {
    var value: Value
    init(_ value: Value) { self.value = value }
  }

  private static let loop: EventLoop = {
    let loop = EventLoop(workers: 2)
    loop.start()
    return loop
  }()
  private var loop: EventLoop { Self.loop }

  @Test("Jobs from many threads all run on the loop's thread, each thread's in its order")
  func jobs() async {
    let heard = Heard<(from: Int, number: Int, isCurrent: Bool)>()
    let loop = self.loop
    await withTaskGroup(of: Void.self) { group in
      for from in 0..<8 {
        group.addTask { for number in 0..<100 { loop.submit { heard.note((from, number, loop.isCurrent)) } } }
      }
    }
    let all = await heard.first(800)
    #expect(all.allSatisfy { $0.isCurrent } && !loop.isCurrent)
    for from in 0..<8 { #expect(all.filter { $0.from == from }.map(\.number) == Array(0..<100)) }
  }

  @Test(
    "A timer fires once, at most a millisecond early; set again at the later time only; one that is off never"
  )
  func timers() async {
    let heard = Heard<(name: String, isDue: Bool)>()
    let (loop, timers) = (self.loop, Box<[LoopTimer]>([]))
    loop.submit {
      let start = loop.now
      func timer(_ name: String, due: Tick) -> LoopTimer {
        loop.makeTimer { heard.note((name, loop.now + .milliseconds(1) >= due)) }
      }
      let later = start + .milliseconds(30)
      let moved = timer("moved", due: later)
      moved.set(to: start + .milliseconds(5))
      moved.set(to: later)
      let off = timer("off", due: start)
      off.set(to: start + .milliseconds(1))
      off.cancel()
      let far = timer("far", due: start)
      far.set(to: loop.now + Span(nanoseconds: .max))
      let past = timer("past", due: .zero)
      past.set(to: .zero)
      let last = timer("last", due: start + .milliseconds(60))
      last.set(to: start + .milliseconds(60))
      timers.value = [moved, off, far, past, last]
    }
    let fired = await heard.first(3)
    #expect(fired.map(\.name) == ["past", "moved", "last"])
    #expect(fired.allSatisfy { $0.isDue })
    loop.submit { timers.value = [] }
  }

  @Test("Work runs elsewhere, and what follows it on the loop's thread")
  func work() async {
    let heard = Heard<(value: Int, wasCurrent: Bool, isCurrent: Bool)>()
    let loop = self.loop
    loop.submit {
      loop.work({ (41 + 1, loop.isCurrent) }) { value, wasCurrent in heard.note((value, wasCurrent, loop.isCurrent)) }
    }
    let done = await heard.first(1)[0]
    #expect(done.value == 42 && !done.wasCurrent && done.isCurrent)
  }

  @Test("Bytes arrive whole and in order in both directions, more than a socket takes at once; an end is heard once")
  func bytes() async throws {
    let heard = Heard<String>()
    let (loop, kept) = (self.loop, Box<[AnyObject]>([]))
    let sent = (0..<(3 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
    loop.submit {
      do {
        let listener = try loop.listen(host: "127.0.0.1", port: 25_411) { connection, _ in
          kept.value.append(connection)
          connection.onEvent = { event in
            // What comes goes back.
            if case .received(let bytes) = event { connection.write(bytes) }
            if case .closed = event { heard.note("server closed") }
          }
        }
        kept.value.append(listener)
      } catch { heard.note("\(error)") }
      let got = Box<[UInt8]>([])
      let dialling = loop.connect(host: "127.0.0.1", port: 25_411) { result in
        guard case .success(let connection) = result else { return heard.note("\(result)") }
        kept.value.append(connection)
        connection.onEvent = { event in
          if case .received(let bytes) = event { got.value += bytes }
          guard got.value.count == sent.count else { return }
          heard.note(got.value == sent ? "all back" : "other bytes")
          got.value = []
          connection.close()
          connection.close()
        }
        for start in stride(from: 0, to: sent.count, by: 700_000) {
          connection.write(Array(sent[start..<min(start + 700_000, sent.count)]))
        }
      }
      kept.value.append(dialling as AnyObject)
    }
    #expect(await heard.first(2) == ["all back", "server closed"])
    loop.submit { kept.value = [] }
  }

  @Test("What cannot be dialled, listened on or looked up says what was tried, and why not")
  func refusals() async {
    let heard = Heard<String>()
    let (loop, kept) = (self.loop, Box<[AnyObject]>([]))
    loop.submit {
      kept.value.append(
        loop.connect(host: "127.0.0.1", port: 25_412) { result in
          if case .failure(let failure) = result { heard.note("dial \(failure.code)") }
        } as AnyObject)
    }
    #expect(await heard.first(1) == ["dial ECONNREFUSED"])
    let second = Heard<String>()
    loop.submit {
      for attempt in 0..<2 {
        do throws(NetworkFailure) {
          kept.value.append(try loop.listen(host: "127.0.0.1", port: 25_413) { _, _ in })
        } catch { second.note("\(attempt) \(error.code)") }
      }
      do throws(NetworkFailure) {
        kept.value.append(try loop.listen(host: "no address", port: 25_414) { _, _ in })
      } catch {
        second.note("none \(error.code)")
      }
    }
    let words = await second.first(2)
    #expect(words[0] == "1 EADDRINUSE" && words[1].hasPrefix("none E"))
    loop.submit { kept.value = [] }
  }
}
