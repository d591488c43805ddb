// The patient's pages: views over what node.js fetches and keys.js opens.
import { attachments } from "./attached.js";
import { person } from "./chart.js";
import { locksOf } from "./content.js";
import { hex } from "./crypto.js";
import { day } from "./dates.js";
import { lockCard } from "./entrance.js";
import { allSafe, keepSafe } from "./kept.js";
import { about, called, learn } from "./names.js";
import * as node from "./node.js";
import { acts, said } from "./looked.js";
import { readAll, refusedCount } from "./reading.js";
import { asOf as timed, endingOf, faults, knowledge, refusalsOf, sections, warnings, workspace } from "./sections.js";
import { C, date, K, moment, T, V } from "./texts.js";
import { form, isComing, sharing, standing } from "./sharing.js";
import { run } from "./turns.js";
import { act, address, busy, deed, download, every, h, hospitalName, main, place, problem, redraw, say, tabs, view } from "./ui.js";
import { consentRevocation, erasureWithdrawal, KIND, recordRating, unhexDigest } from "./wire.js";

const POLL_MILLISECONDS = 4000;
/** As many lines of the history as are shown at once. */
const HISTORY_SHOWN = 40;
/** The most bytes of a file that this page checks. */
const CHECKED_MAX = 32 << 20;
/** How much longer than a file its sealed form may be, as a part of it: seals and salt are a few bytes a chunk. */
const LENGTH_DIFFERENCE_MAX = 0.02;

/** The keys of each pseudonym that the page shows, and what custodians helped to open. */
const state = { all: [], isKept: false, reopened: new Map(), ward: "", search: { text: "" } };
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
const VIEWS = { records, history, sharing: (turn) => sharing(turn, own(), go("sharing")), others, check, leave };
/** Makes a view, in a turn. */
const go = (name) => (turn) => tabs(turn, name, VIEWS, T.tabs);

// ---- Records

/** Every record of every pseudonym, opened and held against its hash-lock. */
async function openAll(turn) {
  const found = [];
  for (const keys of state.all) {
    const views = await turn.of(ofAccount(keys, node.records(keys)));
    const sealed = await turn.of(node.sealed(keys, views.length));
    await turn.of(learn(own(), views.map((one) => one.author)));
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
      entry.erasureDue ? h("p", { class: "card warn" }, T.erasureDue(moment(entry.erasureDue)))
        : deed({ class: "danger" }, T.erase, () => erase(turn, keys, entry, all))] : null);
  const locked = all.filter((one) => one.fault === "key" && one.keys.hospital === place.consortium.own);
  const known = knowledge({
    listed: all.map((one) => one.view), outcomes: new Map(all.filter((one) => !one.view.erased).map((one) => [one.view.record, one])),
    asked: places(false), without: places(true), asOf,
  });
  const whose = person(known.items);
  main().classList.toggle("wide", all.length > 0);
  return [
    h("h1", {}, T.tabs.records), whose ? h("p", { id: "whose" }, T.whose(whose.name, day(whose.birthDate))) : null, await turn.of(recovery(turn)),
    await turn.of(newGuardians(turn)), erasures(turn, all),
    all.length === 0 ? h("p", { class: "card" }, T.noRecords(ownPlaces()), ...timed({ asOf })) : null,
    locked.length ? askAgain(turn, locked) : null,
    faults(all.filter((one) => !locked.includes(one))), warnings(known, C.conflictAdvice), ...workspace(sections(known, actions), state.search),
    erased.length ? h("details", { class: "card", id: "erased" }, h("summary", {}, T.erasedCount(erased.length)),
      h("ul", { class: "plain" }, erased.map(({ view: one }) => h("li", {}, T.erasedBy(
        hospitalName(one.hospital), date(one.time), (one.deletedBy ?? []).map(hospitalName).join(", ")))))) : null,
  ].flat().filter(Boolean);
}

