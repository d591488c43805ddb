// The patient's pages: views over what node.js fetches and keys.js opens.
import { person } from "./chart.js";
import { locksOf } from "./content.js";
import { hex } from "./crypto.js";
import { day } from "./dates.js";
import { lockCard, open } from "./entrance.js";
import * as keyring from "./keys.js";
import * as node from "./node.js";
import { picture } from "./qr.js";
import { acts, said } from "./looked.js";
import { readAll, refusedCount } from "./reading.js";
import { asOf as timed, endingOf, faults, knowledge, refusalsOf, sections, warnings } from "./sections.js";
import { C, date, K, moment, T, V } from "./texts.js";
import { run } from "./turns.js";
import { act, busy, choices, deed, download, every, h, hospitalName, place, problem, redraw, say, tabs, view } from "./ui.js";
import { CATEGORIES, consentGrant, consentRevocation, KIND, PURPOSES, recordRating, unhexDigest } from "./wire.js";

const POLL_MILLISECONDS = 4000;
/** The most bytes of a file that this page checks. */
const CHECKED_MAX = 32 << 20;
/** How much longer than a file its sealed form may be, as a part of it: seals and salt are a few bytes a chunk. */
const LENGTH_DIFFERENCE_MAX = 0.02;

/** The keys of each pseudonym that the page shows, and what custodians helped to open. */
const state = { all: [], isKept: false, reopened: new Map(), ward: "" };
const own = () => state.all[0];
/** What a hospital answers about a pseudonym; nothing where it knows none by these words, which is kept in mind. */
const ofAccount = (keys, answer) => answer.then((rows) => {
  keys.isWithout = false;
  return rows;
}, (error) => {
  if (error.code !== "not-found") throw error;
  keys.isWithout = true;
  return [];
});
const places = (isWithout) => state.all.filter((keys) => Boolean(keys.isWithout) === isWithout).map((keys) => keys.hospital);
/** The hospitals whose records this page shows. */
const ownPlaces = () => places(false).map(hospitalName).join(", ") || K.here;
const VIEWS = { records, history, sharing, others, check, leave };
/** Makes a view, in a turn. */
const go = (name) => (turn) => tabs(turn, name, VIEWS, T.tabs);

// ---- Records

/** Every record of every pseudonym, opened and held against its hash-lock. */
async function openAll(turn) {
  const found = [];
  for (const keys of state.all) {
    const views = await turn.of(ofAccount(keys, node.records(keys)));
    const sealed = await turn.of(node.sealed(keys, views.length));
    for (const one of views) {
      if (one.erased) found.push({ keys, view: one });
      else found.push({ keys, view: one, ...(state.reopened.get(one.record) ?? await turn.of(node.open(keys, one, sealed.get(one.record)))) });
    }
  }
  return found;
}

async function records(turn) {
  const asOf = new Date();
  const all = await turn.of(openAll(turn));
  const erased = all.filter((one) => one.view.erased);
  const actions = ({ keys, view: entry, ...one }) => (keys.hospital === place.consortium.own
    ? [proving(turn, keys, entry, one), entry.author ? feedback(turn, keys, entry) : null,
      deed({ class: "danger" }, T.erase, () => erase(turn, keys, entry))] : null);
  const locked = all.filter((one) => one.fault === "key" && one.keys.hospital === place.consortium.own);
  const known = knowledge({
    listed: all.map((one) => one.view), outcomes: new Map(all.filter((one) => !one.view.erased).map((one) => [one.view.record, one])),
    asked: places(false), without: places(true), asOf,
  });
  const whose = person(known.items);
  return [
    h("h1", {}, T.tabs.records), whose ? h("p", { id: "whose" }, T.whose(whose.name, day(whose.birthDate))) : null, await turn.of(recovery(turn)),
    all.length === 0 ? h("p", { class: "card" }, T.noRecords(ownPlaces()), ...timed({ asOf })) : null,
    locked.length ? askAgain(turn, locked) : null,
    faults(all.filter((one) => !locked.includes(one))), warnings(known, C.conflictAdvice), ...sections(known, actions),
    erased.length ? h("details", { class: "card", id: "erased" }, h("summary", {}, T.erasedCount(erased.length)),
      h("ul", { class: "plain" }, erased.map(({ view: one }) => h("li", {}, T.erasedBy(
        hospitalName(one.hospital), date(one.time), (one.deletedBy ?? []).map(hospitalName).join(", ")))))) : null,
  ].flat().filter(Boolean);
}

