// What each type of resource has that others do not.
import { day } from "./dates.js";
import { dosages } from "./dosage.js";
import { D, T } from "./texts.js";
import { choice, codeOf, components, concept, first, list, money, period, quantity, ratio, text, usual } from "./values.js";

const joined = (...parts) => parts.flat().filter(Boolean).join(", ");
const labelled = (label, words) => (words ? D.labelled(label, words) : undefined);

/** What a reference points to, by its words, or by the record it means. */
const referred = (reference, find) => {
  const found = find(reference);
  return text(reference?.display) ?? (found ? concept(found.code) ?? personName(found) : undefined);
};

/** A person's name: the official one, not one of former times. */
export function personName(resource) {
  const names = list(resource?.name).filter((one) => typeof one === "object");
  const best = ["official", "usual"].map((use) => names.find((one) => one.use === use)).find(Boolean)
    ?? names.find((one) => one.use !== "old" && one.use !== "maiden") ?? names[0];
  if (!best) return undefined;
  return text(best.text) ?? (joined([...list(best.given), best.family, ...list(best.suffix)].filter(text).join(" ")) || undefined);
}

const sex = (resource) => T.sexes[resource.gender] ?? text(resource.gender);
const contact = (one) => joined(list(one?.telecom).map((each) => text(each.value)));
const address = (one) => {
  const where = first(Array.isArray(one?.address) ? one.address : [one?.address]);
  return where && (text(where.text) ?? joined(list(where.line), where.postalCode, where.city, where.state, where.country));
};

const reasons = (resource, find) => labelled(D.reason, joined(
  list(resource.reasonCode).map(concept), list(resource.reasonReference).map((one) => referred(one, find))));
const bodySite = (resource) => labelled(D.site, joined((Array.isArray(resource.bodySite) ? resource.bodySite : [resource.bodySite]).map(concept)));
const whyNot = (resource) => labelled(D.because, joined(
  (Array.isArray(resource.statusReason) ? resource.statusReason : [resource.statusReason]).map((one) => concept(one))));

const files = (all) => list(all).filter((one) => one && typeof one === "object").map((one) => ({
  title: text(one.title) ?? D.attachment, type: text(one.contentType), data: text(one.data), address: text(one.url),
}));

// ---- Medicines

/** A medicine's name: its own, or that of the medication that it refers to, with what is in it. */
export function medicineName(resource, find) {
  const found = resource.medicationReference ? find(resource.medicationReference) : undefined;
  const inside = found ? list(found.ingredient).map((one) => [
    concept(one.itemCodeableConcept) ?? text(one.itemReference?.display), ratio(one.strength)].filter(Boolean).join(" ")).filter(Boolean) : [];
  const name = concept(resource.medicationCodeableConcept) ?? concept(found?.code) ?? text(resource.medicationReference?.display)
    ?? (inside.join(", ") || undefined);
  return { name: name ?? D.unnamedMedicine, isNamed: Boolean(name), inside: name && !inside.some((one) => one === name) ? inside : [], form: concept(found?.form) };
}

function medicine(resource, find) {
  const { name, isNamed, inside, form } = medicineName(resource, find);
  const how = dosages(resource);
  const amount = quantity(resource.quantity)?.text;
  return {
    title: name, rank: resource.doNotPerform === true ? -1 : 0,
    isNameless: !isNamed,
    lines: [
      joined(inside, form), ...how, how.length || resource.doNotPerform ? "" : D.noDosage, whyNot(resource), reasons(resource, find), labelled(D.amount, amount),
      resource.dispenseRequest?.validityPeriod ? labelled(D.valid, period(resource.dispenseRequest.validityPeriod)) : "",
    ],
  };
}

// ---- Results and documents

function observation(resource, find) {
  return {
    parts: components(resource), lines: [...usual(resource), bodySite(resource), labelled(D.method, concept(resource.method)),
      resource.dataAbsentReason || resource.component || choice(resource) || list(resource.hasMember).length ? "" : D.noValue,
      labelled(D.contains, joined(list(resource.hasMember).map((one) => referred(one, find))))],
  };
}

