// Coming in: 24 words make the keys, or the device kept them; a code registers them at the hospital's desk.
import * as keyring from "./keys.js";
import { found, GUESSES_MAX, isPIN, keepUnderPIN, leave, unlock, whenIdle } from "./locked.js";
import * as node from "./node.js";
import { picture } from "./qr.js";
import { T } from "./texts.js";
import { run } from "./turns.js";
import { closeViews, deed, every, h, hospitalName, place, problem, say, show, view } from "./ui.js";

const POLL_MILLISECONDS = 4000;
/** A device's clock that is off by more is told: what the page says of today may be wrong. */
const CLOCK_MILLISECONDS = 120_000;

/** Opens a page to whoever has its keys. `role` says whose page it is: its `name` for the device's memory, its `texts`,
 * whether other hospitals' pseudonyms are `offered`, the `code` for the desk, which account `fits`, after how many
 * `idleMinutes` it locks, and what is `entered` with the keys. */
export async function open(role) {
  if (!globalThis.isSecureContext) return show(problem(new Error(T.insecure)));
  return view(async (turn) => {
    place.consortium = await turn.of(node.consortium());
    const name = hospitalName(place.consortium.own);
    document.getElementById("hospital").textContent = name;
    document.title = role.texts.title(name);
    if (Math.abs(node.clockDifference()) > CLOCK_MILLISECONDS) say(T.clockOff(Math.round(Math.abs(node.clockDifference()) / 60_000)));
    const kept = await turn.of(found(role.name));
    if (kept?.network !== place.consortium.network) return welcome(turn, role);
    return kept.isLocked ? unlocking(turn, role) : enter(turn, role, kept.all, true);
  });
}

/** The device has the keys, under a PIN. */
function unlocking(turn, role) {
  const pin = h("input", { type: "password", id: "pin", inputmode: "numeric", autocomplete: "off" });
  const fault = h("p", { class: "unknown", role: "alert" });
  const come = async () => {
    const all = await turn.of(unlock(role.name, pin.value.trim()));
    pin.value = "";
    if (all) return view((next) => enter(next, role, all, true));
    if (!(await turn.of(found(role.name)))) return open(role);
    fault.textContent = T.pinWrong;
    return pin.focus();
  };
  const sent = (event) => {
    event.preventDefault();
    return run(come, (error) => show(problem(error, () => open(role))));
  };
  return [h("h1", {}, T.locked1), h("form", { class: "card", onsubmit: sent }, h("p", {}, T.lockedPIN(GUESSES_MAX)),
    h("label", { for: "pin" }, T.pin), pin, fault, h("p", { class: "row" }, h("button", { id: "unlock" }, T.unlock),
      h("button", { type: "button", class: "danger", id: "lock", onclick: leave }, T.lock)))];
}

/** Where somebody may have the keys kept, with a PIN or without: {boxes, fault, pin}. */
function keeping() {
  const keep = h("input", { type: "checkbox", id: "keep", onchange: () => { line.hidden = !keep.checked; } });
  const pin = h("input", { type: "password", id: "newPin", inputmode: "numeric", autocomplete: "off" });
  const line = h("div", { hidden: true }, h("label", { for: "newPin" }, T.pinLabel), pin);
  return {
    boxes: [h("label", { class: "check" }, keep, T.keepHere), line], isKept: () => keep.checked, pin: () => pin.value.trim(),
    fault: () => (keep.checked && pin.value.trim() && !isPIN(pin.value.trim()) ? T.pinShort : ""),
  };
}

