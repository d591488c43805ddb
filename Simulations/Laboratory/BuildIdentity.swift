public import Foundation
internal import Primitives
internal import Signing

/// Which program made a result: a run is a function of scenario, seed and build.
public struct BuildIdentity: Sendable, Codable, Hashable, CustomStringConvertible {
  /// The version that the program names.
  public let version: String
  /// "debug" or "release".
  public let kind: String
  /// The digest of the program's own file: equal for equal programs, whatever they are called.
  public let program: String

  /// The identity of given parts.
  public init(version: String, kind: String, program: String) {
    (self.version, self.kind, self.program) = (version, kind, program)
  }

  /// In one line.
  public var description: String { "\(self.version), \(self.kind), program \(self.program)" }

  /// The program that runs.
  public static let current: BuildIdentity = {
    #if DEBUG
      let kind = "debug"
    #else
      let kind = "release"
    #endif
    let file = FileManager.default.contents(atPath: "/proc/self/exe")
    let digest = file.map { Hash.blake2b("consilium/program/v1", Array($0)).description.prefix(16) }
    return BuildIdentity(
      version: "0.1.0", kind: kind, program: digest.map(String.init) ?? "unknown")
  }()
}

/// What differs from one run of a scenario and seed to the next: `run.json`, apart from the result.
public struct RunRecord: Sendable, Codable {
  /// When it began, RFC 3339.
  public let begun: String
  /// The computer's name.
  public let host: String
  /// The command as it was given.
  public let command: [String]
  /// How long it took.
  public let wallSeconds: Double
  /// Events a second of that time.
  public let eventsPerWallSecond: Double

  /// The record of a run of this process.
  public init(begun: Date, wallSeconds: Double, events: Int) {
    self.begun = begun.formatted(.iso8601)
    self.host = ProcessInfo.processInfo.hostName
    self.command = CommandLine.arguments
    self.wallSeconds = wallSeconds
    self.eventsPerWallSecond = Double(events) / max(1e-9, wallSeconds)
  }
}
