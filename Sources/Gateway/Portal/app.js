// The patient's pages: views over what node.js fetches and keys.js opens.
import { locksOf } from "./content.js";
import { hex } from "./crypto.js";
import { lockCard, open } from "./entrance.js";
import * as keyring from "./keys.js";
import * as node from "./node.js";
import { picture } from "./qr.js";
import { readAll } from "./reading.js";
import { endingOf, faults, sections } from "./sections.js";
import { C, date, moment, T, V } from "./texts.js";
import { act, choices, download, every, h, hospitalName, place, problem, say, tabs, view } from "./ui.js";
import { CATEGORIES, consentGrant, consentRevocation, KIND, PURPOSES, recordRating, unhexDigest } from "./wire.js";

const POLL_MILLISECONDS = 4000;
/** The most bytes of a file that this page checks. */
const CHECKED_MAX = 32 << 20;

/** The keys of each pseudonym that the page shows, and what was opened. */
const state = { all: [], isKept: false, opened: null, reopened: new Map(), ward: "" };
const own = () => state.all[0];
const VIEWS = { records, history, sharing, others, check, leave };
const go = (name) => tabs(name, VIEWS, T.tabs);

// ---- Records

/** Every record of every pseudonym, opened and held against its hash-lock. */
async function openAll() {
  const found = [];
  for (const keys of state.all) {
    const views = await node.records(keys).catch((error) => {
      if (error.code === "not-found") return [];
      throw error;
    });
    const sealed = await node.sealed(keys, views.length);
    for (const one of views) {
      if (one.erased) found.push({ keys, view: one });
      else found.push({ keys, view: one, ...(state.reopened.get(one.record) ?? await node.open(keys, one, sealed.get(one.record))) });
    }
  }
  state.opened = found;
  return found;
}

async function records() {
  const all = await openAll();
  const erased = all.filter((one) => one.view.erased);
  const actions = ({ keys, view: entry, ...one }) => (keys.hospital === place.consortium.own
    ? [proving(keys, entry, one), entry.author ? feedback(keys, entry) : null,
      h("button", { class: "danger", onclick: () => erase(keys, entry) }, T.erase)] : null);
  const locked = all.filter((one) => one.fault === "key" && one.keys.hospital === place.consortium.own);
  return [
    h("h1", {}, T.tabs.records), await recovery(),
    all.length === 0 ? h("p", { class: "card" }, T.noRecords) : null,
    locked.length ? askAgain(locked) : null,
    faults(all.filter((one) => !locked.includes(one))), ...sections(all, actions),
    erased.length ? h("details", { class: "card", id: "erased" }, h("summary", {}, T.erasedCount(erased.length)),
      h("ul", { class: "plain" }, erased.map(({ view: one }) => h("li", {}, T.erasedBy(
        hospitalName(one.hospital), date(one.time), (one.deletedBy ?? []).map(hospitalName).join(", ")))))) : null,
  ].filter(Boolean);
}

/** Another key is to take over the account: whoever holds this one can object. */
async function recovery() {
  const { recovery: pending } = await node.account(own());
  if (!pending) return null;
  const object = () => act(() => node.submit(own(), place.consortium, KIND.endRecovery, unhexDigest(own().account)),
    T.objected, () => go("records"));
  return h("section", { class: "card alert", role: "alert", id: "recovery" }, h("h2", {}, T.recovery),
    h("p", {}, T.recoveryText(moment(pending.due))), h("p", {}, h("button", { class: "danger", id: "object", onclick: object }, T.object)));
}

/** Records that were sealed to a key that was lost: a request of one's own opens them, by the custodians. */
function askAgain(locked) {
  const answer = h("div", { "aria-live": "polite" });
  const ask = async () => {
    const told = (count) => answer.replaceChildren(h("p", { class: "waiting" }, C.working(count, locked.length)));
    const done = await readAll(own(), own().account, locked.map((one) => one.view), { purpose: "PATRQT", told });
    const again = new Map(done.opened.map((one) => [one.view.record, one]));
    state.reopened = again;
    await view(() => go("records"));
  };
  return h("section", { class: "card warn", id: "locked" }, h("h2", {}, T.locked(locked.length)), h("p", {}, T.lockedText),
    answer, h("p", {}, h("button", { id: "askOwn", onclick: () => ask().catch((error) => answer.replaceChildren(problem(error))) }, T.lockedAsk)));
}

