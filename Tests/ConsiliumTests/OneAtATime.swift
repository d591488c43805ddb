import Testing

/// One test at a time among all suites that have it. ⚑ Foundation's `Process` learns from a socket that closes that a
/// program ended. What another thread starts at the same moment may inherit that socket, and holds it open for as long
/// as it runs: a test that waits for its command then waits for another test's node.
struct OneAtATime: TestTrait, SuiteTrait, TestScoping {
  private actor Turn {
    private var isTaken = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func take() async {
      guard self.isTaken else {
        self.isTaken = true
        return
      }
      await withCheckedContinuation { self.waiting.append($0) }
    }

    func give() {
      if self.waiting.isEmpty { self.isTaken = false } else { self.waiting.removeFirst().resume() }
    }
  }

  private static let turn = Turn()

  let isRecursive = true

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    await Self.turn.take()
    do { try await function() } catch {
      await Self.turn.give()
      throw error
    }
    await Self.turn.give()
  }
}

extension Trait where Self == OneAtATime {
  static var oneAtATime: Self { Self() }
}
