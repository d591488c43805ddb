import HealthRecords
import Primitives

/// What searches found, kept for the pages after the first: all pages of one search are one state, so nothing is missed
/// and nothing comes twice, whatever is written meanwhile.
struct SearchStates {
  /// A version of a resource that was found, by its place among the rows of its type.
  struct Hit {
    let type: UInt16
    let place: UInt32
    let version: UInt32
  }

  /// What a search found, and when.
  struct Found {
    let hits: [Hit]
    let time: Timestamp
  }

  private struct State {
    let question: String
    let asker: FHIRAsker
    let found: Found
    var used: UInt64
  }

  /// Who asks, whatever the scopes.
  private struct Owner: Hashable {
    let account: Digest?
    let client: String?

    init(_ asker: FHIRAsker) { (self.account, self.client) = (asker.account, asker.client) }
  }

  /// For how long a state is kept, in milliseconds: what is read as one state is of one time.
  static let milliseconds: UInt64 = 3_600_000
  private static let sweepMilliseconds: UInt64 = 60_000
  /// The most searches that are kept, and the most of what they found; the one that was not asked for longest goes.
  static let statesMax = 4096
  static let hitsMax = 4 << 20
  /// The same of one asker, whose own go first: nobody's many searches end those of others.
  static let statesPerAskerMax = 2048
  static let hitsPerAskerMax = 2 << 20

  private var states: [String: State] = [:]
  private var hitsCount = 0
  private var owned: [Owner: (states: Int, hits: Int)] = [:]
  /// When all were last looked at for those that are over.
  private var swept = Timestamp.zero
  private var turn: UInt64 = 0

  /// Keeps what a search found for one who asks, under a name that nobody guesses; false where it is too much.
  mutating func keep(_ found: Found, of question: String, for asker: FHIRAsker, as name: String) -> Bool {
    let (count, owner) = (found.hits.count, Owner(asker))
    guard count <= Self.hitsPerAskerMax else { return false }
    self.forget(at: found.time)
    self.drop {
      Owner($0.asker) == owner
    } while: { states in
      let own = states.owned[owner] ?? (0, 0)
      return own.states >= Self.statesPerAskerMax || own.hits + count > Self.hitsPerAskerMax
    }
    self.drop { _ in
      true
    } while: {
      $0.states.count >= Self.statesMax || $0.hitsCount + count > Self.hitsMax
    }
    self.turn += 1
    self.hitsCount += count
    self.owned[owner, default: (0, 0)].states += 1
    self.owned[owner, default: (0, 0)].hits += count
    self.states[name] = State(question: question, asker: asker, found: found, used: self.turn)
    return true
  }

  /// Drops those that were not asked for longest while there are too many: an eighth at least, so that it is seldom
  /// looked for them.
  private mutating func drop(_ isMeant: (State) -> Bool, while areTooMany: (SearchStates) -> Bool) {
    guard areTooMany(self) else { return }
    let names = self.states.filter { isMeant($0.value) }.sorted { $0.value.used < $1.value.used }.map(\.key)
    for (number, name) in names.enumerated() where number < names.count / 8 || areTooMany(self) { self.drop(name) }
  }

  private mutating func drop(_ name: String) {
    guard let state = self.states.removeValue(forKey: name) else { return }
    let (owner, count) = (Owner(state.asker), state.found.hits.count)
    self.hitsCount -= count
    guard let own = self.owned[owner], own.states > 1 else {
      self.owned[owner] = nil
      return
    }
    self.owned[owner] = (own.states - 1, own.hits - count)
  }

  /// Drops what is over, once a minute: it is good no more, and takes memory only.
  private mutating func forget(at now: Timestamp) {
    guard now.milliseconds >= self.swept.milliseconds + Self.sweepMilliseconds else { return }
    self.swept = now
    for name in self.states.filter({ Self.isOver($0.value, at: now) }).keys { self.drop(name) }
  }

  private static func isOver(_ state: State, at now: Timestamp) -> Bool {
    now.milliseconds >= state.found.time.milliseconds + Self.milliseconds
  }

  /// What a search found. ⚑ Its name is for the one who searched: what that one may see was judged when it was found.
  ///
  /// - Throws: `FHIRFailure` 410 where it is not kept any more, 403 where another asks than searched, 400 where another
  ///   search is asked by its name.
  mutating func found(
    of question: String, for asker: FHIRAsker, in name: String, at now: Timestamp
  ) throws(FHIRFailure) -> Found {
    guard let state = self.states[name], !Self.isOver(state, at: now) else {
      self.drop(name)
      throw FHIRFailure(
        410, "expired",
        "what this search found is not kept any more, which is for an hour at most: ask again from its first page",
        at: "_state")
    }
    guard state.asker == asker else {
      throw FHIRFailure(
        403, "forbidden",
        "_state belongs to another practitioner or app, or to other scopes: ask again from the first page",
        at: "_state")
    }
    guard state.question == question else {
      throw FHIRFailure(400, "invalid", "_state belongs to another search: follow the links as they are", at: "_state")
    }
    self.turn += 1
    self.states[name]?.used = self.turn
    return state.found
  }
}
