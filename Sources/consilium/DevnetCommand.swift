internal import NIOHTTP1
internal import NIOCore
internal import ArgumentParser
internal import Foundation
internal import Gateway
internal import Messages
internal import Primitives

/// `consilium devnet`
struct Devnet: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Four hospitals on this machine, for trying things by hand.",
    discussion: """
      Examples:
        consilium devnet demo                 the whole story, then everything is stopped
        consilium devnet up                   start and leave running
        consilium devnet status --output json
        consilium devnet logs --level warn
        consilium devnet down; consilium devnet reset
      """,
    subcommands: [Up.self, Down.self, StatusOfAll.self, Logs.self, Reset.self, Demo.self])

  struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make what is missing and start the nodes.",
      discussion: """
        Example, with pages, FHIR interfaces and patients in them:
          consilium devnet up --fhir-port 8101 --portal-port 8201 Scripts/patients/*.json
        """)
    @OptionGroup var options: DevnetOptions
    @Argument(help: "FHIR R4 bundles, one a patient; those that are not there yet are made. --fhir-port is needed.")
    var files: [String] = []

    func run() async throws {
      try await reporting {
        let devnet = try self.options.devnet()
        guard self.files.isEmpty || devnet.fhirPort > 0 else {
          throw Failure(
            "patients cannot be made", why: "their records go in by FHIR, and no port is given for it",
            remedy: "say --fhir-port 8101")
        }
        try await devnet.up()
        Console.line("\(devnet.count) hospitals run in \(devnet.folder). Try:")
        let place = self.options.place
        Console.line("  consilium devnet status\(place)")
        Console.line("  curl --unix-socket \(devnet.member(0).socket) http://node/v1/status")
        if devnet.fhirPort > 0 { Console.line("  curl \(devnet.fhir(0))/metadata") }
        Console.line("  consilium devnet down\(place)")
        let patients = DevnetPatients(devnet: devnet)
        devnet.showDoors(self.files.isEmpty ? try patients.known() : try await patients.make(self.files))
      }
    }
  }

  struct Down: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Stop the nodes in order; nothing is deleted.")
    @OptionGroup var options: DevnetOptions
    func run() async throws {
      try await reporting {
        try await self.options.devnet().down()
        Console.line("All nodes are stopped.")
      }
    }
  }

  struct StatusOfAll: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "status", abstract: "Show where each node stands.")
    @OptionGroup var options: DevnetOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await reporting {
        let statuses = try await self.options.devnet().statuses()
        if self.output.output == .json { return try Console.json(statuses) }
        DevnetTable.show(statuses)
      }
    }
  }

  struct Logs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show the nodes' logs, merged in time.")
    @OptionGroup var options: DevnetOptions
    @Option(help: "Only events of this level or above.") var level = "info"
    @Flag(help: "Go on as lines are added.") var follow = false

    func run() async throws {
      try await reporting {
        let devnet = try self.options.devnet()
        var arguments = (0..<devnet.count).map { devnet.member($0).log } + ["--level", self.level]
        if self.follow { arguments.append("--follow") }
        try await LogCommand.parse(arguments).run()
      }
    }
  }

  struct Reset: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Stop the nodes and delete their folder.")
    @OptionGroup var options: DevnetOptions
    func run() async throws {
      try await reporting {
        let devnet = try self.options.devnet()
        try await devnet.down()
        try devnet.delete()
        Console.line("\(devnet.folder) is gone.")
      }
    }
  }

  struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Tell the main story on four fresh hospitals; exit code 0 only if every claim was checked.",
      discussion: "Example:\n  consilium devnet demo Scripts/patients/*.json")
    @OptionGroup var options: DevnetOptions
    @Argument(help: "FHIR R4 bundles, one a patient.") var files: [String] = []
    @Flag(help: "Leave the hospitals running.") var keep = false
    @Option(help: "How many times to kill a hospital, chosen at random, under load.") var kills = 0

    func run() async throws {
      try await reporting {
        var devnet = try self.options.devnet()
        // So often that whoever joins finds one to go on from, in a ledger as short as the story's.
        devnet.settings.append("snapshot_interval=32")
        try await devnet.down()
        try devnet.delete()
        try devnet.make()
        var story = Story(devnet: devnet, genesis: try GenesisFile.read(devnet.genesis))
        story.kills = self.kills
        let files = self.files.isEmpty ? Story.defaultFiles() : self.files
        do {
          try await story.tell(files)
          if self.keep { devnet.showDoors(try DevnetPatients(devnet: devnet).known()) }
        } catch {
          try? await devnet.down()
          throw error
        }
        if !self.keep { try await devnet.down() }
      }
    }
  }
}