/** Another key is to take over the account: the holder of this one can object. */
async function recovery(turn) {
  const { recovery: pending } = await turn.of(node.account(own()));
  if (!pending) return null;
  const object = () => act(turn, () => node.submit(own(), place.consortium, KIND.endRecovery, unhexDigest(own().account)),
    T.objected, go("records"));
  return h("section", { class: "card alert", role: "alert", id: "recovery" }, h("h2", {}, T.recovery),
    h("p", {}, T.recoveryText(moment(pending.due))), h("p", {}, deed({ class: "danger", id: "object" }, T.object, object)));
}

/** Somebody whom the desk lets act for the patient, and who does not yet: the patient can object. */
async function newGuardians(turn) {
  const coming = (await turn.of(node.consents(own()))).filter(isComing);
  await turn.of(learn(own(), coming.map((one) => one.grantee.split(" ")[1])));
  return coming.map((one) => {
    const account = one.grantee.split(" ")[1];
    const object = () => act(turn, () => node.submit(own(), place.consortium, KIND.revokeConsent, consentRevocation(own().account, one.consent)),
      T.guardianObjected, go("records"));
    return h("section", { class: "card alert guardian", role: "alert" }, h("h2", {}, T.guardian), h("p", {}, T.guardianText(
      about(account)?.kind === "practitioner" ? called(account) : T.person(account), moment(one.from))),
    h("p", {}, deed({ class: "danger" }, T.guardianObject, object)));
  });
}

/** What is to be erased, and can still be kept. */
function erasures(turn, all) {
  const due = all.filter((one) => one.view.erasureDue && one.keys.account === own().account).map((one) => one.view.erasureDue).sort();
  if (!due.length) return null;
  const keep = () => act(turn, () => node.submit(own(), place.consortium, KIND.keepRecords, erasureWithdrawal(own().account)), T.keptAll, go("records"));
  return h("section", { class: "card alert", role: "alert", id: "erasures" }, h("h2", {}, T.erasures(due.length)),
    h("p", {}, T.erasuresText(moment(due[0]))), h("p", {}, deed({ id: "keepAll" }, T.keepAll, keep)));
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
      T.background(called(entry.author), hospitalName(who.hospital), date(who.since), T.status[who.status] ?? who.status),
      " ", total ? T.rated(mean.toFixed(1), total) : T.unrated));
  };
  const rating = h("select", { "aria-label": T.rateLabel }, h("option", { value: "" }, T.rateChoose),
    T.ratings.map((text, index) => h("option", { value: index + 1, selected: entry.rating === index + 1 }, text)));
  rating.addEventListener("change", () => rating.value && busy(rating, () => act(turn, () => node.submit(
    keys, place.consortium, KIND.rateRecord, recordRating(entry.record, Number(rating.value))), T.thanks, go("records"))));
  return h("div", { class: "feedback" }, h("label", {}, T.rateLabel, rating),
    h("p", {}, deed({ class: "second" }, T.whoWrote, () => run(tell, (error) => background.replaceChildren(problem(error))))), background);
}

/** The record as a file with its proof: a person who is given both checks them without asking anybody. */
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

/** Erases a record, and the files that it alone names, which are records of their own. From the second version of the rules
 * on not all that is erased is so at once; what became of it the ledger says. */
function erase(turn, keys, entry, opened) {
  const files = attachments(opened.find((one) => one.view.record === entry.record), opened).map((one) => one.view.record);
  if (!confirm(T.eraseSure(place.consortium.rulesVersion > 1, files.length))) return undefined;
  const going = [entry.record, ...files];
  return act(turn, async () => {
    for (const record of going) await node.submit(keys, place.consortium, KIND.eraseRecord, unhexDigest(record));
    const all = await turn.of(node.records(keys).catch(() => null));
    const due = all?.filter((each) => going.includes(each.record)).map((each) => each.erasureDue).filter(Boolean).sort().at(-1);
    return due ? T.erasedLater(moment(due)) : all ? T.erased : T.noted;
  }, T.erased, go("records"));
}

// ---- Who looked

