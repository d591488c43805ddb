internal import ArgumentParser
internal import Foundation
internal import Gateway
internal import HL7
internal import NIOHTTP1

/// `consilium hl7`
struct HL7Command: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hl7", abstract: "The HL7 v2 messages that were not understood, and wait for a person.",
    subcommands: [Queue.self, Show.self, Replay.self, Drop.self])

  struct Queue: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the messages that wait, with what is wrong with each.",
      discussion: """
        Example:
          consilium hl7 queue --api /etc/consilium/api.sock

        Each was answered AE (or CE), so its sender knows. Correct it there and send it again, or correct it here.
        """)
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let waiting: [WaitingMessageView] = try await self.node.client().get("/v1/hl7/queue")
        if self.output.output == .json { return try Console.json(waiting) }
        Console.table(
          ["message", "received", "from", "kind", "where", "what is wrong"],
          waiting.map { [$0.id, $0.received, $0.sender, $0.kind, $0.place, $0.reason] })
        if waiting.isEmpty { Console.line("Nothing.") }
      }
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show a message that waits, with a segment in each line.",
      discussion: """
        Example, to correct it:
          consilium hl7 show hl7-waiting-0a1b… --api api.sock --out message.hl7

        It holds a patient's data: the file is for this user alone.
        """)
    @Argument(help: "The message, as the queue names it.") var message: String
    @Option(help: "A file for it as it came; else it is shown.") var out: String?
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let view: WaitingMessageView = try await self.node.client().get("/v1/hl7/queue/\(self.message)")
        if self.output.output == .json { return try Console.json(view) }
        let bytes = view.message.flatMap { Data(base64Encoded: $0) } ?? Data()
        guard let out = self.out else {
          Console.line("\(view.place.isEmpty ? "" : "\(view.place): ")\(view.reason)")
          return Console.line(String(decoding: bytes, as: UTF8.self).replacing("\r", with: "\n"))
        }
        guard
          FileManager.default.createFile(atPath: out, contents: bytes, attributes: [.posixPermissions: 0o600])
        else {
          throw Failure(
            "cannot write \(out)", why: "the system refuses it", remedy: "give another path",
            status: ExitStatus.failedIO)
        }
      }
    }
  }

  struct Replay: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take a message that waits, as it is or corrected.",
      discussion: """
        Examples:
          consilium hl7 replay hl7-waiting-0a1b… --api api.sock
          consilium hl7 replay hl7-waiting-0a1b… --api api.sock --file message.hl7

        Where it is taken, its resources are durable, it waits no longer, and its sender is answered AA if it sends it
        again. Segments of the file end with CR or with LF. What came after it is not undone: a message that is older
        than what is there writes over it.
        """)
    @Argument(help: "The message, as the queue names it.") var message: String
    @Option(help: "The corrected message.") var file: String?
    @OptionGroup var node: NodeOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let corrected = try self.file.map { try Files.read($0, max: HL7Limits.bytesMax) } ?? []
        guard self.file == nil || !corrected.isEmpty else {
          throw Failure(
            "nothing to take", why: "\(self.file ?? "") is empty", remedy: "give the corrected message",
            status: ExitStatus.badInput)
        }
        let done: ReplayView = try await self.node.client().post(
          "/v1/hl7/queue/\(self.message)/replay", corrected)
        if self.output.output == .json { try Console.json(done) }
        guard let reason = done.reason else {
          if self.output.output != .json { Console.line("It is taken: its resources are in the EHR's store.") }
          return
        }
        throw Failure(
          "it is not taken (\(done.code))", why: reason, remedy: "correct the message and give it with --file",
          status: ExitStatus.refused)
      }
    }
  }

  struct Drop: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Give up a message that waits.",
      discussion: """
        Example:
          consilium hl7 drop hl7-waiting-0a1b… --api api.sock

        What it says is nowhere else here. If its sender sends it again, it is looked at again.
        """)
    @Argument(help: "The message, as the queue names it.") var message: String
    @OptionGroup var node: NodeOptions

    func run() async throws {
      try await reporting {
        _ = try await self.node.client().send(.DELETE, "/v1/hl7/queue/\(self.message)")
        Console.line("It is given up.")
      }
    }
  }
}