/// Where a devnet lives.
struct DevnetOptions: ParsableArguments {
  @Option(help: "The folder.") var folder = ".devnet"
  @Option(help: "The first node's port; the others follow.") var port: UInt16 = 4101
  @Option(help: "How many hospitals.") var hospitals = 4
  @Option(help: "The first hospital's FHIR port; the others follow. 0 for none.") var fhirPort: UInt16 = 0
  @Option(help: "The first hospital's portal port, for patients' browsers; the others follow. 0 for none.")
  var portalPort: UInt16 = 0
  @Option(help: "What orders, where the devnet is made: pbft or raft.") var engine = "pbft"
  @Option(help: "A setting of every node, key=value as in node.toml; may be repeated.") var set: [String] = []

  /// What another command needs to find the same devnet; nothing where it is the usual one.
  var place: String {
    (self.folder == ".devnet" ? "" : " --folder \(self.folder)") + (self.port == 4101 ? "" : " --port \(self.port)")
  }

  func devnet() throws -> DevnetFolder {
    guard (1...64).contains(self.hospitals), Int(self.port) + self.hospitals < 65_536,
      Int(self.fhirPort) + self.hospitals < 65_536, Int(self.portalPort) + self.hospitals < 65_536
    else {
      throw Failure(
        "no such devnet", why: "1 to 64 hospitals on ports below 65536 are possible", remedy: "choose others")
    }
    return DevnetFolder(
      folder: URL(filePath: self.folder).path(percentEncoded: false), port: self.port, count: self.hospitals,
      engine: try GenesisFile.engine(self.engine), fhirPort: self.fhirPort, portalPort: self.portalPort,
      settings: self.set)
  }
}

/// A devnet's files and processes.
struct DevnetFolder: Sendable {
  let folder: String
  let port: UInt16
  let count: Int
  var engine = OrderingEngine.pbft
  var fhirPort: UInt16 = 0
  var portalPort: UInt16 = 0
  /// Settings of every node, as `--set` takes them.
  var settings: [String] = []

  static let names = ["Northside General", "St. Mary", "Lakeview Clinic", "University Hospital"]

  func member(_ index: Int) -> MemberFolder { MemberFolder(path: "\(self.folder)/h\(index + 1)") }
  func client(_ index: Int) -> NodeClient { NodeClient(socket: self.member(index).socket) }
  var genesis: String { self.folder + "/genesis.json" }
  var passphrase: String { self.folder + "/passphrase" }
  private func processFile(_ index: Int) -> String { self.member(index).path + "/node.pid" }

  static var program: String { CommandLine.executablePath }

