// What the rarer types of resources have that others do not; details.js has the others.
import { day } from "./dates.js";
import { bodySite, by, concepts, files, joined, labelled, people, personName, reasons, referred, several, urgency, when, whyNot } from "./parts.js";
import { D, T } from "./texts.js";
import { choice, concept, digits, first, list, period, quantity, ratio, text } from "./values.js";

const named = (all, find) => joined(list(all).map((one) => referred(one, find)));
const number = (holder, name) => (holder[name] === undefined ? undefined : digits(holder, name));

const team = (resource, find) => ({
  title: text(resource.name) ?? concept(first(resource.category)) ?? T.types.CareTeam,
  lines: [reasons(resource, find), ...list(resource.participant).map((one) => joined(concepts(one.role), referred(one.member, find), referred(one.onBehalfOf, find)))],
});

const images = (resource, find) => ({
  title: text(resource.description) ?? concept(first(resource.procedureCode)) ?? T.types.ImagingStudy,
  lines: [joined(list(resource.modality).map((one) => text(one.display) ?? text(one.code)), list(resource.procedureCode).map(concept)), reasons(resource, find),
    ...list(resource.series).map((one) => joined(text(one.description), text(one.modality?.display) ?? text(one.modality?.code), text(one.bodySite?.display) ?? text(one.bodySite?.code),
      text(one.laterality?.display))), resource.numberOfInstances === undefined ? "" : D.pictures(number(resource, "numberOfInstances"))],
});

const appointment = (resource, find) => ({
  title: concept(first(resource.serviceType)) ?? text(resource.description) ?? concept(resource.appointmentType) ?? T.types.Appointment,
  lines: [text(resource.description), concept(resource.appointmentType), whyNot(resource), reasons(resource, find), text(resource.comment), text(resource.patientInstruction),
    labelled(D.with, people(resource.participant, find)), text(resource.end) && D.until(day(resource.end))],
});

const nutrition = (resource, find) => ({
  title: concept(first(resource.oralDiet?.type)) ?? T.types.NutritionOrder,
  lines: [concepts(resource.oralDiet?.type), text(resource.oralDiet?.instruction), ...list(resource.oralDiet?.nutrient).map((one) => joined(concept(one.modifier), quantity(one.amount)?.text)),
    ...list(resource.oralDiet?.texture).map((one) => joined(concept(one.modifier), concept(one.foodType))), labelled(D.thick, concepts(resource.oralDiet?.fluidConsistencyType)),
    ...list(resource.supplement).map((one) => joined(concept(one.type), text(one.productName), quantity(one.quantity)?.text, text(one.instruction))),
    joined(concept(resource.enteralFormula?.baseFormulaType), text(resource.enteralFormula?.baseFormulaProductName), concept(resource.enteralFormula?.routeofAdministration),
      ...list(resource.enteralFormula?.administration).map((one) => joined(quantity(one.quantity)?.text, choice(one, "rate")?.text)),
      quantity(resource.enteralFormula?.maxVolumeToDeliver)?.text && D.most(quantity(resource.enteralFormula.maxVolumeToDeliver).text),
      text(resource.enteralFormula?.administrationInstruction)),
    labelled(D.without, concepts(resource.excludeFoodModifier)), labelled(D.prefers, concepts(resource.foodPreferenceModifier)),
    labelled(T.sections.allergy, named(resource.allergyIntolerance, find))],
});

const impression = (resource, find) => ({
  title: text(resource.description) ?? concept(resource.code) ?? T.types.ClinicalImpression,
  lines: [text(resource.summary), whyNot(resource), labelled(D.about, named(resource.problem, find)), labelled(D.signs, joined(list(resource.finding).map((one) =>
    joined(concept(one.itemCodeableConcept) ?? referred(one.itemReference, find), text(one.basis))))), labelled(D.outlook, concepts(resource.prognosisCodeableConcept))],
});

const risk = (resource, find) => ({
  title: concept(resource.code) ?? concept(first(resource.prediction)?.outcome) ?? T.types.RiskAssessment,
  lines: [...list(resource.prediction).map((one) => joined(concept(one.outcome), number(one, "probabilityDecimal") ?? choice(one, "probability")?.text, concept(one.qualitativeRisk),
    when(one, "when"), text(one.rationale))), reasons(resource, find), labelled(D.about, referred(resource.condition, find)), text(resource.mitigation)],
});

