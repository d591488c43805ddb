// What may be said of allergies: recorded, none known, none recorded, not known; and what stands in lists, plots and checks.
import assert from "node:assert/strict";
import { test } from "node:test";
import { arrange, bySection, comparable, conflicts, current, grouped, ofKind, person } from "../../Sources/Gateway/Portal/chart.js";
import { gaps, isOutdated, missingIn, statement } from "../../Sources/Gateway/Portal/known.js";

const view = (record, category, rest = {}) => ({ record, category, hospital: 1, time: "2026-11-29T10:00:00Z", leaf: Number(record), ...rest });
const opened = (one, resource) => ({ view: one, text: JSON.stringify(resource) });
const allergy = (text, rest = {}) => ({ resourceType: "AllergyIntolerance", code: { text }, ...rest });
const coded = (code) => ({ coding: [{ code }] });

/** What is said of allergies where some records are listed and some were read. */
function said(listed, read, rest = {}) {
  const outcomes = new Map(read.map((one) => [one.view.record, one]));
  return statement("allergy", { listed, outcomes, current: ofKind(arrange(read), "allergy"), asked: [1], all: [1, 2], ...rest });
}
const reasons = (one) => one.gaps.map((gap) => `${gap.reason} ${gap.count}`);

test("no allergy is recorded: only where every record of allergies was read, and of that hospital alone", () => {
  const [a, b] = [view("1", "allergy"), view("2", "observation")];
  assert.equal(said([b], []).state, "noneRecorded");
  assert.deepEqual(said([b], []).others, [2]);
  assert.deepEqual([said([a, b], []).state, reasons(said([a, b], []))], ["unknown", ["notAsked 1"]]);
  assert.equal(said(null, []).state, "unknown");
  for (const [fault, reason] of [["missing", "missing"], ["key", "key"], ["encryption", "encryption"], ["hash-lock", "hash-lock"], ["capsule", "other"]]) {
    const one = said([a, b], [{ view: a, fault }]);
    assert.deepEqual([one.state, reasons(one)], ["unknown", [`${reason} 1`]]);
  }
  assert.deepEqual(reasons(said([a], [{ view: a, refused: "the limit is reached" }])), ["refused 1"]);
  assert.equal(said([a], [{ view: a, refused: "the limit" }]).gaps[0].why, "the limit");
  assert.deepEqual(reasons(said([a], [], { waiting: new Set(["1"]) })), ["waiting 1"]);
  assert.deepEqual(reasons(said([a, view("3", "allergy")], [], { waiting: new Set(["1"]) })), ["waiting 1", "notAsked 1"]);
  assert.deepEqual(reasons(said([a], [{ view: a, file: { size: 3, kind: "file" } }])), ["unreadable 1"]);
});

test("one flipped byte is not told as a key that was replaced", () => {
  const a = view("1", "allergy");
  assert.deepEqual(reasons(said([a], [{ view: a, fault: "key", keys: { isReplaced: false } }])), ["key 1"]);
  assert.deepEqual(reasons(said([a], [{ view: a, fault: "key", keys: { isReplaced: true } }])), ["oldKey 1"]);
});

test("recorded, with those that were not read beside it", () => {
  const [a, b] = [view("1", "allergy"), view("2", "allergy")];
  const one = said([a, b], [opened(a, allergy("Penicillin"))]);
  assert.deepEqual([one.state, reasons(one)], ["recorded", ["notAsked 1"]]);
  assert.deepEqual(said([a], [opened(a, allergy("Penicillin"))]).gaps, []);
});

