// Every clinically relevant element of a record is on the page: elements.json names them by FHIRPath for each type, and a
// reader that shares no code with the page looks for each value among the words. cases.json has a record of each type with
// all of them; examples.json those of FHIR R4's own examples (4.0.1, © HL7, CC0) that between them use each in every form
// that any of them uses, without narratives and long attachments. CONSILIUM_EXAMPLES names a folder of more resources, such
// as all of FHIR's examples.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { day } from "../../Sources/Gateway/Portal/dates.js";
import { describe } from "../../Sources/Gateway/Portal/fhir.js";
import { LINES_MAX, reading } from "../../Sources/Gateway/Portal/plain.js";
import { D, T } from "../../Sources/Gateway/Portal/texts.js";
import { parsed } from "../../Sources/Gateway/Portal/values.js";

const here = path.dirname(new URL(import.meta.url).pathname);
const ELEMENTS = JSON.parse(fs.readFileSync(`${here}/elements.json`, "utf8"));
const CASES = JSON.parse(fs.readFileSync(`${here}/cases.json`, "utf8"));
const EXAMPLES = JSON.parse(fs.readFileSync(`${here}/examples.json`, "utf8"));

/** Whether somebody sees an element that is no text: codes and truths, by what the page must say of them. */
const SAID = {
  "AllergyIntolerance.criticality": { high: D.highRisk, low: D.lowRisk, "unable-to-assess": D.riskUnknown },
  "MedicationRequest.doNotPerform": { true: D.doNotTake }, "ServiceRequest.doNotPerform": { true: D.doNot }, "CarePlan.activity.detail.doNotPerform": { true: D.doNot },
  "MedicationRequest.substitution.allowedBoolean": { false: D.noSubstitute, true: D.maySubstitute }, "MedicationDispense.substitution.wasSubstituted": { true: D.substituted },
  "Immunization.isSubpotent": { true: D.subpotent }, "FamilyMemberHistory.condition.contributedToDeath": { true: D.ledToDeath }, "FamilyMemberHistory.deceased[x]": { true: D.dead },
  "Patient.deceased[x]": { true: D.dead }, "Observation.value[x]": { true: D.yes, false: D.no }, "List.entry.deleted": { true: D.struck }, "AdverseEvent.actuality": { potential: D.onlyPossible },
  "MedicationRequest.dosageInstruction.timing.repeat.frequency": { 2: "2 times", 3: "3 times" }, "MedicationRequest.dispenseRequest.numberOfRepeatsAllowed": { 0: "not to be repeated", 1: "repeated once" },
  "MedicationRequest.dosageInstruction.asNeeded[x]": { true: D.needed }, "MedicationStatement.dosage.asNeeded[x]": { true: D.needed }, "ServiceRequest.asNeeded[x]": { true: D.needed },
};
/** What goes without saying: that a record is as records mostly are. */
const UNSAID = { "MedicationRequest.dosageInstruction.timing.repeat.frequency": "1" };
const ORDINARY = new Set(["active", "confirmed", "final", "completed", "finished", "routine", "order", "current", "actual", "normal", "N"]);
const WORDS = [T.statuses, T.severities, T.sexes, T.allergyTypes, T.encounterClasses, D.allergyCategories, D.priorities, D.interpretations, D.absentReasons, D.days, D.eyes, D.timings];

/** Values at a FHIRPath, of every repetition, with where they are. */
function at(value, steps) {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value.flatMap((one) => at(one, steps));
  if (steps.length === 0) return [value];
  if (typeof value !== "object") return [];
  const [step, ...rest] = steps;
  if (!step.endsWith("[x]")) return at(value[step], rest);
  const name = step.slice(0, -3);
  return Object.keys(value).filter((key) => new RegExp(`^${name}[A-Z]`).test(key)).flatMap((key) => at(value[key], rest));
}

