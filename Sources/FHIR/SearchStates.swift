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

  private struct State {
    let question: String
    let asker: FHIRAsker
    let hits: [Hit]
    var used: UInt64
  }

  /// The most searches that are kept, and the most of what they found; the one that was not asked for longest goes.
  static let statesMax = 4096
  static let hitsMax = 4 << 20

  private var states: [String: State] = [:]
  private var hitsCount = 0
  private var turn: UInt64 = 0

  /// Keeps what a search found for one who asks, under a name that nobody guesses; false where it is too much.
  mutating func keep(_ hits: [Hit], of question: String, for asker: FHIRAsker, as name: String) -> Bool {
    guard hits.count <= Self.hitsMax else { return false }
    while self.states.count >= Self.statesMax || self.hitsCount + hits.count > Self.hitsMax {
      guard let oldest = self.states.min(by: { $0.value.used < $1.value.used }) else { break }
      self.hitsCount -= oldest.value.hits.count
      self.states[oldest.key] = nil
    }
    self.turn += 1
    self.hitsCount += hits.count
    self.states[name] = State(question: question, asker: asker, hits: hits, used: self.turn)
    return true
  }

  /// What a search found. ⚑ Its name is for the one who searched: what that one may see was judged when it was found.
  ///
  /// - Throws: `FHIRFailure` 410 where it is not kept any more, 403 where another asks than searched, 400 where another
  ///   search is asked by its name.
  mutating func hits(of question: String, for asker: FHIRAsker, in name: String) throws(FHIRFailure) -> [Hit] {
    guard let state = self.states[name] else {
      throw FHIRFailure(
        410, "expired", "what this search found is not kept any more: ask again from its first page", at: "_state")
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
    return state.hits
  }
}