async function history(turn) {
  const list = h("ul", { class: "plain", id: "history" });
  const local = h("ul", { class: "plain", id: "readings" });
  const old = h("p", { class: "unknown", role: "alert", id: "old" });
  const rest = h("p", { hidden: true });
  let [asOf, next, isOlderShown, before, most] = [null, null, false, "", HISTORY_SHOWN];
  const categories = new Map();
  for (const keys of state.all) for (const one of await turn.of(ofAccount(keys, node.records(keys)))) categories.set(one.record, one.category);
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
    // Asked for every few seconds: all of it only where something came.
    const newest = JSON.stringify(await turn.of(Promise.all(state.all.map((keys) => ofAccount(keys, node.newestHistory(keys))))));
    if (newest !== before) {
      const rows = await turn.of(Promise.all(state.all.map((keys) => ofAccount(keys, node.history(keys)))));
      await turn.of(tell(rows));
    }
    before = newest;
    if (!isOlderShown) await turn.of(show(false));
    [asOf, old.textContent] = [new Date(), ""];
  };
  const tell = async (rows) => {
    const all = acts(rows.flatMap((own, index) => own.map((one) => ({ ...one, patient: state.all[index].account }))));
    await turn.of(learn(own(), all.map((act) => act.entries[0].reader)));
    const lines = all.map((act) => access(act, categories));
    redraw(list, ...(lines.length ? lines.slice(0, most) : [h("li", {}, T.historyEmpty(ownPlaces()))]));
    rest.hidden = lines.length <= most;
    rest.replaceChildren(h("button", { class: "second", id: "allHistory", onclick: () => {
      most = Infinity;
      list.replaceChildren(...lines);
      rest.hidden = true;
    } }, T.more(lines.length)));
  };
  await turn.of(fill());
  every(turn, POLL_MILLISECONDS, async () => {
    if (!document.hidden) await turn.of(fill().catch(() => { old.textContent = T.historyOld(moment(asOf)); }));
  });
  return [h("h1", {}, T.tabs.history), h("p", {}, T.historyText), old, h("div", { class: "card" }, list, rest),
    h("h2", {}, T.readings), h("p", {}, T.readingsText), h("div", { class: "card" }, search, local, older)];
}

/** Who asked, in words. */
function whoAsked({ reader, hospital, purpose }) {
  if (state.all.some((keys) => keys.account === reader)) return T.yourself;
  if (about(reader)?.kind === "practitioner") return called(reader);
  return purpose === "PATRQT" ? T.actsForYou : T.somebodyAt(hospitalName(hospital));
}

/** Which kinds of records, and how many of each. */
function kindsOf(records, categories) {
  const counts = new Map();
  for (const record of records) {
    const name = categories.get(record);
    if (name) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => K.countOf(T.categories[name] ?? name, count)).join(", ");
}

/** Lines that tell of no reading, but that what was read is not known. */
const UNKNOWN_READINGS = new Set(["unreadable", "lost"]);

const reading = (one) => h("li", {},
  h("div", { class: "row" }, h("span", {}, UNKNOWN_READINGS.has(one.interaction) ? T[one.interaction]
    : `${T.shown[one.interaction] ?? one.interaction}: ${one.types.map((type) => T.types[type] ?? type).join(", ")}`),
    h("span", { class: "quiet" }, moment(one.time))),
  h("p", { class: "quiet" }, one.reader ? called(one.reader) : UNKNOWN_READINGS.has(one.interaction) ? "" : T.ownSystem, one.client ? ` ${T.byApp(one.client)}` : ""));