/** What a clinician wrote: who that is, and what the patient thinks of the visit. */
function feedback(keys, entry) {
  const background = h("div", { "aria-live": "polite" });
  const tell = async () => {
    const who = await node.practitioner(keys, entry.author);
    const total = who.ratings.reduce((sum, count) => sum + count, 0);
    const mean = who.ratings.reduce((sum, count, index) => sum + count * (index + 1), 0) / total;
    background.replaceChildren(h("p", { class: "card" },
      T.background(hospitalName(who.hospital), who.role, date(who.since), T.status[who.status] ?? who.status),
      " ", total ? T.rated(mean.toFixed(1), total) : T.unrated));
  };
  const rating = h("select", { "aria-label": T.rateLabel }, h("option", { value: "" }, T.rateChoose),
    T.ratings.map((text, index) => h("option", { value: index + 1, selected: entry.rating === index + 1 }, text)));
  rating.addEventListener("change", () => rating.value && act(() => node.submit(
    keys, place.consortium, KIND.rateRecord, recordRating(entry.record, Number(rating.value))), T.thanks, () => go("records")));
  return h("div", { class: "feedback" }, h("label", {}, T.rateLabel, rating),
    h("p", {}, h("button", { class: "second", onclick: () => tell().catch((error) => background.replaceChildren(problem(error))) },
      T.whoWrote)), background);
}

/** The record as a file with its proof: whoever is given both checks them without asking anybody. */
function proving(keys, entry, one) {
  const answer = h("p", { class: "quiet", role: "status" });
  const save = async () => {
    const { blob, salt } = one.text ? { blob: new Blob([one.text], { type: "application/fhir+json" }), salt: one.salt } : await one.file.open();
    const proof = { ...(await node.proof(keys, entry.record)), salt: hex(salt) };
    const name = entry.record.slice(0, 8);
    download(blob, `${name}.${one.text ? "json" : await endingOf(blob)}`);
    download(new Blob([JSON.stringify(proof)], { type: "application/json" }), `${name}.proof`);
    answer.textContent = T.proofSaved;
  };
  return h("div", {}, h("p", {}, h("button", { class: "second proof", onclick: () => save().catch((error) => {
    answer.textContent = error.code === "not-stable-yet" ? T.proofSoon : error.message;
  }) }, T.saveProof)), answer);
}

async function erase(keys, entry) {
  if (!confirm(T.eraseSure)) return;
  await act(() => node.submit(keys, place.consortium, KIND.eraseRecord, unhexDigest(entry.record)), T.erased,
    () => go("records"));
}

// ---- Who looked

async function history() {
  const list = h("ul", { class: "plain", id: "history" });
  const fill = async () => {
    const all = (await Promise.all(state.all.map((keys) => node.history(keys).catch((error) => {
      if (error.code === "not-found") return [];
      throw error;
    })))).flat().sort((a, b) => b.time.localeCompare(a.time));
    list.replaceChildren(...(all.length ? all.map(access) : [h("li", {}, T.historyEmpty)]));
  };
  await fill();
  every(POLL_MILLISECONDS, () => { if (!document.hidden) fill().catch(() => {}); });
  return [h("h1", {}, T.tabs.history), h("p", {}, T.historyText), h("div", { class: "card" }, list)];
}

function access(one) {
  const why = one.purpose.split(",").map((code) => T.purposes[code] ?? code).join(", ");
  return h("li", {},
    h("div", { class: "row" }, h("span", {}, `${T.asked(hospitalName(one.hospital), one.records.length)} ${why}: `,
      h("span", { class: `mark ${one.granted ? "good" : "alert"}` }, one.granted ? T.allowed : T.refused)),
    h("span", { class: "quiet" }, moment(one.time))),
    one.emergency !== "none" ? h("p", { class: "card warn" }, T.emergency[one.emergency]) : null,
    one.openedInPartition ? h("p", { class: "card warn" }, T.inPartition(moment(one.openedInPartition))) : null,
    h("p", { class: "quiet" }, state.all.some((keys) => keys.account === one.reader) ? T.yourself : T.reader(one.reader),
      one.granted ? (one.releasedBy.length ? ` ${T.released(one.releasedBy.map(hospitalName).join(", "))}` : "") : ` ${one.outcome}`));
}

// ---- Sharing

async function sharing() {
  const all = await node.consents(own());
  return [h("h1", {}, T.tabs.sharing), h("p", {}, T.sharingText),
    h("div", { class: "card" }, all.length ? h("ul", { class: "plain", id: "consents" }, all.reverse().map(consent))
      : h("p", {}, T.sharingEmpty)), h("p", { class: "quiet" }, T.ownAccount, picture(own().account, T.qrAccount), h("code", { class: "code" }, own().account)),
    form(own().account, () => go("sharing"))];
}

