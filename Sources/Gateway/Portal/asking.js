// How records are asked for: together where all of them are permitted, else those by themselves that are. The ledger grants or
// denies a request as a whole, so what nobody permitted must not keep that from being read that is permitted.
import { CATEGORIES } from "./wire.js";

/** As many as one request may name. Node: AccessRequest.recordsMax. */
export const RECORDS_MAX = 64;

/** What somebody needs to know first is asked for and opened first. */
const FIRST = ["allergy", "condition", "medication"];
const ORDER = [...FIRST, ...CATEGORIES.filter((name) => !FIRST.includes(name))];

/** Refusals by which some records of a request may have kept the others from being granted. Node: Refusal. */
export const REFUSALS = { unknownRecord: 24, erased: 28, noConsent: 29, denied: 30, outsideWindow: 31, usesSpent: 32, tooManyRequests: 65 };
const OF_SOME = new Set(Object.values(REFUSALS));
/** What a node says, without asking the ledger, to a key of which too much was refused lately. Node: ServiceRefusal. */
const REFUSED_LATELY = "too-many-refused";

/** Whether an error says that a request was not granted, and not that nobody knows. */
export const isRefusal = (error) => error.code === "refused" || error.code === REFUSED_LATELY;
const isOfSome = (why) => OF_SOME.has(why.number) || why.code === REFUSED_LATELY;

const isMixed = (some) => some.some((one) => one.category !== some[0].category);
const byCategory = (views) => [...new Set([...ORDER, ...views.map((one) => one.category)])]
  .map((name) => views.filter((one) => one.category === name)).filter((own) => own.length);
const pieces = (views) => Array.from({ length: Math.ceil(views.length / RECORDS_MAX) }, (_, index) =>
  views.slice(index * RECORDS_MAX, (index + 1) * RECORDS_MAX));

/** What a refusal says of each record, and the records that are left. */
function apart(some, why, refused) {
  const reasons = new Map((why.records ?? []).map((one) => [one.record, one]));
  for (const code of new Set([...reasons.values()].map((one) => one.code))) {
    const own = some.filter((one) => reasons.get(one.record)?.code === code);
    if (own.length) refused(own, { code: "refused", number: code, message: reasons.get(own[0].record).outcome });
  }
  return some.filter((one) => !reasons.has(one.record));
}

/** Asks for records. `ask(some)` makes one request: it gives null where that was granted, else why it was not, {code, number,
 * message, records}; `refused(some, why)` hears of what was not granted in the end. Where the answer names what kept a request
 * from being granted, the rest is asked for again at once: for n records never more than 2 (n / 64 + 1) requests. Where it
 * names nothing, category by category: for k categories n / 64 + k + 1 requests. */
export async function askFor(wanted, ask, refused) {
  const all = byCategory(wanted).flat();
  let at = 0;
  while (at < all.length) {
    const some = all.slice(at, at + RECORDS_MAX);
    const why = await ask(some);
    if (why?.records?.length) {
      const left = apart(some, why, refused);
      // What was permitted a moment ago may be so no longer: nobody asks for ever.
      const again = left.length ? await ask(left) : null;
      if (again) refused(left, again);
      at += some.length;
      continue;
    }
    if (why && isMixed(some) && isOfSome(why)) break;
    if (why) refused(some, why);
    at += some.length;
  }
  for (const own of byCategory(all.slice(at))) {
    for (const some of pieces(own)) {
      const why = await ask(some);
      if (why) refused(some, why);
    }
  }
}
