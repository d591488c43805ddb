// Goal: hospitals that are set up by hand find one another by name, their mistakes are refused with what to write
// instead, and a store that a disk or another program damaged ends in a sentence. Method: the built `consilium`, run as
// people do.
import Foundation
import Glibc
import Testing

/// Four hospitals whose nodes are started by hand.
final class Hospitals {
  let place: Place
  private var processes: [Process] = []

  /// Makes them and their genesis; `address` gives where the one of a number is dialled.
  init(port: Int, address: (Int) -> [String]) throws {
    self.place = try Place(port: port)
    try "a word".write(toFile: self.place.path + "/word", atomically: true, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: self.place.path + "/word")
    for number in 1...4 {
      // As people type it: relative to where they are.
      let made = try self.run(
        "init h\(number) --member \(number) --name H\(number) --passphrase-file word "
          + address(number).joined(separator: " "))
      #expect(made.status == 0, "\(made.errors)")
    }
    let genesis = try self.run("genesis new --name Four --out genesis.json h1/member.json h[234]/member.json")
    #expect(genesis.status == 0, "\(genesis.errors)")
    for number in 1...4 {
      try FileManager.default.copyItem(
        atPath: self.place.path + "/genesis.json", toPath: self.place.path + "/h\(number)/genesis.json")
    }
  }

  deinit { self.stop() }

  /// Runs the program in the folder above the hospitals'.
  func run(_ line: String) throws -> Place.Result {
    try self.place.run([], through: "cd \(self.place.path) && exec \"$0\" \(line)")
  }

  /// Ends all nodes in order. One that does not end within a minute is killed, and that is a failure.
  func stop() {
    for process in self.processes { process.terminate() }
    for process in self.processes {
      let alarm = DispatchWorkItem { Glibc.kill(process.processIdentifier, SIGKILL) }
      DispatchQueue.global().asyncAfter(deadline: .now() + 60, execute: alarm)
      process.waitUntilExit()
      alarm.cancel()
      if process.terminationReason == .uncaughtSignal { Issue.record("a node does not end when it is told to") }
    }
    self.processes = []
  }

  /// Kills all nodes at once.
  func kill() {
    for process in self.processes { Glibc.kill(process.processIdentifier, SIGKILL) }
    for process in self.processes { process.waitUntilExit() }
    self.processes = []
  }

  func start(_ number: Int, _ settings: [String] = []) throws {
    let process = Process()
    process.executableURL = URL(filePath: Place.program)
    process.arguments =
      ["node", "--config", "h\(number)/node.toml", "--set", "log_level=debug"] + settings.flatMap { ["--set", $0] }
    process.currentDirectoryURL = URL(filePath: self.place.path)
    for file in ["out", "err"] { try Data().write(to: URL(filePath: "\(self.place.path)/h\(number)/\(file)")) }
    process.standardError = FileHandle(forWritingAtPath: self.place.path + "/h\(number)/err")
    process.standardOutput = FileHandle(forWritingAtPath: self.place.path + "/h\(number)/out")
    process.standardInput = FileHandle.nullDevice
    try process.run()
    self.processes.append(process)
  }

  func errors(_ number: Int) -> String {
    (try? String(contentsOfFile: self.place.path + "/h\(number)/err", encoding: .utf8)) ?? ""
  }

  func log(_ number: Int) -> String {
    (try? String(contentsOfFile: self.place.path + "/h\(number)/node.log", encoding: .utf8)) ?? ""
  }

  /// How many members one's node is connected to, once that is `wanted`; else what it says at last.
  func peers(of number: Int, until wanted: Int) throws -> Int {
    struct Status: Decodable { let peers: Int }
    var peers = -1
    for _ in 0..<300 where peers != wanted {
      let said = try self.run("status --api h\(number)/api.sock --output json").output
      peers = (try? JSONDecoder().decode(Status.self, from: Data(said.utf8)))?.peers ?? peers
    }
    return peers
  }
}