function consent(one) {
  const [kind, id] = one.grantee.split(" ");
  const who = kind === "hospital" ? T.hospitalStaff(hospitalName(Number(id)))
    : kind === "account" ? T.person(id) : kind === "team" ? T.team(id) : one.grantee;
  const what = one.scope === "all records" ? T.everything
    : one.scope.split(", ").map((name) => T.categories[name] ?? name).join(", ");
  const why = one.purposes.length === Object.keys(PURPOSES).length ? T.anyReason
    : one.purposes.map((code) => T.purposes[code] ?? code).join(", ");
  const until = one.until.startsWith("20") ? date(one.until) : T.noEnd;
  const isOver = one.until.startsWith("20") && Date.parse(one.until) < Date.now();
  const says = one.kind === "denial" ? T.mayNot : one.actions.includes("share") ? T.mayAct : T.may;
  const sentence = says(who, what, why, until);
  const giver = one.givenBy === "patient" ? null : one.givenBy === "registrar" ? T.byRegistrar : T.byProxy;
  const mark = one.revoked ? ["warn", T.revoked(date(one.revoked))] : isOver ? ["warn", T.expired] : ["good", T.active];
  return h("li", {}, h("p", {}, sentence), h("div", { class: "row" }, h("span", { class: `mark ${mark[0]}` }, mark[1]),
    giver ? h("span", { class: "quiet" }, giver) : null,
    one.uses ? h("span", { class: "quiet" }, T.used(one.uses)) : null,
    one.revoked || isOver ? null : h("button", { class: "danger", onclick: () => act(() =>
      node.submit(own(), place.consortium, KIND.revokeConsent, consentRevocation(own().account, one.consent)), T.taken,
    () => go("sharing")) }, T.revoke)));
}

/** A permission or a refusal of a patient's: one's own, or, as a proxy, another's. */
function form(patient, after) {
  const isOwn = patient === own().account;
  const account = h("input", { type: "text", id: "account", autocomplete: "off" });
  const acts = h("input", { type: "checkbox", id: "acts" });
  const accountLine = h("div", { hidden: true }, h("label", { for: "account" }, T.accountLabel), account);
  const actsLine = h("label", { class: "check", hidden: true }, acts, T.actsLabel);
  const who = h("select", { id: "who", onchange: () => {
    accountLine.hidden = who.value !== "" && who.value !== "team";
    actsLine.hidden = who.value !== "" || !isOwn;
  } }, place.consortium.hospitals.map((one) => h("option", { value: one.number }, T.hospitalChoice(one.name))),
  h("option", { value: "" }, T.accountChoice), h("option", { value: "team" }, T.teamChoice));
  const kind = h("select", { id: "kind", "aria-label": T.newConsent }, h("option", { value: "" }, T.allowLabel),
    h("option", { value: "denial" }, T.denyLabel));
  const what = choices(T.what, Object.fromEntries(CATEGORIES.map((name) => [name, T.categories[name]])), () => true);
  const why = choices(T.why, Object.fromEntries(["TREAT", "HPAYMT", "HRESCH", "PUBHLTH"].map((code) => [code, T.purposes[code]])),
    (code) => code === "TREAT");
  const until = h("input", { type: "date", id: "until" });
  const fault = h("p", { class: "quiet", role: "alert" });
  const give = async () => {
    const end = until.value ? Date.parse(`${until.value}T23:59:59.999`) : null;
    const chosen = what.values();
    const named = account.value.trim();
    const isNamed = who.value === "" || who.value === "team";
    const isActing = !actsLine.hidden && acts.checked && kind.value !== "denial";
    const wrong = isNamed && !/^[0-9a-f]{64}$/.test(named) ? T.accountWrong
      : chosen.length === 0 ? T.what1 : why.values().length === 0 ? T.why1 : end && end < Date.now() ? T.untilPast : "";
    fault.textContent = wrong;
    if (wrong) return;
    await act(() => node.submit(own(), place.consortium, KIND.grantConsent, consentGrant({
      patient, isDenial: kind.value === "denial", acts: isActing,
      grantee: who.value === "" ? { account: named } : who.value === "team" ? { team: named } : { hospital: Number(who.value) },
      categories: chosen.length === CATEGORIES.length ? null : chosen,
      purposes: isActing ? [...why.values(), "PATRQT"] : why.values(), until: end,
    })), T.given, after);
  };
  return h("section", { class: "card" }, h("h2", {}, T.newConsent), kind, h("label", { for: "who" }, T.who), who, accountLine, actsLine,
    what.frame, why.frame, h("label", { for: "until" }, T.untilLabel), until, fault,
    h("p", {}, h("button", { id: "give", onclick: give }, T.give)));
}

