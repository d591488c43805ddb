internal import ArgumentParser
internal import Foundation

/// `consilium doctor`
struct DoctorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Look a node and its machine over, and tell what is wrong and what to do.",
    discussion: """
      Clock, disk, ports, names, certificate, permissions, keys, stores, versions, custody, and whether each member can
      be reached. It works while the node runs and while it is stopped, asks for no passphrase, opens no store, and
      ends within a minute. All it writes is a nameless file in the data folder, whose syncs it times.

      Examples:
        consilium doctor --config /var/lib/consilium/node.toml
        consilium doctor --config node.toml --output json

      Exit codes: 0 nothing is wrong; 1 a person should look. Where there is a fault, the first one's: 69 a port, a
      member or the node is not available; 74 the disk; 77 permissions; 78 configuration, keys or stores.
      """)

  @Option(help: "The node's configuration file.") var config: String
  @Option(name: .customLong("set"), help: "Overrides one key: key=value, as the node is given it.")
  var overrides: [String] = []
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try await reporting {
      let findings = await Doctor.look(self.config, overrides: self.overrides)
      let report = DoctorReport(findings)
      if self.output.output == .json { try Console.json(report) } else { report.show() }
      if report.exitCode != 0 { throw ExitCode(report.exitCode) }
    }
  }
}

/// Something that was looked at, how it is, and what to do about it.
struct Finding: Encodable, Sendable {
  enum Level: String, Encodable, Sendable, Comparable {
    case ok, note, warning, fault

    private var rank: Int {
      switch self {
      case .ok: 0
      case .note: 1
      case .warning: 2
      case .fault: 3
      }
    }
    static func < (one: Level, other: Level) -> Bool { one.rank < other.rank }
  }

  /// What was looked at.
  enum Check: String, Encodable, Sendable {
    case configuration, node, clock, disk, ports, names, members, certificate, permissions, keys, stores, versions,
      custody
  }

  let check: Check
  let level: Level
  let text: String
  let remedy: String?
  /// With which the command ends where this is its first fault.
  let exitCode: Int32

  static func ok(_ check: Check, _ text: String) -> Finding {
    Finding(check: check, level: .ok, text: text, remedy: nil, exitCode: 0)
  }

  /// What should be known, and is not wrong.
  static func note(_ check: Check, _ text: String) -> Finding {
    Finding(check: check, level: .note, text: text, remedy: nil, exitCode: 0)
  }

  static func warning(_ check: Check, _ text: String, _ remedy: String) -> Finding {
    Finding(check: check, level: .warning, text: text, remedy: remedy, exitCode: ExitStatus.refused)
  }

  static func fault(_ check: Check, _ text: String, _ remedy: String, _ status: Int32) -> Finding {
    Finding(check: check, level: .fault, text: text, remedy: remedy, exitCode: status)
  }

  /// What another command would have refused.
  static func fault(_ check: Check, _ error: any Error) -> Finding {
    guard let failure = error as? Failure else {
      return .fault(check, "\(error)", "look at the file and its disk", ExitStatus.failedIO)
    }
    return .fault(check, "\(failure.what): \(failure.why)", failure.remedy, failure.status)
  }
}

/// All findings, and the worst of them.
struct DoctorReport: Encodable {
  let worst: Finding.Level
  let exitCode: Int32
  let findings: [Finding]

  init(_ findings: [Finding]) {
    self.findings = findings
    let worst = findings.map(\.level).max() ?? .ok
    self.worst = worst
    self.exitCode = findings.first { $0.level == worst }?.exitCode ?? 0
  }

  /// Prints them for people: what is wrong has what to do below it.
  func show() {
    for finding in self.findings {
      let level = finding.level.rawValue.padding(toLength: 7, withPad: " ", startingAt: 0)
      let check = finding.check.rawValue.padding(toLength: 13, withPad: " ", startingAt: 0)
      let color = Console.isTerminal ? Self.colors[finding.level] : nil
      Console.line((color.map { "\u{1b}[\($0)m\(level)\u{1b}[0m" } ?? level) + "  \(check)  \(finding.text)")
      finding.remedy.map { Console.line("         What to do: \($0)") }
    }
    let (faults, warnings) = (self.count(.fault), self.count(.warning))
    Console.line(
      self.worst < .warning ? "Nothing is wrong." : "\(faults) to repair, \(warnings) to look at.")
  }

  private static let colors: [Finding.Level: String] = [.warning: "33", .fault: "31"]

  private func count(_ level: Finding.Level) -> Int { self.findings.count { $0.level == level } }
}
