// What the pages show of a resource: every digit, every kind of value, its own dates, and whether it still stands.
import assert from "node:assert/strict";
import { test } from "node:test";
import { age, day, dayAndTime, place } from "../../Sources/Gateway/Portal/dates.js";
import { describe, parsed } from "../../Sources/Gateway/Portal/fhir.js";
import { pretty } from "../../Sources/Gateway/Portal/values.js";

const shown = (resource, find) => describe(parsed(typeof resource === "string" ? resource : JSON.stringify(resource)), find);
const observation = (rest) => shown(`{"resourceType":"Observation","status":"final","code":{"text":"X"},${rest}}`);
const value = (rest) => observation(rest).value;
const loud = (resource) => shown(resource).marks.filter((one) => one.tone === "alert").map((one) => one.text);
const coded = (code) => ({ coding: [{ code }] });

test("no digit is rounded, dropped or added", () => {
  for (const number of ["0.00453", "72.0", "-1.00", "1e3", "83.35521383632029", "6.90", "0", "100000000000000000000.5", "0.000001"]) {
    assert.equal(value(`"valueQuantity":{"value":${number},"unit":"ng/mL"}`), `${number} ng/mL`);
  }
  // Text that looks like what marks numbers inside stays text.
  assert.equal(value('"valueString":"#63.50"'), "#63.50");
  assert.equal(value('"valueString":"##1 \\"#2\\" 0.10"'), '##1 "#2" 0.10');
  assert.equal(pretty('{"a":[1.50,"#2"],"b":-0.0}'), '{\n "a": [\n  1.50,\n  "#2"\n ],\n "b": -0.0\n}');
});

test("comparators are shown, and such a value is no number for a plot", () => {
  for (const [comparator, text] of [["<", "< 20 copies/mL"], [">", "> 20 copies/mL"], ["<=", "≤ 20 copies/mL"], [">=", "≥ 20 copies/mL"],
    ["ad", "enough to reach 20 copies/mL"], ["~", "~ 20 copies/mL"]]) {
    const one = observation(`"valueQuantity":{"value":20,"comparator":"${comparator}","unit":"copies/mL"}`);
    assert.deepEqual([one.value, one.number], [text, undefined]);
  }
});

test("every kind of value is shown", () => {
  for (const [rest, text] of [
    ['"valueBoolean":true', "yes"], ['"valueBoolean":false', "no"], ['"valueInteger":8', "8"], ['"valueInteger":0', "0"],
    ['"valueRatio":{"numerator":{"value":1},"denominator":{"value":128}}', "1:128"],
    ['"valueRatio":{"numerator":{"value":5.0,"unit":"mg"},"denominator":{"value":1,"unit":"mL"}}', "5.0 mg / mL"],
    ['"valueRange":{"low":{"value":3.50,"unit":"mg"},"high":{"value":5,"unit":"mg"}}', "3.50–5 mg"],
    ['"valueRange":{"low":{"value":3,"unit":"mg"}}', "3 mg or more"], ['"valueRange":{"high":{"value":3,"unit":"mg"}}', "up to 3 mg"],
    ['"valueCodeableConcept":{"coding":[{"code":"a"},{"code":"b","display":"Positive"}]}', "Positive"], ['"valueTime":"14:30:00"', "14:30:00"],
    ['"valueDateTime":"2017"', "2017"], ['"valuePeriod":{"start":"2017-03","end":"2018"}', "Mar 2017 to 2018"],
    ['"valueSampledData":{"origin":{"value":0,"unit":"mV"},"period":2.50,"dimensions":1,"data":"1 2 E 4"}', "a series of 4 values in mV, one every 2.50 ms"],
    ['"dataAbsentReason":{"coding":[{"code":"not-performed"}]}', "no result: not done"], ['"dataAbsentReason":{"text":"haemolysed"}', "no result: haemolysed"],
    ['"valueAttachment":{"title":"x"}', "a value that this page does not show: read it under Details"],
  ]) assert.equal(value(rest), text, rest);
  assert.deepEqual(observation('"note":[{"text":"A"}]').lines, ["no result is in the record", "A"]);
});

