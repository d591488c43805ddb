internal import Discovery
internal import Foundation
internal import Gateway
internal import Messages
internal import Storage

/// The machine: its clock, its disk and its ports.
extension Doctor {
  /// Nobody's clock is right before this year, nor after the other.
  private static let years = 2025...2100
  /// What the largest uploads leave free at least.
  private static let freeBytesLow: UInt64 = 1 << 30
  /// With less, the ledger has no room soon.
  private static let freeBytesMin: UInt64 = 64 << 20
  private static let filesLow: UInt64 = 1000
  /// A sync that takes longer slows each commit.
  private static let syncMicrosecondsMax = 50_000
  /// No disk and no battery behind a controller is as fast.
  private static let syncMicrosecondsMin = 10
  /// How long all syncs may take, in seconds.
  private static let syncSecondsMax = 10

  mutating func lookAtClock() {
    let drift = Int64(clamping: self.genesis?.limits.clockDriftMilliseconds ?? 1000)
    let set = "set the clock, and let chrony or systemd-timesyncd keep it; the node need not be restarted"
    var isRight = true
    func wrong(_ finding: Finding) {
      isRight = false
      self.findings.append(finding)
    }
    let year = Calendar(identifier: .gregorian).component(.year, from: Date())
    if !Self.years.contains(year) {
      wrong(.fault(.clock, "this machine's clock shows the year \(year)", set, ExitStatus.configuration))
    }
    // What a node writes is never from a time that is still to come.
    for path in [self.config.keys + ".seal", self.config.data, self.config.logFile ?? self.config.data] {
      let written = (try? FileManager.default.attributesOfItem(atPath: path))?[.modificationDate] as? Date
      guard let ahead = written?.timeIntervalSinceNow, ahead * 1000 > Double(max(drift, 1000)) else { continue }
      wrong(.warning(.clock, "\(path) was written \(Int(ahead)) s later than this machine's clock shows", set))
      break
    }
    if let ahead = self.status?.ledgerAheadMilliseconds, ahead > 1000 {
      wrong(.warning(.clock, "the ledger's time is \(ahead / 1000) s ahead of this machine's clock", set))
    }
    let offsets = self.peers.compactMap { peer in peer.clockOffsetMilliseconds.map { (peer, $0) } }
    let apart = offsets.filter { $0.1.magnitude > drift.magnitude }
    if !apart.isEmpty, apart.count * 2 > offsets.count {
      let shown = apart.map { "\($0.0.name) \($0.1 > 0 ? "+" : "")\($0.1) ms" }.joined(separator: ", ")
      wrong(
        .fault(
          .clock, "most members' clocks differ from this one: \(shown); at most \(drift) ms are allowed", set,
          ExitStatus.configuration))
    } else {
      for (peer, offset) in apart {
        wrong(
          .warning(
            .clock, "the clock of \(peer.name) (member \(peer.member)) differs from this one by \(offset) ms",
            "tell that hospital: \(set)"))
      }
    }
    guard isRight else { return }
    let compared =
      offsets.isEmpty
      ? "compared with no other member's clock" : "compared with the clocks of \(offsets.count) other members"
    self.findings.append(.ok(.clock, "\(Date().ISO8601Format()), \(compared)"))
  }

  /// The data folder; where it is not there yet, the one in which it is made.
  private var diskFolder: String {
    FileManager.default.fileExists(atPath: self.config.data)
      ? self.config.data : (self.config.data as NSString).deletingLastPathComponent
  }

