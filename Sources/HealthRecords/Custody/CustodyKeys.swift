public import Rules
public import Threshold
internal import Wire

/// The custody keys as the state has them. There is one in use; while the consortium goes over to another one, the old
/// key still opens what is not sealed anew yet (RECORDS §5, "rotation").
public struct CustodyKeys {
  private let value: ([UInt8]) -> [UInt8]?

  /// The keys of a state.
  public init(in state: some StateReader) { self.value = { state.value($0) } }

  init(in state: StateEditor) { self.value = { state.value($0) } }

  /// Where the making of the newest key stands; nil before there is any.
  public var generation: KeyGeneration? { self.value(StateKey.generation).flatMap { try? KeyGeneration.decode($0) } }

  /// The key of a generation; nil before it is made, and once it is out of use.
  public func key(of generation: UInt64) -> CustodyKey? {
    self.value(StateKey.custodyKey(generation)).flatMap { try? CustodyKey.decode($0) }
  }

  private func isInUse(_ generation: UInt64) -> Bool { self.value(StateKey.custodyKey(generation)) != nil }

  /// The generation of the key to which records are sealed now; 0 before there is any. Reads no key: those are long.
  public var currentGeneration: UInt64 {
    guard let newest = self.generation?.generation else { return 0 }
    return self.isInUse(newest) ? newest : newest - 1
  }

  /// The generation of the key that goes out of use, while there still is one.
  public var retiringGeneration: UInt64? {
    guard let newest = self.generation?.generation, newest > KeyGeneration.first, self.isInUse(newest),
      self.isInUse(newest - 1)
    else { return nil }
    return newest - 1
  }

  /// The key to which records are sealed now; nil before there is any.
  public var current: CustodyKey? { self.key(of: self.currentGeneration) }
  /// The key that goes out of use, while there still is one.
  public var retiring: CustodyKey? { self.retiringGeneration.flatMap { self.key(of: $0) } }

  /// Both, the older one first.
  public var all: [CustodyKey] { [self.retiring, self.current].compactMap(\.self) }
}