const plain = (text) => text.replace(/\s+/g, " ").trim();
const UNITS = { "mm[Hg]": "mmHg", "umol/L": "µmol/L", Cel: "°C", "1": "", "{score}": "", "10*9/L": "10⁹/L", "10*3/uL": "10³/µL", "10*6/uL": "10⁶/µL" };
/** What may stand for a value: a list of alternatives, each a list of texts that must all be there. */
function wordings(value) {
  if (typeof value === "number" || typeof value === "boolean") return [[String(value)]];
  if (typeof value === "string") {
    if (/^\d{4}(-\d\d(-\d\d(T.*)?)?)?$/.test(value)) return [[day(value)]];
    const codes = WORDS.map((table) => table[value]).filter(Boolean).map((one) => [one]);
    if (value in UNITS || value.startsWith("urn:")) return [[UNITS[value] ?? ""]];
    return [...codes, [plain(value)], [plain(value.replace(/<[^>]*>/g, " ").replaceAll("&amp;", "&").replaceAll("&quot;", "\"").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&nbsp;", " "))]];
  }
  if (value.coding || (value.text && !value.div)) {
    const codes = (value.coding ?? []).map((one) => one.code).flatMap((code) => WORDS.map((table) => table[code])).filter(Boolean).map((one) => [one]);
    const codings = value.coding ?? [];
    return value.text ? [[plain(value.text)], ...codes] : [...codings.filter((one) => one.display).map((one) => [plain(one.display)]), ...(codings.some((one) => one.display) ? [] : codings.filter((one) => one.code).map((one) => [one.code])), ...codes];
  }
  if (value.repeat || value.event) return [[]];
  if (value.numerator) return [[...wordings(value.numerator)[0], ...(value.denominator?.value === 1 ? [] : wordings(value.denominator ?? {})[0])]];
  if (value.low || value.high) return [[value.low, value.high].filter(Boolean).flatMap((one) => [String(one.value)])];
  if (value.start || value.end) return [[value.start, value.end].filter(Boolean).map((one) => day(one))];
  if (value.reference || value.display) return [value.display ? [plain(value.display)] : []];
  if (value.currency) return [[String(value.value), value.currency]];
  if (typeof value.value === "number") return [[String(value.value), UNITS[value.unit ?? value.code] ?? value.unit ?? value.code ?? ""]];
  if (value.family || value.given) return [[...(value.use === "official" || !value.use ? [...(value.given ?? []), value.family] : [])].filter(Boolean)];
  if (value.line || value.city) return [value.text ? [value.text] : [...(value.line ?? []), value.city].filter(Boolean)];
  if (value.code) return [[value.display ?? value.code], ...WORDS.map((table) => table[value.code]).filter(Boolean).map((one) => [one])];
  if (value.contentType || value.url) return [value.title ? [value.title] : []];
  return [[]];
}

/** What a page says of a record at first sight. */
function firstSight(resource) {
  const shown = describe(resource);
  return plain([shown.title, shown.when?.words ?? "", shown.when?.exact ?? "", shown.value ?? "", shown.status ?? "", ...shown.marks.map((one) => one.text), ...shown.lines,
    ...shown.parts.flatMap((one) => [one.name, one.value, ...one.marks.map((mark) => mark.text), ...one.notes]), ...shown.attachments.map((one) => one.title)].join(" \n "));
}

/** The elements of a record that are not on the page: [path, what was looked for]. */
export function missing(resource, text = firstSight(parsed(JSON.stringify(resource)))) {
  const small = text.toLowerCase();
  const type = resource.resourceType;
  return (ELEMENTS[type] ?? "").split(" ").filter(Boolean).flatMap((name) => at(resource, name.split(".")).flatMap((value) => {
    const said = SAID[`${type}.${name}`]?.[String(value)];
    if (ORDINARY.has(String(value?.coding?.[0]?.code ?? value)) || UNSAID[`${type}.${name}`] === String(value)) return [];
    // That something is not so, nobody says of everything.
    if (value === false && !said) return [];
    const ways = said ? [[said]] : wordings(value);
    return ways.some((way) => way.every((one) => small.includes(one.toLowerCase()))) ? [] : [[`${type}.${name}`, JSON.stringify(ways)]];
  }));
}

/** Every value in a record, but identifiers of machines, drawings, and the words in HTML that a system made of it. */
const SKIPPED = new Set(["resourceType", "id", "meta", "implicitRules", "language", "text", "fhir_comments", "data", "hash", "contentType", "size", "system", "version", "userSelected", "reference", "url", "use", "code", "comparator",
  "period", "periodUnit", "frequency", "origin", "dimensions", "dayOfWeek", "durationUnit", "when", "timeOfDay", "assigner", "type", "rank", "extension", "modifierExtension", "div"]);
function values(value, key = "", isTop = true) {
  if (Array.isArray(value)) return value.flatMap((one) => values(one, key, false));
  if (value === null || typeof value !== "object") return typeof value === "string" || typeof value === "number" ? [value] : [];
  return Object.entries(value).filter(([name]) => !name.startsWith("_") && (!SKIPPED.has(name) || (name === "text" && !isTop && !value.div && typeof value.text === "string")))
    .flatMap(([name, one]) => values(name === "denominator" && one.value === 1 ? { ...one, value: undefined } : one, name, typeof value.resourceType === "string"));
}

/** What is in a record and in no line of its details. */
function unread(resource) {
  const lines = reading(parsed(JSON.stringify(resource)));
  if (lines.length >= LINES_MAX) return [];
  const text = plain(lines.map((line) => `${line.name} ${line.words}`).join(" \n ")).toLowerCase();
  return values(resource).filter((value) => !wordings(value).some((way) => way.every((one) => text.includes(one.toLowerCase()))));
}

const more = process.env.CONSILIUM_EXAMPLES;
const found = more ? fs.readdirSync(more, { recursive: true }).filter((name) => name.endsWith(".json")).flatMap((name) => {
  try {
    const one = JSON.parse(fs.readFileSync(path.join(more, name), "utf8"));
    const all = one.resourceType === "Bundle" ? [one, ...(one.entry ?? []).map((each) => each?.resource)] : [one];
    return all.filter((each) => each?.resourceType && ELEMENTS[each.resourceType]).map((resource) => ({ name: `${name} ${resource.resourceType}`, resource }));
  } catch { return []; }
}) : [];
const all = [...[...CASES, ...EXAMPLES].map((resource) => ({ name: `${resource.resourceType} ${resource.id ?? ""}`, resource })), ...found];

test("each element that a clinician needs is seen at first sight", () => {
  const wrong = all.flatMap(({ name, resource }) => missing(resource).map(([element, ways]) => `${name}: ${element} ${ways}`));
  assert.deepEqual([...new Set(wrong)], []);
});

test("the cases have every element of the table", () => {
  const absent = Object.entries(ELEMENTS).flatMap(([type, names]) => names.split(" ").filter((name) =>
    !CASES.some((one) => one.resourceType === type && at(one, name.split(".")).length)).map((name) => `${type}.${name}`));
  assert.deepEqual(absent, []);
});

test("everything in a record is in its details, in words", () => {
  const wrong = all.flatMap(({ name, resource }) => unread(resource).map((value) => `${name}: ${JSON.stringify(value)}`));
  assert.deepEqual([...new Set(wrong)].slice(0, 40), []);
});

test("details are bounded", () => {
  const deep = JSON.parse(`${"{\"item\":[".repeat(60)}{"text":"x"}${"]}".repeat(60)}`);
  assert.ok(reading({ resourceType: "QuestionnaireResponse", item: [deep] }).length < 20);
  assert.equal(reading({ resourceType: "Basic", note: Array.from({ length: 5000 }, () => ({ text: "x" })) }).length, LINES_MAX);
});
