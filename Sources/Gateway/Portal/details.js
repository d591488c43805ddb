// What each type of resource has that others do not.
import { day } from "./dates.js";
import { dosages } from "./dosage.js";
import { address, bodySite, by, concepts, contact, files, joined, labelled, people, personName, reasons, referred, several, sex, urgency, when, whyNot } from "./parts.js";
import { RARER } from "./rarer.js";
import { D, T } from "./texts.js";
import { allergyName, choice, codeOf, components, concept, first, list, money, period, quantity, ratio, text, usual } from "./values.js";

// ---- Medicines

/** A medicine's name: its own, or that of the medication that it refers to, with what is in it. */
export function medicineName(resource, find) {
  const found = resource.medicationReference ? find(resource.medicationReference) : undefined;
  const inside = found ? list(found.ingredient).map((one) => [
    concept(one.itemCodeableConcept) ?? text(one.itemReference?.display), ratio(one.strength)].filter(Boolean).join(" ")).filter(Boolean) : [];
  const name = concept(resource.medicationCodeableConcept) ?? concept(found?.code) ?? text(resource.medicationReference?.display)
    ?? (inside.join(", ") || undefined);
  const said = text(resource.medicationReference?.display);
  return { name: name ?? D.unnamedMedicine, isNamed: Boolean(name), other: said === name ? undefined : said, inside: name && !inside.some((one) => one === name) ? inside : [], form: concept(found?.form) };
}

function medicine(resource, find) {
  const { name, isNamed, other, inside, form } = medicineName(resource, find);
  const how = dosages(resource);
  const supply = resource.dispenseRequest ?? {};
  const isSame = resource.substitution?.allowedBoolean === false;
  return {
    title: name, rank: resource.doNotPerform === true ? -1 : 0, isNameless: !isNamed, marks: urgency(resource),
    lines: [
      labelled(D.alsoNamed, other), joined(inside, form), ...how, how.length || resource.doNotPerform ? "" : D.noDosage, whyNot(resource), reasons(resource, find),
      labelled(D.amount, quantity(resource.quantity ?? supply.quantity)?.text), labelled(D.lasts, quantity(resource.daysSupply ?? supply.expectedSupplyDuration)?.text),
      typeof supply.numberOfRepeatsAllowed === "number" ? D.repeats(supply.numberOfRepeatsAllowed) : "",
      supply.validityPeriod ? labelled(D.valid, period(supply.validityPeriod)) : "", isSame ? D.noSubstitute : resource.substitution?.allowedBoolean === true ? D.maySubstitute : "",
      resource.substitution?.wasSubstituted === true ? joined(D.substituted, concepts(resource.substitution.type), concepts(resource.substitution.reason)) : "",
      labelled(D.found, joined(list(resource.detectedIssue).map((one) => referred(one, find)))),
      labelled(D.by, joined(referred(resource.requester ?? resource.informationSource, find), people(resource.performer?.actor ? [] : several(resource.performer), find))),
    ],
  };
}

// ---- Results and documents

function observation(resource, find) {
  return {
    parts: components(resource), lines: [...usual(resource), bodySite(resource), labelled(D.method, concept(resource.method)),
      labelled(D.specimen, referred(resource.specimen, find)), labelled(D.device, referred(resource.device, find)),
      resource.dataAbsentReason || resource.component || choice(resource) || list(resource.hasMember).length ? "" : D.noValue,
      labelled(D.contains, joined(list(resource.hasMember).map((one) => referred(one, find))))],
  };
}

function report(resource, find) {
  return {
    lines: [text(resource.conclusion), joined(list(resource.conclusionCode).map(concept)), labelled(D.specimen, joined(list(resource.specimen).map((one) => referred(one, find)))),
      ...list(resource.media).map((one) => text(one.comment)),
      labelled(D.by, joined([...list(resource.resultsInterpreter), ...list(resource.performer)].map((one) => referred(one, find)))),
      labelled(D.contains, joined(list(resource.result).map((one) => referred(one, find))))],
    attachments: files(resource.presentedForm),
  };
}

// ---- What people have, and what was done

const ALLERGY_RANK = { high: 0, "unable-to-assess": 2, low: 3 };

function allergy(resource) {
  const name = allergyName(resource);
  const reactions = list(resource.reaction).map((one) => joined(
    list(one.manifestation).map(concept), T.severities[one.severity] ?? text(one.severity), concept(one.substance) === name ? "" : concept(one.substance), text(one.description),
    concept(one.exposureRoute), text(one.onset) && D.on(day(one.onset)), list(one.note).map((each) => text(each.text))));
  const isSevere = list(resource.reaction).some((one) => one.severity === "severe");
  const lasted = text(resource.lastOccurrence);
  return {
    title: name, rank: Math.min(ALLERGY_RANK[resource.criticality] ?? 1, isSevere ? 0.5 : 9),
    lines: [labelled(D.reactions, reactions.filter(Boolean).join("; ")), joined(T.allergyTypes[resource.type],
      several(resource.category).map((one) => D.allergyCategories[one] ?? text(one))), resource.criticality === "low" ? D.lowRisk : "",
    resource.criticality === "unable-to-assess" ? D.riskUnknown : "", lasted && labelled(D.lastTime, day(lasted))],
  };
}

