// Who an account is: a practitioner by role, hospital and, where this hospital's system knows it, name. What is shown of
// people is asked for once and kept while the page is open.
import * as node from "./node.js";
import { T } from "./texts.js";
import { hospitalName } from "./ui.js";

/** As many as are asked for at once; the rest is shown by account. */
const ASKED_MAX = 60;

const known = new Map();

/** Asks who some accounts are, where that is not known yet. What cannot be learned now is asked for again next time. */
export async function learn(keys, accounts) {
  const wanted = [...new Set(accounts)].filter((one) => one && !known.has(one)).slice(0, ASKED_MAX);
  await Promise.all(wanted.map(async (account) => {
    try {
      known.set(account, await node.who(keys, account));
    } catch (error) {
      if (error.code === "not-found") known.set(account, null);
    }
  }));
}

/** What is known of an account: {kind, hospital, role, name}; null where there is none, undefined where nobody asked. */
export const about = (account) => known.get(account);

/** Somebody in words: "Dr Ada Lee, physician of Northside General". */
export function called(account) {
  const one = known.get(account);
  if (one?.kind !== "practitioner") return T.reader(account);
  const role = T.roles[one.role] ?? T.practitioner;
  const where = hospitalName(one.hospital);
  return one.name ? T.named(one.name, role, where) : T.nameless(role, where, account);
}
