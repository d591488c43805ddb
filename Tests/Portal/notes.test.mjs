// What a clinician writes: each kind stands where people look for it, comes back as it was typed, and can be ended.
import assert from "node:assert/strict";
import { test } from "node:test";
import { conflictsOf, arrange } from "../../Sources/Gateway/Portal/chart.js";
import { describe } from "../../Sources/Gateway/Portal/fhir.js";
import { canEnd, ended, resourceOf, typedOf } from "../../Sources/Gateway/Portal/notes.js";

const patient = { account: "ab".repeat(32) };
const written = (draft, notes = []) => resourceOf(patient, { risk: "", replaces: "", ...draft }, notes);
const DRAFTS = {
  note: { kind: "note", title: "Cough", text: "Since Monday." },
  prescription: { kind: "prescription", title: "Doxycycline 100 mg", text: "1 tablet a day" },
  problem: { kind: "problem", title: "Asthma", text: "Since childhood" },
  allergy: { kind: "allergy", title: "Penicillin", text: "Anaphylaxis", risk: "high" },
  noAllergy: { kind: "noAllergy", title: "", text: "The patient" },
};

test("each kind stands in its section, for its patient, and comes back as it was typed", () => {
  const sections = { note: "result", prescription: "medicine", problem: "problem", allergy: "allergy", noAllergy: "allergy" };
  for (const [kind, draft] of Object.entries(DRAFTS)) {
    const resource = written(draft, ["Signed in spite of this."]);
    const shown = describe(resource);
    assert.equal(shown.section, sections[kind], kind);
    assert.equal(shown.standing, "current", kind);
    assert.ok(shown.lines.includes("Signed in spite of this."), kind);
    assert.equal((resource.subject ?? resource.patient).identifier.value, patient.account);
    const typed = typedOf(resource);
    assert.deepEqual(Object.keys(typed).map((name) => typed[name]), Object.keys(typed).map((name) => draft[name]), kind);
    assert.equal(typed.kind, kind);
  }
});

test("an allergy is grave where it was said to be, clashes, and says what happens", () => {
  const shown = describe(written(DRAFTS.allergy));
  assert.deepEqual([shown.title, shown.marks.map((one) => one.text), shown.lines[0]], ["Penicillin", ["high risk"], "Reactions: Anaphylaxis"]);
  assert.equal(describe(written({ ...DRAFTS.allergy, risk: "" })).marks.length, 0);
  const items = arrange([{ view: { record: "1", category: "allergy", hospital: 1, time: "2026-11-29T10:00:00Z", leaf: 1 }, text: JSON.stringify(written(DRAFTS.allergy)) }]);
  assert.deepEqual(conflictsOf("Amoxicillin", items).map((pair) => pair.level), ["class"]);
});

test("that none is known is said by its code", () => {
  assert.equal(describe(written(DRAFTS.noAllergy)).absence, "all");
});

test("what is over, and what was entered in error, stands apart; neither keeps a status that contradicts it", () => {
  for (const [kind, draft] of Object.entries(DRAFTS)) {
    const withdrawn = ended(written(draft), "withdraw", "Another patient's");
    assert.equal(describe(withdrawn).standing, "invalid", kind);
    assert.equal(withdrawn.clinicalStatus, undefined);
    assert.ok(describe(withdrawn).lines.includes("Another patient's"), kind);
    if (!canEnd(kind)) continue;
    const over = ended(written(draft), "stop", "Cured");
    assert.equal(describe(over).standing, "past", kind);
    assert.ok(describe(over).lines.join("; ").includes("Cured"), kind);
  }
});

test("what came from elsewhere with a code is not typed again", () => {
  assert.equal(typedOf({ resourceType: "Condition", code: { text: "Asthma", coding: [{ code: "J45" }] } }), null);
  assert.equal(typedOf({ resourceType: "AllergyIntolerance", code: { coding: [{ code: "1" }] } }), null);
  assert.equal(typedOf({ resourceType: "Procedure", code: { text: "x" } }), null);
  assert.equal(typedOf(null), null);
});
