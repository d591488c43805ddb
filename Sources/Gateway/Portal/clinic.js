// The clinician's page: finds a patient, asks to read with a purpose, breaks the glass, writes and signs. Records are opened
// here, of shares that custodians gave for one request; the node never has their keys.
import { canonical } from "./canonical.js";
import { concat, digest, hex, sha256, unhex, utf8 } from "./crypto.js";
import { lockCard, open } from "./entrance.js";
import { describe, parsed } from "./fhir.js";
import * as keyring from "./keys.js";
import * as node from "./node.js";
import { readAll } from "./reading.js";
import { faults, sections } from "./sections.js";
import { C, T } from "./texts.js";
import { choices, h, main, place, problem, say, tabs, view } from "./ui.js";
import { accessRequest, CATEGORIES, Encoder, KIND } from "./wire.js";

const state = { keys: null, isKept: false, patient: null, opened: [] };
const VIEWS = { patient: () => (state.patient ? chart() : finder()), leave: () => [h("h1", {}, C.tabs.leave), lockCard(state.isKept)] };
const go = (name) => tabs(name, VIEWS, C.tabs);

// ---- Finding a patient

function finder() {
  const input = h("input", { type: "text", id: "search", autocomplete: "off" });
  const found = h("div", { id: "found", "aria-live": "polite" });
  const choose = (patient) => {
    [state.patient, state.opened] = [patient, []];
    return view(() => go("patient")).then(() => main().focus());
  };
  const search = async (event) => {
    event.preventDefault();
    const text = input.value.trim();
    // A scanner types capitals: QR codes hold more of them.
    const account = text.toLowerCase();
    if (/^[0-9a-f]{64}$/.test(account)) return choose({ name: account.slice(0, 8), account });
    const list = text ? await node.patients(state.keys, text) : [];
    found.replaceChildren(list.length ? h("ul", { class: "plain card" }, list.map((one) =>
      h("li", {}, h("div", { class: "row" }, h("span", {}, h("strong", {}, one.name), " ",
        h("span", { class: "quiet" }, one.birthDate ? C.born(one.birthDate) : "")),
      one.account ? h("button", { class: "second", onclick: () => choose(one) }, C.tabs.patient)
        : h("span", { class: "quiet" }, C.noAccount))))) : h("p", { class: "card" }, C.nobody));
  };
  const run = (event) => search(event).catch((error) => found.replaceChildren(problem(error)));
  return [h("h1", {}, C.find), h("form", { class: "card", onsubmit: run },
    h("label", { for: "search" }, C.findLabel), input, h("p", {}, h("button", { id: "find" }, C.search))), found];
}

// ---- A patient's chart

async function chart() {
  const { patient } = state;
  const all = (await node.patientRecords(state.keys, patient.account)).filter((one) => !one.erased);
  const answer = h("div", { id: "answer", "aria-live": "polite" });
  const again = h("button", { class: "second", id: "another", onclick: () => {
    state.patient = null;
    view(() => go("patient"));
  } }, C.another);
  return [
    h("div", { class: "row" }, h("h1", {}, patient.name), again),
    h("p", { class: "quiet" }, all.length ? C.whatThereIs(all.length) : C.nothing),
    answer, h("div", { id: "chart" }, shown()),
    all.length ? asking(all, answer) : null, all.length ? glass(all, answer) : null, writing(),
  ].filter(Boolean);
}

/** What was opened: warnings first, then allergies and everything else. */
function shown() {
  if (state.opened.length === 0) return [];
  return [...conflicts(), faults(state.opened), ...sections(state.opened, () => null, { ...T.sections, person: C.person })].filter(Boolean);
}

const described = (section) => state.opened.filter((one) => one.text).map((one) => describe(parsed(one.text)))
  .filter((one) => one.section === section);

/** Medicines against allergies, by their words: a reminder, not a decision. */
function conflicts() {
  const pairs = described("medicine").flatMap((medicine) => described("allergy")
    .filter((allergy) => clash(medicine.title, allergy.title)).map((allergy) => [medicine.title, allergy.title]));
  const unique = [...new Map(pairs.map((pair) => [pair.join("\n"), pair])).values()];
  return unique.map(([medicine, allergy]) => h("section", { class: "card alert", role: "alert" },
    h("h2", {}, C.conflict), h("p", {}, C.conflictText(medicine, allergy))));
}

const words = (text) => text.toLowerCase().match(/\p{L}{5,}/gu) ?? [];
const clash = (medicine, allergy) => {
  const known = words(allergy).filter((word) => !["allergy", "substance", "disposition", "intolerance"].includes(word));
  return words(medicine).some((word) => known.includes(word));
};

function asking(all, answer) {
  const kinds = CATEGORIES.filter((name) => all.some((one) => one.category === name));
  const which = choices(C.which, Object.fromEntries(kinds.map((name) =>
    [name, `${T.categories[name]} (${all.filter((one) => one.category === name).length})`])), () => true);
  const why = h("select", { id: "purpose" }, Object.entries(C.purposes).map(([code, text]) => h("option", { value: code }, text)));
  const ask = () => {
    const chosen = which.values();
    const wanted = all.filter((one) => chosen.includes(one.category));
    if (wanted.length === 0) return answer.replaceChildren(h("p", { class: "card warn" }, C.none));
    return read(wanted, why.value, 0, answer);
  };
  return h("section", { class: "card" }, which.frame, h("label", { for: "purpose" }, C.purpose), why,
    h("p", {}, h("button", { id: "ask", onclick: ask }, C.ask)));
}

