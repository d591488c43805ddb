// What a clinician writes and signs: a note or a prescription; and what becomes of one's own later. Each is a record of its
// own; what corrects, stops or withdraws another names it, and the ledger sets that apart for good.
import { canonical } from "./canonical.js";
import { concat, digest, hex, sha256, unhex, utf8 } from "./crypto.js";
import * as keyring from "./keys.js";
import * as node from "./node.js";
import { Encoder } from "./wire.js";

const CATEGORY = { MedicationRequest: 5, Observation: 6 };
const SENSITIVE = 12;
const RESTRICTED = { system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: "R" };
/** The ledger has the record already: it was sent before, and its answer was lost. Node: Refusal. */
const RECORD_EXISTS = 23;

/** A resource for a patient of what somebody typed; `notes` stand beside it. What corrects another says so. */
export function resourceOf(patient, { kind, title, text, replaces }, notes) {
  const now = new Date().toISOString();
  const subject = { identifier: { system: "urn:consilium:account", value: patient.account } };
  const [name, words] = [title.trim(), text.trim()];
  const note = notes.length ? { note: notes.map((one) => ({ text: one })) } : {};
  return kind === "prescription"
    ? { resourceType: "MedicationRequest", status: "active", intent: "order", medicationCodeableConcept: { text: name },
      subject, authoredOn: now, dosageInstruction: [{ text: words }], ...note }
    : { resourceType: "Observation", status: replaces ? "corrected" : "final", code: { text: name }, subject, effectiveDateTime: now, valueString: words, ...note };
}

/** What somebody wrote here, as it was typed: {kind, title, text}; null where it came from elsewhere. */
export function typedOf(resource) {
  if (resource?.resourceType === "MedicationRequest" && resource.medicationCodeableConcept?.text) {
    return { kind: "prescription", title: resource.medicationCodeableConcept.text, text: resource.dosageInstruction?.[0]?.text ?? "" };
  }
  if (resource?.resourceType === "Observation" && typeof resource.valueString === "string") return { kind: "note", title: resource.code?.text ?? "", text: resource.valueString };
  return null;
}

/** The same resource, stopped or withdrawn, with why. */
export function ended(resource, how, why) {
  const note = [...(resource.note ?? []), { text: why }];
  if (how === "withdraw") return { ...resource, status: "entered-in-error", note };
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