test("blood pressure: systolic first, with names, in any order of the record", () => {
  const part = (code, text, number) => `{"code":{"coding":[{"system":"http://loinc.org","code":"${code}","display":"${text}"}]},"valueQuantity":{"value":${number},"unit":"mm[Hg]"}}`;
  const [diastolic, systolic] = [part("8462-4", "Diastolic", "95.50"), part("8480-6", "Systolic", "180")];
  for (const both of [[diastolic, systolic], [systolic, diastolic]]) {
    assert.deepEqual(observation(`"component":[${both}]`).parts.map((one) => [one.name, one.value]), [["Systolic", "180 mmHg"], ["Diastolic", "95.50 mmHg"]]);
  }
  assert.equal(observation('"component":[{"code":{"text":"Blasts"},"valueCodeableConcept":{"text":"present"}}]').parts[0].value, "present");
  assert.equal(observation('"component":[{"code":{"text":"Blasts"},"dataAbsentReason":{"coding":[{"code":"error"}]}}]').parts[0].value, "no result: error");
});

test("a result's meaning: its interpretation, else its own range in its own unit", () => {
  const range = '"referenceRange":[{"low":{"value":3.5,"unit":"mmol/L"},"high":{"value":5.10,"unit":"mmol/L"}}]';
  const potassium = (number, unit = "mmol/L", rest = "") => observation(`"valueQuantity":{"value":${number},"unit":"${unit}"},${rest}${range}`);
  const marks = (one) => one.marks.map((mark) => `${mark.tone}: ${mark.text}`);
  assert.deepEqual(marks(potassium("6.90", "mmol/L", '"interpretation":[{"coding":[{"code":"HH"}]}],')), ["alert: critically HIGH"]);
  assert.deepEqual(marks(potassium("6.90", "mmol/L", '"interpretation":[{"text":"Panic value"}],')), ["warn: Panic value"]);
  assert.deepEqual(marks(potassium("6.90")), ["warn: above the usual range"]);
  assert.deepEqual(marks(potassium("3.4")), ["warn: below the usual range"]);
  assert.deepEqual(marks(potassium("4.9")), []);
  assert.deepEqual(marks(potassium("6900", "umol/L")), [], "another unit cannot be compared");
  assert.deepEqual(potassium("4.9").lines, ["usual: 3.5–5.10 mmol/L"]);
  assert.deepEqual(marks(observation('"valueQuantity":{"value":9},"referenceRange":[{"high":{"value":5},"appliesTo":[{"text":"children"}]}]')), []);
});

test("dates have their own precision, and no time zone shifts them", () => {
  for (const [text, said] of [["2017", "2017"], ["2017-03", "Mar 2017"], ["1961-02-03", "3 Feb 1961"], ["2020-01-01T00:30:00+14:00", "1 Jan 2020"],
    ["2020-01-01T23:30:00-11:00", "1 Jan 2020"], ["2020-01-01T00:00:00Z", "1 Jan 2020"], ["2018-02-31", "2018-02-31"], ["spring", "spring"]]) {
    assert.equal(day(text), said);
  }
  assert.equal(dayAndTime("2020-01-01T00:30:00+14:00"), "1 Jan 2020, 00:30 UTC+14:00");
  assert.equal(dayAndTime("2020-01-01T00:30:00.123Z"), "1 Jan 2020, 00:30 UTC");
  assert.ok(place("2020-01-01T00:30:00+14:00") < place("2019-12-31T23:30:00-11:00"));
  const when = (rest) => shown({ resourceType: "Condition", code: { text: "X" }, ...rest }).when;
  assert.equal(when({ onsetDateTime: "2017" }).words, "2017");
  assert.equal(when({ onsetPeriod: { start: "2017-01" } }).words, "since Jan 2017");
  assert.equal(when({ onsetString: "as a child" }).words, "as a child");
  assert.equal(when({ onsetAge: { value: 40, unit: "years" } }).words, "at age 40 years");
  assert.deepEqual([when({ recordedDate: "2017-05-06" }).words, when({ recordedDate: "2017-05-06" }).isRecorded], ["6 May 2017", true]);
  assert.equal(when({}), undefined, "no date is made up");
  assert.deepEqual(shown({ resourceType: "Patient", birthDate: "1961-02-03", gender: "female" }).lines, ["born 3 Feb 1961", "female"]);
});

