/// The minimal lower layer protocol: messages between a vertical tab and a file separator with a carriage return.
///
/// Source: HL7 v2, MLLP release 1 (transport specification, §2).
public struct Framing: Sendable {
  /// Why a connection cannot go on.
  public enum Fault: Error, Sendable, Hashable {
    /// Something stands between two messages.
    case between(byte: UInt8)
    /// A message begins within another.
    case nested
    /// A message ends without its carriage return.
    case unended(byte: UInt8)
    /// A message is longer than is taken.
    case tooLong(max: Int)
  }

  private enum Phase: Sendable {
    case between, inside, ending
  }

  private static let (start, end, carriageReturn): (UInt8, UInt8, UInt8) = (0x0B, 0x1C, 0x0D)
  private let bytesMax: Int
  private var phase = Phase.between
  private var message: [UInt8] = []

  /// The bytes of a message that is not whole yet; nil between messages.
  public var pendingBytes: Int? {
    switch self.phase {
    case .between: nil
    case .inside, .ending: self.message.count
    }
  }

  /// Reads messages of at most some bytes.
  public init(bytesMax: Int = HL7Limits.bytesMax) { self.bytesMax = bytesMax }

  /// The messages that end in some bytes that came.
  ///
  /// - Throws: `Fault` where they are no messages in frames; nothing is read after it.
  /// - Complexity: O(n) in the bytes.
  public mutating func take(_ bytes: some Collection<UInt8>) throws(Fault) -> [[UInt8]] {
    var whole: [[UInt8]] = []
    var rest = bytes[...]
    while let byte = rest.first {
      switch self.phase {
      case .between:
        switch byte {
        case Self.start: self.phase = .inside
        case Self.carriageReturn, 0x0A: break
        default: throw .between(byte: byte)
        }
        rest = rest.dropFirst()
      case .inside:
        let part = rest.prefix { $0 != Self.start && $0 != Self.end }
        guard part.count <= self.bytesMax - self.message.count else { throw .tooLong(max: self.bytesMax) }
        self.message += part
        rest = rest.dropFirst(part.count)
        guard let stop = rest.first else { continue }
        guard stop == Self.end else { throw .nested }
        self.phase = .ending
        rest = rest.dropFirst()
      case .ending:
        guard byte == Self.carriageReturn else { throw .unended(byte: byte) }
        whole.append(self.message)
        (self.message, self.phase) = ([], .between)
        rest = rest.dropFirst()
      }
    }
    return whole
  }

  /// A message in its frame.
  public static func framed(_ message: [UInt8]) -> [UInt8] {
    [self.start] + message + [self.end, self.carriageReturn]
  }
}
