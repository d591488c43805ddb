// Words that several types of resources have in common: lists, references, people, reasons, times.
import { day, dayAndTime } from "./dates.js";
import { timing } from "./dosage.js";
import { D, T } from "./texts.js";
import { concept, first, list, period, quantity, range, text } from "./values.js";

export const joined = (...parts) => parts.flat().filter(Boolean).join(", ");
export const labelled = (label, words) => (words ? D.labelled(label, words) : undefined);

/** One or more of something, as a list. */
export const several = (value) => (Array.isArray(value) ? list(value) : [value].filter((one) => one !== undefined && one !== null));
export const concepts = (value) => joined(several(value).map(concept));
export const people = (all, find) => joined(list(all).map((one) => joined(referred(one.actor ?? one.member ?? one.individual ?? one, find),
  concept(first(several(one.role ?? one.function ?? one.type))))));

/** A priority that must not be overlooked. */
const URGENT = { urgent: "warn", asap: "alert", stat: "alert" };
export const urgency = (resource) => (URGENT[resource.priority] ? [{ tone: URGENT[resource.priority], text: D.priorities[resource.priority] }] : []);

/** FHIR's choices of a time, in words: a moment, a stretch, or a rhythm. */
export const when = (holder, name) => {
  const of = (type) => holder?.[name + type];
  return (text(of("DateTime") ?? of("Date")) && day(of("DateTime") ?? of("Date"))) ?? (of("Period") && period(of("Period"))) ?? timing(of("Timing"))
    ?? quantity(of("Age") ?? of("Duration"))?.text ?? (of("Range") && range(of("Range"))) ?? concept(of("CodeableConcept")) ?? (text(of("String")) && dayAndTime(of("String")));
};

/** What a reference points to, by its words, or by the record it means. */
export const referred = (reference, find) => {
  if (!reference || typeof reference !== "object") return undefined;
  const found = find(reference);
  return text(reference.display) ?? (found ? concept(found.code) ?? concept(found.vaccineCode) ?? concept(found.description) ?? text(found.title) ?? text(found.name)
    ?? personName(found) : undefined);
};

/** All of one name: as it is written in one piece, where that has its family name; else its parts. A nickname alone is nobody. */
export function fullName(one) {
  const whole = text(one.text);
  const parts = [...list(one.given), one.family, ...list(one.suffix)].filter(text).join(" ");
  const isWhole = whole && (!text(one.family) || whole.toLowerCase().includes(one.family.trim().toLowerCase()));
  return isWhole ? whole : parts || whole;
}

/** A person's name: the official one, not one of former times. */
export function personName(resource) {
  const names = list(resource?.name).filter((one) => typeof one === "object");
  const best = ["official", "usual"].map((use) => names.find((one) => one.use === use)).find(Boolean)
    ?? names.find((one) => one.use !== "old" && one.use !== "maiden") ?? names[0];
  return best && fullName(best);
}

export const sex = (resource) => T.sexes[resource.gender] ?? text(resource.gender);
export const contact = (one) => joined(list(one?.telecom).map((each) => text(each.value)));
export const address = (one) => {
  const where = first(Array.isArray(one?.address) ? one.address : [one?.address]);
  return where && (text(where.text) ?? joined(list(where.line), where.postalCode, where.city, where.state, where.country));
};

export const reasons = (resource, find) => labelled(D.reason, joined(
  several(resource.reasonCode).map(concept), list(resource.reasonReference).map((one) => referred(one, find))));
export const bodySite = (resource) => labelled(D.site, concepts(resource.bodySite));
export const whyNot = (resource) => labelled(D.because, joined(several(resource.statusReason ?? resource.statusReasonCodeableConcept
  ?? resource.cancelationReason).map((one) => concept(one) ?? text(one))));
export const by = (resource, find) => labelled(D.by, referred(resource.requester ?? resource.recorder, find));

export const files = (all) => list(all).filter((one) => one && typeof one === "object").map((one) => ({
  title: text(one.title) ?? D.attachment, type: text(one.contentType), data: text(one.data), address: text(one.url),
}));