  mutating func lookAtDisk() async {
    let folder = self.diskFolder
    var disk = statvfs()
    guard unsafe statvfs(folder, &disk) == 0 else {
      let why = unsafe String(cString: strerror(errno))
      return self.findings.append(
        .fault(.disk, "\(folder) cannot be looked at: \(why)", "check the path and the mount", ExitStatus.failedIO))
    }
    guard disk.f_flag & UInt(ST_RDONLY) == 0 else {
      return self.findings.append(
        .fault(
          .disk, "the disk of \(folder) is mounted read-only", "look at dmesg and at the disk; mount it for writing",
          ExitStatus.failedIO))
    }
    let free = DiskRoom.freeBytes(for: self.config.data + "/ledger/data.mdb") ?? DiskRoom.freeBytes(for: folder + "/x")
    let files = disk.f_files > 0 ? UInt64(disk.f_favail) : .max
    if let free {
      let text = "\(free >> 20) MiB are free for \(folder)"
      let room = "make room, or move the data folder to a larger disk while the node is stopped"
      if free < Self.freeBytesMin {
        self.findings.append(.fault(.disk, "\(text): the node ends soon", room, ExitStatus.failedIO))
      } else if free < Self.freeBytesLow {
        self.findings.append(.warning(.disk, "\(text): uploads are refused, which leave 1 GiB", room))
      } else {
        self.findings.append(.ok(.disk, text))
      }
    }
    if files < Self.filesLow {
      self.findings.append(
        .warning(
          .disk, "the disk of \(folder) has room for \(files) more files only", "delete files that are of no use"))
    }
    guard (free ?? .max) >= Self.freeBytesMin else { return }
    let measured = await BoundedWork.run(seconds: Self.syncSecondsMax) { SyncTrial(in: folder) }
    self.findings.append(self.finding(of: measured, folder))
  }

  private func finding(of trial: SyncTrial??, _ folder: String) -> Finding {
    guard let trial = trial ?? nil else {
      return .fault(
        .disk, "writing some pages to \(folder) did not end within \(Self.syncSecondsMax) s",
        "look at dmesg and at what else uses the disk", ExitStatus.failedIO)
    }
    switch trial {
    case .refused(let code):
      let why = unsafe String(cString: strerror(code))
      guard code == EACCES || code == EPERM else {
        return .fault(.disk, "\(folder) takes no file: \(why)", "look at dmesg and at the disk", ExitStatus.failedIO)
      }
      return .fault(
        .disk, "this user may not write to \(folder)", "run this as the node's user, such as sudo -u consilium",
        ExitStatus.permission)
    case .inMemory:
      return .fault(
        .disk, "\(folder) is in the machine's memory (tmpfs): after a power cut this key can never vote again",
        "put the data folder on a disk while the node is stopped", ExitStatus.configuration)
    case .measured(let microseconds):
      let (median, worst) = (microseconds[microseconds.count / 2], microseconds.last ?? 0)
      let text = "\(microseconds.count) syncs took \(median) µs each, the slowest \(worst) µs"
      if median < Self.syncMicrosecondsMin {
        return .warning(
          .disk, "\(text): too fast for a disk, so nothing may be there after a power cut",
          "switch off what makes syncs do nothing: eatmydata, nobarrier, a virtual disk's cache=unsafe")
      }
      guard median <= Self.syncMicrosecondsMax else {
        return .warning(
          .disk, "\(text): each commit waits for that", "use a faster disk, or see what else uses this one")
      }
      return .ok(.disk, text)
    }
  }

  mutating func lookAtPorts() async {
    var ports: [(setting: String, host: String, port: UInt16)] = []
    if let listen = PeerAddress(self.config.listen) { ports.append(("listen", listen.host, listen.port)) }
    let doors = [
      ("fhir_port", self.config.fhirHost, self.config.fhirPort),
      ("portal_port", self.config.portalHost, self.config.portalPort),
      ("metrics_port", "127.0.0.1", self.config.metricsPort),
      ("hl7_port", self.config.messages.host, self.config.messages.port),
    ]
    for case let (setting, host, port?) in doors { ports.append((setting, host, UInt16(clamping: port))) }
    let found = await BoundedWork.run(ports.map { ($0.host, $0.port) }, seconds: 5) { Sockets.bind($0.0, $0.1) }
    for ((setting, host, port), code) in zip(ports, found) {
      self.findings.append(self.finding(of: code, "\(setting): \(host) port \(port)", port))
    }
  }