function report(resource, find) {
  return {
    lines: [text(resource.conclusion), joined(list(resource.conclusionCode).map(concept)),
      labelled(D.contains, joined(list(resource.result).map((one) => referred(one, find))))],
    attachments: files(resource.presentedForm),
  };
}

// ---- What people have, and what was done

const ALLERGY_RANK = { high: 0, "unable-to-assess": 2, low: 3 };

function allergy(resource) {
  const reactions = list(resource.reaction).map((one) => joined(
    list(one.manifestation).map(concept), T.severities[one.severity] ?? text(one.severity), concept(one.substance), text(one.description)));
  const isSevere = list(resource.reaction).some((one) => one.severity === "severe");
  const lasted = text(resource.lastOccurrence);
  return {
    rank: Math.min(ALLERGY_RANK[resource.criticality] ?? 1, isSevere ? 0.5 : 9),
    lines: [labelled(D.reactions, reactions.filter(Boolean).join("; ")), T.allergyTypes[resource.type], resource.criticality === "low" ? D.lowRisk : "",
      resource.criticality === "unable-to-assess" ? D.riskUnknown : "", lasted && labelled(D.lastTime, day(lasted))],
  };
}

function condition(resource) {
  const ended = text(resource.abatementDateTime) ? day(resource.abatementDateTime)
    : choice(resource, "abatement")?.text ?? quantity(resource.abatementAge)?.text;
  return { lines: [concept(resource.severity), bodySite(resource), labelled(D.stage, joined(list(resource.stage).map((one) => concept(one.summary)))),
    labelled(D.ended, ended)] };
}

function encounter(resource, find) {
  const setting = text(resource.class?.display) ?? T.encounterClasses[resource.class?.code] ?? text(resource.class?.code);
  const kind = concept(first(resource.type)) ?? concept(resource.serviceType);
  return {
    title: kind ?? setting ?? T.types.Encounter,
    lines: [kind ? setting : "", reasons(resource, find), labelled(D.diagnosis, joined(list(resource.diagnosis).map((one) => referred(one.condition, find)))),
      labelled(D.discharged, concept(resource.hospitalization?.dischargeDisposition)),
      labelled(D.where, joined(list(resource.location).map((one) => text(one.location?.display)), text(resource.serviceProvider?.display)))],
  };
}

const procedure = (resource, find) => ({ lines: [whyNot(resource), reasons(resource, find), bodySite(resource), labelled(D.outcome, concept(resource.outcome)),
  labelled(D.complications, joined(list(resource.complication).map(concept)))] });

const immunization = (resource) => ({
  marks: resource.isSubpotent === true ? [{ tone: "warn", text: D.subpotent }] : [],
  lines: [whyNot(resource), quantity(resource.doseQuantity)?.text, labelled(D.dose, joined(list(resource.protocolApplied).map((one) =>
    choice(one, "doseNumber")?.text ?? (one.doseNumberPositiveInt === undefined ? "" : String(one.doseNumberPositiveInt))))),
  labelled(D.reactions, joined(list(resource.reaction).map((one) => text(one.detail?.display)))), labelled(D.lot, text(resource.lotNumber))],
});

// ---- Plans, people, bills

const goal = (resource) => ({
  title: concept(resource.description) ?? T.types.Goal,
  lines: [T.statuses[codeOf(resource.achievementStatus)] ?? concept(resource.achievementStatus), ...list(resource.target).map((one) => joined(
    concept(one.measure), choice(one, "detail")?.text, text(one.dueDate) && D.until(day(one.dueDate))))],
});

const carePlan = (resource, find) => ({
  title: text(resource.title) ?? concept(first(resource.category)) ?? text(resource.description) ?? T.types.CarePlan,
  lines: [resource.title ? concept(first(resource.category)) : "", text(resource.description), labelled(D.about, joined(list(resource.addresses).map((one) => referred(one, find)))),
    ...list(resource.activity).map((one) => (one.detail?.doNotPerform === true ? `${D.doNot}: ` : "")
      + joined(concept(one.detail?.code) ?? text(one.detail?.description) ?? referred(one.reference, find)))],
});

