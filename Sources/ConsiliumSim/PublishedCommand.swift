internal import ArgumentParser
internal import Foundation
internal import Laboratory

/// `consilium-sim published`
struct PublishedCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "published", abstract: "Run known results again with the published parameters, and say what matches.",
    discussion: """
      PBFT's messages a cut, Raft's elections and gossipsub's deliveries (v1.0 and v1.1, 100 and 1,000 nodes), each with
      the parameters of the run, the tolerance that counts as reproduced, and what is not as it was published.
      The first two are scenarios in Simulations/scenarios/published; gossipsub runs on the gossip routers alone.
      Exit code 1 where something that is compared is outside its tolerance.
      """)
  @Option(help: "The folder of the scenarios.") var folder = ScenarioFolder.path + "/published"
  @Option(help: "text or json.") var output = "text"

  /// A row of the answer as JSON.
  private struct Line: Codable {
    let result: String
    let parameters: String
    let quantity: String
    let published: Double
    let here: Double
    let verdict: PublishedResult.Verdict
    let judgement: String
  }

  func run() throws {
    let read: PublishedResult.Reader = { name, settings in
      try ScenarioFolder.read("\(self.folder)/\(name).toml", settings: settings)
    }
    let results = try [PublishedResult.messages(read), PublishedResult.elections(read)] + PublishedResult.gossip()
    if self.output == "json" {
      try self.printJSON(results)
    } else {
      for result in results { self.show(result) }
      let failed = results.filter { !$0.isReproduced }
      say(
        failed.isEmpty
          ? "\nEverything that is compared is reproduced."
          : "\nNot reproduced: \(failed.map(\.title).joined(separator: "; ")).")
    }
    guard results.allSatisfy(\.isReproduced) else { throw ExitCode(1) }
  }

  private func printJSON(_ results: [PublishedResult]) throws {
    let lines = results.flatMap { result in
      result.rows.map { row in
        Line(
          result: result.title, parameters: result.parameters, quantity: row.quantity, published: row.published,
          here: row.here, verdict: row.verdict, judgement: row.judgement)
      }
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    say(String(decoding: try encoder.encode(lines), as: UTF8.self))
  }

  private func show(_ result: PublishedResult) {
    say("\n\(result.title)\n  Run with: \(result.parameters)")
    func pad(_ text: String, _ width: Int) -> String { text.padding(toLength: width, withPad: " ", startingAt: 0) }
    let width = (result.rows.map(\.quantity.count).max() ?? 0) + 2
    for row in result.rows {
      say(
        "  \(pad(row.quantity, width))published \(pad(Quantity.digits(row.published), 8))"
          + "here \(pad(Quantity.digits(row.here), 8))\(row.judgement)")
    }
    say("  Not as published: \(result.deviations)")
  }
}
