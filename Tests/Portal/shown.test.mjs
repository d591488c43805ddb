// What the pages say in words: of absences with their time and place, of refusals with what helps, of a proof with its moment.
import assert from "node:assert/strict";
import { test } from "node:test";

/** As much of a document as elements need that nobody looks at. */
class Element {
  constructor(tag) {
    [this.tag, this.children, this.attributes, this.className, this.dataset] = [tag, [], {}, "", {}];
  }
  append(...all) { this.children.push(...all); }
  replaceChildren(...all) { this.children = all; }
  addEventListener() {}
  setAttribute(name, value) { this.attributes[name] = value; }
  get textContent() { return this.children.map((one) => (one instanceof Element ? one.textContent : String(one))).join(" "); }
}
globalThis.document = { createElement: (tag) => new Element(tag), createElementNS: (_, tag) => new Element(tag) };

const { place } = await import("../../Sources/Gateway/Portal/ui.js");
const { knowledge, refusalsOf, sections } = await import("../../Sources/Gateway/Portal/sections.js");
const { clock, moment, T } = await import("../../Sources/Gateway/Portal/texts.js");
place.consortium = { own: 1, hospitals: [{ number: 1, name: "Northside General" }, { number: 2, name: "St. Mary" }, { number: 3, name: "Lakeview" }] };

const view = (record, category, rest = {}) => ({ record, category, hospital: 1, time: "2026-11-29T10:00:00Z", leaf: Number(record), ...rest });
const opened = (one, resource) => ({ view: one, text: JSON.stringify(resource) });
const coded = (code) => ({ coding: [{ code }] });
const allergy = (text, rest = {}) => ({ resourceType: "AllergyIntolerance", code: { text }, ...rest });

/** What a page says, by section. */
function page(read, { listed = read.map((one) => one.view), ...rest } = {}) {
  const known = knowledge({ listed, outcomes: new Map(read.map((one) => [one.view.record, one])), asked: [1], ...rest });
  return Object.fromEntries(sections(known).map((one) => [one.attributes.id, one.textContent.replace(/\s+/g, " ")]));
}

test("one medicine or problem does not make the list look complete", () => {
  const said = page([opened(view("1", "condition"), { resourceType: "Condition", code: { text: "Asthma" } }),
    opened(view("2", "medication"), { resourceType: "MedicationRequest", status: "active", medicationCodeableConcept: { text: "Digoxin" } })]);
  for (const name of ["allergy", "problem", "medicine"]) assert.match(said[`section-${name}`], /Other hospitals were not asked: St\. Mary, Lakeview\./, name);
});

test("an absence, and what is not known, say as of when", () => {
  const asOf = new Date();
  const time = `As of ${clock(asOf)}.`;
  const [a, b] = [view("1", "allergy"), view("2", "observation")];
  const none = page([], { listed: [], asOf });
  for (const name of ["allergy", "problem", "medicine"]) assert.ok(none[`section-${name}`].includes(`is recorded at Northside General. ${time}`), none[`section-${name}`]);
  assert.ok(page([], { listed: [a], asOf })["section-allergy"].includes(`Allergies are NOT known. ${time}`));
  assert.ok(page([opened(a, allergy("Penicillin"))], { listed: [a, view("3", "allergy")], asOf })["section-allergy"].includes(`There may be more allergies: ${time}`));
  assert.ok(page([opened(b, { resourceType: "Observation", code: { text: "Sodium" } })], { listed: [b, view("4", "observation")], asOf })["section-result"]
    .includes(`There may be more: ${time}`));
  const yesterday = new Date("2026-11-29T02:08:00Z");
  assert.equal(clock(yesterday, new Date("2026-11-30T23:00:00Z")), moment(yesterday), "a time of another day has its day");
});

test("hospitals at which the words have no account are not told as asked", () => {
  const said = page([], { listed: [], asked: [1], without: [2] })["section-allergy"];
  assert.match(said, /No allergy is recorded at Northside General\./);
  assert.match(said, /Other hospitals were not asked: Lakeview\. Your words have no account at St\. Mary: what is recorded there is not known\./);
});

test("none known beside what contradicts it says so", () => {
  const none = (code) => allergy("none", { code: { ...coded(code), text: "No known allergy" }, recordedDate: "2026-11-30" });
  const said = (...resources) => page(resources.map((one, index) => opened(view(String(index + 1), "allergy"), one)))["section-allergy"];
  const isTold = (text) => /Take care: "No known allergy" \(Northside General, recorded on 30 Nov 2026\) contradicts what else is recorded here/.test(text);
  const food = { category: ["food"] };
  for (const [code, other, expected] of [
    ["716186003", allergy("Dust"), true], ["409137002", allergy("Penicillin"), true], ["409137002", allergy("Xylofantin", { category: ["medication"] }), true],
    ["409137002", allergy("Peanut", food), false], ["429625007", allergy("Peanut", food), true], ["429625007", allergy("Penicillin"), false],
    ["716186003", allergy("Dust", { verificationStatus: coded("refuted") }), false], ["716186003", allergy("Dust", { clinicalStatus: coded("resolved") }), false],
  ]) assert.equal(isTold(said(none(code), other)), expected, `${code} × ${other.code.text}`);
  assert.equal(isTold(said(none("716186003"))), false);
});

test("a problem in remission is not folded under what is over", () => {
  const said = page([opened(view("1", "condition"), { resourceType: "Condition", code: { text: "Leukaemia" }, clinicalStatus: coded("remission") })]);
  assert.match(said["section-problem"], /Leukaemia .*in remission: not active now/);
  assert.doesNotMatch(said["section-problem"], /that is over/);
});

test("what is no more is told as not current", () => {
  const past = { resourceType: "MedicationRequest", status: "stopped", medicationCodeableConcept: { text: "Digoxin" } };
  assert.match(page([opened(view("1", "medication"), past)])["section-medicine"], /No current medicine is recorded at Northside General\./);
});

test("refusals: each reason once, with the kinds of records and how many", () => {
  const refusals = [{ category: "condition", count: 2, why: "no consent covers this" }, { category: "observation", count: 53, why: "no consent covers this" },
    { category: "sensitive", count: 1, why: "the patient denied this" }];
  assert.equal(refusalsOf({ refusals }).textContent, "problems (2), results (53): no consent covers this. especially sensitive ones (1): the patient denied this.");
});

test("a time on the ledger names its zone", () => assert.match(moment("2026-11-30T02:08:00Z"), /\d\d:\d\d \S+$/));

test("a refusal is told to a patient as a patient needs it", () => {
  assert.ok(Object.values(T.refusals).every((words) => !/ask the patient/.test(words)));
});

test("something is recorded on a day, and in a month or a year", () => {
  for (const [when, said] of [["30 Nov 2026", "on 30 Nov 2026"], ["1 Mar 2026, 10:00", "on 1 Mar 2026, 10:00"], ["Mar 2026", "in Mar 2026"], ["2012", "in 2012"]]) {
    assert.equal(T.recordedOn(when), `recorded ${said}`);
  }
});
