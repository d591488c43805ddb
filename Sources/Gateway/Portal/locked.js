// Keys that stay on a device: without a PIN as keys that no script can read out; with a PIN as what they are made of,
// encrypted under it, so that whoever takes the device up reads nothing. And the lock that falls when nobody is there.
import { forget, forgetOne, keep, kept, keysOf } from "./keys.js";
import { concat, utf8 } from "./crypto.js";

/** Few digits are guessed soon; a wrong PIN is taken so often, and then the keys are forgotten: the words bring them back. */
export const PIN_DIGITS_MIN = 6;
export const GUESSES_MAX = 8;
/** PBKDF2 with SHA-256, as OWASP's password storage cheat sheet advises. */
const ROUNDS = 600_000;

export const isPIN = (text) => new RegExp(`^\\d{${PIN_DIGITS_MIN},}$`).test(text);

async function underPIN(pin, salt) {
  const material = await crypto.subtle.importKey("raw", utf8(pin), "PBKDF2", false, ["deriveKey"]);
  return crypto.subtle.deriveKey({ name: "PBKDF2", hash: "SHA-256", salt, iterations: ROUNDS }, material, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
}

/** Keeps keys under a PIN: `secrets` are [{network, hospital, bits}], which are wiped. */
export async function keepUnderPIN(name, secrets, pin) {
  const [salt, iv] = [crypto.getRandomValues(new Uint8Array(16)), crypto.getRandomValues(new Uint8Array(12))];
  const plain = concat(...secrets.map((one) => one.bits));
  const box = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: utf8(name) }, await underPIN(pin, salt), plain);
  plain.fill(0);
  for (const one of secrets) one.bits.fill(0);
  await keep(name, { pin: { salt, iv, box, guesses: 0 }, pseudonyms: secrets.map(({ network, hospital }) => ({ network, hospital })) });
}

/** What a device keeps under a name: {all} where the keys are free, {isLocked, network} where a PIN is needed; null where nothing. */
export async function found(name) {
  const one = await kept(name);
  if (!one) return null;
  return Array.isArray(one) ? { all: one, network: one[0]?.network } : { isLocked: true, network: one.pseudonyms[0]?.network };
}

/** The keys that a PIN opens; null where it is wrong. After too many wrong ones nothing is kept any more. */
export async function unlock(name, pin) {
  const one = await kept(name);
  if (!one?.pin) return null;
  // Counted first: whoever closes the page has guessed too.
  const guesses = one.pin.guesses + 1;
  if (guesses > GUESSES_MAX) await forgetOne(name);
  else await keep(name, { ...one, pin: { ...one.pin, guesses } });
  let plain;
  try {
    plain = new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv: one.pin.iv, additionalData: utf8(name) }, await underPIN(pin, one.pin.salt), one.pin.box));
  } catch {
    if (guesses >= GUESSES_MAX) await forgetOne(name);
    return null;
  }
  await keep(name, { ...one, pin: { ...one.pin, guesses: 0 } });
  return Promise.all(one.pseudonyms.map(({ network, hospital }, index) => keysOf(plain.slice(index * 64, index * 64 + 64), network, hospital)));
}

// ---- Leaving

const channel = globalThis.BroadcastChannel && globalThis.document ? new BroadcastChannel("consilium") : null;
/** Begins anew, at no view's address: whoever comes next is shown nothing of who was here. */
function anew() {
  history.replaceState(null, "", location.pathname + location.search);
  location.reload();
}
channel?.addEventListener("message", (event) => { if (event.data === "left") anew(); });

/** Forgets the keys, here and in every other tab. */
export async function leave() {
  await forget();
  channel?.postMessage("left");
  anew();
}

/** Locks when nobody has touched the page for some minutes: `lock` is done once. Gives what ends the watch. */
export function whenIdle(minutes, lock) {
  let last = Date.now();
  const touched = () => { last = Date.now(); };
  const events = ["pointerdown", "keydown", "wheel", "touchstart"];
  for (const name of events) document.addEventListener(name, touched, { passive: true, capture: true });
  const end = () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", look);
    for (const name of events) document.removeEventListener(name, touched, { capture: true });
  };
  const look = () => {
    if (Date.now() - last < minutes * 60_000) return;
    end();
    lock();
  };
  // A device that slept is looked at when it wakes.
  document.addEventListener("visibilitychange", look);
  const timer = setInterval(look, 5000);
  return end;
}