test("none known: as somebody recorded, of what was asked, and never beside an allergy or a gap", () => {
  const [a, b] = [view("1", "allergy"), view("2", "allergy")];
  const none = allergy("x", { code: coded("716186003") });
  assert.equal(said([a], [opened(a, none)]).state, "noneKnown");
  assert.equal(said([a], [opened(a, none)]).isAll, true);
  assert.equal(said([a, b], [opened(a, none)]).state, "unknown", "another record was not read");
  assert.equal(said([a, b], [opened(a, none), opened(b, allergy("Latex"))]).state, "recorded");
  assert.equal(said([a], [opened(a, allergy("x", { code: coded("409137002") }))]).isAll, false);
  assert.equal(said([a], [opened(a, allergy("x", { code: coded("no-allergy-info") }))]).state, "unknown");
  assert.equal(said([a], [opened(a, { ...none, verificationStatus: coded("entered-in-error") })]).state, "noneRecorded");
});

test("files of several records, and what is especially sensitive, tell of allergies too", () => {
  const [file, other] = [view("1", "bundle"), view("2", "sensitive")];
  assert.deepEqual([said([file, other], []).state, reasons(said([file, other], []))], ["unknown", ["mayTell 2"]]);
  const bundle = { resourceType: "Bundle", type: "document", entry: [{ fullUrl: "urn:uuid:1", resource: { resourceType: "Medication", code: { text: "Ampicillin" } } },
    { resource: allergy("Penicillin") }, { resource: { resourceType: "MedicationRequest", status: "active", medicationReference: { reference: "urn:uuid:1" } } }, null] };
  const one = said([file], [opened(file, bundle)]);
  assert.deepEqual([one.state, one.items.map((each) => each.shown.title), one.gaps], ["recorded", ["Penicillin"], []]);
  assert.deepEqual(conflicts(arrange([opened(file, bundle)])).map((pair) => pair.medicine), ["Ampicillin"]);
  assert.equal(said([file], [opened(file, { resourceType: "Bundle", entry: [] })]).state, "noneRecorded");
});

test("what was not read may stand in any section, and is told there", () => {
  const listed = [view("1", "observation"), view("2", "observation"), view("3", "bundle"), view("4", "encounter")];
  const outcomes = new Map([["1", opened(listed[0], { resourceType: "Observation" })]]);
  const told = (section) => missingIn(section, { listed, outcomes }).map((gap) => `${gap.reason} ${gap.count}`);
  assert.deepEqual([told("result"), told("visit"), told("person")], [["notAsked 1", "mayTell 1"], ["notAsked 1", "mayTell 1"], ["mayTell 1"]]);
  assert.deepEqual(missingIn("result", { listed: [listed[0]], outcomes }), []);
});

test("a list is outdated where what may tell of allergies came, was replaced, or was erased", () => {
  const [a, b] = [view("1", "allergy"), view("2", "observation")];
  assert.equal(isOutdated([a, b], [b, a]), false);
  assert.equal(isOutdated([a], [a, b, view("3", "medication"), view("4", "document")]), false);
  for (const category of ["allergy", "condition", "bundle", "sensitive"]) assert.equal(isOutdated([a], [a, view("3", category)]), true, category);
  assert.equal(isOutdated([a], [{ ...a, supersededBy: "3" }]), true);
  assert.equal(isOutdated([a], [{ ...a, erased: true }]), true);
  assert.equal(isOutdated([], []), false);
});

const problem = (code, rest = {}) => ({ resourceType: "Condition", clinicalStatus: coded("active"), code: typeof code === "string" ? { text: code } : code, ...rest });

