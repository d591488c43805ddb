// Medicines beside each other: dangerous pairs by codes and names, in several languages; what must not be taken; what is
// taken twice; and what a prescription needs a reason for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { arrange, besides, conflicts, conflictsOf, sentence } from "../../Sources/Gateway/Portal/chart.js";
import { ofMedicine, typed } from "../../Sources/Gateway/Portal/clash.js";
import { groupsOf, together } from "../../Sources/Gateway/Portal/interactions.js";

const found = (one, other) => {
  const pair = together(typed(one), typed(other));
  return pair && `${pair.effect}${pair.isGrave ? "!" : ""}`;
};
const opened = (resources) => arrange(resources.map((one, index) => ({
  view: { record: String(index + 1), category: "medication", hospital: 1, time: "2026-11-29T10:00:00Z", leaf: index }, text: JSON.stringify(one),
})));
const medicine = (name, rest = {}) => ({ resourceType: "MedicationRequest", status: "active", intent: "order", medicationCodeableConcept: { text: name }, ...rest });

test("dangerous pairs, either way round, by names of several languages and trade names", () => {
  for (const [one, other, effect] of [
    ["Warfarin 5 mg", "Ibuprofen 400 mg", "bleeding!"], ["Xarelto 20 mg", "Naproxen", "bleeding!"], ["Marcumar", "Eliquis", "bleeding!"], ["ASS 100", "Rivaroxaban", "bleeding!"],
    ["Sildenafil 50 mg", "Isosorbide mononitrate", "pressure!"], ["Viagra", "Nitroglycerin spray", "pressure!"], ["Tizanidine 4 mg", "Ciprofloxacin", "pressure!"],
    ["Phenelzine", "Fluoxetine", "serotonin!"], ["Linezolid", "Sertralin 50 mg", "serotonin!"], ["Moclobemid", "Tramadol", "serotonin!"], ["Tramal", "Citalopram", "serotonin"],
    ["Methotrexate 2.5 mg", "Co-trimoxazole", "marrow!"], ["Methotrexat", "Bactrim", "marrow!"], ["Azathioprine", "Allopurinol", "marrow!"],
    ["Simvastatina", "Clarithromycin", "muscles!"], ["Simvastatin", "Gemfibrozil", "muscles!"], ["Ergotamine", "Erythromycin", "vessels!"], ["Colchicine", "Ciclosporin", "toxic!"],
    ["Entresto", "Ramipril", "swelling!"], ["Valproinsäure", "Meropenem", "seizures!"], ["Morphine", "Diazepam", "breathing"], ["Lisinopril", "Spironolactone", "potassium"],
    ["Enalapril", "Potassium chloride", "potassium"], ["Lithium carbonate", "Ibuprofen", "toxic"], ["Digoxin", "Amiodarone", "toxic"], ["Verapamil", "Bisoprolol", "slow"],
    ["Haloperidol", "Methadone", "rhythm"], ["Clopidogrel", "Omeprazole", "weaker"], ["Ethinylestradiol / Levonorgestrel", "Rifampicin", "weaker"], ["Johanniskraut", "Dabigatran", "weaker"],
    ["Ibuprofen", "Diclofenac", "two"], ["Ramipril", "Valsartan", "potassium"],
  ]) {
    assert.equal(found(one, other), effect, `${one} × ${other}`);
    assert.equal(found(other, one), effect, `${other} × ${one}`);
  }
});

test("no pair where there is none, and nobody's salt is a medicine", () => {
  for (const [one, other] of [
    ["Paracetamol", "Warfarin"], ["Losartan potassium", "Amoxicillin"], ["Penicillin V potassium", "Ramipril"], ["Metformin", "Simvastatin"], ["Vitamin D", "Vitamin B12"],
    ["Atorvastatin", "Erythromycin"], ["Doxycycline", "Ibuprofen"], ["", "Warfarin"], ["Zaltofin", "Warfarin"], ["Sodium chloride", "Lisinopril"],
  ]) assert.equal(found(one, other), null, `${one} × ${other}`);
});