test("medicines: do not take, dosage in words and codes, names by reference", () => {
  const medicine = (rest) => shown({ resourceType: "MedicationRequest", status: "active", intent: "order", ...rest });
  assert.deepEqual(loud({ resourceType: "MedicationRequest", status: "active", doNotPerform: true, medicationCodeableConcept: { text: "Aspirin" } }), ["Must NOT be taken"]);
  assert.equal(medicine({ doNotPerform: true, medicationCodeableConcept: { text: "Aspirin" } }).isForbidden, true);
  const once = medicine({ medicationCodeableConcept: { text: "Methotrexate 2.5 mg" }, dosageInstruction: [{ text: "6 tablets ONCE A WEEK. Never daily." }] });
  assert.deepEqual(once.lines, ["6 tablets ONCE A WEEK. Never daily."]);
  const dosage = (rest) => medicine({ medicationCodeableConcept: { text: "M" }, dosageInstruction: [rest] }).lines;
  const dose = { doseAndRate: [{ doseQuantity: { value: 400, unit: "mg" } }] };
  assert.deepEqual(dosage({ ...dose, route: { text: "oral" }, timing: { repeat: { frequency: 3, period: 1, periodUnit: "d" } } }), ["400 mg, oral, 3 times a day"]);
  assert.deepEqual(dosage({ ...dose, timing: { repeat: { frequency: 1, period: 1, periodUnit: "wk", dayOfWeek: ["mon"] } } }), ["400 mg, once a week, on Monday"]);
  assert.deepEqual(dosage({ ...dose, timing: { repeat: { frequency: 1, period: 8, periodUnit: "h" } } }), ["400 mg, every 8 hours"]);
  assert.deepEqual(dosage({ ...dose, timing: { repeat: { frequency: 2, period: 3, periodUnit: "d" } } }), ["400 mg, 2 times in 3 days"]);
  assert.deepEqual(dosage({ doseAndRate: [{ doseRange: { low: { value: 1 }, high: { value: 2, unit: "tablets" } }, rateRatio: { numerator: { value: 5, unit: "mL" }, denominator: { value: 1, unit: "h" } } }] }),
    ["1 – 2 tablets at 5 mL / h"]);
  assert.deepEqual(dosage({ text: "as told", ...dose, asNeededCodeableConcept: { text: "pain" }, maxDosePerPeriod: { numerator: { value: 4, unit: "g" }, denominator: { value: 1, unit: "day" } } }),
    ["as told", "As coded: 400 mg, when needed for pain, no more than 4 g / day"]);
  assert.deepEqual(dosage({ ...dose, asNeededBoolean: true, timing: { code: { coding: [{ code: "BID" }] } }, additionalInstruction: [{ text: "with food" }] }),
    ["400 mg, twice a day, when needed", "with food"]);
  assert.deepEqual(medicine({ medicationCodeableConcept: { text: "M" } }).lines, ["No dosage is recorded."]);
  assert.deepEqual(shown({ resourceType: "MedicationAdministration", status: "in-progress", medicationCodeableConcept: { text: "M" },
    dosage: { dose: { value: 5, unit: "mg" }, route: { text: "IV" } } }).lines, ["5 mg, IV"]);
  const inside = medicine({ contained: [{ resourceType: "Medication", id: "m", code: { text: "Warfarin 5 mg" } }], medicationReference: { reference: "#m" } });
  assert.equal(inside.title, "Warfarin 5 mg");
  const elsewhere = shown({ resourceType: "MedicationRequest", status: "active", medicationReference: { reference: "Medication/7" } },
    (reference) => (reference.reference === "Medication/7" ? { resourceType: "Medication", ingredient: [{ itemCodeableConcept: { text: "Digoxin" } }] } : undefined));
  assert.equal(elsewhere.title, "Digoxin");
  assert.equal(medicine({ medicationReference: { reference: "Medication/9" } }).title, "A medicine without a name");
});

test("an age is told of a day only, in the unit that people use, and never of tomorrow", () => {
  const today = new Date(2026, 10, 29, 23, 30);
  for (const [born, words] of [["1961-02-03", "65 years"], ["1961-11-29", "65 years"], ["1961-11-30", "64 years"], ["2026-11-29", "0 days"], ["2026-09-15", "75 days"],
    ["2026-08-29", "3 months"], ["2023-11-30", "35 months"], ["2023-11-29", "3 years"], ["2024-02-29", "33 months"], ["1961", ""], ["1961-02", ""], ["2026-11-30", ""], [undefined, ""], ["x", ""]]) {
    assert.equal(age(born, today), words, String(born));
  }
});

