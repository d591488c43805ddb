// Opened records in their order: by section, what stands apart from what is over, not valid, or replaced; results of one
// kind together, plotted unit by unit; and medicines held against allergies, and against each other.
import { clash, isAllergy, isKnown, ofAllergy, ofMedicine, typed } from "./clash.js";
import { isComplete as hasDay } from "./dates.js";
import { describe, ORDER, parsed } from "./fhir.js";
import { groupsOf, together } from "./interactions.js";
import { D, T } from "./texts.js";

const fileShown = (file) => ({
  type: "", section: "document", title: T.files[file.kind], value: T.size(file.size), order: Number.NaN, standing: "current", marks: [], lines: [], parts: [],
  attachments: [], rank: 0, kind: "file",
});

function opened(one) {
  if (one.file) return { ...one, shown: fileShown(one.file) };
  try {
    return { ...one, resource: parsed(one.text) };
  } catch {
    return { ...one, resource: null };
  }
}

/** Where a record stands among others: by its own date, else by when it came onto the ledger. */
const order = (one) => (Number.isNaN(one.shown.order) ? Date.parse(one.view.time) : one.shown.order);
const newest = (a, b) => order(b) - order(a) || b.view.leaf - a.view.leaf;

/** The records in a file of several (FHIR's Bundle): each stands in its section, marked as `inside` of the file. */
function inside(one) {
  if (one.resource?.resourceType !== "Bundle" || !Array.isArray(one.resource.entry)) return [];
  const entries = one.resource.entry.filter((each) => each?.resource && typeof each.resource === "object");
  const find = (reference) => entries.find(({ fullUrl, resource }) => reference?.reference
    && (fullUrl === reference.reference || `${resource.resourceType}/${resource.id}` === reference.reference))?.resource;
  return entries.map(({ resource }) => ({ ...one, resource, find, isInside: true }));
}

/** Opened records, [{view, text or file}], as people read them: each with what is `shown`, and how it `stands`. */
export function arrange(all) {
  const live = all.filter((one) => one.text || one.file).map(opened).flatMap((one) => [one, ...inside(one)]);
  const wasOpened = new Set(live.map((one) => one.view.record));
  const byName = new Map(live.filter((one) => one.resource?.id && !one.isInside && !one.view.supersededBy)
    .map((one) => [`${one.view.hospital} ${one.resource.resourceType}/${one.resource.id}`, one.resource]));
  for (const one of live) {
    one.find ??= (reference) => byName.get(`${one.view.hospital} ${reference?.reference}`);
    one.shown ??= describe(one.resource, one.find);
    one.stands = one.view.supersededBy ? "replaced" : one.shown.standing;
    one.isNewerUnread = Boolean(one.view.supersededBy) && !wasOpened.has(one.view.supersededBy);
  }
  return live.sort((a, b) => a.shown.rank - b.shown.rank || newest(a, b));
}

/** Sections in their order: [{name, current, past, invalid, replaced}], with those that have nothing. */
export const bySection = (items) => ORDER.map((name) => {
  const own = items.filter((one) => one.shown.section === name);
  const of = (stands) => own.filter((one) => one.stands === stands);
  return { name, current: of("current"), past: of("past"), invalid: of("invalid"), replaced: of("replaced") };
});

/** What stands in a section. */
export const current = (items, section) => items.filter((one) => one.shown.section === section && one.stands === "current");

/** What stands of a kind. Allergies are written down as problems too: those tell of both. */
export const ofKind = (items, kind) => [...current(items, kind), ...(kind === "allergy" ? asProblems(items) : [])];
const asProblems = (items) => current(items, "problem").filter((one) => !one.shown.absence && isAllergy(one.resource))
  .map((one) => ({ ...one, shown: { ...one.shown, marks: [...one.shown.marks, { tone: "quiet", text: D.asProblem }] } }));

/** Results of one kind together: [{items, plots: [{unit, points}]}], the newest first. A plot has one unit, one method, exact
 * numbers, and days. What has no date of its own is neither newer nor older than the others: it stands by itself. */
export function grouped(results) {
  const kinds = new Map();
  for (const one of results) {
    const kind = Number.isNaN(one.shown.order) ? `${one.shown.kind}\nundated` : one.shown.kind;
    kinds.set(kind, [...(kinds.get(kind) ?? []), one]);
  }
  return [...kinds.values()].map((items) => {
    const units = new Map();
    for (const one of [...items].sort((a, b) => order(a) - order(b))) {
      if (one.shown.number === undefined || one.shown.when?.isRecorded || !hasDay(one.shown.when?.at)) continue;
      const way = `${one.shown.unit}\n${one.shown.method ?? ""}`;
      units.set(way, [...(units.get(way) ?? []), one]);
    }
    return { items, plots: [...units.values()].filter((points) => points.length > 1).map((points) => ({ unit: points[0].shown.unit, points })) };
  });
}