const request = (resource, find) => ({ lines: [reasons(resource, find), bodySite(resource), text(resource.patientInstruction)] });

const family = (resource) => ({
  title: joined(concept(resource.relationship) ?? T.types.FamilyMemberHistory, text(resource.name)),
  value: joined(list(resource.condition).map((one) => {
    const at = text(one.onsetString) ?? quantity(one.onsetAge)?.text ?? choice(one, "onset")?.text;
    return [concept(one.code), at && `(${D.atAge(at)})`, concept(one.outcome)].filter(Boolean).join(" ");
  })),
  lines: [resource.deceasedBoolean === true || resource.deceasedAge || resource.deceasedDate || resource.deceasedString ? D.dead : ""],
});

function patient(resource) {
  const died = resource.deceasedBoolean === true || text(resource.deceasedDateTime);
  const person = { name: personName(resource), birthDate: text(resource.birthDate), sex: sex(resource), isDead: Boolean(died) };
  return {
    title: person.name ?? D.nameless, person, marks: died ? [{ tone: "alert", text: D.dead }] : [],
    lines: [person.birthDate && D.born(day(person.birthDate)), person.sex, text(resource.deceasedDateTime) && labelled(D.dead, day(resource.deceasedDateTime)),
      address(resource), contact(resource), ...list(resource.contact).map((one) => labelled(joined(list(one.relationship).map(concept)) || D.contact,
        joined(personName({ name: [one.name].filter(Boolean) }), contact(one))))],
  };
}

const related = (resource) => ({
  title: personName(resource) ?? T.types.RelatedPerson,
  lines: [joined(list(resource.relationship).map(concept)), text(resource.birthDate) && D.born(day(resource.birthDate)), contact(resource), address(resource)],
});

const bill = (resource) => ({
  title: joined(T.types[resource.resourceType], concept(resource.type)),
  value: money(resource.total) ?? joined(list(resource.total).map((one) => [concept(one.category), money(one.amount)].filter(Boolean).join(" "))),
  lines: [joined(list(resource.item).map((one) => concept(one.productOrService))), text(resource.disposition)],
});

const coverage = (resource) => ({
  title: joined(concept(resource.type) ?? T.types.Coverage, list(resource.payor).map((one) => text(one.display))), lines: [text(resource.subscriberId)],
});

/** By type: {title, when, value, lines, marks, parts, attachments, rank, person}, each where it has one. */
export const DETAILS = {
  AllergyIntolerance: allergy, Condition: condition, MedicationRequest: medicine, MedicationStatement: medicine,
  MedicationAdministration: medicine, MedicationDispense: medicine, Observation: observation, DiagnosticReport: report,
  DocumentReference: (resource) => ({
    title: text(resource.description) ?? concept(resource.type) ?? T.types.DocumentReference,
    lines: [concept(resource.type)], attachments: files(list(resource.content).map((one) => one.attachment)),
  }),
  Encounter: encounter, Procedure: procedure, Immunization: immunization, Goal: goal, CarePlan: carePlan, ServiceRequest: request,
  FamilyMemberHistory: family, Patient: patient, RelatedPerson: related, Practitioner: related, Claim: bill, ExplanationOfBenefit: bill,
  Coverage: coverage,
  DetectedIssue: (resource) => ({ lines: [text(resource.detail), T.severities[resource.severity] ?? text(resource.severity)] }),
  Communication: (resource) => ({ lines: list(resource.payload).map((one) => text(one.contentString)) }),
  List: (resource) => ({ lines: list(resource.entry).map((one) => text(one.item?.display)) }),
  Organization: (resource) => ({ title: text(resource.name) }), Location: (resource) => ({ title: text(resource.name) }),
  Bundle: (resource) => ({ title: D.bundle(list(resource.entry).length), when: text(resource.timestamp) && { at: resource.timestamp, words: day(resource.timestamp) } }),
  Composition: (resource) => ({ title: text(resource.title) ?? concept(resource.type) }),
  Device: (resource) => ({ title: text(first(resource.deviceName)?.name) ?? concept(resource.type) ?? T.types.Device, lines: [text(resource.manufacturer)] }),
};