/** Another key is to take over the account: whoever holds this one can object. */
async function recovery(turn) {
  const { recovery: pending } = await turn.of(node.account(own()));
  if (!pending) return null;
  const object = () => act(turn, () => node.submit(own(), place.consortium, KIND.endRecovery, unhexDigest(own().account)),
    T.objected, go("records"));
  return h("section", { class: "card alert", role: "alert", id: "recovery" }, h("h2", {}, T.recovery),
    h("p", {}, T.recoveryText(moment(pending.due))), h("p", {}, deed({ class: "danger", id: "object" }, T.object, object)));
}

/** Records that do not open with the key, perhaps sealed to one that was lost: a request of one's own opens them, by the
 * custodians. */
function askAgain(turn, locked) {
  const answer = h("div", { "aria-live": "polite" });
  const ask = async () => {
    const told = (count) => answer.replaceChildren(h("p", { class: "waiting" }, C.working(count, locked.length)));
    const done = await turn.of(readAll(turn, own(), own().account, locked.map((one) => one.view), { purpose: "PATRQT", told }));
    if (done.failure) throw done.failure;
    if (done.refusals.length) throw new Error(done.refusals[0].why);
    for (const [record, { view: _, ...one }] of done.outcomes) if (!one.fault) state.reopened.set(record, one);
    return view(go("records"));
  };
  return h("section", { class: "card warn", id: "locked" }, h("h2", {}, T.locked(locked.length)),
    h("p", {}, own().isReplaced ? T.lockedText : T.notOpening), answer,
    h("p", {}, deed({ id: "askOwn" }, T.lockedAsk, () => run(ask, (error) => answer.replaceChildren(problem(error))))));
}

/** What a clinician wrote: who that is, and what the patient thinks of the visit. */
function feedback(turn, keys, entry) {
  const background = h("div", { "aria-live": "polite" });
  const tell = async () => {
    const who = await turn.of(node.practitioner(keys, entry.author));
    const total = who.ratings.reduce((sum, count) => sum + count, 0);
    const mean = who.ratings.reduce((sum, count, index) => sum + count * (index + 1), 0) / total;
    background.replaceChildren(h("p", { class: "card" },
      T.background(hospitalName(who.hospital), who.role, date(who.since), T.status[who.status] ?? who.status),
      " ", total ? T.rated(mean.toFixed(1), total) : T.unrated));
  };
  const rating = h("select", { "aria-label": T.rateLabel }, h("option", { value: "" }, T.rateChoose),
    T.ratings.map((text, index) => h("option", { value: index + 1, selected: entry.rating === index + 1 }, text)));
  rating.addEventListener("change", () => rating.value && busy(rating, () => act(turn, () => node.submit(
    keys, place.consortium, KIND.rateRecord, recordRating(entry.record, Number(rating.value))), T.thanks, go("records"))));
  return h("div", { class: "feedback" }, h("label", {}, T.rateLabel, rating),
    h("p", {}, deed({ class: "second" }, T.whoWrote, () => run(tell, (error) => background.replaceChildren(problem(error))))), background);
}

