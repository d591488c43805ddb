// Goal: an operator's first mistakes are refused with what to do, what is logged can be looked up, and a node that can
// order nothing says so; help and logs are shown as people read them. Method: the built `consilium`, run as people do.
import Foundation
import Testing

@Suite("Operator", .serialized, .oneAtATime)
struct OperatorTests {
  @Test("No key is made under an empty passphrase; a practitioner without a role and a wrong setting are refused")
  func refusals() throws {
    let place = try Place(port: 5435)
    func run(_ line: String) throws -> Place.Result {
      try place.run([], through: "cd \(place.path) && umask 077 && exec \"$0\" \(line)")
    }
    for (name, word) in [("empty", "\n"), ("blank", "   \n"), ("word", "some words\n")] {
      try word.write(toFile: "\(place.path)/\(name)", atomically: true, encoding: .utf8)
      try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: "\(place.path)/\(name)")
    }
    for name in ["empty", "blank"] {
      let keys = try run("keys new practitioner --out e.key --passphrase-file \(name)")
      #expect(keys.status == 65 && keys.errors.contains("the passphrase is empty"), "\(keys.errors)")
      let made = try run("init h9 --member 1 --name H --listen /ip4/127.0.0.1/tcp/5435 --passphrase-file \(name)")
      #expect(made.status == 65 && made.errors.contains("the passphrase is empty"), "\(made.errors)")
    }
    for number in 1...2 {
      let made = try run(
        "init h\(number) --member \(number) --name H --listen /ip4/127.0.0.1/tcp/543\(number) --passphrase-file word")
      #expect(made.status == 0 && made.output.contains("propose add or replace"), "\(made.errors)")
    }
    let two = try run("genesis new --name Two --out h1/genesis.json h1/member.json h2/member.json")
    #expect(two.status == 0 && two.output.contains("none may fail"), "\(two.output)")
    let setting = try run("node --config h1/node.toml --set workers=0")
    #expect(setting.status == 78 && setting.errors.contains("--set workers=0"), "\(setting.errors)")
    #expect(!setting.errors.contains("line "), "\(setting.errors)")
  }

  @Test("What is logged can be looked up by its name and by its words")
  func explained() throws {
    let place = try Place(port: 5431)
    let found = try place.run(["explain", "the", "ledger", "went", "on"])
    #expect(found.status == 0 && found.output.contains("what to do"), "\(found.errors)")
    let quoted = try place.run(["explain", "the ledger went on"])
    #expect(quoted.output == found.output)
    let several = try place.run(["explain", "vault"])
    #expect(several.status == 0 && several.output.contains("vault.unproven"))
    let none = try place.run(["explain", "no such thing"])
    #expect(none.status == 65 && none.errors.contains("no such thing"))
    let line =
      #"{"ts":"2026-01-01T00:00:00.000Z","level":"info","event":"node.started","node":"m1","msg":"the node runs"}"#
    try (line + "\n").write(toFile: place.path + "/node.log", atomically: true, encoding: .utf8)
    let shown = try place.run(["log", place.path + "/node.log"])
    #expect(shown.output.contains("node.started  the node runs"), "\(shown.output)")
    for command in ["access request", "account register"] {
      let help = try place.run(command.split(separator: " ").map(String.init) + ["--help"]).output
      #expect(help.contains(command == "access request" ? "life-at-risk (1)" : "physician (207)"), "\(help)")
    }
  }

  @Test("Help is set once: prose in full lines, examples as they are typed; a command that there is not is refused")
  func help() throws {
    let place = try Place(port: 5436)
    let set = "COLUMNS=80 exec \"$0\" \"$@\""
    let grant = try place.run(["consent", "grant", "--help"], through: set)
    #expect(grant.status == 0 && grant.output.contains(" --category allergy --category medication --days 30\n"))
    for command in ["", "consent grant", "consent guardian", "log", "init", "member", "custody rotate"] {
      let lines = try place.run(command.split(separator: " ").map(String.init) + ["--help"], through: set).output
        .split(separator: "\n", omittingEmptySubsequences: false)
      for (line, next) in zip(lines, lines.dropFirst()) {
        #expect(line.hasPrefix("  ") || line.count <= 80, "\(command): \(line)")
        // A line of prose ends where the next word finds no room, or the paragraph does.
        let isProse = !line.isEmpty && !line.hasPrefix(" ") && !next.isEmpty && !next.hasPrefix(" ")
        let word = next.prefix { $0 != " " }
        #expect(!isProse || line.count + 1 + word.count > 80, "\(command): \(line)")
      }
    }
    let guardian = try place.run(["consent", "guardian", "--help"]).output.split(whereSeparator: \.isWhitespace)
    #expect(guardian.joined(separator: " ").contains("Default: TREAT; PATRQT, to read, is always among them."))
    for wrong in ["consent gront --help", "help consent gront", "gront --help", "consent gront"] {
      let result = try place.run(wrong.split(separator: " ").map(String.init))
      #expect(result.status == 64 && result.output.isEmpty, "\(wrong): \(result.output)")
      #expect(result.errors.contains("there is no command consilium") && result.errors.contains("gront"), "\(wrong)")
    }
    for right in [["help", "consent", "grant"], ["help"], ["consent", "--help"], ["--version"], []] {
      #expect(try place.run(right).status == 0, "\(right)")
    }
    #expect(try place.run(["consent", "grant"]).status == 64)
  }

  @Test("A log is followed line by line into a pipe, and into the file that takes its place; what is no log is refused")
  func followed() throws {
    let place = try Place(port: 5437)
    func line(_ second: Int) -> String {
      #"{"ts":"2026-01-01T00:00:0\#(second).000Z","level":"info","event":"node.started","msg":"line \#(second)"}"#
    }
    let script = """
      cd \(place.path); mkfifo pipe
      echo '\(line(1))' > node.log
      "$0" log node.log --follow > pipe & follower=$!
      exec 3< pipe
      read -r -t 200 first <&3
      mv node.log node.log.1
      echo '\(line(2))' >> node.log.1
      echo '\(line(3))' > node.log
      read -r -t 200 second <&3; read -r -t 200 third <&3
      kill $follower
      printf '%s\\n' "$first" "$second" "$third"
      """
    let followed = try place.run([], through: script)
    for (number, text) in followed.output.split(separator: "\n").enumerated() {
      #expect(text.hasSuffix("line \(number + 1)"), "\(followed.output)")
    }
    #expect(followed.output.split(separator: "\n").count == 3, "\(followed.output) \(followed.errors)")

    try "no log\nat all".write(toFile: place.path + "/other", atomically: true, encoding: .utf8)
    try "\(line(1))\nno log".write(toFile: place.path + "/mixed", atomically: true, encoding: .utf8)
    try "".write(toFile: place.path + "/empty", atomically: true, encoding: .utf8)
    for name in ["other", "."] {
      let refused = try place.run(["log", "\(place.path)/\(name)"])
      #expect(refused.status != 0 && !refused.errors.isEmpty, "\(name): \(refused.errors)")
    }
    let mixed = try place.run(["log", place.path + "/mixed"])
    #expect(mixed.status == 0 && mixed.output.contains("line 1") && mixed.errors.contains("left out: 1"))
    let empty = try place.run(["log", place.path + "/empty"])
    #expect(empty.status == 0 && empty.output.isEmpty)
  }

  @Test("A lone hospital of four says that nothing can be ordered; a second node on its folder writes nothing there")
  func alone() throws {
    let hospitals = try Hospitals(port: 5441) { ["--listen /ip4/127.0.0.1/tcp/\(5440 + $0)"] }
    try hospitals.start(1, ["fhir_port=5448"])
    #expect(try hospitals.peers(of: 1, until: 0) == 0, "\(hospitals.errors(1))")
    let status = try hospitals.run("status --api h1/api.sock")
    #expect(status.output.contains("nothing can be ordered: 1 of 4 members are connected"), "\(status.output)")
    let ready = try hospitals.place.run(
      [], through: "curl -s -w ' %{http_code}' --unix-socket \(hospitals.place.path)/h1/api.sock http://n/readyz")
    #expect(ready.output.hasSuffix("503") && ready.output.contains("3 are needed"), "\(ready.output)")

    let second = try hospitals.run("node --config h1/node.toml --set listen=/ip4/127.0.0.1/tcp/5449 --set api=x.sock")
    #expect(second.status == 69 && second.errors.contains("runs on it"), "\(second.errors)")
    #expect(hospitals.log(1).components(separatedBy: "a private key was unlocked").count == 2)

    let made = try hospitals.run("keys new practitioner --out dr.key --passphrase-file word")
    #expect(made.status == 0)
    let desk = "--api h1/api.sock --genesis genesis.json --registrar h1/registrar.key --passphrase-file word"
    let roleless = try hospitals.run("account register dr.key \(desk)")
    #expect(roleless.status == 65 && roleless.errors.contains("--role physician"), "\(roleless.errors)")
    try self.rekey(hospitals)
  }

  /// The EHR's store of the first hospital goes over to the second's keys, which stand for its new ones.
  private func rekey(_ hospitals: Hospitals) throws {
    let (path, files) = (hospitals.place.path, FileManager.default)
    func write(_ id: String) throws {
      let patient = #"{"resourceType":"Patient","id":"\#(id)","name":[{"family":"Doe"}]}"#
      try patient.write(toFile: path + "/patient.json", atomically: true, encoding: .utf8)
      let written = try hospitals.place.run(
        [],
        through: "cd \(path) && curl -s --retry 30 --retry-connrefused -o out.json -w '%{http_code}' "
          + "-X PUT --data-binary @patient.json -H 'Content-Type: application/fhir+json' "
          + "http://127.0.0.1:5448/fhir/Patient/\(id)")
      #expect(written.output == "201", "\(written.output)")
    }
    func put(_ name: String, in place: String) throws {
      if files.fileExists(atPath: "\(path)/\(place)") { try files.removeItem(atPath: "\(path)/\(place)") }
      try files.copyItem(atPath: "\(path)/\(name)", toPath: "\(path)/\(place)")
    }
    try write("p")
    let line = "fhir rekey --config h1/node.toml --set keys=../h2/node.key"
    let running = try hospitals.run("\(line) --old-key h1/node.key")
    #expect(running.status == 69, "\(running.errors)")
    hospitals.stop()
    try put("h1/data/fhir", in: "before")
    try hospitals.start(1, ["fhir_port=5448"])
    #expect(try hospitals.peers(of: 1, until: 0) == 0, "\(hospitals.errors(1))")
    try write("q")
    hospitals.stop()
    let stranger = try hospitals.run("\(line) --old-key h3/node.key")
    #expect(stranger.status == 77 && stranger.errors.contains("did not seal it"), "\(stranger.errors)")
    try put("h1/data/fhir", in: "good")
    try put("h1/node.key.fhir", in: "mark")
    for how in ["older", "gone", "unmarked", "unreadable"] {
      switch how {
      case "unmarked": try files.removeItem(atPath: path + "/h1/node.key.fhir")
      case "older": try put("before", in: "h1/data/fhir")
      case "gone": try files.removeItem(atPath: path + "/h1/data/fhir")
      default: try "no mark".write(toFile: path + "/h1/node.key.fhir", atomically: true, encoding: .utf8)
      }
      let refused = try hospitals.run("\(line) --old-key h1/node.key")
      #expect(refused.status == 74 && refused.errors.contains("is not as this node left it"), "\(how): \(refused)")
      #expect(refused.errors.contains("--accept-loss"), "\(how): \(refused.errors)")
      try put("good", in: "h1/data/fhir")
    }
    try put("mark", in: "h1/node.key.fhir")
    let taken = try hospitals.run("\(line) --old-key h1/node.key")
    #expect(taken.status == 0 && taken.output.contains("fhir goes on under"), "\(taken.output) \(taken.errors)")
    #expect(taken.output.contains("goes on with 2 resources, the last of them written at 2"), "\(taken.output)")
    #expect(files.contents(atPath: path + "/mark") == files.contents(atPath: path + "/h1/node.key.fhir"))
    let again = try hospitals.run("\(line) --old-key h1/node.key")
    #expect(again.status == 0 && again.output.contains("as it is"), "\(again.output) \(again.errors)")
    let old = try hospitals.run("node --config h1/node.toml")
    #expect(old.status == 78 && old.errors.contains("consilium fhir rekey"), "\(old.errors)")
    // What is older is taken on the operator's word.
    try put("before", in: "h1/data/fhir")
    let accepted = try hospitals.run("\(line) --old-key h1/node.key --accept-loss")
    #expect(accepted.status == 0, "\(accepted.errors)")
    #expect(accepted.output.contains("goes on with 1 resource, the last of them written at 2"), "\(accepted.output)")
  }

  @Test("A copy that runs beside a node with its key is told by whoever is dialled by both, with both addresses")
  func copied() throws {
    struct Published: Decodable { let key: String }
    let hospitals = try Hospitals(port: 5471) { ["--listen /ip4/127.0.0.1/tcp/\(5470 + $0)"] }
    let path = hospitals.place.path
    let keys = try (1...2).map { number in
      let bytes = try Data(contentsOf: URL(filePath: "\(path)/h\(number)/member.json"))
      return try JSONDecoder().decode(Published.self, from: bytes).key
    }
    // Two of four order nothing, and so neither the node nor its copy writes. Of two members the smaller key dials.
    let (one, other) = keys[0] < keys[1] ? (1, 2) : (2, 1)
    func meet() throws {
      for number in 1...2 { try hospitals.start(number) }
      for number in 1...2 { #expect(try hospitals.peers(of: number, until: 1) == 1, "\(hospitals.errors(number))") }
    }
    try meet()
    hospitals.stop()
    // A socket is no file that can be copied.
    try? FileManager.default.removeItem(atPath: "\(path)/h\(one)/api.sock")
    try FileManager.default.copyItem(atPath: "\(path)/h\(one)", toPath: "\(path)/h5")
    try meet()
    #expect(!hospitals.log(other).contains("peer.key-shared"))
    try hospitals.start(5, ["listen=/ip4/127.0.0.1/tcp/5478"])
    var status = ""
    for _ in 0..<600 where !status.contains("two processes") {
      status = try hospitals.run("status --api h\(other)/api.sock").output
    }
    #expect(status.contains("two processes dial with the key of m\(one)"), "\(status) \(hospitals.errors(5))")
    #expect(hospitals.log(other).components(separatedBy: "\"peer.key-shared\"").count == 2)
    #expect(hospitals.log(other).contains("other_address"))
  }

  @Test("An EHR's store that is gone, emptied, older or rotten is refused with its reason, and the node goes on")
  func lostStore() throws {
    let hospitals = try Hospitals(port: 5461) { ["--listen /ip4/127.0.0.1/tcp/\(5460 + $0)"] }
    let (path, files) = (hospitals.place.path, FileManager.default)
    let (data, keys) = ("\(path)/h1/data", "\(path)/h1/node.key")
    func start() throws {
      try hospitals.start(1, ["fhir_port=5468"])
      #expect(try hospitals.peers(of: 1, until: 0) == 0, "\(hospitals.errors(1))")
    }
    func ask(_ line: String) throws -> String {
      try hospitals.place.run(
        [],
        // Until it listens; ⚑ no retries by curl, which takes a refusal by 503 for one that passes.
        through: "cd \(path) && for try in $(seq 3000); do curl -s -o /dev/null http://127.0.0.1:5468/ && break; done; "
          + "curl -s -w ' %{http_code}' \(line)"
      ).output
    }
    let base = "http://127.0.0.1:5468/fhir"
    let search = "'\(base)/AllergyIntolerance?patient=Patient/p'"
    func write(_ id: String) throws {
      let allergy = """
        {"resourceType":"AllergyIntolerance","id":"\(id)","criticality":"high","code":{"text":"penicillin"},\
        "patient":{"reference":"Patient/p"}}
        """
      try allergy.write(toFile: path + "/allergy.json", atomically: true, encoding: .utf8)
      let answer = try ask(
        "-X PUT --data-binary @allergy.json -H 'Content-Type: application/fhir+json' \(base)/AllergyIntolerance/\(id)")
      #expect(answer.hasSuffix(" 201"), "\(answer)")
    }
    func copy(_ from: String, _ to: String) throws {
      if files.fileExists(atPath: to) { try files.removeItem(atPath: to) }
      try files.copyItem(atPath: from, toPath: to)
    }
    func lines(_ from: String, of beginning: String, into file: String) throws {
      func read(_ file: String) throws -> [String] {
        try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map(String.init)
      }
      let others = try read(file).filter { !$0.hasPrefix(beginning) }
      let all = others + (try read(from).filter { $0.hasPrefix(beginning) })
      try Data(all.map { $0 + "\n" }.joined().utf8).write(to: URL(filePath: file))
    }
    func flip(_ file: String, _ place: Int) throws {
      var bytes = try Data(contentsOf: URL(filePath: file))
      bytes[place] ^= 1
      try bytes.write(to: URL(filePath: file))
    }
    try start()
    // Of a patient with an account it is noted who was shown what.
    let account = String(repeating: "ab", count: 32)
    let patient = """
      {"resourceType":"Patient","id":"p","identifier":[{"system":"urn:consilium:account","value":"\(account)"}]}
      """
    try patient.write(toFile: path + "/patient.json", atomically: true, encoding: .utf8)
    let linked = try ask(
      "-X PUT --data-binary @patient.json -H 'Content-Type: application/fhir+json' \(base)/Patient/p")
    #expect(linked.hasSuffix(" 201"), "\(linked)")
    try write("a")
    hospitals.stop()
    try copy("\(data)/fhir", "\(path)/before")
    try copy("\(keys).fhir", "\(path)/markBefore")
    try start()
    // ⚑ A copy that is made while the node runs is of the beginning that goes on.
    try copy("\(data)/fhir", "\(path)/hot")
    try copy("\(keys).fhir", "\(path)/markHot")
    try copy("\(keys).seal", "\(path)/sealBefore")
    try write("b")
    let followed = try hospitals.place.run(
      [],
      through: "cd \(path) && for n in $(seq 600); do cmp -s h1/node.key.seal sealBefore || break; sleep 0.1; done; "
        + "cmp -s h1/node.key.seal sealBefore || echo it follows")
    #expect(followed.output == "it follows\n")
    // What is shown is noted: now the log of readings has something to lose.
    #expect(try ask(search).contains("\"total\":2"))
    hospitals.stop()
    try copy("\(data)/fhir", "\(path)/good")
    try copy("\(keys).fhir", "\(path)/mark")
    for how in ["folder", "data.mdb", "backup", "pair", "hot", "value", "mark", "both", "readings"] {
      switch how {
      case "folder": try files.removeItem(atPath: "\(data)/fhir")
      case "data.mdb": try files.removeItem(atPath: "\(data)/fhir/data.mdb")
      case "backup": try copy("\(path)/before", "\(data)/fhir")
      case "pair":
        try copy("\(path)/before", "\(data)/fhir")
        try copy("\(path)/markBefore", "\(keys).fhir")
        // The seal alone tells it.
        try files.moveItem(atPath: "\(data)/fhir.mark", toPath: "\(path)/second")
      case "hot":
        try copy("\(path)/hot", "\(data)/fhir")
        try copy("\(path)/markHot", "\(keys).fhir")
        // ⚑ As where the node was killed before the seal followed: only the mark in the data folder tells it.
        try lines("\(path)/sealBefore", of: "fhir:", into: "\(keys).seal")
      case "mark": try files.removeItem(atPath: "\(keys).fhir")
      case "both":
        try files.removeItem(atPath: "\(data)/fhir")
        try files.removeItem(atPath: "\(keys).fhir")
      case "value":
        // The first key, with which the first value was sealed.
        try flip("\(data)/fhir/keys", 32)
      default:
        try copy("\(data)/readings", "\(path)/readings")
        try files.removeItem(atPath: "\(data)/readings")
      }
      try start()
      let answer = try ask(search)
      #expect(answer.hasSuffix(" 503") && answer.contains("do not take it for none"), "\(how): \(answer)")
      #expect(answer.contains("consilium fhir accept-loss"), "\(how): \(answer)")
      let ready = try ask("--unix-socket h1/api.sock http://n/readyz")
      #expect(ready.hasSuffix("503") && ready.contains("accept-loss"), "\(how): \(ready)")
      let status = try hospitals.run("status --api h1/api.sock")
      #expect(status.status == 0 && status.output.contains("accept-loss"), "\(how): \(status.output)")
      #expect(hospitals.log(1).contains("\"fhir.refused\""), "\(how)")
      hospitals.stop()
      if how == "value" {
        // The node began with it: a copy from before that is older now.
        try flip("\(data)/fhir/keys", 32)
        try copy("\(data)/fhir", "\(path)/good")
        try copy("\(keys).fhir", "\(path)/mark")
      } else if how == "readings" {
        try copy("\(path)/readings", "\(data)/readings")
      } else {
        try copy("\(path)/good", "\(data)/fhir")
        try copy("\(path)/mark", "\(keys).fhir")
        if how == "pair" { try copy("\(path)/second", "\(data)/fhir.mark") }
      }
      try files.removeItem(atPath: "\(path)/h1/node.log")
    }
    try start()
    #expect(try ask(search).contains("\"total\":2"))
    hospitals.stop()
    // It goes on without what is lost only where that is said.
    try copy("\(path)/before", "\(data)/fhir")
    // ⚑ A command that ends before it has looked into the ledger has accepted nothing.
    try files.createDirectory(atPath: keys + ".fhir.uncompared", withIntermediateDirectories: false)
    let ended = try hospitals.run("fhir accept-loss --config h1/node.toml --store fhir")
    #expect(ended.status != 0 && ended.errors.contains("uncompared"), "\(ended.output) \(ended.errors)")
    try files.removeItem(atPath: keys + ".fhir.uncompared")
    try start()
    #expect(try ask(search).hasSuffix(" 503"))
    hospitals.stop()
    // Its ledger is empty: what that has of the loss is not known, and nothing is served for all that there is.
    let unknown = try hospitals.run("fhir accept-loss --config h1/node.toml --store fhir")
    #expect(unknown.status == 0 && unknown.output.contains("--accept-uncompared"), "\(unknown.output)")
    try start()
    #expect(try ask(search).hasSuffix(" 503"))
    hospitals.stop()
    let accepted = try hospitals.run("fhir accept-loss --config h1/node.toml --store fhir --accept-uncompared")
    #expect(accepted.status == 0, "\(accepted.errors)")
    #expect(accepted.output.contains("goes on with 2 resources, the last of them written at 2"), "\(accepted.output)")
    try start()
    #expect(try ask(search).contains("\"total\":1"))
    hospitals.stop()
    #expect(files.fileExists(atPath: keys + ".fhir") && files.fileExists(atPath: keys + ".readings"))
    // ⚑ That lines of the readings are lost every patient is told, and that none are nobody.
    for isGone in [false, true] {
      if isGone { try files.removeItem(atPath: "\(data)/readings") }
      let told = try hospitals.run("fhir accept-loss --config h1/node.toml --store readings")
      #expect(told.status == 0 && told.output.contains("may be lost") == isGone, "\(told.output) \(told.errors)")
      try start()
      let looked = try hospitals.run("access readings \(account) --api h1/api.sock")
      #expect(looked.status == 0, "\(looked.errors)")
      #expect(looked.output.contains("may be lost") == isGone, "\(looked.output)")
      hospitals.stop()
    }
  }
}