function welcome(turn, role) {
  const words = h("textarea", { id: "words", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const keep = keeping();
  const others = h("input", { type: "checkbox", id: "others" });
  const fault = h("p", { class: "unknown", role: "alert" });
  const come = async () => {
    fault.textContent = keep.fault();
    if (fault.textContent) return;
    try {
      const entropy = await turn.of(keyring.entropyOf(words.value, await turn.of(node.wordList())));
      words.value = "";
      await turn.of(take(turn, role, entropy, { withOthers: others.checked, isKept: keep.isKept(), pin: keep.pin() }));
    } catch (error) {
      if (error instanceof keyring.PhraseFault) fault.textContent = T.phrase[error.kind](error.place);
      else if (error.name === "NotSupportedError") fault.textContent = T.unsupported;
      else throw error;
    }
  };
  return [
    h("h1", {}, role.texts.welcome), h("p", {}, role.texts.welcomeText),
    h("section", { class: "card" }, h("h2", {}, T.haveWords), h("label", { for: "words" }, T.wordsLabel), words, keep.boxes,
      role.offered ? h("label", { class: "check" }, others, T.alsoOthers) : null, fault,
      deed({ id: "open" }, role.texts.open, () => run(come, (error) => show(problem(error, () => open(role)))))),
    h("section", { class: "card" }, h("h2", {}, T.newHere), h("p", {}, role.texts.newText),
      h("button", { class: "second", id: "new", onclick: () => view((next) => newWords(next, role)) }, T.makeWords)),
  ];
}

async function newWords(turn, role) {
  const entropy = crypto.getRandomValues(new Uint8Array(32));
  const words = await turn.of(keyring.phraseOf(entropy, await turn.of(node.wordList())));
  const keep = keeping();
  const fault = h("p", { class: "unknown", role: "alert" });
  const go = () => {
    fault.textContent = keep.fault();
    return fault.textContent ? null : take(turn, role, entropy, { isKept: keep.isKept(), pin: keep.pin() });
  };
  const button = deed({ disabled: true, id: "goOn" }, T.goOn, () => run(go, (error) => show(problem(error, () => open(role)))));
  const written = h("input", { type: "checkbox", id: "written", onchange: () => { button.disabled = !written.checked; } });
  return [h("h1", {}, T.yourWords), h("div", { class: "card" }, h("p", {}, role.texts.newText),
    h("ol", { class: "words" }, words.map((word) => h("li", {}, word))),
    h("label", { class: "check" }, written, T.writtenDown), keep.boxes, fault, button)];
}

/** Makes the keys: of this hospital's pseudonym, and of the others' where they are wanted. */
async function take(turn, role, entropy, { withOthers = false, isKept = false, pin = "" }) {
  const { network, own, hospitals } = place.consortium;
  const numbers = [own, ...hospitals.map((one) => one.number).filter((number) => withOthers && number !== own)];
  const all = await turn.of(Promise.all(numbers.map((number) => keyring.deriveKeys(entropy, network, number))));
  if (isKept && pin) {
    const secrets = await turn.of(Promise.all(numbers.map((hospital) =>
      keyring.secretBits(entropy, network, hospital).then((bits) => ({ network, hospital, bits })))));
    await turn.of(keepUnderPIN(role.name, secrets, pin));
  } else if (isKept) await turn.of(keyring.keep(role.name, all));
  entropy.fill(0);
  await view((next) => enter(next, role, all, isKept));
}

/** What a page shows to somebody who came in, which is fetched when somebody begins to: the first page stays small. */
export function fetched(load) {
  const get = () => load().catch(() => { throw Object.assign(new Error(T.unreachable), { code: "unreachable" }); });
  for (const begun of ["pointerdown", "keydown"]) addEventListener(begun, () => { get().catch(() => {}); }, { once: true });
  return async (turn, all, isKept) => (await turn.of(get())).entered(turn, all, isKept);
}

/** What ends the watch over the page of whoever was here before. */
let unwatched = () => {};

async function enter(turn, role, all, isKept) {
  for (const keys of all) {
    // Where the account is not the one that this key would have had first, the key replaced one that was lost.
    keys.first ??= keys.account;
    keys.account = keyring.ownAccount(keys, await turn.of(node.accountOf(keys.publicKey)));
    keys.isReplaced = keys.account !== keys.first;
  }
  let account;
  try {
    account = await turn.of(node.account(all[0]));
  } catch (error) {
    if (error.code !== "not-found") throw error;
    return unregistered(turn, role, all, isKept);
  }
  if (!role.fits(account)) return stranger(turn, role, account);
  unwatched();
  unwatched = whenIdle(role.idleMinutes, () => lockUp(role));
  return role.entered(turn, all, isKept);
}

/** Nobody is there: the page goes, and the keys with it. What the device keeps under a PIN asks for it; keys that it keeps
 * without one ask for nothing, which their owner was told. */
function lockUp(role) {
  closeViews();
  return view(async (turn) => {
    const kept = await turn.of(found(role.name).catch(() => null));
    return [h("h1", {}, T.locked1), h("div", { class: "card" }, h("p", {}, kept?.all ? T.lockedFree : T.lockedIdle(role.idleMinutes)),
      h("p", {}, h("button", { id: "again", onclick: () => location.reload() }, T.comeBack)))];
  });
}

/** These words are somebody's who has another page. */
async function stranger(turn, role, account) {
  // Nothing stays here that would lead to this page again and again.
  await turn.of(keyring.forgetOne(role.name));
  const pages = { patient: ["/", T.pages.patient], practitioner: ["/clinic", T.pages.practitioner], officer: ["/officer", T.pages.officer] };
  const kind = account.kind === "practitioner" && account.role === OFFICER ? "officer" : account.kind;
  const [at, words] = pages[kind] ?? [];
  return [h("h1", {}, T.otherPage), h("div", { class: "card warn", id: "otherPage" }, h("p", {}, role.texts.strange),
    at ? h("p", {}, h("a", { href: at }, words)) : null, h("p", {}, h("button", { class: "second", onclick: () => open(role) }, T.otherWords)))];
}
/** The role of whoever reviews. Node: Account.privacyOfficer. */
export const OFFICER = 1_000_000;

async function unregistered(turn, role, all, isKept) {
  const code = await turn.of(role.code(all[0]));
  every(turn, POLL_MILLISECONDS, async () => {
    if (await turn.of(node.account(all[0]).catch(() => null))) await view((next) => enter(next, role, all, isKept));
  });
  return [h("h1", {}, T.unregistered), h("div", { class: "card" },
    h("p", {}, role.texts.unregistered(hospitalName(all[0].hospital))), picture(code, T.qrCode),
    h("code", { class: "code", id: "code" }, code),
    h("p", {}, h("button", { class: "second", onclick: async () => {
      await navigator.clipboard.writeText(code);
      say(T.copied);
    } }, T.copy)))];
}

/** The last page: leaving, and forgetting the keys. */
export const lockCard = (isKept) => h("div", { class: "card" },
  h("p", {}, T.leaveText, isKept ? ` ${T.keptText}` : ""),
  h("p", {}, h("button", { class: "danger", id: "lock", onclick: leave }, T.lock)));
