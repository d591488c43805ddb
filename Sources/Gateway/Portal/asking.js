// How records are asked for: together where all of them are permitted, else one category at a time. The ledger grants or
// denies a request as a whole, so a category that nobody permitted must not keep those from being read that are permitted.
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

/** Asks for records. `ask(some)` makes one request: it gives null where that was granted, else why it was not, {code, number,
 * message}; `refused(some, why)` hears of what was not granted in the end. For n records of k categories these are never
 * more than n / 64 + k + 1 requests. */
export async function askFor(wanted, ask, refused) {
  const all = byCategory(wanted).flat();
  let at = 0;
  while (at < all.length) {
    const some = all.slice(at, at + RECORDS_MAX);
    const why = await ask(some);
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
