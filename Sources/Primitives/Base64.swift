/// Base64 with padding (RFC 4648 §4).
public enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  /// The text of `bytes`.
  public static func encode(_ bytes: [UInt8]) -> String {
    var out: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      var word: UInt32 = 0
      for offset in 0..<3 {
        word = word << 8 | UInt32(offset < group.count ? group[start + offset] : 0)
      }
      for digit in 0..<4 {
        let isPadding = digit > group.count
        out.append(isPadding ? UInt8(ascii: "=") : self.alphabet[Int(word >> UInt32(18 - 6 * digit)) & 63])
      }
    }
    return String(decoding: out, as: UTF8.self)
  }

  /// The bytes of a text; nil where it is not the one canonical form.
  public static func decode(_ text: String) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count.isMultiple(of: 4) else { return nil }
    var out: [UInt8] = []
    for start in stride(from: 0, to: digits.count, by: 4) {
      var word: UInt32 = 0
      var count = 0
      for digit in digits[start..<(start + 4)] {
        word <<= 6
        guard digit != UInt8(ascii: "=") else { continue }
        guard let value = self.alphabet.firstIndex(of: digit) else { return nil }
        word |= UInt32(value)
        count += 1
      }
      guard count >= 2 else { return nil }
      for index in 0..<(count - 1) { out.append(UInt8(truncatingIfNeeded: word >> UInt32(16 - 8 * index))) }
    }
    return self.encode(out) == text ? out : nil
  }
}