test("what was entered in error, refuted, over, or not done is told apart", () => {
  const stands = (resource) => shown(resource).standing;
  const allergy = (rest) => ({ resourceType: "AllergyIntolerance", code: { text: "Latex" }, ...rest });
  const condition = (rest) => ({ resourceType: "Condition", code: { text: "Cancer" }, ...rest });
  assert.equal(stands(allergy({ clinicalStatus: coded("active"), verificationStatus: coded("confirmed") })), "current");
  assert.equal(stands(allergy({})), "current");
  assert.equal(stands(allergy({ verificationStatus: coded("refuted"), clinicalStatus: coded("active") })), "invalid");
  assert.equal(stands(allergy({ verificationStatus: coded("entered-in-error") })), "invalid");
  assert.equal(stands(allergy({ clinicalStatus: { text: "Resolved" } })), "past");
  assert.equal(stands(condition({ verificationStatus: coded("entered-in-error") })), "invalid");
  // What may come back is not over.
  const remission = condition({ clinicalStatus: coded("remission") });
  assert.deepEqual([stands(remission), describe(remission).marks.map((one) => one.text), describe(remission).status],
    ["current", ["in remission: not active now"], undefined]);
  assert.equal(stands(condition({ clinicalStatus: coded("remission"), verificationStatus: coded("refuted") })), "invalid");
  assert.equal(stands(condition({ abatementDateTime: "2020" })), "past");
  assert.equal(stands({ resourceType: "Observation", status: "entered-in-error", valueQuantity: { value: 9.9 } }), "invalid");
  for (const status of ["stopped", "completed", "cancelled"]) assert.equal(stands({ resourceType: "MedicationRequest", status }), "past");
  for (const status of ["active", "on-hold", "draft", "unknown"]) assert.equal(stands({ resourceType: "MedicationRequest", status }), "current");
  const withdrawn = { resourceType: "Basic", meta: { tag: [{ system: "urn:consilium:record", code: "withdrawn" }] } };
  assert.deepEqual([stands(withdrawn), loud(withdrawn)], ["invalid", ["withdrawn by the hospital that wrote it"]]);
  assert.deepEqual(loud(condition({ verificationStatus: coded("refuted") })), ["refuted: it is NOT so"]);
  assert.deepEqual(loud({ resourceType: "Immunization", status: "not-done", vaccineCode: { text: "MMR" } }), ["NOT done"]);
  assert.deepEqual(loud(allergy({ criticality: "high" })), ["high risk"]);
});

test("an allergy without a code has the name of what was reacted to, which is then no reaction", () => {
  const reaction = (text, rest = {}) => ({ manifestation: [{ text }], ...rest });
  const allergy = (rest) => shown({ resourceType: "AllergyIntolerance", ...rest });
  const bee = allergy({ reaction: [reaction("Shock", { substance: { text: "Bee venom" } })] });
  assert.equal(bee.title, "Bee venom");
  assert.ok(bee.lines.some((one) => one.includes("Shock")) && !bee.lines.some((one) => one.includes("Bee venom")), bee.lines.join("; "));
  assert.equal(allergy({ reaction: [reaction("Rash"), reaction("Shock", { substance: { text: "Wasp venom" } })] }).title, "Wasp venom");
  const coded = allergy({ code: { text: "Insects" }, reaction: [reaction("Shock", { substance: { text: "Bee venom" } })] });
  assert.ok(coded.title === "Insects" && coded.lines.some((one) => one.includes("Bee venom")));
  assert.equal(allergy({ reaction: [reaction("Shock")] }).title, allergy({}).title);
});

test("\"no known allergy\" is no allergy", () => {
  const absence = (code) => shown({ resourceType: "AllergyIntolerance", code }).absence;
  assert.equal(absence(coded("716186003")), "all");
  assert.equal(absence(coded("409137002")), "drug");
  assert.equal(absence(coded("428607008")), "environmental");
  assert.equal(absence(coded("no-allergy-info")), "unknown");
  assert.equal(absence({ text: "No known food allergy (situation)" }), "food");
  assert.equal(absence({ text: "NKDA" }), "drug");
  assert.equal(absence({ text: "No known allergies" }), "all");
  assert.equal(absence({ text: "Peanut (no known allergy to almonds)" }), undefined);
  assert.equal(shown({ resourceType: "Condition", code: coded("no-known-problems") }).absence, "all");
});