test("an allergy that is written down as a problem is an allergy", () => {
  const a = view("1", "condition");
  const [snomed, icd] = ["http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10-cm"];
  const states = (resource) => said([a], [opened(a, resource)]).state;
  for (const one of ["Allergy to penicillin", "Penicillin allergy", "Allergic to PCN", "Anaphylaxis after amoxicillin", "Penicillinallergie", "Alergia a la penicilina", "青霉素过敏",
    { coding: [{ system: snomed, code: "91936005" }] }, { coding: [{ system: icd, code: "Z88.0" }] }]) assert.equal(states(problem(one)), "recorded", JSON.stringify(one));
  for (const one of ["Asthma", "Synergy", "No penicillin allergy", "Family history of allergy", { coding: [{ system: icd, code: "E11.9" }] }]) assert.equal(states(problem(one)), "noneRecorded", JSON.stringify(one));
  for (const rest of [{ clinicalStatus: coded("resolved") }, { verificationStatus: coded("refuted") }]) assert.equal(states(problem("Allergy to penicillin", rest)), "noneRecorded");
  assert.equal(said([view("2", "allergy"), a], [opened(view("2", "allergy"), allergy("No known allergies")), opened(a, problem("Allergy to penicillin"))]).state, "recorded");
  assert.deepEqual(reasons(said([a], [])), ["problems 1"]);
  const items = arrange([opened(a, problem("Allergy to penicillin")), opened(view("2", "medication"), {
    resourceType: "MedicationRequest", status: "active", medicationCodeableConcept: { text: "Amoxicillin" } })]);
  assert.deepEqual(conflicts(items).map((pair) => pair.medicine), ["Amoxicillin"]);
  assert.deepEqual(current(items, "problem").map((one) => one.shown.title), ["Allergy to penicillin"], "it stays a problem too");
});

test("none known is said of what the sentence names, in the record of that kind, and of nothing else", () => {
  const [a, b] = [view("1", "condition"), view("2", "medication")];
  const of = (kind, category, resource) => {
    const read = [opened(view("1", category), resource)];
    const items = arrange(read);
    const { state, none } = statement(kind, { listed: [read[0].view], outcomes: new Map([["1", read[0]]]), current: ofKind(items, kind), asked: [1], all: [1, 2] });
    return [state, none.length, items[0].shown.title];
  };
  for (const words of ["No known problems", "No known conditions (situation)", { coding: [{ code: "no-known-problems", display: "none" }] }])
    assert.deepEqual(of("problem", "condition", problem(words)).slice(0, 2), ["noneKnown", 1], JSON.stringify(words));
  for (const words of ["No known allergies", "NKA", "NKDA", "No known drug allergies", "No known medications", { text: "No known allergy", coding: [{ code: "716186003" }] }]) {
    const title = words.text ?? words;
    assert.deepEqual(of("problem", "condition", problem(words)), ["noneRecorded", 0, title], title);
    assert.deepEqual(of("allergy", "condition", problem(words)), ["noneRecorded", 0, title], title);
  }
  assert.deepEqual(of("allergy", "allergy", allergy("No known problems")), ["noneRecorded", 0, "No known problems"]);
  const medicine = { resourceType: "MedicationStatement", status: "active", medicationCodeableConcept: { text: "No known allergies" } };
  assert.deepEqual(of("medicine", "medication", medicine), ["noneRecorded", 0, "No known allergies"]);
  assert.equal(of("medicine", "medication", { ...medicine, medicationCodeableConcept: { text: "No known medications" } })[0], "noneKnown");
  // Beside a problem it is no second one, and takes nothing away.
  const items = arrange([opened(a, problem("Asthma")), opened(view("3", "condition"), problem("No known allergies")), opened(b, medicine)]);
  assert.deepEqual(statement("problem", { listed: [a], outcomes: new Map([["1", opened(a, problem("Asthma"))]]), current: ofKind(items, "problem"), asked: [1], all: [1] })
    .items.map((one) => one.shown.title), ["Asthma"]);
});

test("erased and replaced records are no gaps; what was erased is said", () => {
  const listed = [view("1", "allergy", { erased: true }), view("2", "allergy", { supersededBy: "3" }), view("3", "observation")];
  assert.deepEqual([said(listed, []).state, said(listed, []).erased], ["noneRecorded", 1]);
  assert.deepEqual(gaps(listed, new Map()), [{ reason: "notAsked", count: 1 }]);
});