/** Questions with their answers, those inside others too. */
const answers = (items, depth = 0) => (depth > 8 ? [] : list(items).flatMap((one) => [
  list(one.answer).length ? labelled(text(one.text) ?? text(one.linkId) ?? D.unnamed, joined(list(one.answer).map(answered))) : text(one.text),
  ...answers(one.item, depth + 1), ...list(one.answer).flatMap((each) => answers(each.item, depth + 1)),
]));
const answered = (one) => concept({ coding: [one.valueCoding].filter(Boolean) }) ?? number(one, "valueDecimal") ?? (text(one.valueDate) && day(one.valueDate)) ?? text(one.valueReference?.display)
  ?? text(one.valueUri) ?? text(one.valueAttachment?.title) ?? choice(one)?.text;

const lens = (one) => joined(D.eyes[one.eye] ?? text(one.eye), concept(one.product), ["sphere", "cylinder", "axis", "add", "power", "backCurve", "diameter"]
  .map((name) => number(one, name) && `${D.lens[name]} ${number(one, name)}`), list(one.prism).map((each) => `${D.lens.prism} ${number(each, "amount")} ${text(each.base) ?? ""}`.trim()),
text(one.color), text(one.brand), quantity(one.duration)?.text, list(one.note).map((each) => text(each.text)));

/** A narrative's words; its marks are dropped, for nothing of a record is shown as HTML. */
const NAMED_LETTERS = { amp: "&", lt: "<", gt: ">", quot: "\"", apos: "'", nbsp: " " };
const narrative = (value) => text(text(value?.div)?.replace(/<[^>]*>/g, " ").replace(/&(\w+);/g, (all, name) => NAMED_LETTERS[name] ?? all).replace(/\s+/g, " ").trim());
const chapters = (all, find, depth = 0) => (depth > 6 ? [] : list(all).flatMap((one) => [
  labelled(text(one.title) ?? concept(one.code) ?? D.unnamed, joined(narrative(one.text), list(one.entry).map((each) => referred(each, find)), concept(one.emptyReason)) || D.nothingInside),
  ...chapters(one.section, find, depth + 1)]));

const told = (resource, find) => ({
  title: concept(first(resource.category)) ?? concept(resource.topic) ?? T.types.Communication, marks: urgency(resource),
  lines: [concept(first(resource.category)) ? concept(resource.topic) : "", ...list(resource.payload).map((one) => text(one.contentString) ?? referred(one.contentReference, find)), reasons(resource, find), whyNot(resource), labelled(D.by, referred(resource.sender ?? resource.requester, find))],
  attachments: files(list(resource.payload).map((one) => one.contentAttachment)),
});

