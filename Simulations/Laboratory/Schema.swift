/// The JSON Schema of scenario files, made from the same table that checks them: editors complete and underline by it.
public enum Schema {
  /// The schema as JSON text.
  public static var json: String {
    var sections: [String: [ScenarioKey]] = [:]
    var order: [String] = []
    for key in ScenarioKey.all {
      let parts = key.path.split(separator: ".").map(String.init)
      let section = parts.count == 2 ? parts[0] : ""
      if sections[section] == nil { order.append(section) }
      sections[section, default: []].append(key)
    }
    var properties = (sections[""] ?? []).map { "    \(self.quoted($0.path)): \(self.describe($0))" }
    for section in order where !section.isEmpty {
      let keys = sections[section] ?? []
      let object = self.object(keys)
      let isRepeated = ScenarioKey.repeated.contains(section)
      properties.append(
        "    \(self.quoted(section)): " + (isRepeated ? "{\"type\": \"array\", \"items\": \(object)}" : object))
    }
    return """
      {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Consilium scenario",
        "type": "object",
        "additionalProperties": false,
        "required": \(self.required(sections[""] ?? [])),
        "properties": {
      \(properties.joined(separator: ",\n"))
        }
      }

      """
  }

  private static func quoted(_ text: String) -> String {
    "\"\(text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
  }

  private static func required(_ keys: [ScenarioKey]) -> String {
    let names = keys.filter { $0.standard == nil }.map { self.quoted(self.name($0)) }
    return "[\(names.joined(separator: ", "))]"
  }

  private static func name(_ key: ScenarioKey) -> String { String(key.path.split(separator: ".").last ?? "") }

  private static func object(_ keys: [ScenarioKey]) -> String {
    let properties = keys.map { "\(self.quoted(self.name($0))): \(self.describe($0))" }
    return "{\"type\": \"object\", \"additionalProperties\": false, \"required\": \(self.required(keys)), "
      + "\"properties\": {\(properties.joined(separator: ", "))}}"
  }

  private static func describe(_ key: ScenarioKey) -> String {
    let type: String =
      switch key.kind {
      case .integer(let range):
        "\"type\": \"integer\", \"minimum\": \(range.lowerBound), \"maximum\": \(range.upperBound)"
      case .text: "\"type\": \"string\""
      case .word(let words): "\"enum\": [\(words.map { self.quoted($0) }.joined(separator: ", "))]"
      case .span: self.pattern("ns|us|µs|ms|s|min|h|d")
      case .bytes: self.pattern("B|kB|MB|GB|KiB|MiB|GiB")
      case .rate: self.pattern("/s|/min|/h|/d")
      case .bandwidth: self.pattern("bit/s|kbit/s|Mbit/s|Gbit/s")
      case .percent: self.pattern("%")
      case .members: "\"type\": \"array\", \"items\": {\"type\": \"integer\", \"minimum\": 1}"
      case .groups:
        "\"type\": \"array\", \"minItems\": 2, \"maxItems\": 2, "
          + "\"items\": {\"type\": \"array\", \"items\": {\"type\": \"integer\", \"minimum\": 1}}"
      }
    var standard = ""
    if let value = key.standard, !value.isEmpty {
      let isNumber = if case .integer = key.kind { true } else { false }
      standard = ", \"default\": \(isNumber ? value : self.quoted(value))"
    }
    return "{\(type), \"description\": \(self.quoted(key.meaning))\(standard)}"
  }

  private static func pattern(_ units: String) -> String {
    "\"type\": \"string\", \"pattern\": \(self.quoted("^[0-9][0-9_.]* ?(\(units))$"))"
  }
}
