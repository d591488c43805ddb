// Coming in: 24 words make the keys, or the device kept them; a code registers them at the hospital's desk.
import * as keyring from "./keys.js";
import * as node from "./node.js";
import { picture } from "./qr.js";
import { T } from "./texts.js";
import { every, h, hospitalName, place, problem, say, show, view } from "./ui.js";

const POLL_MILLISECONDS = 4000;

/** Opens a page to whoever has its keys. `role` says whose page it is: its `name` for the device's memory, its `texts`,
 * whether other hospitals' pseudonyms are `offered`, the `code` for the desk, and what is `entered` with the keys. */
export async function open(role) {
  if (!globalThis.isSecureContext) return show(problem(new Error(T.insecure)));
  return view(async () => {
    place.consortium = await node.consortium();
    const name = hospitalName(place.consortium.own);
    document.getElementById("hospital").textContent = name;
    document.title = role.texts.title(name);
    const all = await keyring.kept(role.name);
    if (all?.[0]?.network !== place.consortium.network) return welcome(role);
    return enter(role, all, true);
  });
}

function welcome(role) {
  const words = h("textarea", { id: "words", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const keep = h("input", { type: "checkbox", id: "keep" });
  const others = h("input", { type: "checkbox", id: "others" });
  const fault = h("p", { class: "quiet", role: "alert" });
  const come = async () => {
    fault.textContent = "";
    try {
      const entropy = await keyring.entropyOf(words.value, await node.wordList());
      words.value = "";
      await take(role, entropy, others.checked, keep.checked);
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
      h("button", { id: "open", onclick: () => come().catch((error) => show(problem(error, () => open(role)))) },
        role.texts.open)),
    h("section", { class: "card" }, h("h2", {}, T.newHere), h("p", {}, T.newText),
      h("button", { class: "second", id: "new", onclick: () => view(() => newWords(role)) }, T.makeWords)),
  ];
}

async function newWords(role) {
  const entropy = crypto.getRandomValues(new Uint8Array(32));
  const words = await keyring.phraseOf(entropy, await node.wordList());
  const button = h("button", { disabled: true, id: "goOn", onclick: () => take(role, entropy, false, false) }, T.goOn);
  const written = h("input", { type: "checkbox", id: "written", onchange: () => { button.disabled = !written.checked; } });
  return [h("h1", {}, T.yourWords), h("div", { class: "card" }, h("p", {}, T.newText),
    h("ol", { class: "words" }, words.map((word) => h("li", {}, word))),
    h("label", { class: "check" }, written, T.writtenDown), button)];
}

/** Makes the keys: of this hospital's pseudonym, and of the others' where they are wanted. */
async function take(role, entropy, withOthers, isKept) {
  const { network, own, hospitals } = place.consortium;
  const numbers = [own, ...hospitals.map((one) => one.number).filter((number) => withOthers && number !== own)];
  const all = await Promise.all(numbers.map((number) => keyring.deriveKeys(entropy, network, number)));
  entropy.fill(0);
  if (isKept) await keyring.keep(role.name, all);
  await view(() => enter(role, all, isKept));
}

async function enter(role, all, isKept) {
  for (const keys of all) keys.account = (await node.accountOf(keys.publicKey)) ?? keys.account;
  try {
    await node.account(all[0]);
  } catch (error) {
    if (error.code !== "not-found") throw error;
    return unregistered(role, all, isKept);
  }
  return role.entered(all, isKept);
}

function unregistered(role, all, isKept) {
  const code = role.code(all[0]);
  every(POLL_MILLISECONDS, async () => {
    if (await node.account(all[0]).catch(() => null)) await view(() => enter(role, all, isKept));
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