/** The record as a file with its proof: whoever is given both checks them without asking anybody. */
function proving(turn, keys, entry, one) {
  const answer = h("p", { class: "quiet", role: "status" });
  const save = async () => {
    const { blob, salt } = one.text ? { blob: new Blob([one.text], { type: "application/fhir+json" }), salt: one.salt } : await turn.of(one.file.open());
    const proof = { ...(await turn.of(node.proof(keys, entry.record))), salt: hex(salt) };
    const name = entry.record.slice(0, 8);
    download(blob, `${name}.${one.text ? "json" : await turn.of(endingOf(blob))}`);
    download(new Blob([JSON.stringify(proof)], { type: "application/json" }), `${name}.proof`);
    answer.textContent = T.proofSaved;
  };
  return h("div", {}, h("p", {}, deed({ class: "second proof" }, T.saveProof, () => run(save, (error) => {
    answer.textContent = error.code === "not-stable-yet" ? T.proofSoon : T.faults[error.message] ?? error.message;
  }))), answer);
}

const erase = (turn, keys, entry) => (confirm(T.eraseSure) ? act(turn, () => node.submit(
  keys, place.consortium, KIND.eraseRecord, unhexDigest(entry.record)), T.erased, go("records")) : undefined);

// ---- Who looked

async function history(turn) {
  const list = h("ul", { class: "plain", id: "history" });
  const local = h("ul", { class: "plain", id: "readings" });
  const old = h("p", { class: "unknown", role: "alert", id: "old" });
  let [asOf, next, isOlderShown] = [null, null, false];
  // Of the hospital's own log: the latest lines, those of one reader or one day, and the older ones page by page.
  const reader = h("input", { type: "text", id: "reader", autocomplete: "off" });
  const day = h("input", { type: "date", id: "day" });
  const fault = h("p", { class: "quiet", role: "alert" });
  let asked = {};
  const show = async (isOlder) => {
    const page = await turn.of(node.readings(own(), { ...asked, after: isOlder ? next : null }));
    const lines = page.items.map(reading);
    if (isOlder) local.append(...lines);
    else local.replaceChildren(...(lines.length || page.next ? lines : [h("li", {}, T.readingsEmpty)]));
    [next, isOlderShown] = [page.next ?? null, isOlder];
    older.hidden = !next;
  };
  const older = h("p", { hidden: true }, deed({ class: "second", id: "olderReadings" }, T.older, () => run(() => show(true), (error) => { fault.textContent = error.message; })));
  const search = h("form", { onsubmit: (event) => {
    event.preventDefault();
    const who = reader.value.trim().toLowerCase();
    fault.textContent = who && who !== "system" && !/^[0-9a-f]{64}$/.test(who) ? T.accountWrong : "";
    if (fault.textContent) return null;
    const start = day.value ? Date.parse(`${day.value}T00:00`) : null;
    asked = { reader: who, from: start, until: start && start + 86399999 };
    return run(() => show(false), (error) => { fault.textContent = error.message; });
  } }, h("label", { for: "reader" }, T.readerLabel), reader, h("label", { for: "day" }, T.dayLabel), day,
  h("p", {}, h("button", { class: "second", id: "findReadings" }, T.readingsFind)), fault);
  const fill = async () => {
    const rows = await turn.of(Promise.all(state.all.map((keys) => ofAccount(keys, node.history(keys)))));
    const all = acts(rows.flatMap((own, index) => own.map((one) => ({ ...one, patient: state.all[index].account }))));
    redraw(list, ...(all.length ? all.map(access) : [h("li", {}, T.historyEmpty(ownPlaces()))]));
    if (!isOlderShown) await turn.of(show(false));
    [asOf, old.textContent] = [new Date(), ""];
  };
  await turn.of(fill());
  every(turn, POLL_MILLISECONDS, async () => {
    if (!document.hidden) await turn.of(fill().catch(() => { old.textContent = T.historyOld(moment(asOf)); }));
  });
  return [h("h1", {}, T.tabs.history), h("p", {}, T.historyText), old, h("div", { class: "card" }, list),
    h("h2", {}, T.readings), h("p", {}, T.readingsText), h("div", { class: "card" }, search, local, older)];
}

