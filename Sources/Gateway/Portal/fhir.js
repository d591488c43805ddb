// FHIR R4 resources as people read them: a section, a title, a date, what was found, and whether it still stands.
import { day, dayAndTime, place } from "./dates.js";
import { DETAILS } from "./details.js";
import { D, T } from "./texts.js";
import { band, codeOf, concept, finding, list, meaning, period, quantity, range, text } from "./values.js";

export { parsed } from "./values.js";

const SECTIONS = {
  Flag: "alert",
  AllergyIntolerance: "allergy", Condition: "problem", MedicationRequest: "medicine", MedicationStatement: "medicine",
  MedicationAdministration: "medicine", MedicationDispense: "medicine", Observation: "result", Immunization: "immunisation",
  Encounter: "visit", Appointment: "visit", Procedure: "procedure", DiagnosticReport: "document", DocumentReference: "document",
  ImagingStudy: "document", Composition: "document", Bundle: "document", CarePlan: "plan", Goal: "plan", ServiceRequest: "plan", CareTeam: "plan",
  FamilyMemberHistory: "family", Patient: "person", RelatedPerson: "person", Claim: "bill", ExplanationOfBenefit: "bill",
  ClaimResponse: "bill", Coverage: "bill", Invoice: "bill", Account: "bill",
};

/** The order in which sections are shown. */
export const ORDER = [
  "alert", "allergy", "problem", "medicine", "result", "immunisation", "visit", "procedure", "plan", "document", "family", "person", "bill", "other",
];

// ---- Dates

/** FHIR's choices of a time: a moment, a stretch, an age, or words. */
function chosen(resource, name) {
  const at = text(resource[`${name}DateTime`]) ?? text(resource[`${name}Instant`]);
  if (at) return { at, words: day(at), exact: dayAndTime(at) };
  const stretch = resource[`${name}Period`];
  if (stretch) return { at: text(stretch.start) ?? text(stretch.end), words: period(stretch) };
  const event = text(list(resource[`${name}Timing`]?.event)[0]);
  if (event) return { at: event, words: day(event), exact: dayAndTime(event) };
  const age = quantity(resource[`${name}Age`])?.text ?? (resource[`${name}Range`] && range(resource[`${name}Range`]));
  if (age) return { words: D.atAge(age) };
  return text(resource[`${name}String`]) && { words: text(resource[`${name}String`]) };
}

const named = (resource, name) => {
  const at = text(resource[name]);
  return at && { at, words: day(at), exact: dayAndTime(at) };
};

/** When it was, by the record itself; `isRecorded` where the record says only when somebody wrote it down. */
function dated(resource) {
  for (const name of ["effective", "onset", "performed", "occurrence", "occurred", "identified"]) {
    const found = chosen(resource, name);
    if (found?.words) return found;
  }
  for (const name of ["whenHandedOver", "whenPrepared", "authoredOn", "started", "start", "startDate", "sent", "created", "dateTime", "dateWritten"]) {
    const found = named(resource, name);
    if (found) return found;
  }
  for (const stretch of [resource.period, resource.billablePeriod, resource.servicedPeriod, resource.context?.period]) {
    if (stretch && period(stretch)) return { at: text(stretch.start) ?? text(stretch.end), words: period(stretch) };
  }
  for (const name of ["recordedDate", "dateAsserted", "issued", "date", "recorded", "authored", "detected"]) {
    const found = named(resource, name);
    if (found) return { ...found, isRecorded: true };
  }
  return undefined;
}

// ---- What still stands

const OVER = {
  AllergyIntolerance: ["inactive", "resolved"], Condition: ["inactive", "resolved"],
  MedicationRequest: ["completed", "stopped", "cancelled", "ended"], MedicationStatement: ["completed", "stopped", "not-taken"],
  MedicationDispense: ["completed", "stopped", "cancelled", "declined"], MedicationAdministration: ["completed", "stopped", "not-done"],
  Observation: ["cancelled"], DiagnosticReport: ["cancelled"], Encounter: ["cancelled"], Appointment: ["cancelled", "noshow"],
  CarePlan: ["completed", "revoked"], ServiceRequest: ["completed", "revoked"], Claim: ["cancelled"], ExplanationOfBenefit: ["cancelled"],
  Goal: ["completed", "cancelled", "rejected"], Coverage: ["cancelled"], DocumentReference: ["superseded"], CareTeam: ["inactive"], Flag: ["inactive"],
};
const NOT_VALID = new Set(["entered-in-error", "refuted"]);
const UNSURE = new Set(["unconfirmed", "provisional", "differential", "presumed"]);
const WORTH_A_MARK = new Set([
  "preliminary", "registered", "partial", "corrected", "amended", "appended", "not-done", "on-hold", "draft", "cancelled", "unknown",
]);
const ONLY_PROPOSED = new Set(["proposal", "plan", "option"]);

