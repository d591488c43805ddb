// What a clinician writes and signs: a note, a prescription, an allergy, a problem, or that no allergy is known; and what becomes of one's own later. Each is a record of its
// own; what corrects, stops or withdraws another names it, and the ledger sets that apart for good.
import { canonical } from "./canonical.js";
import { concat, digest, hex, sha256, unhex, utf8 } from "./crypto.js";
import * as keyring from "./keys.js";
import * as node from "./node.js";
import { Encoder } from "./wire.js";

/** The ledger's categories, by their numbers. Node: RecordCategory. */
const CATEGORY = { Condition: 3, AllergyIntolerance: 4, MedicationRequest: 5, Observation: 6 };
const SENSITIVE = 12;
const RESTRICTED = { system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: "R" };
/** The ledger has the record already: it was sent before, and its answer was lost. Node: Refusal. */
const RECORD_EXISTS = 23;

/** What is written, by the kind that somebody chose: an allergy and a problem stand where everybody looks for them. */
const KINDS = {
  note: { type: "Observation", of: "subject" }, prescription: { type: "MedicationRequest", of: "subject" }, problem: { type: "Condition", of: "subject" },
  allergy: { type: "AllergyIntolerance", of: "patient" }, noAllergy: { type: "AllergyIntolerance", of: "patient" },
};
const coded = (system, code) => ({ coding: [{ system: `http://terminology.hl7.org/CodeSystem/${system}`, code }] });
/** SNOMED CT: no known allergy. */
const NONE_KNOWN = { system: "http://snomed.info/sct", code: "716186003", display: "No known allergy" };

const BODIES = {
  note: ({ name, words, replaces, now }) => ({ status: replaces ? "corrected" : "final", code: { text: name }, effectiveDateTime: now, valueString: words }),
  prescription: ({ name, words, now }) => ({
    status: "active", intent: "order", medicationCodeableConcept: { text: name }, authoredOn: now, dosageInstruction: [{ text: words }],
  }),
  problem: ({ name, words, now }) => ({ ...isSo("condition"), code: { text: name }, recordedDate: now, note: [{ text: words }] }),
  allergy: ({ name, words, risk, now }) => ({
    ...isSo("allergyintolerance"), code: { text: name }, ...(risk ? { criticality: risk } : {}), recordedDate: now, reaction: [{ manifestation: [{ text: words }] }],
  }),
  noAllergy: ({ words, now }) => ({ ...isSo("allergyintolerance"), code: { coding: [NONE_KNOWN], text: NONE_KNOWN.display }, recordedDate: now, note: [{ text: words }] }),
};
const isSo = (kind) => ({ clinicalStatus: coded(`${kind}-clinical`, "active"), verificationStatus: coded(kind === "condition" ? "condition-ver-status" : "allergyintolerance-verification", "confirmed") });

/** A resource for a patient of what somebody typed; `notes` stand beside it. What corrects another says so. */
export function resourceOf(patient, { kind, title, text, risk, replaces }, notes) {
  const { type, of } = KINDS[kind];
  const body = BODIES[kind]({ name: title.trim(), words: text.trim(), risk, replaces, now: new Date().toISOString() });
  const note = [...(body.note ?? []), ...notes.map((one) => ({ text: one }))];
  return { resourceType: type, [of]: { identifier: { system: "urn:consilium:account", value: patient.account } }, ...body, ...(note.length ? { note } : {}) };
}

/** What somebody wrote here, as it was typed: {kind, title, text}; null where it came from elsewhere. */
export function typedOf(resource) {
  const [type, title, words] = [resource?.resourceType, resource?.code?.text, resource?.note?.[0]?.text ?? ""];
  if (type === "MedicationRequest" && resource.medicationCodeableConcept?.text) {
    return { kind: "prescription", title: resource.medicationCodeableConcept.text, text: resource.dosageInstruction?.[0]?.text ?? "" };
  }
  if (type === "Observation" && typeof resource.valueString === "string") return { kind: "note", title: title ?? "", text: resource.valueString };
  if (type === "AllergyIntolerance" && resource.code?.coding?.[0]?.code === NONE_KNOWN.code) return { kind: "noAllergy", title: "", text: words };
  // What has a code was not typed here: to type it again would lose that.
  if (!title || resource.code.coding) return null;
  if (type === "Condition") return { kind: "problem", title, text: words };
  if (type === "AllergyIntolerance") return { kind: "allergy", title, text: resource.reaction?.[0]?.manifestation?.[0]?.text ?? "", risk: resource.criticality ?? "" };
  return null;
}

/** Which kinds can be over: what was entered in error is withdrawn. */
export const canEnd = (kind) => kind === "prescription" || kind === "problem";

/** The same resource, stopped or withdrawn, with why. */
export function ended(resource, how, why) {
  const note = [...(resource.note ?? []), { text: why }];
  const { clinicalStatus: _, ...rest } = resource;
  const isClinical = resource.resourceType === "Condition" || resource.resourceType === "AllergyIntolerance";
  const [clinical, verification] = resource.resourceType === "Condition" ? ["condition-clinical", "condition-ver-status"] : ["", "allergyintolerance-verification"];
  // FHIR: what was entered in error has no clinical status.
  if (how === "withdraw") return isClinical ? { ...rest, verificationStatus: coded(verification, "entered-in-error"), note } : { ...resource, status: "entered-in-error", note };
  if (isClinical) return { ...resource, clinicalStatus: coded(clinical, "resolved"), abatementDateTime: new Date().toISOString(), note };
  return { ...resource, status: "stopped", statusReason: { text: why }, note: resource.note };
}

/** A resource that says that it is sensitive: what corrects or ends a sensitive record is no less so. */
const restricted = (resource) => ({ ...resource, meta: { ...resource.meta, security: [...(resource.meta?.security ?? []), RESTRICTED] } });

/** What is signed of a resource, which `replaced` says the record of that it supersedes, where one is: {record, category}. Made
 * once, so that what is sent again is the same record. */
export async function signed(keys, patient, resource, replaced) {
  const [supersedes, isSensitive] = [replaced?.record, replaced?.category === "sensitive"];
  const text = canonical(JSON.stringify(isSensitive ? restricted(resource) : resource));
  const salt = crypto.getRandomValues(new Uint8Array(32));
  const lock = await sha256(utf8("consilium/record/v1\0"), salt, utf8(text));
  const network = unhex(keys.network);
  const identifier = digest("consilium/record-identifier/v1", network, new Encoder().u32(keys.hospital).bytes, unhex(patient), lock);
  const before = supersedes ? new Encoder().flag(true).digest(supersedes).bytes : new Encoder().flag(false).bytes;
  const authored = concat(utf8("consilium/authorship/v1\0"), network, identifier, unhex(patient),
    new Encoder().u8(isSensitive ? SENSITIVE : CATEGORY[resource.resourceType]).bytes, lock, before);
  const note = { patient, resource: text, salt: hex(salt), signature: hex(await keyring.sign(keys, authored)), ...(supersedes ? { supersedes } : {}) };
  return { note, identifier: hex(identifier), opened: { text, salt } };
}

/** Sends what was signed. What was sent before and has arrived is done: vaults take no second copy of a record. */
export async function send(keys, { note, identifier }, isAgain) {
  if (isAgain && (await node.patientRecords(keys, note.patient)).some((one) => one.record === identifier)) return;
  try {
    await node.write(keys, note);
  } catch (error) {
    if (error.number !== RECORD_EXISTS) throw error;
  }
}
