// What may be said of allergies, problems and medicines: what is recorded, that somebody recorded that there is none, that
// nothing is recorded, or that it is not known, and why. "Nothing is recorded" is said only where every record that could
// say otherwise was read, and it is said of the hospitals whose records those are.

import { isKnown, ofAllergy } from "./clash.js";

/** The ledger's category of the records that tell of a kind. Node: FHIRResource.categories. */
export const CATEGORY = { allergy: "allergy", problem: "condition", medicine: "medication" };
export const KINDS = Object.keys(CATEGORY);

/** Records of other categories that tell of every kind: files of several records, and what is especially sensitive. */
const MAY_TELL = ["bundle", "sensitive"];
/** Records in which more may be written than anybody searches here. */
const MAY_HOLD_MORE = new Set(["document", "other"]);

/** Why a record was not read; null where it was. `outcome` is what came of reading it, undefined where nothing did. */
function unread(view, outcome, waiting) {
  if (!outcome) return { reason: waiting?.has(view.record) ? "waiting" : "notAsked" };
  if (outcome.refused !== undefined) return { reason: "refused", why: outcome.refused };
  if (outcome.fault === "key") return { reason: outcome.keys?.isReplaced ? "oldKey" : "key" };
  if (["missing", "encryption", "hash-lock"].includes(outcome.fault)) return { reason: outcome.fault };
  if (outcome.fault) return { reason: "other", why: outcome.fault };
  return outcome.text || !CATEGORY_NAMES.has(view.category) ? null : { reason: "unreadable" };
}
const CATEGORY_NAMES = new Set(Object.values(CATEGORY));

/** Records that stand and were not read, by reason: [{reason, why, count}]; `listed` are all records of the patient,
 * `waiting` those that are on their way. */
export function gaps(listed, outcomes, { category, waiting } = {}) {
  const found = new Map();
  for (const view of listed) {
    if (view.erased || view.supersededBy || (category && view.category !== category)) continue;
    const why = unread(view, outcomes.get(view.record), waiting);
    if (!why) continue;
    const key = `${why.reason} ${why.why ?? ""}`;
    const known = found.get(key) ?? { ...why, count: 0 };
    known.count += 1;
    found.set(key, known);
  }
  return [...found.values()];
}

/** The ledger's categories of the records that stand in a section. Node: FHIRResource.categories. */
const IN_SECTION = {
  alert: ["other"], result: ["observation"], immunisation: ["immunization"], visit: ["encounter"], procedure: ["procedure"], plan: ["encounter", "other"],
  document: ["document", "observation", "other"], family: ["other"], person: ["demographics"], bill: ["financial", "other"], other: ["other"],
};

/** What was not read and may stand in a section that is none of the kinds: gaps, as above. */
export function missingIn(section, { listed, outcomes, waiting }) {
  const own = (listed ?? []).filter((view) => IN_SECTION[section]?.includes(view.category));
  return [...gaps(own, outcomes, { waiting }), ...counted("mayTell", MAY_TELL, { listed, outcomes, waiting })];
}

/** Records of some categories that were not read, as one gap or none. */
function counted(reason, categories, { listed, outcomes, waiting }) {
  const own = (listed ?? []).filter((view) => categories.includes(view.category));
  const count = gaps(own, outcomes, { waiting }).reduce((sum, gap) => sum + gap.count, 0);
  return count ? [{ reason, count }] : [];
}

/** FHIR's categories of an allergy, by what there is said to be none of. */
const OF_ABSENCE = { drug: "medication", food: "food", environmental: "environment" };

/** Whether a record that there is none, of all or of a part, contradicts another one. */
function contradicts({ shown: { absence } }, { resource }) {
  if (absence === "all") return true;
  if (resource?.resourceType !== "AllergyIntolerance") return absence === "drug" && isDrug(resource);
  const categories = Array.isArray(resource.category) ? resource.category : [];
  return categories.includes(OF_ABSENCE[absence]) || (absence === "drug" && categories.length === 0 && isDrug(resource));
}
const isDrug = (resource) => Boolean(resource) && isKnown(ofAllergy(resource));

/** What is known of a kind. `listed` is null where it is not known what records there are; `current` are the items that
 * stand; `asked` are the hospitals whose records are listed, `without` those at which the person has no account, `all` those
 * of the consortium; `asOf` is when the records were listed. Gives {state: "recorded" | "noneKnown" | "noneRecorded" |
 * "unknown", gaps, items, none, contradicting, erased, others, isMoreInside}. */
export function statement(kind, { listed, outcomes, current, asked, all, waiting, without = [], asOf = null }) {
  const category = CATEGORY[kind];
  const missing = listed ? gaps(listed, outcomes, { category, waiting }) : [{ reason: "notListed", count: 0 }];
  // Allergies are written down as problems too.
  if (kind === "allergy") missing.push(...counted("problems", [CATEGORY.problem], { listed, outcomes, waiting }));
  missing.push(...counted("mayTell", MAY_TELL, { listed, outcomes, waiting }));
  const items = current.filter((one) => !one.shown.absence);
  const none = current.filter((one) => one.shown.absence && !["unknown", "elsewhere"].includes(one.shown.absence));
  const saidUnknown = current.filter((one) => one.shown.absence === "unknown");
  const isAll = none.some((one) => one.shown.absence === "all");
  const state = items.length ? "recorded" : missing.length ? "unknown" : isAll ? "noneKnown"
    : saidUnknown.length ? "unknown" : none.length ? "noneKnown" : "noneRecorded";
  return {
    kind, state, items, none, asOf, without, contradicting: none.filter((one) => items.some((other) => contradicts(one, other))), gaps: saidUnknown.length ? [...missing, { reason: "saidUnknown", count: saidUnknown.length }] : missing, isAll,
    erased: (listed ?? []).filter((view) => view.erased && view.category === category).length,
    others: all.filter((number) => !asked.includes(number) && !without.includes(number)), asked,
    isMoreInside: (listed ?? []).some((view) => !view.erased && MAY_HOLD_MORE.has(view.category)),
  };
}

/** Records in which somebody may tell of an allergy. */
const TELLS_OF_ALLERGIES = new Set([CATEGORY.allergy, CATEGORY.problem, ...MAY_TELL]);

const states = (listed) => listed.map((one) => `${one.record} ${one.supersededBy ?? ""} ${Boolean(one.erased)}`).sort().join("\n");
/** Whether a newer list is another one: something came, was replaced, or was erased. */
export const isChanged = (before, now) => states(before) !== states(now);

/** Whether what may tell of allergies is another in a newer list. */
export function isOutdated(before, now) {
  const ofAllergies = (listed) => listed.filter((one) => TELLS_OF_ALLERGIES.has(one.category));
  return isChanged(ofAllergies(before), ofAllergies(now));
}

/** Records that came after those that were there `first` and stand unread: [{category, count}]. */
export function news(first, listed, outcomes) {
  const counts = new Map();
  for (const one of listed) {
    if (first.has(one.record) || outcomes.has(one.record) || one.erased || one.supersededBy) continue;
    counts.set(one.category, (counts.get(one.category) ?? 0) + 1);
  }
  return [...counts].map(([category, count]) => ({ category, count }));
}

/** Whether every record that tells of a kind was read. */
export const isComplete = (said) => said.gaps.length === 0;