// ---- Acting for somebody else

async function others() {
  const input = h("input", { type: "text", id: "ward", autocomplete: "off", value: state.ward });
  const found = h("div", { id: "wardRecords", "aria-live": "polite" });
  const look = async (event) => {
    event.preventDefault();
    state.ward = input.value.trim();
    if (!/^[0-9a-f]{64}$/.test(state.ward)) return found.replaceChildren(h("p", { class: "card warn" }, T.accountWrong));
    const all = (await node.patientRecords(own(), state.ward)).filter((one) => !one.erased);
    const told = (count) => found.replaceChildren(h("p", { class: "card waiting" }, C.working(count, all.length)));
    const done = await readAll(own(), state.ward, all, { purpose: "PATRQT", told });
    const opened = done.opened.map((one) => ({ keys: own(), ...one }));
    found.replaceChildren(...[
      done.refused ? h("p", { class: "card alert", role: "alert" }, T.wardRefused(done.refused, done.why)) : null,
      all.length === 0 ? h("p", { class: "card" }, T.noRecords) : null,
      faults(opened), ...sections(opened, () => null), form(state.ward, () => go("others"))].filter(Boolean));
  };
  const run = (event) => look(event).catch((error) => found.replaceChildren(problem(error)));
  return [h("h1", {}, T.tabs.others), h("p", {}, T.othersText), h("form", { class: "card", onsubmit: run },
    h("label", { for: "ward" }, T.wardLabel), input, h("p", {}, h("button", { id: "openWard" }, T.wardOpen))), found];
}

// ---- Checking a file

async function check() {
  const all = state.opened ?? (await openAll());
  const answer = h("div", { role: "status", id: "verdict" });
  const judge = async (file) => {
    const tell = (kind, title, ...texts) => answer.replaceChildren(
      h("div", { class: `card ${kind}` }, h("h2", {}, title), texts.map((text) => h("p", {}, text))));
    if (file.size > CHECKED_MAX) return tell("warn", T.tooLong, T.tooLongText);
    const locks = await locksOf(file);
    for (const one of all.filter((item) => item.salt)) {
      if (!(await locks(one.salt)).includes(one.view.hashLock)) continue;
      const old = one.view.supersededBy ? [T.authenticOld] : [];
      return tell(old.length ? "warn" : "good", T.authentic,
        T.authenticText(hospitalName(one.view.hospital), date(one.view.time)), ...old);
    }
    return tell("alert", T.notAuthentic, T.notAuthenticText);
  };
  const input = h("input", { type: "file", id: "file", onchange: () => input.files[0] && judge(input.files[0]) });
  const zone = h("div", { class: "drop card",
    ondragover: (event) => { event.preventDefault(); zone.classList.add("over"); },
    ondragleave: () => zone.classList.remove("over"),
    ondrop: (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      if (event.dataTransfer.files[0]) judge(event.dataTransfer.files[0]);
    } }, h("label", { for: "file" }, T.choose), input, h("p", { class: "quiet" }, T.dropHere));
  return [h("h1", {}, T.tabs.check), h("p", {}, T.checkText), zone, answer, h("p", {}, T.checkOthers, " ", h("a", { href: "/verify" }, V.title), ".")];
}

// ---- Keys

async function leave() {
  const save = async () => {
    const all = (state.opened ?? (await openAll())).filter((one) => one.text);
    const entries = all.map((one) => `{"resource":${one.text}}`).join(",\n");
    const file = new Blob([`{"resourceType":"Bundle","type":"collection","entry":[\n${entries}\n]}\n`], { type: "application/fhir+json" });
    download(file, "my-records.json");
    say(T.exported(all.length));
  };
  return [h("h1", {}, T.tabs.leave), lockCard(state.isKept),
    h("div", { class: "card" }, h("p", {}, T.exportText), h("button", { class: "second", id: "export", onclick: save }, T.export))];
}

open({
  name: "all", offered: true, code: keyring.registrationCode,
  texts: { title: T.title, welcome: T.welcome, welcomeText: T.welcomeText, open: T.openRecords, unregistered: T.unregisteredText },
  entered: (all, isKept) => {
    [state.all, state.isKept] = [all, isKept];
    return go("records");
  },
});
