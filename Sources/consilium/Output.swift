internal import ArgumentParser
internal import Foundation

/// How a command prints what it has to say.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
  /// For people.
  case table
  /// For scripts.
  case json
}

/// The option that every command has.
struct OutputOptions: ParsableArguments {
  @Option(help: "How to print: table for people, json for scripts.")
  var output: OutputFormat = .table
}

/// The exit codes that `consilium --help` documents.
enum ExitStatus {
  static let refused: Int32 = 1
  static let usage: Int32 = 64
  static let badInput: Int32 = 65
  static let missingInput: Int32 = 66
  static let unavailable: Int32 = 69
  static let failedIO: Int32 = 74
  static let permission: Int32 = 77
  static let configuration: Int32 = 78
}

/// Something went wrong: what, why, what to do, and the exit code.
struct Failure: Error, CustomStringConvertible {
  let what: String
  let why: String
  let remedy: String
  let status: Int32

  init(_ what: String, why: String, remedy: String, status: Int32 = ExitStatus.badInput) {
    (self.what, self.why, self.remedy, self.status) = (what, why, remedy, status)
  }

  var description: String { "\(self.what): \(self.why)\n  What to do: \(self.remedy)" }
}

/// Prints to standard output and standard error.
enum Console {
  static var isTerminal: Bool { isatty(1) == 1 && ProcessInfo.processInfo.environment["NO_COLOR"] == nil }

  /// Prints a line at once, into a pipe or a file too: a reader that follows it waits for no full buffer.
  static func line(_ text: String = "") {
    print(text)
    fflush(nil)
  }

  static func error(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

  static func json(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    print(String(decoding: try encoder.encode(value), as: UTF8.self))
  }

  /// Rows under their heads, aligned; numbers keep their width.
  static func table(_ heads: [String], _ rows: [[String]]) {
    var widths = heads.map(\.count)
    for row in rows { for (index, cell) in row.enumerated() { widths[index] = max(widths[index], cell.count) } }
    func line(_ cells: [String]) -> String {
      zip(cells, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }.joined(separator: "  ")
        .trimmingTrailingSpaces
    }
    self.line(line(heads))
    self.line(line(widths.map { String(repeating: "─", count: $0) }))
    for row in rows { self.line(line(row)) }
  }
}

/// What a command tells besides what a node answered. ⚑ Never for people alone: a row of the table has members of the
/// JSON.
struct Told {
  let row: [String]
  fileprivate let members: KeyValuePairs<String, any Encodable>

  /// A row's two cells, and what scripts get of it, by name.
  init(_ label: String, _ text: String, _ members: KeyValuePairs<String, any Encodable>) {
    (self.row, self.members) = ([label, text], members)
  }
}

/// A view of the API with what a command tells besides, as one object.
struct With<View: Encodable>: Encodable {
  private let view: View
  private let told: [Told]

  init(_ view: View, _ told: [Told]) { (self.view, self.told) = (view, told) }

  private struct Name: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  func encode(to encoder: any Encoder) throws {
    try self.view.encode(to: encoder)
    var container = encoder.container(keyedBy: Name.self)
    for (name, value) in self.told.flatMap(\.members) { try container.encode(value, forKey: Name(stringValue: name)) }
  }
}

extension String {
  var trimmingTrailingSpaces: String {
    var text = self[...]
    while text.last == " " { text = text.dropLast() }
    return String(text)
  }
  /// The first eight characters: enough for people.
  var short: String { String(self.prefix(8)) }
}

/// Runs a command's body: a `Failure` is printed as what, why, what to do, and ends with its code.
func reporting(_ body: () async throws -> Void) async throws {
  do { try await body() } catch let failure as Failure {
    Console.error("consilium: \(failure)")
    throw ExitCode(failure.status)
  }
}
