public import Signing

/// The places for connections that proved a key which does not vote: observers, and hospitals that join (OVERLAY §1).
///
/// ⚑ Of one key a few: it could keep everybody else out. A newer one of it takes the place of its oldest, whose other
/// side may be gone without a word; nobody else's gives way.
public struct GuestPlaces: Sendable, Hashable {
  /// The limits.
  public struct Limits: Sendable, Hashable {
    /// The most connections.
    public var guestsMax = 64
    /// The most under one key.
    public var perKeyMax = 2
    /// The defaults.
    public init() {}
  }

  /// A connection's number, which its owner chose.
  public typealias Number = Int

  /// Whether a connection has a place.
  public enum Admission: Sendable, Hashable {
    /// It has; the one that gives way for it is closed.
    case taken(givesWay: Number?)
    /// All are taken by other keys.
    case full
  }

  private struct Place: Sendable, Hashable {
    let number: Number
    let key: PublicKey
  }

  private let limits: Limits
  /// The oldest first.
  private var places: [Place] = []

  /// A table without connections.
  public init(_ limits: Limits = Limits()) { self.limits = limits }

  /// How many connections have a place.
  public var count: Int { self.places.count }

  /// A connection proved a key: whether it has a place from now on.
  ///
  /// - Complexity: O(places).
  public mutating func take(_ number: Number, key: PublicKey) -> Admission {
    precondition(!self.places.contains { $0.number == number }, "guest \(number) has a place")
    let own = self.places.filter { $0.key == key }
    let loser = own.count >= self.limits.perKeyMax ? own.first?.number : nil
    guard loser != nil || self.places.count < self.limits.guestsMax else { return .full }
    if let loser { self.leave(loser) }
    self.places.append(Place(number: number, key: key))
    return .taken(givesWay: loser)
  }

  /// A connection is over, or its key votes now.
  public mutating func leave(_ number: Number) { self.places.removeAll { $0.number == number } }
}