@Suite("Setup", .serialized, .oneAtATime)
struct SetupTests {
  @Test("Names are looked up at each dial, the passphrase is found from any folder, and a name that is none is told")
  func names() throws {
    let hospitals = try Hospitals(port: 5401) { number in
      let name = number == 4 ? "nobody.invalid" : "localhost"
      return ["--address /dns4/\(name)/tcp/\(5400 + number) --listen /ip4/127.0.0.1/tcp/\(5400 + number)"]
    }
    for number in 1...3 { try hospitals.start(number) }
    for number in 1...3 {
      #expect(try hospitals.peers(of: number, until: 2) == 2, "\(hospitals.errors(number))")
    }
    var log = ""
    for _ in 0..<100 where !log.contains("peer.lookup-failed") {
      _ = try hospitals.peers(of: 1, until: 2)
      log = hospitals.log(1) + hospitals.log(2) + hospitals.log(3)
    }
    #expect(log.contains("peer.lookup-failed") && log.contains("nobody.invalid"))
    // Its own dials lead to the others all the same.
    try hospitals.start(4)
    for number in 1...4 { #expect(try hospitals.peers(of: number, until: 3) == 3, "\(hospitals.errors(number))") }
    // A second node on one folder.
    let second = try hospitals.run("node --config h1/node.toml --set listen=/ip4/127.0.0.1/tcp/5409 --set api=x.sock")
    #expect(second.status == 69 && second.errors.contains("runs on it"), "\(second.errors)")
  }

  @Test("What cannot be an address for others is refused where it would be published, with what to write instead")
  func addresses() throws {
    let hospitals = try Hospitals(port: 5411) { ["--listen /ip4/127.0.0.1/tcp/\(5410 + $0)"] }
    let refused = [
      ("--listen /ip4/0.0.0.0/tcp/4001", "--address"), ("--listen /ip6/::/tcp/4001", "--address"),
      ("--listen /ip4/10.0.0.3/tcp/0", "write the port"),
      ("--listen /dns4/a.example/tcp/4001", "/ip4/0.0.0.0/tcp/4001"),
      ("--listen /dns/a.example/tcp/4001", "/dns4/a.example"), ("--listen /ip4/10.0.0.3/udp/4001", "TCP"),
      ("--listen /ip4/10.0.0.3/tcp/99999", "1 to 65535"), ("--address /ip4/169.254.1.1/tcp/4001", "link-local"),
      ("--address /ip4/224.0.0.1/tcp/4001", "multicast"), ("", "--listen"),
    ]
    for (options, words) in refused {
      let result = try hospitals.run("init x --member 9 --name X --passphrase-file word \(options)")
      #expect(result.status == 65 && result.errors.contains(words), "\(options): \(result.errors)")
      #expect(!FileManager.default.fileExists(atPath: hospitals.place.path + "/x/node.key"))
    }
    // What the table says of a genesis, scripts get too.
    let checked = try hospitals.run("genesis check genesis.json --output json")
    let told = try JSONSerialization.jsonObject(with: Data(checked.output.utf8)) as? [String: Any]
    #expect((told?["peers"] as? [String])?.count == 4 && (told?["members"] as? [Any])?.count == 4, "\(checked.output)")
    let behind = try hospitals.run(
      "init y --member 9 --name Y --passphrase-file word --address /dns4/node.example/tcp/4001")
    #expect(behind.status == 0)
    let config = try String(contentsOfFile: hospitals.place.path + "/y/node.toml", encoding: .utf8)
    #expect(config.contains("listen = \"/ip4/0.0.0.0/tcp/4001\""))
    #expect(config.contains("passphrase_file = \"\(hospitals.place.path)/word\""))
    let again = try hospitals.run("genesis new --name Four --out genesis.json h1/member.json")
    #expect(again.status == 65 && again.errors.contains("there is such a file already"))
    // ⚑ Two members at one address, under one key or of one number: one of them would never be reached.
    let twin = try hospitals.run("init z --member 9 --name Zed --listen /ip4/127.0.0.1/tcp/5412 --passphrase-file word")
    #expect(twin.status == 0, "\(twin.errors)")
    let keys = hospitals.place.path + "/h3/member.json"
    let renumbered = try String(contentsOfFile: keys, encoding: .utf8).replacing(
      "\"number\" : 3", with: "\"number\" : 8")
    try renumbered.write(toFile: hospitals.place.path + "/renumbered.json", atomically: true, encoding: .utf8)
    for (files, words) in [
      ("h[1234]/member.json z/member.json", ["2 (H2)", "9 (Zed)", "/ip4/127.0.0.1/tcp/5412", "--address"]),
      ("h[1234]/member.json renumbered.json", ["3 (H3)", "8 (H3)", "one key"]),
      ("h[1234]/member.json h1/member.json", ["1 (H1)", "one number"]),
    ] {
      let refused = try hospitals.run("genesis new --name Four --out other.json \(files)")
      #expect(refused.status == 65 && words.allSatisfy { refused.errors.contains($0) }, "\(refused.errors)")
      #expect(!FileManager.default.fileExists(atPath: hospitals.place.path + "/other.json"))
    }
    try hospitals.place.replace(
      "/ip4/127.0.0.1/tcp/5411", with: "/ip4/0.0.0.0/tcp/5411", in: hospitals.place.path + "/h1/member.json")
    let published = try hospitals.run("genesis new --name Four --out other.json h1/member.json")
    #expect(published.status == 65 && published.errors.contains("0.0.0.0"), "\(published.errors)")
  }

  /// Listens on a port of this machine until `body` has returned.
  private func taking(_ port: Int, _ body: () throws -> Void) throws {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    (address.sin_port, address.sin_addr.s_addr) = (UInt16(port).bigEndian, UInt32(0x7f00_0001).bigEndian)
    let bound = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    #expect(bound == 0 && listen(descriptor, 1) == 0)
    try body()
  }

  @Test("What a node cannot listen on ends it with one sentence: where, why, and which setting to change")
  func taken() throws {
    let hospitals = try Hospitals(port: 5481) { ["--listen /ip4/127.0.0.1/tcp/\(5480 + $0)"] }
    try self.taking(5489) {
      for setting in ["fhir_port=5489", "portal_port=5489", "listen=/ip4/127.0.0.1/tcp/5489"] {
        let name = String(setting.prefix { $0 != "=" })
        let result = try hospitals.run("node --config h1/node.toml --set \(setting)")
        #expect(result.status == 69, "\(setting): \(result)")
        let words = ["consilium: ", "cannot start: ", "5489", "(EADDRINUSE)", "What to do: ", "set another \(name) "]
        for word in words { #expect(result.errors.contains(word), "\(setting): \(result.errors)") }
        #expect(!result.errors.contains("bind(") && !result.errors.contains("errno"), "\(result.errors)")
      }
    }
    let socket = try hospitals.run("node --config h1/node.toml --set api=nowhere/api.sock")
    #expect(socket.status == 69 && socket.errors.contains("its folder is not there"), "\(socket)")
    #expect(socket.errors.contains("set another api "), "\(socket.errors)")
    for (host, why) in [("192.0.2.1", "(EADDRNOTAVAIL)"), ("nobody.invalid", "the name has no address here")] {
      let foreign = try hospitals.run(
        "node --config h1/node.toml --set fhir_port=5488 --set fhir_host=\(host) --set proxies=192.0.2.2")
      #expect(foreign.status == 69 && foreign.errors.contains(why), "\(foreign)")
      #expect(foreign.errors.contains("set fhir_host to an address of this machine"), "\(foreign.errors)")
    }
  }

  @Test("A certificate that cannot be used closes the doors and not the node; once it is right they open by themselves")
  func doors() throws {
    let hospitals = try Hospitals(port: 6191) { ["--listen /ip4/127.0.0.1/tcp/\(6190 + $0)"] }
    let folder = hospitals.place.path
    func put(_ name: String, as file: String) throws {
      let vector = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Vectors/tls/\(name).pem")
      try Data(contentsOf: vector.standardized).write(to: URL(filePath: "\(folder)/\(file)"), options: .atomic)
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: "\(folder)/\(file)")
    }
    func shell(_ line: String) throws -> String {
      try hospitals.place.run([], through: "cd \(folder) && \(line)").output
    }
    try put("certificate", as: "chain.pem")
    try put("encrypted", as: "key.pem")
    try hospitals.start(
      1,
      [
        "fhir_port=6198", "portal_port=6199", "tls_certificate=\(folder)/chain.pem", "tls_key=\(folder)/key.pem",
      ])
    #expect(try hospitals.peers(of: 1, until: 0) == 0, "\(hospitals.errors(1))")
    let words = ["closed: the FHIR interface and the pages", "is encrypted", "openssl pkey", "without a restart"]
    let status = try hospitals.run("status --api h1/api.sock").output
    let ready = try shell("curl -s -w ' %{http_code}' --unix-socket h1/api.sock http://node/readyz")
    for word in words + ["not ready", " 503"] { #expect(ready.contains(word), "\(ready)") }
    for word in words { #expect(status.contains(word), "\(status)") }
    #expect(hospitals.log(1).contains("\"tls.closed\""))
    for port in [6198, 6199] {
      // Nobody listens (curl's 7), in the open or not.
      for scheme in ["http", "https"] {
        #expect(try shell("curl -sk \(scheme)://127.0.0.1:\(port)/; echo $?") == "7\n", "\(scheme) \(port)")
      }
    }
    try put("key", as: "key.pem")
    for (port, path) in [(6198, "fhir/metadata"), (6199, "")] {
      let open = try shell(
        "for try in $(seq 3000); do curl -sk -o /dev/null https://127.0.0.1:\(port)/ && break; done; "
          + "curl -sk -o /dev/null -w '%{http_code}' https://127.0.0.1:\(port)/\(path)")
      #expect(open == "200", "\(port): \(open)")
    }
    #expect(try !hospitals.run("status --api h1/api.sock").output.contains("closed:"))
    #expect(hospitals.log(1).contains("\"tls.taken\""))
  }

  @Test("Whatever a disk does to a page of the ledger is harmless or told in a sentence: no signal, no wrong answer")
  func pages() throws {
    let place = try Place(port: 5421)
    #expect(try place.run(["devnet", "up"] + place.options).status == 0)
    #expect(try place.run(["devnet", "down"] + place.options).status == 0)
    let (good, copy) = (place.devnet + "/h1/data/ledger/data.mdb", place.path + "/copy")
    let bytes = try Data(contentsOf: URL(filePath: good))
    try FileManager.default.createDirectory(atPath: copy + "/ledger", withIntermediateDirectories: true)
    let pages = bytes.count / 4096
    var random = UInt64(7)
    func draw(_ below: Int) -> Int {
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((random >> 33) % UInt64(below))
    }
    var (noticed, harmless) = (0, 0)
    for number in 0..<60 {
      var damaged = bytes
      let page = draw(pages) * 4096
      switch number % 5 {
      case 0: for _ in 0..<4 { damaged[page + draw(4096)] ^= UInt8(1 << draw(8)) }
      case 1: damaged[page + draw(64)] ^= UInt8(1 << draw(8))
      case 2: damaged.replaceSubrange(page..<(page + 4096), with: Data(count: 4096))
      case 3: damaged.replaceSubrange(page..<(page + 4096), with: Data((0..<4096).map { _ in UInt8(draw(256)) }))
      default:
        let other = draw(pages) * 4096
        damaged.replaceSubrange(page..<(page + 4096), with: bytes[other..<(other + 4096)])
        damaged.replaceSubrange(other..<(other + 4096), with: bytes[page..<(page + 4096)])
      }
      try damaged.write(to: URL(filePath: copy + "/ledger/data.mdb"))
      let result = try place.run(
        ["audit", "replay", copy, "--member", "1", "--genesis", place.devnet + "/genesis.json"],
        through: "\"$0\" \"$@\"")
      #expect([0, 1, 74].contains(result.status), "damage \(number) of page \(page / 4096): \(result.errors)")
      #expect(result.status == 0 || result.errors.hasPrefix("consilium: "), "damage \(number): \(result.errors)")
      if result.status == 0 { harmless += 1 } else { noticed += 1 }
    }
    #expect(noticed > 10 && harmless > 0, "\(noticed) noticed, \(harmless) harmless")
  }
}