  /// The running node's process identifier.
  func process(_ index: Int) -> pid_t? {
    guard let text = try? String(contentsOfFile: self.processFile(index), encoding: .utf8),
      let pid = pid_t(text.split(separator: "\n").first ?? ""), kill(pid, 0) == 0,
      let command = try? String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8),
      command.contains(self.member(index).config)
    else { return nil }
    return pid
  }

  /// Whether a process may still hold files: one that ended and that nobody asked about (state Z) holds none.
  private static func isHolding(_ pid: pid_t) -> Bool {
    guard kill(pid, 0) == 0, let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else {
      return false
    }
    return text.split(separator: ")").last?.split(separator: " ").first != "Z"
  }

  /// Makes keys and genesis where they are missing.
  func make() throws {
    guard !FileManager.default.fileExists(atPath: self.genesis) else { return }
    try FileManager.default.createDirectory(
      atPath: self.folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    let word = Hex.encode((0..<16).map { _ in UInt8.random(in: 0...255) })
    try Files.write(self.passphrase, Array((word + "\n").utf8), mode: 0o600)
    for index in 0..<self.count {
      let name = index < Self.names.count ? Self.names[index] : "Hospital \(index + 1)"
      _ = try self.make(index, name: name, passphrase: word)
    }
    let members = try (0..<self.count).map { index in
      let path = self.member(index).description
      return try Files.readJSON(path, as: MemberFile.self, "member's description").member(in: path)
    }
    var limits = LedgerLimits()
    // Its people were registered a moment ago, and shall try everything.
    limits.rules = try AgreedRules.newest(emergencyAgeHours: 0)
    guard let genesis = Genesis(name: "devnet", engine: self.engine, limits: limits, members: members) else {
      throw Failure("no genesis can be made", why: "two keys are equal", remedy: "try again")
    }
    try Files.writeJSON(self.genesis, GenesisFile(genesis))
    for index in 0..<self.count { try Files.writeJSON(self.member(index).genesis, GenesisFile(genesis)) }
  }

  /// Makes a hospital's folder: keys, description, configuration.
  func make(_ index: Int, name: String, passphrase: String) throws -> MemberFolder {
    let folder = self.member(index)
    try folder.make(
      number: UInt32(index + 1), name: name, listen: "/ip4/127.0.0.1/tcp/\(Int(self.port) + index)",
      passphrase: passphrase, passphraseFile: "../passphrase")
    return folder
  }

  /// Starts a node; returns when it answers.
  func start(_ index: Int, settings: [String] = []) async throws {
    guard self.process(index) == nil else { return }
    var settings = self.settings + settings
    if self.fhirPort > 0 { settings.append("fhir_port=\(Int(self.fhirPort) + index)") }
    if self.portalPort > 0 { settings.append("portal_port=\(Int(self.portalPort) + index)") }
    let process = Process()
    process.executableURL = URL(filePath: Self.program)
    process.arguments = ["node", "--config", self.member(index).config] + settings.flatMap { ["--set", $0] }
    let errors = self.member(index).path + "/node.err"
    try Files.write(errors, [])
    process.standardError = FileHandle(forWritingAtPath: errors)
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    try Files.write(self.processFile(index), Array("\(process.processIdentifier)\n".utf8))
    for _ in 0..<600 {
      guard process.isRunning else {
        let said = (try? String(contentsOfFile: errors, encoding: .utf8)) ?? ""
        throw Failure(
          "hospital \(index + 1) did not start", why: said.trimmingCharacters(in: .whitespacesAndNewlines),
          remedy: "put that right; see \(self.member(index).log)", status: ExitStatus.unavailable)
      }
      if FileManager.default.fileExists(atPath: self.member(index).socket),
        let status: NodeStatus = try? await self.client(index).get("/v1/status"), status.running
      {
        return
      }
      try await Task.sleep(for: .milliseconds(20))
    }
    throw Failure(
      "hospital \(index + 1) does not answer", why: "12 seconds went by", remedy: "see \(self.member(index).log)",
      status: ExitStatus.unavailable)
  }

  /// Starts all nodes and waits until all are connected.
  func up(settings: [String] = []) async throws {
    try self.make()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<self.count { group.addTask { try await self.start(index, settings: settings) } }
      try await group.waitForAll()
    }
    try await self.wait("all members are connected", seconds: 20) { statuses in
      statuses.allSatisfy { $0.peers == self.count - 1 }
    }
    try await self.wait("the custody key is in use, all members are custodians", seconds: 60) { statuses in
      statuses.allSatisfy { $0.custody.custodians.count == self.count }
    }
  }

  /// Ends a process with a signal and waits until it is gone.
  func end(_ index: Int, signal number: Int32) async throws {
    guard let pid = self.process(index) else { return }
    kill(pid, SIGCONT)
    kill(pid, number)
    for _ in 0..<500 {
      var status: Int32 = 0
      // Not `process`: who ends has no command line any more while it still holds its folder. An own child is gone once
      // it is asked about; of others' children only the state is known.
      let answer = unsafe waitpid(pid, &status, WNOHANG)
      guard answer == 0 || answer < 0 && Self.isHolding(pid) else { break }
      try await Task.sleep(for: .milliseconds(10))
    }
    if self.process(index) != nil { kill(pid, SIGKILL) }
    try? FileManager.default.removeItem(atPath: self.processFile(index))
    if number == SIGKILL { try? FileManager.default.removeItem(atPath: self.member(index).socket) }
  }

  /// Stops all nodes in order, that of a hospital that joined among them.
  func down() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0...self.count { group.addTask { try await self.end(index, signal: SIGTERM) } }
      try await group.waitForAll()
    }
  }

  /// Deletes the folder, if it is a devnet's.
  func delete() throws {
    guard FileManager.default.fileExists(atPath: self.folder) else { return }
    guard
      FileManager.default.fileExists(atPath: self.genesis) || FileManager.default.fileExists(atPath: self.passphrase)
    else {
      throw Failure("\(self.folder) is not deleted", why: "it is no devnet's folder", remedy: "check --folder")
    }
    try FileManager.default.removeItem(atPath: self.folder)
  }

  func status(_ index: Int) async -> NodeStatus {
    let name = index < Self.names.count ? Self.names[index] : "Hospital \(index + 1)"
    let stopped = NodeStatus(name: name, member: UInt32(index + 1))
    guard self.process(index) != nil else { return stopped }
    return (try? await Self.decode(self.client(index).send(.GET, "/v1/status", timeout: .seconds(3)))) ?? stopped
  }

  private static func decode(_ bytes: [UInt8]) throws -> NodeStatus {
    try JSONDecoder().decode(NodeStatus.self, from: Data(bytes))
  }

  func statuses() async -> [NodeStatus] {
    await withTaskGroup(of: (Int, NodeStatus).self) { group in
      for index in 0..<self.count { group.addTask { (index, await self.status(index)) } }
      var out: [(Int, NodeStatus)] = []
      for await pair in group { out.append(pair) }
      return out.sorted { $0.0 < $1.0 }.map(\.1)
    }
  }

  /// Waits until all statuses fulfil a condition; a claim that does not come true is a failure.
  func wait(_ claim: String, seconds: Int, until condition: ([NodeStatus]) -> Bool) async throws {
    for _ in 0..<(seconds * 50) {
      if condition(await self.statuses()) { return }
      try await Task.sleep(for: .milliseconds(20))
    }
    throw Failure(
      "not true within \(seconds) s: \(claim)", why: "the nodes stand elsewhere", remedy: "see consilium devnet logs",
      status: ExitStatus.refused)
  }
}

extension CommandLine {
  /// The path of the running program.
  static var executablePath: String {
    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "consilium"
  }
}

/// The table at the end of the story.
enum DevnetTable {
  static func show(_ statuses: [NodeStatus]) {
    Console.table(
      ["node", "role", "view", "height", "log size", "log root", "state digest", "peers"],
      statuses.map {
        [
          $0.name, $0.role, "\($0.view)", "\($0.height)", "\($0.logSize)", $0.logRoot.short, $0.stateDigest.short,
          "\($0.peers)",
        ]
      })
  }
}