  private func finding(of code: Int32??, _ name: String, _ port: UInt16) -> Finding {
    guard let code = code ?? nil else {
      return .fault(
        .ports, "\(name): no address of this machine was found for it", "write an IP address", ExitStatus.configuration)
    }
    switch code {
    case 0 where self.isRunning:
      return .warning(
        .ports, "\(name) is free, though the node runs", "see consilium status and the log: it may be closed")
    case 0: return .ok(.ports, "\(name) is free")
    case EADDRINUSE:
      let held = self.holder.map { Sockets.isListening($0, on: port) } ?? .no
      switch held {
      case .yes: return .ok(.ports, "\(name) is this node's")
      case .unknown: return .note(.ports, "\(name) is in use; whether by this node, this user may not see")
      case .no:
        return .fault(
          .ports, "\(name) is in use by another program",
          "find it with ss -ltnp 'sport = :\(port)' and stop it, or "
            + "take another port", ExitStatus.unavailable)
      }
    case EADDRNOTAVAIL:
      return .fault(
        .ports, "\(name): this machine has no such address", "write one that ip addr shows, or 0.0.0.0 for all",
        ExitStatus.configuration)
    case EACCES:
      return .fault(
        .ports, "\(name) is for the system's administrator",
        "take a port from 1024 on, or give the service "
          + "CAP_NET_BIND_SERVICE", ExitStatus.permission)
    default:
      return .fault(
        .ports, "\(name): \(unsafe String(cString: strerror(code)))", "correct the setting", ExitStatus.configuration)
    }
  }
}

/// How long a disk takes until it says that some pages are on it.
enum SyncTrial: Sendable {
  /// The system refused, with this number.
  case refused(Int32)
  /// There is no disk below the folder.
  case inMemory
  /// Each sync's microseconds, the shortest first.
  case measured([Int])

  private static let syncsMax = 24
  private static let nanosecondsMax: UInt64 = 2_000_000_000
  private static let pageBytes = 4096

  /// Writes pages to a file in a folder that has lost its name before anything is in it: whatever becomes of this
  /// process, nothing stays.
  init(in folder: String) {
    guard !Self.isInMemory(folder) else {
      self = .inMemory
      return
    }
    let path = "\(folder)/.doctor-\(UUID().uuidString)"
    let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      self = .refused(errno)
      return
    }
    unsafe unlink(path)
    defer { close(descriptor) }
    let page = [UInt8](repeating: 0x5a, count: Self.pageBytes)
    let begin = DispatchTime.now().uptimeNanoseconds
    var times: [Int] = []
    for number in 0..<Self.syncsMax {
      let before = DispatchTime.now().uptimeNanoseconds
      let written = unsafe page.withUnsafeBytes {
        unsafe pwrite(descriptor, $0.baseAddress, $0.count, off_t(number * Self.pageBytes))
      }
      guard written == page.count, fdatasync(descriptor) == 0 else {
        self = .refused(written >= 0 && written < page.count ? ENOSPC : errno)
        return
      }
      let after = DispatchTime.now().uptimeNanoseconds
      times.append(Int((after - before) / 1000))
      if after - begin > Self.nanosecondsMax { break }
    }
    self = .measured(times.sorted())
  }

  /// Whether a folder's file system is none of a disk: as the system lists them, by device (proc_pid_mountinfo(5)).
  private static func isInMemory(_ folder: String) -> Bool {
    guard
      let number = (try? FileManager.default.attributesOfItem(atPath: folder))?[.systemNumber] as? NSNumber,
      let table = try? FileHandle(forReadingAtPath: "/proc/self/mountinfo")?.read(upToCount: 4 << 20)
    else { return false }
    // gnu_dev_major and gnu_dev_minor of the C library.
    let device = number.uint64Value
    let major = (device >> 8) & 0xfff | (device >> 32) & ~0xfff
    let name = "\(major):\(device & 0xff | (device >> 12) & ~0xff)"
    return String(decoding: table, as: UTF8.self).split(separator: "\n").contains { line in
      let words = line.split(separator: " ")
      guard words.count > 6, words[2] == name, let mark = words.firstIndex(of: "-"), mark + 1 < words.count else {
        return false
      }
      return ["tmpfs", "ramfs"].contains(words[mark + 1])
    }
  }
}
