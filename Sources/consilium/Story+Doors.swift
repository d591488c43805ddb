internal import Foundation
internal import Gateway
internal import HealthRecords
internal import Primitives

/// The story's chapter on what a hospital and its people have before them: the EHR's interface and the pages.
extension Story {
  mutating func serve(_ files: [String]) async throws {
    try await self.step("A hospital's EHR writes a whole patient by FHIR, linked to an account of the ledger") {
      story in
      let made = try await DevnetPatients(devnet: story.devnet).make(Array(files.suffix(1)))
      guard let patient = made.first else { return "" }
      let records: [RecordView] = try await story.readAll("/v1/patients/\(patient.account)/records", at: 1) {
        $0.count == patient.resources
      }
      try story.claim(
        records.count == patient.resources, "\(records.count) of \(patient.resources) resources are anchored")
      try story.claim(
        records.allSatisfy { $0.hospital == UInt32(patient.hospital) }, "a record is another hospital's")
      let found = try await FHIRClient.ask(
        story.devnet.fhir(0) + "/Patient?identifier=urn:consilium:account%7C\(patient.account)")
      let bundle = try CanonicalJSON(found.bytes)
      try story.claim(bundle["entry"]?.items?.count == 1, "a search by the account does not find the patient")
      return
        "\(records.count) resources went in as one transaction; each is sealed, copied and anchored, and hospital 2 "
        + "sees that it is"
    }
    try await self.step("Every hospital serves its pages: patients', clinicians', the privacy officer's") { story in
      for index in 0..<4 {
        for page in ["", "clinic", "officer"] {
          let html = String(decoding: try await FHIRClient.ask(story.devnet.portal(index) + page).bytes, as: UTF8.self)
          try story.claim(html.contains("<!doctype html>"), "no page is at \(story.devnet.portal(index))\(page)")
          try story.claim(
            !html.contains("src=\"http") && !html.contains("href=\"http"), "a page asks somebody else for something")
        }
      }
      return (0..<4).map { "\(story.devnet.portal($0))  and  \(story.devnet.fhir($0))" }.joined(separator: "\n")
        + "\nto look at them: Scripts/devnet up, which makes these patients and leaves the hospitals running"
    }
  }
}