const reading = (one) => h("li", {},
  h("div", { class: "row" }, h("span", {}, `${T.shown[one.interaction] ?? one.interaction}: ${one.types.map((type) => T.types[type] ?? type).join(", ")}`),
    h("span", { class: "quiet" }, moment(one.time))),
  h("p", { class: "quiet" }, one.reader ? T.reader(one.reader) : T.ownSystem, one.client ? ` ${T.byApp(one.client)}` : ""));

/** One reading act, in a line; its requests one by one where there were several. */
function access(act) {
  const [first] = act.entries;
  const why = first.purpose.split(",").map((code) => T.purposes[code] ?? code).join(", ");
  const released = said(act, (one) => one.releasedBy);
  const words = [
    state.all.some((keys) => keys.account === first.reader) ? T.yourself : T.reader(first.reader),
    released.length ? T.released(released.map(hospitalName).join(", ")) : "",
    ...said(act, (one) => (one.granted || act.records.size === act.allowed.size ? [] : [refusal(one)])),
  ];
  return h("li", {},
    h("div", { class: "row" }, h("span", {}, `${T.asked(hospitalName(first.hospital), act.records.size)} ${why}: `, verdicts(act)),
      h("span", { class: "quiet" }, moment(act.time))),
    said(act, (one) => (one.emergency === "none" ? [] : [one.emergency])).map((state) => h("p", { class: "card warn" }, T.emergency[state])),
    said(act, (one) => (one.openedInPartition ? [one.openedInPartition] : [])).map((when) => h("p", { class: "card warn" }, T.inPartition(moment(when)))),
    h("p", { class: "quiet" }, words.filter(Boolean).join(" ")),
    act.entries.length > 1 ? h("details", { "data-of": `${first.patient} ${first.leaf}` }, h("summary", {}, T.requests(act.entries.length)),
      h("ul", {}, act.entries.map((one) => h("li", { class: "quiet" }, `${moment(one.time)}, ${T.request(one.records.length, one.granted)}`)))) : null);
}

/** What was allowed of an act, and what was not. */
function verdicts(act) {
  const refused = act.records.size - act.allowed.size;
  const isBoth = act.allowed.size > 0 && refused > 0;
  return [
    act.allowed.size ? h("span", { class: "mark good" }, isBoth ? T.allowedSome(act.allowed.size) : T.allowed) : null, isBoth ? " " : null,
    refused ? h("span", { class: "mark alert" }, isBoth ? T.refusedSome(refused) : T.refused) : null,
  ];
}

/** Why the ledger refused, as the patient is told: without what its words advise the reader to do. */
const refusal = (one) => T.refusals[one.code] ?? T.refusedBecause(one.outcome.replace(/^denied: /, "").replace(/;.*$/, ""));

// ---- Sharing

async function sharing(turn) {
  const all = await turn.of(node.consents(own()));
  return [h("h1", {}, T.tabs.sharing), h("p", {}, T.sharingText), h("p", {}, T.sharingEmergency),
    h("div", { class: "card" }, all.length ? h("ul", { class: "plain", id: "consents" }, all.reverse().map((one) => consent(turn, one)))
      : h("p", {}, T.sharingEmpty)), h("p", { class: "quiet" }, T.ownAccount, picture(own().account, T.qrAccount), h("code", { class: "code" }, own().account)),
    form(turn, own().account, go("sharing"))];
}

function consent(turn, one) {
  const [kind, id] = one.grantee.split(" ");
  const who = kind === "hospital" ? T.hospitalStaff(hospitalName(Number(id)))
    : kind === "account" ? T.person(id) : kind === "team" ? T.team(id) : one.grantee;
  const what = one.scope === "all records" ? (one.kind === "denial" ? T.anything : T.everything)
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
    one.revoked || isOver ? null : deed({ class: "danger" }, T.revoke, () => act(turn, () =>
      node.submit(own(), place.consortium, KIND.revokeConsent, consentRevocation(own().account, one.consent)), T.taken,
    go("sharing")))));
}