function glass(all, answer) {
  const reason = h("select", { id: "reason" }, Object.entries(C.reasons).map(([code, text]) => h("option", { value: code }, text)));
  return h("details", { class: "card warn", id: "glass" }, h("summary", {}, C.glass), h("p", {}, C.glassText),
    h("label", { for: "reason" }, C.reason), reason, h("p", {}, h("button", { class: "danger", id: "break", onclick: () => {
      if (confirm(C.sure)) read(all, "ETREAT", Number(reason.value), answer);
    } }, C.glass)));
}

/** Asks for records and shows what is granted. */
async function read(wanted, purpose, reason, answer) {
  state.opened = [];
  const told = (count) => answer.replaceChildren(h("p", { class: "card waiting" }, C.working(count, wanted.length)));
  let done;
  try {
    done = await readAll(state.keys, state.patient.account, wanted, { purpose, reason, told });
  } catch (error) {
    return answer.replaceChildren(problem(error));
  }
  state.opened = done.opened;
  document.getElementById("chart").replaceChildren(...shown());
  answer.replaceChildren(...[
    done.isInPartition ? h("p", { class: "card warn", role: "alert", id: "partition" }, C.inPartition) : null,
    done.refused ? h("section", { class: "card alert", role: "alert", id: "refused" },
      h("h2", {}, state.opened.length ? C.partly(done.refused) : C.refusedTitle), h("p", {}, C.refusedText(done.why)),
      h("code", { class: "code" }, state.keys.account)) : null].filter(Boolean));
}

// ---- Writing

function writing() {
  const kind = h("select", { id: "noteKind", "aria-label": C.write, onchange: () => label() },
    Object.entries(C.kinds).map(([name, text]) => h("option", { value: name }, text)));
  const [titleLabel, textLabel] = [h("label", { for: "noteTitle" }), h("label", { for: "noteText" })];
  const warning = h("p", { role: "alert" });
  const title = h("input", { type: "text", id: "noteTitle", autocomplete: "off", oninput: () => warn() });
  const text = h("textarea", { id: "noteText" });
  const label = () => {
    titleLabel.textContent = C.titleLabel[kind.value];
    textLabel.textContent = C.textLabel[kind.value];
    warn();
  };
  const warn = () => {
    const allergy = kind.value === "prescription" && described("allergy").find((one) => clash(title.value, one.title));
    warning.textContent = allergy ? C.warnAllergy(allergy.title) : "";
    warning.className = allergy ? "card alert" : "";
  };
  const sign = async () => {
    if (!title.value.trim() || !text.value.trim()) {
      warning.textContent = C.empty;
      return;
    }
    try {
      await record(resourceOf(kind.value, title.value.trim(), text.value.trim()));
    } catch (error) {
      warning.replaceChildren(problem(error));
      return;
    }
    say(C.signed);
    await view(() => go("patient"));
  };
  label();
  return h("section", { class: "card" }, h("h2", {}, C.write), kind, titleLabel, title, textLabel, text, warning,
    h("p", {}, h("button", { id: "sign", onclick: sign }, C.sign)));
}

function resourceOf(kind, title, text) {
  const now = new Date().toISOString();
  const subject = { identifier: { system: "urn:consilium:account", value: state.patient.account } };
  return kind === "prescription"
    ? { resourceType: "MedicationRequest", status: "active", intent: "order", medicationCodeableConcept: { text: title },
      subject, authoredOn: now, dosageInstruction: [{ text }] }
    : { resourceType: "Observation", status: "final", code: { text: title }, subject, effectiveDateTime: now, valueString: text };
}

const CATEGORY = { MedicationRequest: 5, Observation: 6 };

/** Signs a resource as its author: by its hash-lock, which the ledger holds it against for good. */
async function record(resource) {
  const { keys, patient } = state;
  const text = canonical(JSON.stringify(resource));
  const salt = crypto.getRandomValues(new Uint8Array(32));
  const lock = await sha256(utf8("consilium/record/v1\0"), salt, utf8(text));
  const network = unhex(keys.network);
  const identifier = digest("consilium/record-identifier/v1", network, new Encoder().u32(keys.hospital).bytes,
    unhex(patient.account), lock);
  const authored = concat(utf8("consilium/authorship/v1\0"), network, identifier, unhex(patient.account),
    new Encoder().u8(CATEGORY[resource.resourceType]).bytes, lock, new Encoder().flag(false).bytes);
  return node.write(keys, {
    patient: patient.account, resource: text, salt: hex(salt), signature: hex(await keyring.sign(keys, authored)),
  });
}

open({
  name: "clinician", offered: false, code: keyring.clinicianCode,
  texts: { title: C.title, welcome: C.welcome, welcomeText: C.welcomeText, open: C.open, unregistered: C.unregistered },
  entered: async (all, isKept) => {
    [state.keys, state.isKept] = [all[0], isKept];
    const account = await node.account(state.keys);
    if (account.kind !== "practitioner") throw new Error(C.notClinician);
    return go("patient");
  },
});