/** One reading act, in a line; its requests one by one where there were several. */
function access(act, categories) {
  const [first] = act.entries;
  const why = first.purpose.split(",").map((code) => T.purposes[code] ?? code).join(", ");
  const released = said(act, (one) => one.releasedBy);
  const words = [
    K.sentence(kindsOf(act.records, categories)), K.sentence(T.reader(first.reader)),
    released.length ? T.released(released.map(hospitalName).join(", ")) : "",
    ...said(act, (one) => (one.granted || act.records.size === act.allowed.size ? [] : [refusal(one)])),
  ];
  return h("li", {},
    h("div", { class: "row" }, h("span", {}, `${T.asked(whoAsked(first), act.records.size)} ${why}: `, verdicts(act)),
      h("span", { class: "quiet" }, moment(act.time))),
    said(act, (one) => (one.emergency === "none" ? [] : [one.emergency])).map((state) => h("p", { class: `card ${state === "unjustified" || state === "overdue" ? "alert" : "warn"}` }, T.emergency[state])),
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

// ---- Acting for somebody else

async function others(turn) {
  const wards = await turn.of(allSafe("ward", own().account).catch(() => []));
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
    await inner.of(learn(own(), listed.map((one) => one.author)));
    const all = listed.filter((one) => !one.erased);
    const told = (count) => found.replaceChildren(h("p", { class: "card waiting" }, C.working(count, all.length)));
    const done = await inner.of(readAll(inner, own(), ward, all, { purpose: "PATRQT", told }));
    const known = knowledge({ listed, outcomes: done.outcomes, asked: [...new Set(listed.map((one) => one.hospital))], asOf });
    // For whom somebody acts is known here next time, by name.
    const name = person(known.items)?.name;
    if (name) keepSafe("ward", own().account, ward, { name }).catch(() => {});
    return found.replaceChildren(...[
      h("p", { class: "quiet" }, name ? T.wardNamed(name) : T.wardOf(ward)),
      done.failure ? problem(done.failure) : null,
      done.refusals.length ? h("section", { class: "card alert", role: "alert" }, h("p", {}, T.wardRefused(refusedCount(done))), refusalsOf(done)) : null,
      all.length === 0 ? h("p", { class: "card" }, T.noRecords(K.here), ...timed({ asOf })) : null,
      faults([...done.outcomes.values()]), warnings(known, C.conflictAdvice), ...sections(known, () => null, { ...T.sections, person: T.wardPerson }),
      await inner.of(wardTold(inner, ward, listed)), form(turn, own(), ward, go("others"))].flat().filter(Boolean));
  };
  // Of two who act for somebody each is told what the other does; who acts in part is not told of the rest.
  const wardTold = async (inner, ward, listed) => {
    const [consents, requests] = await inner.of(Promise.all([node.patientConsents(own(), ward), node.patientHistory(own(), ward)])
      .catch((error) => {
        if (error.code !== "no-proxy") throw error;
        return [null, []];
      }));
    if (!consents) return null;
    const read = acts(requests.map((one) => ({ ...one, patient: ward })));
    await inner.of(learn(own(), [...consents.filter((one) => one.grantee.startsWith("account ")).map((one) => one.grantee.split(" ")[1]), ...read.map((one) => one.entries[0].reader)]));
    const categories = new Map(listed.map((one) => [one.record, one.category]));
    return [h("h2", {}, T.wardSharing), h("div", { class: "card" }, standing(turn, own(), ward, consents, go("others"))),
      h("h2", {}, T.wardHistory), h("div", { class: "card" }, read.length ? h("ul", { class: "plain", id: "wardHistory" }, read.slice(0, HISTORY_SHOWN).map((one) => access(one, categories)))
        : h("p", {}, T.wardUnread))];
  };
  const sent = (event) => {
    event.preventDefault();
    return run(look, (error) => found.replaceChildren(problem(error)));
  };
  return [h("h1", {}, T.tabs.others), h("p", {}, T.othersText), h("form", { class: "card", onsubmit: sent },
    wards.length ? h("p", { class: "row", id: "wards" }, wards.map((one) => h("button", { type: "button", class: "second", onclick: () => {
      input.value = one.name;
      return run(look, (error) => found.replaceChildren(problem(error)));
    } }, one.value.name))) : null,
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

/** Shows what the address names, to a patient whose keys are all here. */
export function entered(turn, all, isKept) {
  [state.all, state.isKept] = [all, isKept];
  const { name } = address();
  return go(Object.hasOwn(VIEWS, name) ? name : "records")(turn);
}
