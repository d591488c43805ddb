// Coming in: 24 words make the keys, or the device kept them; a code registers them at the hospital's desk.
import * as keyring from "./keys.js";
import * as node from "./node.js";
import { picture } from "./qr.js";
import { T } from "./texts.js";
import { run } from "./turns.js";
import { deed, every, h, hospitalName, place, problem, say, show, view } from "./ui.js";

const POLL_MILLISECONDS = 4000;

/** Opens a page to whoever has its keys. `role` says whose page it is: its `name` for the device's memory, its `texts`,
 * whether other hospitals' pseudonyms are `offered`, the `code` for the desk, and what is `entered` with the keys. */
export async function open(role) {
  if (!globalThis.isSecureContext) return show(problem(new Error(T.insecure)));
  return view(async (turn) => {
    place.consortium = await turn.of(node.consortium());
    const name = hospitalName(place.consortium.own);
    document.getElementById("hospital").textContent = name;
    document.title = role.texts.title(name);
    const all = await turn.of(keyring.kept(role.name));
    if (all?.[0]?.network !== place.consortium.network) return welcome(turn, role);
    return enter(turn, role, all, true);
  });
}

function welcome(turn, role) {
  const words = h("textarea", { id: "words", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const keep = h("input", { type: "checkbox", id: "keep" });
  const others = h("input", { type: "checkbox", id: "others" });
  const fault = h("p", { class: "quiet", role: "alert" });
  const come = async () => {
    fault.textContent = "";
    try {
      const entropy = await turn.of(keyring.entropyOf(words.value, await turn.of(node.wordList())));
      words.value = "";
      await turn.of(take(turn, role, entropy, others.checked, keep.checked));
    } catch (error) {
      if (error instanceof keyring.PhraseFault) fault.textContent = T.phrase[error.kind](error.place);
      else if (error.name === "NotSupportedError") fault.textContent = T.unsupported;
      else throw error;
    }
  };
  return [
    h("h1", {}, role.texts.welcome), h("p", {}, role.texts.welcomeText),
    h("section", { class: "card" }, h("h2", {}, T.haveWords), h("label", { for: "words" }, T.wordsLabel), words,
      h("label", { class: "check" }, keep, T.keepHere),
      role.offered ? h("label", { class: "check" }, others, T.alsoOthers) : null, fault,
      deed({ id: "open" }, role.texts.open, () => run(come, (error) => show(problem(error, () => open(role)))))),
    h("section", { class: "card" }, h("h2", {}, T.newHere), h("p", {}, role.texts.newText),
      h("button", { class: "second", id: "new", onclick: () => view((next) => newWords(next, role)) }, T.makeWords)),
  ];
}

async function newWords(turn, role) {
  const entropy = crypto.getRandomValues(new Uint8Array(32));
  const words = await turn.of(keyring.phraseOf(entropy, await turn.of(node.wordList())));
  const button = deed({ disabled: true, id: "goOn" }, T.goOn, () => run(() => take(turn, role, entropy, false, false),
    (error) => show(problem(error, () => open(role)))));
  const written = h("input", { type: "checkbox", id: "written", onchange: () => { button.disabled = !written.checked; } });
  return [h("h1", {}, T.yourWords), h("div", { class: "card" }, h("p", {}, role.texts.newText),
    h("ol", { class: "words" }, words.map((word) => h("li", {}, word))),
    h("label", { class: "check" }, written, T.writtenDown), button)];
}

/** Makes the keys: of this hospital's pseudonym, and of the others' where they are wanted. */
async function take(turn, role, entropy, withOthers, isKept) {
  const { network, own, hospitals } = place.consortium;
  const numbers = [own, ...hospitals.map((one) => one.number).filter((number) => withOthers && number !== own)];
  const all = await turn.of(Promise.all(numbers.map((number) => keyring.deriveKeys(entropy, network, number))));
  entropy.fill(0);
  if (isKept) await turn.of(keyring.keep(role.name, all));
  await view((next) => enter(next, role, all, isKept));
}

async function enter(turn, role, all, isKept) {
  for (const keys of all) {
    // Where the account is not the one that this key would have had first, the key replaced one that was lost.
    keys.first ??= keys.account;
    keys.account = (await turn.of(node.accountOf(keys.publicKey))) ?? keys.account;
    keys.isReplaced = keys.account !== keys.first;
  }
  try {
    await turn.of(node.account(all[0]));
  } catch (error) {
    if (error.code !== "not-found") throw error;
    return unregistered(turn, role, all, isKept);
  }
  return role.entered(turn, all, isKept);
}

function unregistered(turn, role, all, isKept) {
  const code = role.code(all[0]);
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
  h("p", {}, h("button", { class: "danger", id: "lock", onclick: async () => {
    await keyring.forget();
    location.reload();
  } }, T.lock)));