/** By type, as details.js has them. */
export const RARER = {
  CareTeam: team, ImagingStudy: images, Appointment: appointment, NutritionOrder: nutrition, ClinicalImpression: impression, RiskAssessment: risk,
  QuestionnaireResponse: (resource) => ({ lines: answers(resource.item) }), Communication: told, CommunicationRequest: told,
  VisionPrescription: (resource) => ({ title: T.types.VisionPrescription, lines: list(resource.lensSpecification).map(lens) }),
  DetectedIssue: (resource, find) => ({
    lines: [text(resource.detail), T.severities[resource.severity] ?? text(resource.severity), labelled(D.about, named(resource.implicated, find)),
      ...list(resource.mitigation).map((one) => concept(one.action))],
  }),
  AdverseEvent: (resource, find) => ({
    title: concept(resource.event) ?? T.types.AdverseEvent, marks: resource.actuality === "potential" ? [{ tone: "warn", text: D.onlyPossible }] : [],
    lines: [concept(resource.seriousness), concept(resource.severity), labelled(D.outcome, concept(resource.outcome)),
      labelled(D.because, joined(list(resource.suspectEntity).map((one) => referred(one.instance, find)))), named(resource.resultingCondition, find)],
  }),
  Specimen: (resource) => ({
    lines: [labelled(D.taken, when(resource.collection, "collected")), bodySite(resource.collection ?? {}), quantity(resource.collection?.quantity)?.text,
      concept(resource.collection?.method), concepts(resource.condition), list(resource.container).map((one) => concept(one.type)).join(", ")],
  }),
  Medication: (resource) => ({
    lines: [...list(resource.ingredient).map((one) => joined(concept(one.itemCodeableConcept) ?? text(one.itemReference?.display), ratio(one.strength))), concept(resource.form),
      labelled(D.lot, text(resource.batch?.lotNumber)), labelled(D.expires, text(resource.batch?.expirationDate) && day(resource.batch.expirationDate))],
  }),
  Flag: (resource, find) => ({ lines: [concepts(resource.category), labelled(D.by, referred(resource.author, find))] }),
  DeviceUseStatement: (resource, find) => ({ title: referred(resource.device, find) ?? T.types.DeviceUseStatement, lines: [when(resource, "timing"), reasons(resource, find), bodySite(resource)] }),
  DeviceRequest: (resource, find) => ({
    title: concept(resource.codeCodeableConcept) ?? referred(resource.codeReference, find) ?? T.types.DeviceRequest, marks: urgency(resource),
    lines: [labelled(D.due, when(resource, "occurrence")), reasons(resource, find), by(resource, find)],
  }),
  BodyStructure: (resource) => ({ title: concept(resource.morphology) ?? concept(resource.location) ?? T.types.BodyStructure, lines: [labelled(D.site, joined(concept(resource.location), concepts(resource.locationQualifier))), text(resource.description)] }),
  EpisodeOfCare: (resource, find) => ({ lines: [list(resource.diagnosis).map((one) => joined(referred(one.condition, find), concept(one.role))).join("; "), labelled(D.by, referred(resource.careManager ?? resource.managingOrganization, find))] }),
  ImmunizationRecommendation: (resource) => ({
    title: T.types.ImmunizationRecommendation, lines: list(resource.recommendation).map((one) => joined(concepts(one.vaccineCode), concept(one.targetDisease), concept(one.forecastStatus),
      concepts(one.forecastReason), list(one.dateCriterion).map((each) => joined(concept(each.code), text(each.value) && D.on(day(each.value)))), text(one.description))),
  }),
  Task: (resource, find) => ({ marks: urgency(resource), title: concept(resource.code) ?? text(resource.description) ?? T.types.Task,
    lines: [text(resource.description), whyNot(resource), labelled(D.about, referred(resource.focus, find)), period(resource.executionPeriod), labelled(D.by, referred(resource.owner, find))] }),
  Media: (resource) => ({ title: concept(resource.type) ?? text(resource.content?.title) ?? T.types.Media, lines: [bodySite(resource), concepts(resource.view)], attachments: files([resource.content]) }),
  List: (resource, find) => ({ title: text(resource.title) ?? concept(resource.code),
    lines: [...list(resource.entry).map((one) => joined(referred(one.item, find), concept(one.flag), one.deleted === true ? D.struck : "")), concept(resource.emptyReason)] }),
  Organization: (resource) => ({ title: text(resource.name), lines: [concepts(resource.type)] }), Location: (resource) => ({ title: text(resource.name), lines: [text(resource.description)] }),
  Practitioner: (resource) => ({ title: personName(resource), lines: list(resource.qualification).map((one) => concept(one.code)) }),
  Bundle: (resource) => ({ title: D.bundle(list(resource.entry).length), when: text(resource.timestamp) && { at: resource.timestamp, words: day(resource.timestamp) } }),
  Composition: (resource, find) => ({ title: text(resource.title) ?? concept(resource.type), lines: [labelled(D.by, named(resource.author, find)), ...chapters(resource.section, find)] }),
  Device: (resource) => ({ title: text(first(resource.deviceName)?.name) ?? concept(resource.type) ?? T.types.Device,
    lines: [concept(resource.type), text(resource.manufacturer), text(resource.modelNumber), labelled(D.lot, text(resource.lotNumber)), labelled(D.expires, text(resource.expirationDate) && day(resource.expirationDate)),
      concepts(several(resource.safety))] }),
};