test("what changes a record's meaning unknown to the page is never overlooked", () => {
  const modifier = { modifierExtension: [{ url: "urn:negated", valueBoolean: true }] };
  assert.equal(loud({ resourceType: "Condition", code: { text: "X" }, ...modifier }).length, 1);
  assert.equal(loud({ resourceType: "MedicationRequest", status: "active", medicationCodeableConcept: { text: "X" }, dosageInstruction: [{ text: "1", ...modifier }] }).length, 1);
  assert.equal(shown({ resourceType: "AllergyIntolerance", code: coded("716186003"), ...modifier }).absence, undefined);
  assert.deepEqual(loud({ resourceType: "Condition", code: { text: "X" }, modifierExtension: [] }), []);
});

test("names, reasons, conclusions of the other types", () => {
  const title = (resource) => shown(resource).title;
  assert.equal(title({ resourceType: "Goal", description: { text: "Walk" } }), "Walk");
  assert.equal(title({ resourceType: "CarePlan", title: "Diabetes plan" }), "Diabetes plan");
  assert.equal(title({ resourceType: "RelatedPerson", name: [{ given: ["Eve"], family: "Quill" }] }), "Eve Quill");
  const mother = shown({ resourceType: "FamilyMemberHistory", relationship: { text: "Mother" }, condition: [{ code: { text: "Breast cancer" }, onsetAge: { value: 41, unit: "a" } }] });
  assert.deepEqual([mother.title, mother.value], ["Mother", "Breast cancer (at age 41 a)"]);
  const visit = shown({ resourceType: "Encounter", status: "finished", class: { code: "EMER" }, type: [{ text: "Visit" }], reasonCode: [{ text: "Chest pain" }] });
  assert.deepEqual(visit.lines, ["Emergency", "Why: Chest pain"]);
  const report = shown({ resourceType: "DiagnosticReport", status: "final", code: { text: "CT" }, conclusion: "8 mm nodule", presentedForm: [{ title: "Letter", contentType: "text/plain", data: "QQ==" }] });
  assert.deepEqual([report.lines, report.attachments[0].title], [["8 mm nodule"], "Letter"]);
  const claim = shown('{"resourceType":"Claim","status":"active","type":{"coding":[{"code":"pharmacy"}]},"total":{"value":125.00,"currency":"USD"}}');
  assert.deepEqual([claim.title, claim.value], ["Claim, pharmacy", "125.00 USD"]);
  assert.equal(title({ resourceType: "Patient", name: [{ use: "old", text: "Old" }, { use: "official", given: ["Ada"], family: "New" }] }), "Ada New");
  // A nickname in place of the whole name is nobody's; nor is a name whose family name is another.
  const called = (name) => title({ resourceType: "Patient", name: [{ use: "official", ...name }] });
  assert.equal(called({ text: "Roel", given: ["Roelof"], family: "Bor" }), "Roelof Bor");
  assert.equal(called({ text: "Prof. Roelof BOR", given: ["Roelof"], family: "Bor" }), "Prof. Roelof BOR");
  assert.equal(called({ text: "Roel" }), "Roel");
  assert.equal(title({ resourceType: "SupplyRequest" }), "Supply Request");
});

test("a resource of a wrong shape breaks nothing", () => {
  for (const resource of [{ resourceType: "Observation", component: {}, interpretation: "H", referenceRange: 3 }, { resourceType: "AllergyIntolerance", reaction: "x", code: [] },
    { resourceType: "MedicationRequest", dosageInstruction: [null, 3, { timing: "x", doseAndRate: {} }], contained: {} }, { resourceType: "Patient", name: "x", contact: [null] },
    { resourceType: 3 }, { resourceType: "Encounter", class: null, type: {}, diagnosis: [3] }, { resourceType: "Immunization", protocolApplied: [3], reaction: [3] }]) {
    assert.equal(typeof shown(resource).title, "string", JSON.stringify(resource));
  }
});