/** A permission or a refusal of a patient's: one's own, or, as a proxy, another's. */
function form(turn, patient, after) {
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
  const kind = h("select", { id: "kind", "aria-label": T.newConsent, onchange: () => why.tick((code) => kind.value === "denial" || code === "TREAT") }, h("option", { value: "" }, T.allowLabel),
    h("option", { value: "denial" }, T.denyLabel));
  const what = choices(T.what, Object.fromEntries(CATEGORIES.map((name) => [name, T.categories[name]])), () => true);
  const why = choices(T.why, Object.fromEntries(["TREAT", "HPAYMT", "HRESCH", "PUBHLTH"].map((code) => [code, T.purposes[code]])),
    (code) => code === "TREAT");
  const until = h("input", { type: "date", id: "until" });
  const fault = h("p", { class: "quiet", role: "alert" });
  const give = async () => {
    const end = until.value ? Date.parse(`${until.value}T23:59:59.999`) : null;
    const chosen = what.values();
    const named = account.value.trim().toLowerCase();
    const isNamed = who.value === "" || who.value === "team";
    const isDenial = kind.value === "denial";
    const isActing = !actsLine.hidden && acts.checked && !isDenial;
    // A refusal is for the reasons that nobody is asked about too: whoever acts for the patient reads by one of them.
    const others = isDenial ? ["ETREAT", "PATRQT", "HOPERAT"] : isActing ? ["PATRQT"] : [];
    const purposes = [...why.values(), ...others];
    const wrong = isNamed && !/^[0-9a-f]{64}$/.test(named) ? T.accountWrong
      : chosen.length === 0 ? T.what1 : why.values().length === 0 ? T.why1 : end && end < Date.now() ? T.untilPast : "";
    fault.textContent = wrong;
    if (wrong) return;
    await act(turn, () => node.submit(own(), place.consortium, KIND.grantConsent, consentGrant({
      patient, isDenial, acts: isActing,
      grantee: who.value === "" ? { account: named } : who.value === "team" ? { team: named } : { hospital: Number(who.value) },
      categories: chosen.length === CATEGORIES.length ? null : chosen,
      purposes, until: end,
    })), T.given, after);
  };
  return h("section", { class: "card" }, h("h2", {}, T.newConsent), kind, h("label", { for: "who" }, T.who), who, accountLine, actsLine,
    what.frame, why.frame, h("label", { for: "until" }, T.untilLabel), until, fault,
    h("p", {}, deed({ id: "give" }, T.give, give)));
}

// ---- Acting for somebody else

async function others(turn) {
  const input = h("input", { type: "text", id: "ward", autocomplete: "off", value: state.ward });
  const found = h("div", { id: "wardRecords", "aria-live": "polite" });
  const button = h("button", { id: "openWard" }, T.wardOpen);
  const look = async () => {
    // What was still on its way for another account is dropped.
    const inner = turn.inner();
    const ward = input.value.trim().toLowerCase();
    state.ward = ward;
    if (!/^[0-9a-f]{64}$/.test(ward)) return found.replaceChildren(h("p", { class: "card warn" }, T.accountWrong));
    found.replaceChildren(h("p", { class: "card waiting" }, T.loading));
    const asOf = new Date();
    const listed = await inner.of(node.patientRecords(own(), ward));
    const all = listed.filter((one) => !one.erased);
    const told = (count) => found.replaceChildren(h("p", { class: "card waiting" }, C.working(count, all.length)));
    const done = await inner.of(readAll(inner, own(), ward, all, { purpose: "PATRQT", told }));
    const known = knowledge({ listed, outcomes: done.outcomes, asked: [...new Set(listed.map((one) => one.hospital))], asOf });
    return found.replaceChildren(...[
      h("p", { class: "quiet" }, T.wardOf(ward)),
      done.failure ? problem(done.failure) : null,
      done.refusals.length ? h("section", { class: "card alert", role: "alert" }, h("p", {}, T.wardRefused(refusedCount(done))), refusalsOf(done)) : null,
      all.length === 0 ? h("p", { class: "card" }, T.noRecords(K.here), ...timed({ asOf })) : null,
      faults([...done.outcomes.values()]), warnings(known, C.conflictAdvice), ...sections(known, () => null, { ...T.sections, person: T.wardPerson }),
      form(turn, ward, go("others"))].flat().filter(Boolean));
  };
  const sent = (event) => {
    event.preventDefault();
    return run(look, (error) => found.replaceChildren(problem(error)));
  };
  return [h("h1", {}, T.tabs.others), h("p", {}, T.othersText), h("form", { class: "card", onsubmit: sent },
    h("label", { for: "ward" }, T.wardLabel), input, h("p", {}, button)), found];
}

