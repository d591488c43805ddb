// Medicines against allergies: by codes, by classes, by words in all scripts; without false alarms from forms and salts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { clash, isKnown, ofAllergy, ofMedicine, typed } from "../../Sources/Gateway/Portal/clash.js";

const level = (medicine, allergy) => clash(typed(medicine), typed(allergy))?.level ?? null;

test("by words, in all scripts", () => {
  for (const [medicine, allergy, expected] of [
    ["Penicillin V 250 mg", "Penicillin", "same"], ["Amoxicillin 500 mg", "Penicillin", "class"], ["Augmentin", "Penicillin", "class"], ["Amoxicilline", "Pénicilline", "class"],
    ["青霉素V钾片", "青霉素过敏", "same"], ["阿莫西林胶囊", "青霉素过敏", "class"], ["ペニシリンG", "ペニシリンアレルギー", "same"], ["Пенициллин", "Аллергия на пенициллин", "same"],
    ["دواء بنسلين", "حساسية البنسلين", "same"], ["氨酚烷胺片", "氨酚烷胺过敏", "same"], ["Bactrim", "Sulfa drugs", "class"], ["ASA 75 mg", "Aspirin", "same"],
    ["Ibuprofen 400 mg", "Aspirin", "class"], ["Peanut oil capsule", "Peanut", "same"], ["Ceftriaxone 1 g", "Allergy to penicillin", "near"], ["Potassium chloride", "Potassium", "same"],
    ["Xylofantin 5 mg", "Xylofantine", "same"],
  ]) assert.equal(level(medicine, allergy), expected, `${medicine} × ${allergy}`);
});

test("what clinicians write in short, and whole classes", () => {
  for (const [medicine, allergy, expected] of [
    ["Amoxicillin 500 mg", "PCN", "class"], ["Co-amoxiclav 625 mg", "Penicillin", "class"], ["Amoxiclav", "PCN allergy", "class"], ["Pen V 250 mg", "Penicillin", "class"],
    ["Pen VK", "Penicillinallergie", "class"], ["Piptaz 4.5 g", "Penicillin", "class"], ["Pip/Taz", "Penicillin", "class"], ["TMP-SMX DS", "Sulfa", "class"],
    ["Co-trimoxazole 480 mg", "TMP/SMX", "same"], ["Co-codamol 30/500", "Codeine", "same"], ["Alka-Seltzer", "Aspirin", "same"], ["Ibuprofen", "Alka-Seltzer", "class"],
    ["Amoxicillin", "Beta-lactam antibiotics", "class"], ["Cefalexin", "β-lactams", "class"], ["Meropenem", "beta lactam", "class"], ["Omnipaque 300", "Iodine contrast", "class"],
    ["Iohexol", "Contrast dye", "class"], ["Lidocaine 1 %", "Local anaesthetics", "class"], ["Benzocaine lozenge", "local anesthetic", "class"], ["Bupivacaine", "Lokalanästhetika", "class"],
  ]) assert.equal(level(medicine, allergy), expected, `${medicine} × ${allergy}`);
  for (const [medicine, allergy] of [
    ["Sodium lactate", "Beta-lactam antibiotics"], ["Interferon beta", "Beta-lactam antibiotics"], ["Doxycycline", "Beta-lactam antibiotics"], ["Lidocaine", "Procaine"],
    ["Insulin pen", "Pen V"], ["Propofol", "Local anaesthetics"],
  ]) assert.equal(level(medicine, allergy), null, `${medicine} × ${allergy}`);
  assert.equal(isKnown(typed("General anaesthetics")), false);
});

test("no false alarms", () => {
  for (const [medicine, allergy] of [
    ["Doxycycline 100 mg tablet", "Penicillin tablet"], ["Potassium chloride", "Penicillin V potassium"], ["Morphine (entered in error)", "Peanut oil (entered in error)"],
    ["Folic acid", "Acetylsalicylic acid"], ["Hydrocortisone", "Hydrocodone"], ["布洛芬片", "青霉素过敏"], ["Paracetamol oral solution", "Sulfa oral solution"], ["Penicillamine", "Penicillin"],
    ["", "Penicillin"], ["Aspirin", ""], ["Sodium chloride 0.9 %", "Sodium lauryl sulfate"],
  ]) assert.equal(level(medicine, allergy), null, `${medicine} × ${allergy}`);
});

test("by codes, whatever the words are", () => {
  const coding = (system, code, display) => ({ coding: [{ system, code, display }] });
  const [rxnorm, atc, snomed] = ["http://www.nlm.nih.gov/research/umls/rxnorm", "http://www.whocc.no/atc", "http://snomed.info/sct"];
  const allergy = (code, rest = {}) => ofAllergy({ resourceType: "AllergyIntolerance", code, ...rest });
  const medicine = (code) => ofMedicine({ resourceType: "MedicationRequest", medicationCodeableConcept: code });
  const found = (one, other) => clash(one, other)?.level ?? null;
  assert.equal(found(medicine(coding(rxnorm, "723")), allergy(coding(rxnorm, "70618"))), "class");
  assert.equal(found(medicine(coding(atc, "J01CR02")), allergy(coding(snomed, "91936005"))), "class");
  assert.equal(found(medicine(coding(atc, "J01DD04")), allergy(coding(snomed, "373270004"))), "near");
  assert.equal(found(medicine(coding(atc, "C10AA05")), allergy(coding(snomed, "373270004"))), null);
  assert.equal(found(medicine(coding("urn:local", "7")), allergy(coding("urn:local", "7"))), "same");
  assert.equal(found(medicine({ text: "Flucloxacillin" }), allergy(coding(snomed, "294505008"))), "class");
  assert.equal(found(medicine({ text: "Cefalexin" }), allergy(coding(snomed, "294532003"))), "class");
  assert.equal(found(medicine({ text: "Naproxen" }), allergy(coding(snomed, "293619005"))), "class");
  assert.equal(found(medicine({ text: "Iohexol" }), allergy(coding(snomed, "293637006"))), "class");
  assert.equal(found(medicine(coding("urn:local", "7")), allergy(coding("urn:other", "7"))), null);
  assert.equal(found(medicine({ text: "Ampicillin" }), allergy({ text: "Drug" }, { reaction: [{ substance: { text: "Penicillin G" } }] })), "class");
});
