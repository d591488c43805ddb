// What somebody typed, and comes back for: kept on this device over reloads, encrypted under a key that no script can read
// out of the browser, and forgotten with the keys. Drafts that nobody signed, and for whom somebody acts.
import { utf8 } from "./crypto.js";
import { forgetOne, keep, kept, named } from "./keys.js";

const KEY = "kept";
const DAY_MILLISECONDS = 24 * 3600_000;
/** How long each kind is kept: nobody finishes an older draft. */
const LIVES = { draft: 7 * DAY_MILLISECONDS, ward: 400 * DAY_MILLISECONDS };

const place = (kind, owner, name) => `${kind} ${owner} ${name}`;

async function secret() {
  const old = await kept(KEY);
  if (old) return old;
  const made = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  await keep(KEY, made);
  return made;
}

// One after another: what was typed last is kept last.
let last = Promise.resolve();
const inOrder = (work) => {
  last = last.then(work, work);
  return last;
};

/** Keeps something of an owner's under a name; null is forgotten. */
export const keepSafe = (kind, owner, name, value) => inOrder(async () => {
  const at = place(kind, owner, name);
  if (value === null) return forgetOne(at);
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const content = utf8(JSON.stringify({ value, time: Date.now() }));
  return keep(at, { iv, box: await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: utf8(at) }, await secret(), content) });
});

async function opened(kind, at) {
  await last.catch(() => {});
  const found = await kept(at);
  if (!found) return null;
  try {
    const plain = await crypto.subtle.decrypt({ name: "AES-GCM", iv: found.iv, additionalData: utf8(at) }, await secret(), found.box);
    const one = JSON.parse(new TextDecoder().decode(plain));
    if (Date.now() - one.time < LIVES[kind]) return one.value;
  } catch { /* Another key's, or damaged: it cannot be read by anybody. */ }
  await forgetOne(at);
  return null;
}

/** What is kept under a name; null where nothing is. */
export const safe = (kind, owner, name) => opened(kind, place(kind, owner, name));

/** All that is kept of a kind: [{name, value}]. */
export async function allSafe(kind, owner) {
  const start = place(kind, owner, "");
  await last.catch(() => {});
  const all = await Promise.all((await named(start)).map(async (at) => ({ name: at.slice(start.length), value: await opened(kind, at) })));
  return all.filter((one) => one.value !== null);
}
