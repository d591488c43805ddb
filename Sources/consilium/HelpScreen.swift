internal import ArgumentParser
internal import Foundation

/// How help is set: ArgumentParser breaks every line of its own accord, the examples too, so it is asked for lines as
/// long as they are, and they are broken here.
enum HelpScreen {
  /// No line is as long: nothing is broken yet.
  private static let columnsMax = 1 << 20
  /// Where ArgumentParser begins what it says of an option.
  private static let textColumn = 26
  private static let usage = "USAGE: "

  /// Ends the process with an error: prints help on standard output, everything else on standard error.
  static func end(_ root: any ParsableCommand.Type, _ error: any Error) -> Never {
    let code = root.exitCode(for: error)
    let text = root.fullMessage(for: error, columns: Self.columnsMax)
    guard !text.isEmpty else { exit(code.rawValue) }
    let isHelp = text.contains("\n" + Self.usage) || text.hasPrefix(Self.usage)
    let set = isHelp ? Self.set(text, columns: Self.columns) : text
    if code == .success { Console.line(set) } else { Console.error(set) }
    exit(code.rawValue)
  }

  /// Refuses a word where the name of a command is wanted and none has it: help would be the parent's.
  ///
  /// - Throws: `ExitCode`, after it is said.
  static func requireCommand(_ arguments: some Collection<String>, of root: any ParsableCommand.Type) throws {
    var (command, path) = (root, [root._commandName])
    for (place, word) in arguments.enumerated() where !(place == 0 && word == "help") {
      if ["-h", "--help"].contains(word) { continue }
      let subcommands = command.configuration.subcommands
      guard !subcommands.isEmpty, !word.hasPrefix("-") else { return }
      guard let next = subcommands.first(where: { $0._commandName == word }) else {
        let name = path.joined(separator: " ")
        let failure = Failure(
          "there is no command \(name) \(word)",
          why: "\(name) has \(subcommands.map { $0._commandName }.joined(separator: ", "))",
          remedy: "\(name) --help says what each does")
        Console.error("consilium: \(failure)")
        throw ExitCode(ExitStatus.usage)
      }
      command = next
      path.append(word)
    }
  }

  /// The width of the terminal, or 80; never so wide that lines are hard to read.
  private static var columns: Int {
    var size = winsize()
    let named = ProcessInfo.processInfo.environment["COLUMNS"].flatMap { Int($0) }
    let own = unsafe ioctl(1, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : nil
    return min(max(named ?? own ?? 80, 50), 100)
  }

  /// Help in lines of at most `columns`: prose is one paragraph until an empty or an indented line; what is indented
  /// before the usage is an example and stays as it is.
  private static func set(_ text: String, columns: Int) -> String {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    let usage = lines.firstIndex { $0.hasPrefix(Self.usage) } ?? lines.endIndex
    var (out, paragraph): ([String], [Substring]) = ([], [])
    func close() {
      let words = paragraph.flatMap { $0.split(separator: " ") }
      out += Self.broken(words, columns: columns, indent: 0)
      paragraph = []
    }
    for line in lines[..<usage] {
      guard line.isEmpty || line.hasPrefix(" ") else {
        // Prose after an example stands apart from it.
        if paragraph.isEmpty, out.last?.hasPrefix(" ") == true { out.append("") }
        paragraph.append(line)
        continue
      }
      close()
      out.append(String(line))
    }
    close()
    return (out + lines[usage...].flatMap { Self.option($0, columns: columns) }).joined(separator: "\n")
  }

  /// A line of the usage, or of what is said of an option: what goes on stands under its beginning.
  private static func option(_ line: Substring, columns: Int) -> [String] {
    guard line.count > columns else { return [String(line)] }
    guard !line.hasPrefix(Self.usage) else {
      let indent = Self.usage.count
      return Self.broken(Self.units(line.dropFirst(indent)), columns: columns, indent: indent, Self.usage)
    }
    let head = line.prefix(Self.textColumn)
    let words = line.dropFirst(Self.textColumn).split(separator: " ")
    return Self.broken(words, columns: columns, indent: Self.textColumn, String(head))
  }

  /// The usage in what belongs together: an option and its value, in brackets or not.
  private static func units(_ usage: Substring) -> [Substring] {
    var (out, depth, start) = ([Substring](), 0, usage.startIndex)
    for place in usage.indices {
      switch usage[place] {
      case "[": depth += 1
      case "]": depth -= 1
      case " " where depth == 0 && !usage[usage.index(after: place)...].hasPrefix("<"):
        out.append(usage[start..<place])
        start = usage.index(after: place)
      default: break
      }
    }
    return out + [usage[start...]]
  }

  /// Words in lines: the first after `head`, which is as wide as the indent, the others indented.
  private static func broken(
    _ words: [Substring], columns: Int, indent: Int, _ head: String = ""
  ) -> [String] {
    guard !words.isEmpty else { return [] }
    var (out, line, isBegun) = ([String](), head, false)
    for word in words {
      if isBegun, line.count + 1 + word.count > columns {
        out.append(line)
        (line, isBegun) = (String(repeating: " ", count: indent), false)
      }
      line += isBegun ? " \(word)" : "\(word)"
      isBegun = true
    }
    return out + [line]
  }
}