function condition(resource, find) {
  return { lines: [concept(resource.severity), bodySite(resource), labelled(D.stage, joined(list(resource.stage).map((one) => concept(one.summary)))),
    labelled(D.signs, joined(list(resource.evidence).flatMap((one) => [concepts(one.code), ...list(one.detail).map((each) => referred(each, find))]))),
    labelled(D.ended, when(resource, "abatement") ?? choice(resource, "abatement")?.text)] };
}

function encounter(resource, find) {
  const setting = text(resource.class?.display) ?? T.encounterClasses[resource.class?.code] ?? text(resource.class?.code);
  const kind = concept(first(resource.type)) ?? concept(resource.serviceType);
  return {
    title: kind ?? setting ?? T.types.Encounter,
    lines: [kind ? setting : "", concept(first(resource.type)) ? concept(resource.serviceType) : "", reasons(resource, find),
      labelled(D.diagnosis, joined(list(resource.diagnosis).map((one) => [referred(one.condition, find), concept(one.use) && `(${concept(one.use)})`].filter(Boolean).join(" ")))),
      labelled(D.priority, concept(resource.priority)), labelled(D.came, concept(resource.hospitalization?.admitSource)),
      labelled(D.discharged, concept(resource.hospitalization?.dischargeDisposition)), labelled(D.with, people(resource.participant, find)),
      labelled(D.where, joined(list(resource.location).map((one) => text(one.location?.display)), text(resource.serviceProvider?.display)))],
  };
}

const procedure = (resource, find) => ({ lines: [whyNot(resource), reasons(resource, find), bodySite(resource), labelled(D.outcome, concept(resource.outcome)),
  labelled(D.complications, joined(list(resource.complication).map(concept), list(resource.complicationDetail).map((one) => referred(one, find)))),
  labelled(D.followUp, concepts(resource.followUp)), labelled(D.device, joined(list(resource.focalDevice).map((one) => joined(concept(one.action), referred(one.manipulated, find))),
    concepts(resource.usedCode))), labelled(D.with, people(resource.performer, find)), labelled(D.where, referred(resource.location, find))] });

/** Which dose it was, of how many, against what. */
const dosed = (one) => {
  const which = (name) => text(one[`${name}String`]) ?? (one[`${name}PositiveInt`] === undefined ? undefined : String(one[`${name}PositiveInt`]));
  return joined([which("doseNumber"), which("seriesDoses") && D.ofDoses(which("seriesDoses"))].filter(Boolean).join(" "), text(one.series), concepts(one.targetDisease));
};

const immunization = (resource, find) => ({
  marks: resource.isSubpotent === true ? [{ tone: "warn", text: D.subpotent }] : [],
  lines: [whyNot(resource), labelled(D.because, concepts(resource.subpotentReason)), reasons(resource, find), joined(quantity(resource.doseQuantity)?.text, concept(resource.route)),
    labelled(D.site, concept(resource.site)), labelled(D.dose, list(resource.protocolApplied).map(dosed).filter(Boolean).join("; ")),
    labelled(D.reactions, joined(list(resource.reaction).map((one) => joined(referred(one.detail, find), text(one.date) && D.on(day(one.date)))))),
    labelled(D.lot, text(resource.lotNumber)), labelled(D.maker, referred(resource.manufacturer, find)),
    labelled(D.expires, text(resource.expirationDate) && day(resource.expirationDate)), labelled(D.with, people(resource.performer, find))],
});

// ---- Plans, people, bills

const goal = (resource, find) => ({
  title: concept(resource.description) ?? T.types.Goal,
  lines: [T.statuses[codeOf(resource.achievementStatus)] ?? concept(resource.achievementStatus), labelled(D.priority, concept(resource.priority)),
    ...list(resource.target).map((one) => joined(
      concept(one.measure), choice(one, "detail")?.text, text(one.dueDate) && D.until(day(one.dueDate)), quantity(one.dueDuration)?.text && D.within(quantity(one.dueDuration).text))),
    text(resource.statusReason) && labelled(D.because, resource.statusReason), labelled(D.about, joined(list(resource.addresses).map((one) => referred(one, find)))),
    labelled(D.outcome, concepts(resource.outcomeCode))],
});

/** What is to be done in a plan: what, how far it is, when, how much, and by whom. */
function activity(one, find) {
  const detail = one.detail ?? {};
  const state = T.statuses[detail.status] ?? text(detail.status);
  return (detail.doNotPerform === true ? `${D.doNot}: ` : "") + joined(
    referred(one.reference, find), concept(detail.code) ?? text(detail.description), detail.code ? text(detail.description) : undefined,
    concept(detail.productCodeableConcept) ?? referred(detail.productReference, find), quantity(detail.dailyAmount)?.text && D.daily(quantity(detail.dailyAmount).text),
    quantity(detail.quantity)?.text, when(detail, "scheduled"), state, concept(detail.statusReason), several(detail.reasonCode).map(concept),
    list(detail.performer).map((each) => referred(each, find)), referred(detail.location, find), concepts(one.outcomeCodeableConcept), list(one.progress).map((each) => text(each.text)));
}