/** The person whose records these are, as the newest record of a person says; a file's word counts where there is no other. */
export const person = (items) => items.filter((one) => one.shown.type === "Patient" && one.stands === "current")
  .sort((a, b) => Boolean(a.isInside) - Boolean(b.isInside) || newest(a, b))[0]?.shown.person ?? null;

// ---- Medicines against allergies

const allergies = (items) => ofKind(items, "allergy").filter((one) => !one.shown.absence)
  .map((one) => ({ title: one.shown.title, named: one.resource ? ofAllergy(one.resource) : typed(one.shown.title) }));
const medicinesThat = (items, isForbidden) => current(items, "medicine").filter((one) => !one.shown.absence && one.shown.isForbidden === isForbidden)
  .map((one) => ({ title: one.shown.title, record: one.view.record, named: one.resource ? withContained(one) : typed(one.shown.title) }));
/** Medicines that stand, and those that must not be taken. */
const medicines = (items) => medicinesThat(items, false);
const forbidden = (items) => medicinesThat(items, true);
const withContained = (one) => ofMedicine(one.resource, (reference) => {
  const local = String(reference?.reference ?? "");
  const inside = local.startsWith("#") && Array.isArray(one.resource.contained) ? one.resource.contained.find((each) => each?.id === local.slice(1)) : undefined;
  return inside ?? one.find(reference);
});

const against = (wanted, known) => wanted.flatMap((medicine) => known.map((allergy) => {
  const found = clash(medicine.named, allergy.named);
  return found && { medicine: medicine.title, allergy: allergy.title, ...found };
}).filter(Boolean));
const unique = (pairs) => [...new Map(pairs.map((pair) => [`${pair.level}\n${pair.medicine}\n${pair.allergy ?? pair.other}`, pair])).values()];

/** Medicines against those that must not be taken: themselves, and others of their class. */
const againstForbidden = (wanted, items) => wanted.flatMap((medicine) => forbidden(items).map((other) => {
  const found = clash(medicine.named, other.named);
  return found && found.level !== "near" && { level: "forbidden", medicine: medicine.title, other: other.title, kind: found.kind, isGrave: true };
}).filter(Boolean));

/** Medicines beside others that stand. */
const beside = (wanted, others) => wanted.flatMap((medicine) => others.map((other) => {
  const found = together(medicine.named, other.named);
  return found && { level: "together", medicine: medicine.title, other: other.title, ...found };
}).filter(Boolean));

const byTitle = (all) => [...new Map(all.map((one) => [one.title, one])).values()];
const ofAllergies = (pairs) => pairs.map((pair) => ({ ...pair, isGrave: pair.level !== "near" }));

/** Medicines that stand, against allergies that stand, what must not be taken, and each other where that is grave:
 * [{level, medicine, allergy or other, isGrave}]. */
export function conflicts(items) {
  const all = byTitle(medicines(items));
  const pairs = all.flatMap((one, index) => beside([one], all.slice(index + 1))).filter((pair) => pair.isGrave);
  return unique([...ofAllergies(against(all, allergies(items))), ...againstForbidden(all, items), ...pairs]);
}

/** What somebody is about to prescribe, against the same, and against all medicines that stand but the one that it
 * `replaces`. */
export function conflictsOf(words, items, replaces = "") {
  const wanted = [{ title: words, named: typed(words) }];
  const others = byTitle(medicines(items).filter((one) => one.record !== replaces));
  return unique([...ofAllergies(against(wanted, allergies(items))), ...againstForbidden(wanted, items), ...beside(wanted, others)]);
}
/** How many medicines stand beside what is prescribed, and whether the list of pairs knows that. */
export const besides = (words, items, replaces = "") => ({
  count: byTitle(medicines(items).filter((one) => one.record !== replaces)).length, isListed: groupsOf(typed(words)).size > 0,
});
export const isMedicineKnown = (words) => isKnown(typed(words));

/** Allergies that stand, and those of them that the table does not know: {count, unknown}, by their names. */
export function comparable(items) {
  const all = allergies(items);
  return { count: new Set(all.map((one) => one.title)).size, unknown: [...new Set(all.filter((one) => !isKnown(one.named)).map((one) => one.title))] };
}

/** What clashes, said in a sentence. */
export function sentence(pair) {
  const kind = D.classes[pair.kind] ?? pair.kind;
  if (pair.level === "forbidden") return D.forbidden(pair.medicine, pair.other, kind);
  if (pair.level === "together") return pair.effect === "twice" ? D.twice(pair.medicine, pair.other) : D.together(pair.medicine, pair.other, D.effects[pair.effect]);
  return D.clash[pair.level](pair.medicine, pair.allergy, kind);
}