const potassium = (record, number, rest = {}, more = {}) => opened(view(record, "observation", rest), {
  resourceType: "Observation", status: "final", code: { text: "Potassium" }, effectiveDateTime: `2026-01-0${record}`, valueQuantity: { value: number, unit: "mmol/L" }, ...more });

test("a corrected value is the headline; the one that it replaced is in no list, plot or check", () => {
  const items = arrange([potassium("1", 6.9, { supersededBy: "2" }), potassium("2", 4.9, {}, { status: "corrected", effectiveDateTime: "2026-01-01" })]);
  const [section] = bySection(items).filter((one) => one.name === "result");
  assert.deepEqual(section.current.map((one) => one.shown.value), ["4.9 mmol/L"]);
  assert.deepEqual(section.replaced.map((one) => one.shown.value), ["6.9 mmol/L"]);
  assert.equal(section.replaced[0].isNewerUnread, false);
  assert.deepEqual(grouped(section.current).map((one) => one.plots), [[]]);
  assert.equal(arrange([potassium("1", 6.9, { supersededBy: "2" })])[0].isNewerUnread, true);
});

test("plots: unit by unit, without what is not exact, entered in error, or without a day", () => {
  const items = arrange([potassium("1", 5.2), potassium("2", 94, {}, { valueQuantity: { value: 94, unit: "mg/dL" } }), potassium("3", 5.4),
    potassium("4", 9.9, {}, { status: "entered-in-error" }), potassium("5", 3, {}, { valueQuantity: { value: 3, comparator: "<", unit: "mmol/L" } }),
    potassium("6", 4, {}, { effectiveDateTime: "2026" })]);
  const [group] = grouped(current(items, "result"));
  assert.deepEqual(group.plots.map((one) => [one.unit, one.points.map((each) => each.shown.number)]), [["mmol/L", [5.2, 5.4]]]);
  assert.equal(group.items[0].shown.value, "< 3 mmol/L", "the newest comes first");
  assert.ok(!group.items.some((one) => one.shown.value === "9.9 mmol/L"));
});

test("plots: one method each; what has no date is neither the newest nor in a plot", () => {
  const by = (method) => ({ method: { text: method } });
  const items = arrange([potassium("1", 5.2, {}, by("ISE")), potassium("2", 5.9, {}, by("Flame")), potassium("3", 5.4, {}, by("ISE")),
    potassium("4", 9.9, {}, { effectiveDateTime: undefined })]);
  const [dated, undated] = grouped(current(items, "result")).sort((a, b) => b.items.length - a.items.length);
  assert.deepEqual(dated.plots.map((one) => one.points.map((each) => each.shown.number)), [[5.2, 5.4]]);
  assert.deepEqual([dated.items.length, undated.items.map((one) => one.shown.number), undated.plots], [3, [9.9], []]);
});

test("alerts come before everything else, and those that are over do not", () => {
  const flag = (record, status) => opened(view(record, "other"), { resourceType: "Flag", status, code: { text: `Falls ${record}` } });
  const sections = bySection(arrange([opened(view("1", "allergy"), allergy("Latex")), flag("2", "active"), flag("3", "inactive"), flag("4", "entered-in-error")]));
  assert.deepEqual([sections[0].name, sections[1].name], ["alert", "allergy"]);
  const titles = (items) => items.map((one) => one.shown.title);
  assert.deepEqual([titles(sections[0].current), titles(sections[0].past), titles(sections[0].invalid)], [["Falls 2"], ["Falls 3"], ["Falls 4"]]);
  assert.deepEqual(missingIn("alert", { listed: [view("5", "other")], outcomes: new Map() }).map((gap) => gap.reason), ["notAsked"]);
});

