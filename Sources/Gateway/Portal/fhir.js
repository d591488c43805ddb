// FHIR R4 resources as people read them: a section, a title, a date, a value.

const SECTIONS = {
  AllergyIntolerance: "allergy", Condition: "problem", MedicationRequest: "medicine", MedicationStatement: "medicine",
  MedicationAdministration: "medicine", MedicationDispense: "medicine", Observation: "result",
  Immunization: "immunisation", Encounter: "visit", Procedure: "procedure", DiagnosticReport: "document",
  DocumentReference: "document", ImagingStudy: "document", CarePlan: "document", Patient: "person",
};

/** The order in which sections are shown. */
export const ORDER = [
  "allergy", "problem", "medicine", "result", "immunisation", "visit", "procedure", "document", "person", "other",
];

const text = (value) => (typeof value === "string" ? value : undefined);
const first = (list) => (Array.isArray(list) ? list[0] : undefined);

const concept = (value) =>
  text(value?.text) ?? text(first(value?.coding)?.display) ?? text(first(value?.coding)?.code);

const tokens = new WeakMap();

/** A resource's JSON; of each quantity the number's token is kept too, for 1.50 is not 1.5 in medicine. */
export const parsed = (json) => JSON.parse(json, function keep(key, number, context) {
  if (key === "value" && typeof number === "number" && context?.source) tokens.set(this, context.source);
  return number;
});

/** What a machine computed to ten digits nobody measured: it is shown rounded, and says so. */
const shown = (token) => (/^-?\d+\.\d{5,}$/.test(token) ? `≈ ${Number(token).toFixed(2)}` : token);

const quantity = (value) => {
  if (!value || typeof value !== "object" || value.value === undefined) return undefined;
  return `${shown(tokens.get(value) ?? String(value.value))} ${value.unit ?? value.code ?? ""}`.trim();
};

function name(resource) {
  if (resource.resourceType === "Patient") {
    const named = first(resource.name);
    return text(named?.text) ?? ([...(named?.given ?? []), named?.family].filter(Boolean).join(" ") || undefined);
  }
  return concept(resource.code) ?? concept(resource.vaccineCode) ?? concept(resource.medicationCodeableConcept)
    ?? concept(first(resource.type)) ?? concept(resource.type) ?? concept(first(resource.category)) ?? text(resource.description);
}

function value(resource) {
  if (resource.valueQuantity) return quantity(resource.valueQuantity);
  if (resource.valueCodeableConcept) return concept(resource.valueCodeableConcept);
  if (resource.valueString) return text(resource.valueString);
  const parts = (resource.component ?? []).map((part) => quantity(part.valueQuantity)).filter(Boolean);
  return parts.length ? parts.join(" / ") : undefined;
}

const when = (resource) =>
  text(resource.effectiveDateTime) ?? text(resource.onsetDateTime) ?? text(resource.performedDateTime)
  ?? text(resource.performedPeriod?.start) ?? text(resource.authoredOn) ?? text(resource.occurrenceDateTime)
  ?? text(resource.period?.start) ?? text(resource.recordedDate) ?? text(resource.issued) ?? text(resource.date)
  ?? text(resource.started) ?? text(resource.birthDate);

/** What a page shows of a resource. */
export function describe(resource) {
  const type = text(resource.resourceType) ?? "";
  return {
    type, section: SECTIONS[type] ?? "other", title: name(resource) ?? type, when: when(resource), value: value(resource),
    number: typeof resource.valueQuantity?.value === "number" ? resource.valueQuantity.value : undefined,
    status: concept(resource.clinicalStatus) ?? text(resource.status),
    severity: text(resource.criticality), reactions: (resource.reaction ?? []).flatMap((reaction) =>
      (reaction.manifestation ?? []).map(concept)).filter(Boolean),
  };
}
