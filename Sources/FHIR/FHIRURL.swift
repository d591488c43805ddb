internal import Foundation

/// Queries in URLs.
public enum FHIRURL {
  private static let allowed = CharacterSet(
    charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/$,|")

  /// The longest query, in bytes of UTF-8, in a URL, a form or a bundle.
  public static let queryBytesMax = 1 << 18
  /// The most parameters of one.
  static let parametersMax = 1000

  /// The parameters of a query, decoded, in their order.
  ///
  /// - Throws: `FHIRFailure` 413 where it is longer than `queryBytesMax`, or has more than 1000 parameters.
  public static func parameters(_ query: String) throws(FHIRFailure) -> [(name: String, value: String)] {
    guard query.utf8.count <= self.queryBytesMax else {
      throw FHIRFailure(
        413, "too-costly", "a query of \(query.utf8.count) bytes, at most \(self.queryBytesMax): ask in parts")
    }
    let count = query.utf8.count { $0 == UInt8(ascii: "&") } + 1
    guard count <= self.parametersMax else {
      throw FHIRFailure(413, "too-costly", "\(count) parameters, at most \(self.parametersMax): ask in parts")
    }
    return query.split(separator: "&").map { part in
      let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      func decoded(_ text: Substring) -> String {
        let spaced = text.replacing("+", with: " ")
        return String(spaced).removingPercentEncoding ?? String(text)
      }
      return (decoded(halves[0]), halves.count == 2 ? decoded(halves[1]) : "")
    }
  }

  private static func encoded(_ text: String) -> String {
    text.addingPercentEncoding(withAllowedCharacters: Self.allowed) ?? text
  }

  /// The query of parameters.
  static func text(_ parameters: [(String, String)]) -> String {
    parameters.map { name, value in
      "\(Self.encoded(name))=\(Self.encoded(value))"
    }.joined(separator: "&")
  }
}
