import HealthRecords
import Testing

@testable import FHIR

/// Each rule of form and its opposite; the values are those of the R4 pages "Data Types" and "JSON".
@Suite struct ValidationTests {
  private static func faults(_ text: String) throws -> [String] {
    let json = try CanonicalJSON(Array(text.utf8))
    return Validation.faults(of: json, type: try #require(json["resourceType"]?.text))
  }

  private static func observation(_ rest: String) -> String {
    #"{"resourceType":"Observation","status":"final","code":{"text":"x"},\#(rest)}"#
  }

  @Test(
    "What is wrong inside a resource is told with its path",
    arguments: [
      (#""subject":{"referense":"Patient/1"}"#, "Observation.subject.referense"),
      (#""code2":{"text":"x"}"#, "Observation.code2"),
      (#""category":[{"coding":[{"code":"a"},{"code":5}]}]"#, "Observation.category[0].coding[1].code"),
      (#""category":[{"coding":{"code":"a"}}]"#, "Observation.category[0].coding"),
      (#""valueQuantity":{"value":"70"}"#, "Observation.valueQuantity.value"),
      (#""valueQuantity":{"value":70,"comparator":"~"}"#, "Observation.valueQuantity.comparator"),
      (#""valueString":"x","valueBoolean":true"#, "Observation"),
      (#""component":[{"valueString":"x"}]"#, "Observation.component[0].code"),
      (#""component":[{"code":{"text":"x"},"valueInteger":1.5}]"#, "Observation.component[0].valueInteger"),
      (#""component":[{"code":{"text":"x"},"valueInteger":3000000000}]"#, "Observation.component[0].valueInteger"),
      (#""referenceRange":[{"low":{"value":true}}]"#, "Observation.referenceRange[0].low.value"),
      (#""effectiveDateTime":"2023-02-29""#, "Observation.effectiveDateTime"),
      (#""effectiveDateTime":"2024-02-29T10:00:00""#, "Observation.effectiveDateTime"),
      (#""effectiveDateTime":"2024-2-9""#, "Observation.effectiveDateTime"),
      (#""effectiveDateTime":"24-02-09""#, "Observation.effectiveDateTime"),
      (#""effectivePeriod":{"start":"2024-13-01"}"#, "Observation.effectivePeriod.start"),
      (#""effectiveDateTime":"2024","effectivePeriod":{"start":"2024"}"#, "Observation"),
      (#""issued":"2024-02-29""#, "Observation.issued"),
      (#""valueTime":"24:00:00""#, "Observation.valueTime"),
      (#""identifier":[{"system":"has space","value":"1"}]"#, "Observation.identifier[0].system"),
      (#""identifier":[{"use":"secret"}]"#, "Observation.identifier[0].use"),
      (#""note":[{"time":"2024"}]"#, "Observation.note[0].text"),
      (#""extension":[{"valueString":"x"}]"#, "Observation.extension[0].url"),
      (#""extension":[{"url":"http://x","valueUuid":"urn:uuid:1"}]"#, "Observation.extension[0].valueUuid"),
      (#""extension":[{"url":"http://x","valueOid":"urn:oid:1.02"}]"#, "Observation.extension[0].valueOid"),
      (#""extension":[{"url":"http://x","valueId":"a_b"}]"#, "Observation.extension[0].valueId"),
      (#""extension":[{"url":"http://x","valuePositiveInt":0}]"#, "Observation.extension[0].valuePositiveInt"),
      (#""extension":[{"url":"http://x","valueUnsignedInt":-1}]"#, "Observation.extension[0].valueUnsignedInt"),
      (#""extension":[{"url":"http://x","valueBase64Binary":"a b"}]"#, "Observation.extension[0].valueBase64Binary"),
      (#""extension":[{"url":"http://x","valueCode":" a"}]"#, "Observation.extension[0].valueCode"),
      (#""text":{"status":"generated"}"#, "Observation.text.div"),
      (#""text":{"status":"made","div":"<div>x</div>"}"#, "Observation.text.status"),
      (#""text":{"status":"generated","div":"<p>x</p>"}"#, "Observation.text.div"),
      (#""meta":{"lastUpdated":"yesterday"}"#, "Observation.meta.lastUpdated"),
      (#""contained":[{"id":"p"}]"#, "Observation.contained[0]"),
      (#""contained":[{"resourceType":"Patient","gender":"m"}]"#, "Observation.contained[0].gender"),
      (#""contained":[{"resourceType":"Patient","contained":[]}]"#, "Observation.contained[0]"),
      (#""_subject":{"id":"x"}"#, "Observation._subject"),
      (#""_issued":{"extension":[{}]}"#, "Observation._issued.extension[0]"),
      (#""subject":{}"#, "Observation.subject"), (#""note":[]"#, "Observation.note"),
      (#""valueString":"""#, "Observation.valueString"), (#""valueString":null"#, "Observation.valueString"),
      (#""valueString":"bell \u0007""#, "Observation.valueString"),
    ])
  func fault(_ rest: String, _ path: String) throws {
    let faults = try Self.faults(Self.observation(rest))
    #expect(faults.contains { $0.hasPrefix(path + ":") }, "\(faults)")
  }

  @Test(
    "What the standard allows is taken",
    arguments: [
      #""subject":{"reference":"Patient/1","type":"Patient","identifier":{"value":"1"},"display":"x"}"#,
      #""effectiveDateTime":"2024-02-29T10:00:00.5+14:00""#, #""effectiveDateTime":"2024-02""#,
      #""effectiveInstant":"2015-02-07T13:28:17.239-02:00""#, #""valueTime":"23:59:60""#,
      #""valueQuantity":{"value":-1.50e3,"comparator":"<=","unit":"kg"}"#, #""valueInteger":-2147483648"#,
      #""extension":[{"url":"http://x","extension":[{"url":"y","valueDecimal":0.10}]}]"#,
      #""extension":[{"url":"http://x","valueUuid":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}]"#,
      #""extension":[{"url":"http://x","valueOid":"urn:oid:1.2.3.4.5"}]"#,
      #""extension":[{"url":"http://x","valueBase64Binary":"TGlu\nZQ=="}]"#,
      #""component":[{"code":{"text":"x"},"modifierExtension":[{"url":"http://x","valueCode":"a b"}]}]"#,
      #""_effectiveDateTime":{"extension":[{"url":"http://x","valueCode":"unknown"}]}"#,
      #""contained":[{"resourceType":"Basic","anything":{"at":"all"}}]"#,
      #""text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}"#,
    ])
  func taken(_ rest: String) throws { #expect(try Self.faults(Self.observation(rest)) == []) }

  @Test("A text has at most 1,048,576 characters, however it looks; base64 is longer (R4, datatypes)")
  func long() throws {
    let most = String(repeating: "ä", count: 1 << 20)
    #expect(try Self.faults(#"{"resourceType":"Patient","name":[{"text":"\#(most)"}]}"#) == [])
    let letters = String(repeating: "a", count: 1 << 20) + "aaaa"
    #expect(try Self.faults(#"{"resourceType":"Patient","name":[{"text":"\#(letters)"}]}"#).count == 1)
    #expect(try Self.faults(#"{"resourceType":"Patient","photo":[{"data":"\#(letters)"}]}"#) == [])
  }

  @Test("A value that is not there is stood for by what is beside it")
  func besides() throws {
    let given = #"{"resourceType":"Patient","name":[{"given":["A",null],"_given":[null,{"id":"x"}]}]}"#
    #expect(try Self.faults(given) == [])
    let lacking = #"{"resourceType":"Patient","name":[{"given":["A",null]}]}"#
    #expect(try Self.faults(lacking).count == 1)
    let status =
      #"{"resourceType":"Slot","_status":{"id":"x"},"schedule":{"display":"x"},"start":"2024-01-01T00:00:00Z","#
    #expect(try Self.faults(status + #""end":"2024-01-01T00:00:00Z"}"#) == [])
  }

  @Test(
    "A narrative is one well-formed div that formats text, and runs nothing (R4, txt-1, txt-2)",
    arguments: [
      ("<div>x</div>", true), ("<div><p>a<br/>b &amp; &nbsp;c &#160;</p><!-- x --></div>", true),
      (
        #"<div xmlns="http://www.w3.org/1999/xhtml"><table border='1'><tr><td colspan="2">x</td></tr></table></div>"#,
        true
      ),
      (##"<div><a href="http://h?a=1&amp;b=2">x</a><img src="#i" alt=""/></div>"##, true),
      (##"<div><img src="#i"/></div>"##, true),
      ("<div> </div>", false), ("<div/>", false), ("<p>x</p>", false), ("<div>x", false),
      ("<div><b>x</div></b>", false),
      ("<div>x</div><div>y</div>", false), ("<div>x<script>y</script></div>", false), ("<div>x<form/></div>", false),
      (#"<div><p onclick="x()">x</p></div>"#, false), (#"<div><a href="javascript:x">x</a></div>"#, false),
      (#"<div><a href=" JavaScript:x">x</a></div>"#, false), (#"<div><a href="java&#115;cript:x">x</a></div>"#, false),
      ("<div>a & b</div>", false), ("<div><p class=x>y</p></div>", false), ("<div><br>x</div>", false),
      ("<div>x<?y?></div>", false),
      ("<div>x<!DOCTYPE y></div>", false), ("<div>x<![CDATA[y]]></div>", false), (#"<div a="1" a="2">x</div>"#, false),
      ("<div>x<iframe/></div>", false), ("<div>x</div", false), ("<div>x<!-- y</div>", false), ("<div", false),
    ])
  func narratives(_ div: String, _ isRight: Bool) throws {
    let json = CanonicalJSON.members([
      ("resourceType", .string("Patient")),
      ("text", .members([("status", .string("generated")), ("div", .string(div))])),
    ])
    #expect(Validation.faults(of: json, type: "Patient").isEmpty == isRight, "\(div)")
    let deep = String(repeating: "<div>", count: 101) + "x" + String(repeating: "</div>", count: 101)
    #expect(Narrative.fault(of: Array(deep.utf8)) != nil)
  }

  @Test("Values and what is beside them are of one length, and say something in each place (R4, JSON §2.6.2.2)")
  func pairs() throws {
    for (name, isRight) in [
      (#""given":["A",null],"_given":[null,{"id":"x"}]"#, true), (#""_given":[{"id":"x"}]"#, true),
      (#""given":[null],"_given":[{"id":"x"}]"#, true), (#""given":["A",null],"_given":[null,null]"#, false),
      (#""given":["A"],"_given":[null,{"id":"x"}]"#, false), (#""given":["A","B"],"_given":[{"id":"x"}]"#, false),
      (#""given":[null],"_given":[null]"#, false), (#""_given":[null]"#, false), (#""given":[null]"#, false),
    ] {
      #expect(try Self.faults(#"{"resourceType":"Patient","name":[{\#(name)}]}"#).isEmpty == isRight, "\(name)")
    }
  }

  @Test("A choice that must be made is missed, and a resource of nothing but faults fills no answer")
  func required() throws {
    let given = #"{"resourceType":"MedicationStatement","status":"active","subject":{"display":"x"}}"#
    #expect(try Self.faults(given).map { $0.prefix { $0 != ":" } } == ["MedicationStatement.medication[x]"])
    let wrong = (0..<1000).map { "\"e\($0)\":1" }.joined(separator: ",")
    #expect(try Self.faults(Self.observation(wrong)).count == Validation.faultsMax)
  }

  @Test("Every type that is stored has its definition, and each type that one names is there")
  func whole() {
    for type in SearchParameter.types { #expect(Definitions.table[type] != nil, "\(type)") }
    for (name, definition) in Definitions.table {
      for (element, what) in definition.elements {
        if case .object(let type) = what.kind { #expect(Definitions.table[type] != nil, "\(name).\(element)") }
      }
    }
  }
}