/** A status in its code, whether it is a code or a concept. */
const coded = (value) => text(value) ?? codeOf(value) ?? concept(value)?.toLowerCase();

/** What a hospital leaves behind of a resource that it deleted or moved. Node: Withdrawal. */
const isWithdrawn = (resource) => list(resource.meta?.tag).some((one) => one.system === "urn:consilium:record" && one.code === "withdrawn");

/** Whether it is "current", "past", or "invalid": nobody may act on what was entered in error, refuted, or withdrawn. */
export function standing(resource) {
  if (isWithdrawn(resource)) return "invalid";
  const states = [resource.status, resource.verificationStatus, resource.clinicalStatus, resource.lifecycleStatus].map(coded);
  if (states.some((state) => NOT_VALID.has(state))) return "invalid";
  const over = OVER[resource.resourceType] ?? [];
  if ([coded(resource.clinicalStatus), coded(resource.status), coded(resource.lifecycleStatus)].some((state) => over.includes(state))) return "past";
  if (resource.active === false) return "past";
  const isOver = resource.clinicalStatus === undefined && Object.keys(resource).some((key) => key.startsWith("abatement"))
    && resource.abatementBoolean !== false;
  return isOver ? "past" : "current";
}

/** A problem that is not active and may come back: it is not over (FHIR's clinicalStatus). */
const isInRemission = (resource) => resource.resourceType === "Condition" && coded(resource.clinicalStatus) === "remission" && standing(resource) === "current";

const mark = (tone, words) => ({ tone, text: words });

/** Whether anything in it has an extension that changes its meaning (FHIR's modifierExtension): nobody may overlook that. */
const hasModifier = (value) => (Array.isArray(value) ? value.some(hasModifier) : value !== null && typeof value === "object"
  && Object.entries(value).some(([key, inside]) => (key === "modifierExtension" && list(inside).length > 0) || hasModifier(inside)));

/** What must be seen before anything else. */
function marks(resource) {
  const [status, verified, clinical] = [resource.status ?? resource.lifecycleStatus, resource.verificationStatus, resource.clinicalStatus].map(coded);
  const said = (state) => T.statuses[state] ?? state;
  return [
    isWithdrawn(resource) ? mark("alert", D.withdrawn) : null,
    hasModifier(resource) ? mark("alert", D.modifier) : null,
    resource.doNotPerform === true ? mark("alert", resource.resourceType === "MedicationRequest" ? D.doNotTake : D.doNot) : null,
    [status, verified].some((state) => NOT_VALID.has(state)) ? mark("alert", said(NOT_VALID.has(status) ? status : verified)) : null,
    UNSURE.has(verified) ? mark("warn", said(verified)) : null,
    WORTH_A_MARK.has(status) ? mark(status === "not-done" ? "alert" : "warn", said(status)) : null,
    ONLY_PROPOSED.has(resource.intent) ? mark("warn", D.onlyProposed) : null,
    resource.criticality === "high" ? mark("alert", D.highRisk) : null,
    standing(resource) === "past" && clinical ? mark("quiet", said(clinical)) : null,
    isInRemission(resource) ? mark("warn", D.inRemission) : null,
  ].filter(Boolean);
}

/** A status that needs no mark: it stands among the facts. */
function plainStatus(resource) {
  const state = coded(resource.clinicalStatus) ?? coded(resource.status) ?? coded(resource.lifecycleStatus);
  if (!state || NOT_VALID.has(state) || WORTH_A_MARK.has(state) || resource.resourceType === "Observation" && state === "final") return undefined;
  return (standing(resource) === "past" && resource.clinicalStatus) || isInRemission(resource) ? undefined : T.statuses[state] ?? state;
}

// ---- "None known"

/** Codes that say that there is none of a kind, or that nothing is known, and of what: SNOMED CT; HL7's International Patient
 * Summary. */