const carePlan = (resource, find) => ({
  title: text(resource.title) ?? concept(first(resource.category)) ?? text(resource.description) ?? T.types.CarePlan,
  when: period(resource.period) && { at: text(resource.period.start) ?? text(resource.period.end), words: period(resource.period) },
  lines: [resource.title ? concepts(resource.category) : "", text(resource.description), labelled(D.about, joined(list(resource.addresses).map((one) => referred(one, find)))),
    labelled(D.aims, joined(list(resource.goal).map((one) => referred(one, find)))), ...list(resource.activity).map((one) => activity(one, find)),
    labelled(D.with, joined(list(resource.careTeam).map((one) => referred(one, find)), referred(resource.author, find)))],
});

const request = (resource, find) => ({
  marks: urgency(resource), title: concept(resource.code ?? resource.codeCodeableConcept) ?? referred(resource.codeReference, find),
  lines: [concepts(resource.orderDetail), choice(resource, "quantity")?.text, labelled(D.due, when(resource, "occurrence")),
    resource.asNeededBoolean === true ? D.needed : resource.asNeededCodeableConcept ? D.neededFor(concept(resource.asNeededCodeableConcept) ?? "") : "",
    reasons(resource, find), bodySite(resource), labelled(D.specimen, joined(list(resource.specimen).map((one) => referred(one, find)))), text(resource.patientInstruction), by(resource, find)],
});

/** When somebody was born or died, or how old they are: as the record says it. */
const lifetime = (resource, name) => when(resource, name) ?? (text(resource[`${name}Date`]) && day(resource[`${name}Date`]));

const family = (resource, find) => ({
  title: joined(concept(resource.relationship) ?? T.types.FamilyMemberHistory, text(resource.name)),
  value: joined(list(resource.condition).map((one) => {
    const at = text(one.onsetString) ?? quantity(one.onsetAge)?.text ?? choice(one, "onset")?.text;
    return [concept(one.code), at && `(${D.atAge(at)})`, concept(one.outcome), one.contributedToDeath === true ? D.ledToDeath : "",
      ...list(one.note).map((each) => text(each.text))].filter(Boolean).join(" ");
  })),
  lines: [reasons(resource, find), concept(resource.sex), lifetime(resource, "born") && D.born(lifetime(resource, "born")), lifetime(resource, "age") && D.atAge(lifetime(resource, "age")),
    lifetime(resource, "deceased") ? labelled(D.dead, lifetime(resource, "deceased")) : resource.deceasedBoolean === true ? D.dead : "",
    concept(resource.dataAbsentReason) && D.absent(D.absentReasons[codeOf(resource.dataAbsentReason)] ?? concept(resource.dataAbsentReason))],
});

/** Numbers by which the hospital knows somebody; the ledger's own is none of them. */
const numbers = (resource) => list(resource.identifier).filter((one) => text(one.value) && !text(one.system)?.startsWith("urn:consilium:"))
  .map((one) => [concept(one.type), one.value].filter(Boolean).join(" "));

function patient(resource) {
  const died = resource.deceasedBoolean === true || text(resource.deceasedDateTime);
  const person = { name: personName(resource), birthDate: text(resource.birthDate), sex: sex(resource), isDead: Boolean(died), numbers: numbers(resource) };
  return {
    title: person.name ?? D.nameless, person, marks: died ? [{ tone: "alert", text: D.dead }] : [],
    lines: [person.birthDate && D.born(day(person.birthDate)), person.sex, text(resource.deceasedDateTime) && labelled(D.dead, day(resource.deceasedDateTime)),
      labelled(D.numbers, person.numbers.join(", ")), address(resource), contact(resource),
      labelled(D.speaks, joined(list(resource.communication).map((one) => concept(one.language)))), ...list(resource.contact).map((one) => labelled(joined(list(one.relationship).map(concept)) || D.contact,
        joined(personName({ name: [one.name].filter(Boolean) }), contact(one))))],
  };
}

const related = (resource) => ({
  title: personName(resource) ?? T.types[resource.resourceType],
  lines: [sex(resource), joined(list(resource.relationship).map(concept)), text(resource.birthDate) && D.born(day(resource.birthDate)), contact(resource), address(resource)],
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
  DocumentReference: (resource, find) => ({
    title: text(resource.description) ?? concept(resource.type) ?? T.types.DocumentReference,
    lines: [concept(resource.type), concepts(resource.category), T.statuses[resource.docStatus] ?? text(resource.docStatus),
      labelled(D.about, joined(concepts(resource.context?.event), period(resource.context?.period))), labelled(D.by, people(resource.author, find))],
    attachments: files(list(resource.content).map((one) => one.attachment)),
  }),
  Encounter: encounter, Procedure: procedure, Immunization: immunization, Goal: goal, CarePlan: carePlan, ServiceRequest: request,
  FamilyMemberHistory: family, Patient: patient, RelatedPerson: related, Practitioner: related, Claim: bill, ExplanationOfBenefit: bill,
  Coverage: coverage,
  ...RARER,
};