// ---- Checking a file

async function check(turn) {
  const answer = h("div", { role: "status", id: "verdict" });
  const judge = (file) => run(() => compare(turn.inner(), file), (error) => answer.replaceChildren(problem(error)));
  const compare = async (inner, file) => {
    const tell = (kind, title, ...texts) => answer.replaceChildren(
      h("div", { class: `card ${kind}` }, h("h2", {}, title), texts.map((text) => h("p", {}, text))));
    if (file.size > CHECKED_MAX) return tell("warn", T.tooLong, T.tooLongText);
    tell("waiting", T.loading);
    const locks = await inner.of(locksOf(file));
    // What came since the records were shown is authentic too.
    const all = await inner.of(openAll(inner));
    // A record that is told by parts has its salt once it is opened; one of another length is not opened for that.
    const salts = [];
    for (const one of all.filter((item) => !item.view.erased)) {
      const isLong = !one.salt && one.file && Math.abs(one.view.sizeBytes / (file.size + 1) - 1) < LENGTH_DIFFERENCE_MAX;
      salts.push({ ...one, salt: one.salt ?? (isLong ? (await inner.of(one.file.open().catch(() => ({})))).salt : undefined), isOther: Boolean(one.file) && !isLong });
    }
    for (const one of salts.filter((item) => item.salt)) {
      if (!(await inner.of(locks(one.salt))).includes(one.view.hashLock)) continue;
      const old = one.view.supersededBy ? [T.authenticOld] : [];
      return tell(old.length ? "warn" : "good", T.authentic,
        T.authenticText(hospitalName(one.view.hospital), date(one.view.time)), ...old);
    }
    const left = salts.filter((item) => !item.salt && !item.isOther).length;
    return left ? tell("warn", T.notCompared, T.notComparedText(left))
      : tell("alert", T.notAuthentic, T.notAuthenticText(ownPlaces()));
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

async function leave(turn) {
  const answer = h("div", { role: "status" });
  const save = async () => {
    const opened = await turn.of(openAll(turn));
    const all = opened.filter((one) => one.text);
    const entries = all.map((one) => `{"resource":${one.text}}`).join(",\n");
    const file = new Blob([`{"resourceType":"Bundle","type":"collection","entry":[\n${entries}\n]}\n`], { type: "application/fhir+json" });
    download(file, "my-records.json");
    say(T.exported(all.length, opened.filter((one) => !one.view.erased).length - all.length));
  };
  return [h("h1", {}, T.tabs.leave), lockCard(state.isKept),
    h("div", { class: "card" }, h("p", {}, T.exportText), deed({ class: "second", id: "export" }, T.export, () => run(save, (error) => answer.replaceChildren(problem(error)))), answer)];
}

open({
  name: "all", offered: true, code: keyring.registrationCode,
  texts: { title: T.title, welcome: T.welcome, welcomeText: T.welcomeText, newText: T.newText, open: T.openRecords, unregistered: T.unregisteredText },
  entered: (turn, all, isKept) => {
    [state.all, state.isKept] = [all, isKept];
    return go("records")(turn);
  },
});