test("allergies: the gravest first", () => {
  const names = ["low", "none", "high", "severe"];
  const items = arrange([allergy("low", { criticality: "low", recordedDate: "2026" }), allergy("none"), allergy("high", { criticality: "high", recordedDate: "2001" }),
    allergy("severe", { criticality: "low", reaction: [{ severity: "severe", manifestation: [{ text: "shock" }] }] })]
    .map((one, index) => opened(view(String(index + 1), "allergy"), one)));
  assert.deepEqual(current(items, "allergy").map((one) => one.shown.title), ["high", "severe", "none", "low"]);
  assert.equal(names.length, 4);
});

test("a medicine's name by a record that was opened too, of the same hospital", () => {
  const items = arrange([opened(view("1", "medication"), { resourceType: "Medication", id: "7", code: { text: "Digoxin" } }),
    opened(view("2", "medication"), { resourceType: "MedicationRequest", status: "active", medicationReference: { reference: "Medication/7" } }),
    opened(view("3", "medication", { hospital: 2 }), { resourceType: "MedicationRequest", status: "active", medicationReference: { reference: "Medication/7" } })]);
  assert.deepEqual(current(items, "medicine").map((one) => one.shown.title).sort(), ["A medicine without a name", "Digoxin"]);
  // Nobody takes it for one that was compared.
  assert.deepEqual(current(items, "medicine").map((one) => [one.shown.title, one.shown.marks.map((each) => each.text).join()]).sort(), [
    ["A medicine without a name", "Its name is not in this record, so it is NOT compared with the allergies."], ["Digoxin", ""]]);
});

test("conflicts: only what stands on both sides", () => {
  const medicine = (text, rest = {}) => ({ resourceType: "MedicationRequest", status: "active", medicationCodeableConcept: { text }, ...rest });
  const found = (...resources) => conflicts(arrange(resources.map((one, index) => opened(view(String(index + 1), "x"), one)))).map((one) => `${one.medicine} × ${one.allergy}`);
  assert.deepEqual(found(allergy("Penicillin"), medicine("Amoxicillin 500 mg")), ["Amoxicillin 500 mg × Penicillin"]);
  assert.deepEqual(found(allergy("Penicillin"), medicine("Penicillin V", { status: "stopped" })), []);
  assert.deepEqual(found(allergy("Penicillin"), medicine("Penicillin V", { doNotPerform: true })), []);
  assert.deepEqual(found(allergy("Penicillin", { verificationStatus: coded("refuted") }), medicine("Penicillin V")), []);
  assert.deepEqual(found(allergy("Penicillin", { verificationStatus: coded("entered-in-error") }), medicine("Penicillin V")), []);
  assert.deepEqual(found(allergy("No known allergies"), medicine("Penicillin V")), []);
  const inside = { contained: [{ resourceType: "Medication", id: "m", ingredient: [{ itemCodeableConcept: { text: "Ampicillin" } }] }], medicationReference: { reference: "#m" } };
  assert.deepEqual(found(allergy("Penicillin"), { resourceType: "MedicationRequest", status: "active", ...inside }), ["Ampicillin × Penicillin"]);
});

test("allergies that the table does not know are named", () => {
  const items = arrange([allergy("Dust"), allergy("PCN"), allergy("Xylofantine"), allergy("Latex", { verificationStatus: coded("refuted") }), allergy("No known allergies")]
    .map((one, index) => opened(view(String(index + 1), "allergy"), one)));
  const { count, unknown } = comparable(items);
  assert.deepEqual([count, unknown.sort()], [3, ["Dust", "Xylofantine"]]);
  const byCode = { resourceType: "AllergyIntolerance", code: { coding: [{ system: "http://snomed.info/sct", code: "294505008" }] } };
  assert.deepEqual(comparable(arrange([opened(view("1", "allergy"), byCode)])).unknown, []);
});

test("the person: the newest record that stands", () => {
  const patient = (text, rest) => opened(view(rest.record, "demographics", rest), { resourceType: "Patient", name: [{ text }] });
  assert.equal(person(arrange([patient("Old", { record: "1", supersededBy: "2" }), patient("New", { record: "2" })])).name, "New");
  assert.equal(person([]), null);
});
