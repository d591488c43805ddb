internal import Foundation
internal import Synchronization

/// Work that may hang: it is given up after a time, and left to end with the process.
enum BoundedWork {
  /// How many pieces are worked on at a time.
  private static let threadsMax = 16

  /// Runs `body` for each item on a thread of its own; nil for each that is not done when the seconds are over.
  static func run<Item: Sendable, Value: Sendable>(
    _ items: [Item], seconds: Int, _ body: @escaping @Sendable (Item) -> Value
  ) async -> [Value?] {
    guard !items.isEmpty else { return [] }
    let round = Round<Value>(count: items.count)
    return await withCheckedContinuation { continuation in
      round.begin(continuation)
      for _ in 0..<min(self.threadsMax, items.count) {
        Thread.detachNewThread {
          while let index = round.next() { round.finish(index, body(items[index])) }
        }
      }
      DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(seconds)) { round.giveUp() }
    }
  }

  /// The same of one piece.
  static func run<Value: Sendable>(seconds: Int, _ body: @escaping @Sendable () -> Value) async -> Value? {
    await self.run([0], seconds: seconds) { _ in body() }.first ?? nil
  }

  private final class Round<Value: Sendable>: Sendable {
    private struct State {
      var values: [Value?]
      var nextIndex = 0
      var left: Int
      var waiter: CheckedContinuation<[Value?], Never>?
    }
    private let state: Mutex<State>

    init(count: Int) { self.state = Mutex(State(values: Array(repeating: nil, count: count), left: count)) }

    func begin(_ waiter: CheckedContinuation<[Value?], Never>) { self.state.withLock { $0.waiter = waiter } }

    func next() -> Int? {
      self.state.withLock { state in
        guard state.waiter != nil, state.nextIndex < state.values.count else { return nil }
        state.nextIndex += 1
        return state.nextIndex - 1
      }
    }

    func finish(_ index: Int, _ value: Value) {
      self.state.withLock { state in
        state.values[index] = value
        state.left -= 1
        if state.left == 0 { Self.end(&state) }
      }
    }

    func giveUp() { self.state.withLock { Self.end(&$0) } }

    private static func end(_ state: inout State) {
      state.waiter?.resume(returning: state.values)
      state.waiter = nil
    }
  }
}
