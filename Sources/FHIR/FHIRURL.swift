internal import Foundation

/// Queries in URLs.
public enum FHIRURL {
  private static let allowed = CharacterSet(
    charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/$,|")

  /// The parameters of a query, decoded, in their order.
  public static func parameters(_ query: String) -> [(name: String, value: String)] {
    query.split(separator: "&").map { part in
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