test("by codes before words", () => {
  const coded = (system, code) => ofMedicine(medicine("x", { medicationCodeableConcept: { coding: [{ system, code }] } }));
  const [atc, rxnorm] = ["http://www.whocc.no/atc", "http://www.nlm.nih.gov/research/umls/rxnorm"];
  assert.deepEqual(together(coded(atc, "B01AA04"), coded(atc, "M01AE01")), { effect: "bleeding", isGrave: true });
  assert.deepEqual(together(coded(rxnorm, "11289"), coded(rxnorm, "5640")), { effect: "bleeding", isGrave: true });
  assert.deepEqual(together(coded(atc, "G04BE03"), typed("Nitrolingual")), { effect: "pressure", isGrave: true });
  assert.equal(together(coded("urn:local", "11289"), coded(rxnorm, "5640")), null);
  assert.equal(groupsOf(coded(atc, "H02AB06")).size, 0);
});

test("what is taken already is said, what is renewed is not grave", () => {
  assert.equal(found("Metformin 500 mg", "Metformin 1000 mg tablet"), "twice");
  assert.equal(found("Aspirin 75 mg", "ASS 100"), "twice");
  assert.equal(found("Amoxicillin / clavulanate", "Amoxicillin"), "twice");
});

test("a prescription is held against what stands: not against what is over, nor against what it corrects", () => {
  const items = opened([medicine("Warfarin 5 mg"), medicine("Sildenafil 50 mg", { status: "stopped" })]);
  const said = (words, replaces) => conflictsOf(words, items, replaces).map((pair) => [pair.level, pair.effect, pair.isGrave]);
  assert.deepEqual(said("Ibuprofen 400 mg"), [["together", "bleeding", true]]);
  assert.deepEqual(said("Nitroglycerin"), []);
  assert.deepEqual(said("Warfarin 3 mg"), [["together", "twice", false]]);
  assert.deepEqual(said("Warfarin 3 mg", "1"), []);
  assert.equal(sentence(conflictsOf("Ibuprofen", items)[0]), "Ibuprofen together with Warfarin 5 mg: serious bleeding is likelier.");
  assert.deepEqual(besides("Ibuprofen", items), { count: 1, isListed: true });
  assert.deepEqual(besides("Zaltofin", items), { count: 1, isListed: false });
  assert.deepEqual(besides("Ibuprofen", items, "1"), { count: 0, isListed: true });
});

test("what must NOT be taken is not prescribed without a reason, nor another of its class", () => {
  const items = opened([medicine("Aspirin 75 mg", { doNotPerform: true }), medicine("Warfarin", { doNotPerform: true })]);
  for (const [words, both] of [["Acetylsalicylic acid 100 mg", ""], ["Ibuprofen", ", and both are anti-inflammatory painkillers (NSAIDs)"]]) {
    const pairs = conflictsOf(words, items);
    assert.deepEqual(pairs.map((pair) => [pair.level, pair.isGrave]), [["forbidden", true]], words);
    assert.equal(sentence(pairs[0]), `${words}: the record says that Aspirin 75 mg must NOT be taken${both}.`);
  }
  assert.deepEqual(conflictsOf("Paracetamol", items), []);
  // What stands in spite of it is warned of in the chart, on the patient's own page too.
  assert.deepEqual(conflicts(opened([medicine("Aspirin 75 mg", { doNotPerform: true }), medicine("ASS 100")])).map((pair) => pair.level), ["forbidden"]);
});

test("a chart warns of grave pairs that stand, once each", () => {
  const items = opened([medicine("Warfarin 5 mg"), medicine("Ibuprofen 400 mg"), medicine("Ibuprofen 400 mg"), medicine("Lisinopril"), medicine("Spironolactone")]);
  assert.deepEqual(conflicts(items).map((pair) => pair.effect), ["bleeding"]);
});