const ABSENCES = {
  allergy: {
    716186003: "all", 409137002: "drug", 429625007: "food", 428607008: "environmental", 716184000: "latex", 716220001: "animal",
    428197003: "insect", "no-known-allergies": "all", "no-known-medication-allergies": "drug", "no-known-food-allergies": "food",
    "no-known-environmental-allergies": "environmental", "no-allergy-info": "unknown",
  },
  problem: { "no-known-problems": "all", "no-problem-info": "unknown" },
  medicine: { "no-known-medications": "all", "no-medication-info": "unknown" },
};
const sentence = (words) => new RegExp(`^(?:${words})(?: \\(situation\\))?\\.?$`, "i");
const NONE = {
  allergy: sentence("nka|no known allerg(?:y|ies)"), problem: sentence("no known (?:problem|condition)s?"),
  medicine: sentence("no known (?:medication|medicine)s?"),
};
const NONE_OF = sentence("nk[dmf]a|no known ([a-z]+) (?:allerg(?:y|ies))");

/** Where a concept says that there is none of a kind: "all", of what, or that it is "unknown". */
function absenceOf(kind, value) {
  const found = list(value?.coding).map((one) => ABSENCES[kind][one.code]).find(Boolean);
  if (found) return found;
  const words = (concept(value) ?? "").trim();
  if (NONE[kind].test(words)) return "all";
  return kind === "allergy" && NONE_OF.test(words) ? NONE_OF.exec(words)[1]?.toLowerCase() ?? "drug" : undefined;
}

/** Where a record says that there is none of what it is a record of, as above; "elsewhere" where that is of another kind:
 * nobody looks for it there, and nobody goes by it. Undefined where it names something. */
function absence(resource) {
  const kind = SECTIONS[resource.resourceType];
  if (!ABSENCES[kind] || hasModifier(resource)) return undefined;
  const value = resource.code ?? resource.medicationCodeableConcept;
  return absenceOf(kind, value) ?? (Object.keys(ABSENCES).some((other) => absenceOf(other, value)) ? "elsewhere" : undefined);
}

// ---- All of it

/** A type's name in words, for what has none of its own. */
const typeName = (type) => T.types[type] ?? (type.replace(/(?<=[a-z])(?=[A-Z])/g, " ") || T.types.unknown);

function title(resource, type) {
  return concept(resource.code) ?? concept(resource.vaccineCode) ?? concept(resource.medicationCodeableConcept)
    ?? (typeof resource.type === "object" ? concept(Array.isArray(resource.type) ? resource.type[0] : resource.type) : undefined)
    ?? text(resource.title) ?? text(resource.description) ?? concept(list(resource.category)[0]) ?? text(resource.name) ?? typeName(type);
}

/** Values of one kind stand together: by the first code, else by the words. */
const kindOf = (resource, words) => {
  const code = list(resource.code?.coding).find((one) => text(one.code));
  return code ? `${code.system ?? ""}|${code.code}` : words.toLowerCase();
};

const notes = (resource) => list(resource.note).map((one) => text(one.text)).filter(Boolean);

function read(resource, find) {
  const type = text(resource.resourceType) ?? "";
  const found = finding(resource);
  const details = DETAILS[type]?.(resource, find) ?? {};
  const when = details.when ?? dated(resource);
  const words = details.title ?? title(resource, type);
  return {
    type, section: SECTIONS[type] ?? "other", title: words, when, order: place(when?.at), standing: standing(resource),
    absence: absence(resource), isForbidden: resource.doNotPerform === true, kind: kindOf(resource, words),
    value: details.value ?? found?.text, number: found?.number, unit: found?.unit, method: concept(resource.method), band: band(resource),
    marks: [...marks(resource), ...(details.isNameless && standing(resource) === "current" ? [mark("alert", D.notNamed)] : []), ...meaning(resource), ...(details.marks ?? [])], status: plainStatus(resource), rank: details.rank ?? 0,
    lines: [...(details.lines ?? []), ...notes(resource)].filter(Boolean), parts: details.parts ?? [], attachments: details.attachments ?? [],
    person: details.person,
  };
}

/** What a page shows of a resource; `find` gives the resource that a reference means, where it is known. A resource of a
 * shape that FHIR does not have is shown by its type alone: nothing of it is guessed. */
export function describe(resource, find = () => undefined) {
  try {
    return read(resource, (reference) => contained(resource, reference) ?? find(reference));
  } catch {
    const type = text(resource?.resourceType) ?? "";
    return {
      type, section: SECTIONS[type] ?? "other", title: typeName(type), order: Number.NaN, standing: "current", kind: type, marks: [mark("alert", D.unreadable)],
      lines: [], parts: [], attachments: [], rank: 0, isUnreadable: true,
    };
  }
}

/** A resource that travels inside another. */
const contained = (resource, reference) => {
  const local = text(reference?.reference);
  return local?.startsWith("#") ? list(resource.contained).find((one) => one.id === local.slice(1)) : undefined;
};
