// Goal: monitoring systems read every metric, and the handbook tells what each is. Method: a strict reader of
// OpenMetrics over what a whole hospital in this process says.
import Foundation
import Gateway
import HealthRecords
import Messages
import Primitives
import Telemetry
import Testing

@Suite("Metrics")
struct MetricsTests {
  @Test("Every metric of the catalogue is said, and nothing else; figures follow what happens")
  func everything() async throws {
    let hospital = try await LoneHospital(port: 6071)
    func read() async throws -> OpenMetrics {
      let answer = try #require(await Connection.ask(.socket(hospital.socket), "GET", "/metrics"))
      #expect(answer.status == 200)
      #expect(answer.head.lowercased().contains("content-type: \(Exposition.media)"), "\(answer.head)")
      return try OpenMetrics(answer.text)
    }
    let before = try await read()
    #expect(before.families.map(\.name) == MetricKind.catalogue.map(\.name))
    // Without other members, and before there is a custody key, some have nothing to tell.
    let mayBeSilent = ["consilium_peer_", "consilium_custody_key_"]
    let silent = before.families.filter { family in
      family.samples.isEmpty && !mayBeSilent.contains { family.name.hasPrefix($0) }
    }.map(\.name)
    #expect(Set(silent).isSubset(of: ["consilium_dispositions"]), "\(silent)")
    _ = try await hospital.register(.patient, seed: [UInt8](repeating: 71, count: 32))
    let after = try await read()
    #expect(before.value("consilium_commit_seconds_count") == 0)
    #expect(after.value("consilium_commit_seconds_count") == 1)
    #expect(after.value("consilium_commit_seconds_bucket", ["le": "30.0"]) == 1)
    #expect((after.value("consilium_commit_seconds_sum") ?? 0) > 0)
    #expect((after.value("consilium_store_write_seconds_count") ?? 0) > 0)
    #expect((after.value("consilium_transactions_total", ["outcome": "applied"]) ?? 0) >= 1)
    #expect((after.value("consilium_height") ?? 0) > 0)
    #expect(after.value("consilium_ready") == 1)
    #expect(after.value("consilium_role", ["consilium_role": "primary"]) == 1)
    #expect(after.value("consilium_lane", ["consilium_lane": "open"]) == 1)
    #expect(after.value("consilium_store_map_bytes", ["store": "ledger"]) == Double(1 << 30))
    #expect((after.value("consilium_store_used_bytes", ["store": "vault"]) ?? 0) > 0)
    #expect((after.value("process_open_fds") ?? 0) > 3)
    let member = ["member": "1", "network": hospital.genesis.network.description, "engine": "pbft"]
    #expect(after.value("consilium_node_info", member) == 1)
    #expect(after.value("consilium_events_total", ["event": "node.started", "level": "info"]) == 1)
  }

  @Test(
    "A port of this machine has metrics and readiness, and nothing else; another site's page is refused")
  func port() async throws {
    let hospital = try await LoneHospital(port: 6131)
    let server = MonitoringServer(hospital.api, port: 6134)
    Task { try? await server.run() }
    while await Connection.ask(.port(6134), "GET", "/livez") == nil { await Task.yield() }
    let metrics = try #require(await Connection.ask(.port(6134), "GET", "/metrics"))
    #expect(try OpenMetrics(metrics.text).value("consilium_members") == 1)
    // Until it has led for the first time it says that it is not. What is ready may give notice besides: of a full
    // store, which is any store of this process.
    while await Connection.ask(.port(6134), "GET", "/readyz")?.text.hasPrefix("ready\n") != true { await Task.yield() }
    for path in ["/v1/status", "/v1/peers", "/v1/members"] {
      #expect(await Connection.ask(.port(6134), "GET", path)?.status == 404, "\(path)")
    }
    let foreign = [
      ["Host": "rebound.example"], ["Origin": "https://elsewhere.example"], ["Sec-Fetch-Site": "cross-site"],
    ]
    for headers in foreign {
      for path in ["/metrics", "/readyz", "/livez"] {
        #expect(await Connection.ask(.port(6134), "GET", path, headers)?.status == 403, "\(headers)")
      }
    }
  }

  @Test("The handbook has a row for each metric, as it is declared")
  func documented() throws {
    let page = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../Sources/Handbook.docc/Operations.md")
    let text = try String(contentsOf: page, encoding: .utf8)
    let rows = text.split(separator: "\n").filter { $0.hasPrefix("| `consilium_") || $0.hasPrefix("| `process_") }
    #expect(rows.map(String.init) == MetricKind.catalogue.map(\.row))
    #expect(Set(MetricKind.catalogue.map(\.name)).count == MetricKind.catalogue.count)
    for kind in MetricKind.catalogue {
      #expect(kind.unit.map { kind.name.hasSuffix("_\($0)") } ?? true, "\(kind.name)")
    }
  }

  @Test(
    "What no strict reader takes is refused",
    arguments: [
      "# TYPE a gauge\n# HELP a A.\na 1\n", "# TYPE a gauge\n# HELP a A.\na 1\na 1\n# EOF\n",
      "# TYPE a counter\n# HELP a A.\na 1\n# EOF\n", "# TYPE a counter\n# HELP a A.\na_total -1\n# EOF\n",
      "# TYPE a gauge\n# UNIT a bytes\n# HELP a A.\na 1\n# EOF\n", "# TYPE a gauge\n# HELP a A.\na{b=\"c} 1\n# EOF\n",
      "# TYPE a gauge\n# HELP a A.\na{b=\"1\",b=\"2\"} 1\n# EOF\n", "# TYPE a gauge\n# HELP a A.\na 0x1\n# EOF\n",
      "# TYPE a gauge\n# HELP a A.\na 1\n# TYPE b gauge\n# HELP b B.\nb 1\n# TYPE a gauge\n# EOF\n",
      "# TYPE a histogram\n# HELP a A.\na_bucket{le=\"1.0\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n# EOF\n",
      "# TYPE a histogram\n# HELP a A.\na_bucket{le=\"1.0\"} 1\na_sum 1\na_count 1\n# EOF\n",
    ])
  func strict(_ text: String) {
    #expect(throws: OpenMetrics.Wrong.self) { try OpenMetrics(text) }
  }
}
