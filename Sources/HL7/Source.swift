/// Who sends, and what its names mean: given by the hospital in the node's configuration.
public struct MessageSource: Sendable {
  /// The hospital's name for it, in letters, digits and hyphens.
  public let id: String
  /// MSH-3, its first component.
  public let application: String
  /// MSH-4, its first component.
  public let facility: String
  /// FHIR's systems for assigning authorities and coding systems, by the names that messages use.
  public let systems: [String: String]
  /// By which clocks times without a zone are.
  public let zone: HL7Time.Zone

  /// A source of given parts.
  public init(
    id: String, application: String, facility: String, systems: [String: String] = [:],
    zone: @escaping HL7Time.Zone = { _ in 0 }
  ) {
    (self.id, self.application, self.facility) = (id, application, facility)
    (self.systems, self.zone) = (systems, zone)
  }

  /// Whether a message comes from it.
  public func sends(_ header: Header) -> Bool {
    header.application == self.application && header.facility == self.facility
  }

  /// Whether the hospital named an authority.
  func knows(_ names: String?...) -> Bool { names.contains { $0.flatMap { self.systems[$0] } != nil } }

  /// FHIR's system of numbers that an authority gave (HD): what the hospital named, else its universal id, else one of
  /// this source alone.
  func system(namespace: String?, universal: String?, type: String?) -> String {
    for name in [namespace, universal] { if let name, let known = self.systems[name] { return known } }
    if let universal {
      switch type {
      case "ISO" where Self.isOID(universal): return "urn:oid:\(universal)"
      case "UUID", "GUID": if let text = Self.uuid(universal) { return "urn:uuid:\(text)" }
      // ⚑ No message says whose account of the ledger a person's is, nor anything else in this program's own names.
      case "URI" where !universal.lowercased().hasPrefix("urn:consilium:"):
        if universal.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) { return universal }
      default: break
      }
    }
    return self.own("numbers", [namespace ?? universal].compactMap { $0 })
  }

  /// FHIR's system of a coding system (HL7 table 0396).
  func codeSystem(_ name: String) -> String {
    if let known = self.systems[name] ?? CodeTables.systems[name] { return known }
    if name.hasPrefix("HL7"), let number = Int(name.dropFirst(3)), (1...9999).contains(number) {
      let digits = "\(number)"
      return CodeTables.v2(String(repeating: "0", count: max(0, 4 - digits.count)) + digits)
    }
    return self.own("codes", [name])
  }

  /// A system of this source's own.
  func own(_ kind: String, _ names: [String] = []) -> String {
    (["urn:consilium:hl7v2", self.id, kind] + names.map { Self.word($0) }).joined(separator: ":")
  }

  /// A name without what a URI cannot have.
  private static func word(_ name: String) -> String {
    var out = ""
    for byte in name.utf8.prefix(100) {
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: out.unicodeScalars.append(Unicode.Scalar(byte))
      default: out += "%" + [byte >> 4, byte & 15].map { String($0, radix: 16, uppercase: true) }.joined()
      }
    }
    return out
  }

  private static func isOID(_ text: String) -> Bool {
    text.utf8.count <= 200
      && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
        !part.isEmpty && part.utf8.allSatisfy { (0x30...0x39).contains($0) } && (part.count == 1 || part.first != "0")
      }
  }

  private static func uuid(_ text: String) -> String? {
    let small = text.lowercased()
    let isOne =
      small.utf8.count == 36
      && small.utf8.enumerated().allSatisfy { place, byte in
        [8, 13, 18, 23].contains(place)
          ? byte == 0x2D : (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
      }
    return isOne ? small : nil
  }
}
