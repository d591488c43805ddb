// The clinician's page: finds a patient, asks to read with a purpose, breaks the glass, writes and signs. Records are opened
// here, of shares that custodians gave for one request; the node never has their keys.
import { REFUSALS } from "./asking.js";
import { lockCard } from "./entrance.js";
import { person } from "./chart.js";
import { age, day } from "./dates.js";
import { judgement } from "./judging.js";
import { allSafe, keepSafe, safe } from "./kept.js";
import { CATEGORY as KNOWN, gaps, isChanged, isOutdated, news } from "./known.js";
import { learn } from "./names.js";
import * as node from "./node.js";
import { canEnd, ended, resourceOf, send, signed, typedOf } from "./notes.js";
import { readAll, refusedCount } from "./reading.js";
import { asOf, faults, knowledge, reasons, refusalsOf, restamp, sections, warnings, workspace } from "./sections.js";
import { C, D, K, moment, T } from "./texts.js";
import { run } from "./turns.js";
import { address, choices, deed, every, failed, h, hospitalName, main, problem, redraw, say, tabs, view } from "./ui.js";
import { CATEGORIES } from "./wire.js";

/** `chart` is all that belongs to the patient who is open; null where none is. Nothing reads another patient's. */
const state = { keys: null, isKept: false, chart: null };
const VIEWS = {
  patient: (turn) => (state.chart ? chartView(turn, state.chart) : finder(turn)),
  leave: () => [h("h1", {}, C.tabs.leave), lockCard(state.isKept)],
};
const ACCOUNT = /^[0-9a-f]{64}$/;
/** A chart's address names its patient's account. */
const PLACES = {
  rest: (name) => (name === "patient" && state.chart ? state.chart.patient.account : ""),
  come: (name, rest) => {
    if (name !== "patient" || state.chart?.patient.account === rest) return;
    state.chart = ACCOUNT.test(rest) ? chartOf({ account: rest }) : null;
  },
};
/** Makes a view, in a turn. */
const go = (name) => (turn) => tabs(turn, name, VIEWS, C.tabs, PLACES);

/** How often an open chart asks whether there is something newer. */
const NEWS_MILLISECONDS = 5000;
/** How long a clinician waits for the ledger before the page says what to do in an emergency. */
const SLOW_MILLISECONDS = 7000;

/** A patient's chart: `listed` are the records that there are, as of `asOf`; `first` those that were there when it was opened,
 * null before; `seen` the list that the signing clinician has seen and read from; `outcomes` what came of reading each record, `draft`
 * what is written and not signed, `unsigned` why it was not signed when somebody wanted that. */
const chartOf = (patient) => ({
  patient, listed: [], asOf: null, first: null, seen: [], outcomes: new Map(), written: new Map(), waiting: new Set(),
  draft: null, sent: null, unsigned: "", search: { text: "" },
});
const emptyDraft = () => ({ kind: "note", title: "", text: "", risk: "", reason: "", replaces: "" });
const isDirty = ({ draft }) => Boolean(draft?.title.trim() || draft?.text.trim());
/** Keeps what is written and not signed, over reloads too. */
const keepWritten = (chart) => keepSafe("draft", state.keys.account, chart.patient.account,
  isDirty(chart) ? { draft: chart.draft, name: chart.patient.name ?? "" } : null);

// ---- Finding a patient

/** As many as one answer names. Node: PatientIndex.countMax. */
const PATIENTS_MAX = 20;

async function finder(turn) {
  const left = await turn.of(allSafe("draft", state.keys.account).catch(() => []));
  const input = h("input", { type: "text", id: "search", autocomplete: "off" });
  const found = h("div", { id: "found", "aria-live": "polite" });
  const choose = (patient) => {
    turn.check();
    state.chart = chartOf(patient);
    return view(go("patient")).then(() => main().focus());
  };
  const search = async () => {
    // Only what was searched last is shown.
    const inner = turn.inner();
    const text = input.value.trim();
    // A scanner types capitals: QR codes hold more of them.
    const account = text.toLowerCase();
    if (ACCOUNT.test(account)) return choose({ account });
    const list = text ? await inner.of(node.patients(state.keys, text)) : [];
    return found.replaceChildren(list.length ? h("ul", { class: "plain card" }, list.map((one) =>
      h("li", {}, h("div", { class: "row" }, h("span", {}, h("strong", { dir: "auto" }, one.name), " ",
        h("span", { class: "quiet" }, [one.birthDate && D.born(day(one.birthDate)), sexOf(one), ...one.numbers ?? []].filter(Boolean).join(" · "))),
      one.account ? h("button", { class: "second", onclick: () => choose(one) }, C.choose)
        : h("span", { class: "quiet" }, C.noAccount))))) : h("p", { class: "card" }, C.nobody),
    list.length >= PATIENTS_MAX ? h("p", { class: "unknown" }, C.onlyFirst(list.length)) : "");
  };
  const sent = (event) => {
    event.preventDefault();
    return run(search, (error) => found.replaceChildren(problem(error)));
  };
  return [h("h1", {}, C.find), h("form", { class: "card", onsubmit: sent },
    h("label", { for: "search" }, C.findLabel), input, h("p", {}, h("button", { id: "find" }, C.search))), found,
  left.length ? h("section", { class: "card warn", id: "drafts" }, h("h2", {}, C.drafts), h("ul", { class: "plain" }, left.map((one) => h("li", { class: "row" },
    h("span", {}, one.value.name || C.account(one.name)), h("button", { class: "second", onclick: () => choose({ account: one.name }) }, C.choose))))) : null];
}

// ---- A patient's chart

/** Takes over a list of the records that there are. */
function take(chart, listed, time) {
  Object.assign(chart, { listed, asOf: time });
  chart.first ??= new Set(listed.map((one) => one.record));
  for (const one of listed) if (chart.written.has(one.record)) chart.outcomes.set(one.record, { view: one, ...chart.written.get(one.record) });
  // What was erased since it was read is shown no more.
  for (const one of listed) if (one.erased) chart.outcomes.delete(one.record);
}

const live = (chart) => chart.listed.filter((one) => !one.erased);
const told = (chart) => knowledge({ ...chart, asked: [...new Set(chart.listed.map((one) => one.hospital))] });

async function chartView(turn, chart) {
  const time = new Date();
  const { account } = chart.patient;
  if (!chart.draft) {
    // An account alone came from a scanner or an address: the hospital may know whose it is, and something may be unsigned.
    const [known, draft] = await turn.of(Promise.all([
      chart.patient.name ? [] : node.patients(state.keys, account).catch(() => []), safe("draft", state.keys.account, account).catch(() => null)]));
    Object.assign(chart.patient, known.find((one) => one.account === account));
    chart.draft = { ...emptyDraft(), ...draft?.draft };
  }
  take(chart, await turn.of(node.patientRecords(state.keys, account)), time);
  await turn.of(learn(state.keys, chart.listed.map((one) => one.author)));
  chart.seen = chart.listed;
  const answer = h("div", { id: "answer", "aria-live": "polite" });
  const [top, count, body] = [h("div", { id: "banner", class: "card" }), h("p", { class: "quiet", id: "count" }), h("div", { id: "chart" })];
  const writer = writing(turn, chart);
  const ask = (wanted, purpose, reason) => run(() => read(turn.inner(), chart, wanted, { purpose, reason, answer, draw, writer }),
    (error) => answer.replaceChildren(problem(error)));
  const [asks, breaks] = [asking(chart, answer, ask), glass(chart, ask)];
  const draw = () => {
    const known = told(chart);
    top.replaceChildren(...banner(chart, known));
    count.replaceChildren(live(chart).length ? C.whatThereIs(live(chart).length) : C.nothing, ...asOf(chart));
    redraw(body, ...shown(turn, chart, known));
    main().classList.toggle("wide", chart.outcomes.size > 0);
    asks.offer();
    breaks.hidden = live(chart).length === 0;
    writer.check(known);
  };
  draw();
  every(turn, NEWS_MILLISECONDS, () => refresh(turn, chart, { top, draw }));
  return [top, count, h("div", { class: "desk" }, h("div", {}, answer, body), h("div", { class: "side" }, asks.card, breaks, writer.card))];
}

/** Lists the records of a chart that somebody sees again: what is newer is told, and until when the rest is known. */
async function refresh(turn, chart, { top, draw }) {
  if (document.hidden) return;
  const time = new Date();
  const listed = await turn.of(node.patientRecords(state.keys, chart.patient.account).catch(() => null));
  const old = top.querySelector("#stale");
  if (!listed) {
    if (!old) top.append(h("p", { class: "unknown", id: "stale", role: "alert" }, C.stale(moment(chart.asOf))));
    return;
  }
  const before = chart.listed;
  take(chart, listed, time);
  old?.remove();
  restamp(time);
  if (isChanged(before, listed)) draw();
}

/** Who this is, always in sight: by the record that was opened, else by the hospital's list. */
function banner(chart, { items }) {
  const { patient } = chart;
  const read = person(items);
  // Before a record of the person was read, nobody can say that it does not tell.
  const isUnread = !read && chart.listed.some((one) => one.category === "demographics" && !one.erased && !one.supersededBy && !chart.outcomes.has(one.record));
  const name = nameOf(chart, items) ?? (isUnread ? C.nameUnread : C.nameUnknown);
  const birthDate = read?.birthDate ?? patient.birthDate;
  // What is not in the record may be in the hospital's list, and is known before anything is read.
  const numbers = (read?.numbers.length ? read.numbers : patient.numbers ?? []).slice(0, NUMBERS_MAX);
  const facts = [birthDate ? D.born(day(birthDate)) : isUnread ? C.bornUnread : C.bornUnknown, read?.isDead ? "" : age(birthDate),
    read?.sex ?? sexOf(patient) ?? (isUnread ? C.sexUnread : C.sexUnknown), ...numbers, C.account(patient.account)];
  const again = h("button", { class: "second", id: "another", onclick: () => {
    if (isDirty(chart)) say(C.draftKept(called(chart, items)));
    state.chart = null;
    view(go("patient"));
  } }, C.another);
  const newer = news(chart.first, chart.listed, chart.outcomes).map((one) => K.countOf(T.categories[one.category] ?? one.category, one.count));
  const isOther = (read?.name && patient.name && read.name !== patient.name) || (read?.birthDate && patient.birthDate && read.birthDate !== patient.birthDate);
  return [
    h("div", { class: "row" }, h("h1", { dir: "auto" }, name), again),
    h("p", {}, facts.filter(Boolean).join(" · "), read?.isDead ? [" ", h("span", { class: "mark alert" }, D.dead)] : null),
    isOther ? h("p", { class: "unknown", role: "alert" }, C.otherName([patient.name, patient.birthDate && D.born(day(patient.birthDate))].filter(Boolean).join(", "))) : null,
    newer.length ? h("p", { class: "unknown", role: "status", id: "news" }, C.news(newer.join(", "))) : null,
  ].filter(Boolean);
}

/** The sex that the hospital's list has, in words. */
const sexOf = (patient) => patient.sex && (T.sexes[patient.sex] ?? patient.sex);

/** As many of the hospital's numbers as the head of a chart has room for. */
const NUMBERS_MAX = 3;

const nameOf = (chart, items) => person(items)?.name ?? chart.patient.name;
/** The patient in a sentence: by name, or by account where that is not known. */
const called = (chart, items) => nameOf(chart, items) ?? C.account(chart.patient.account);

/** What was opened: warnings first, then allergies and everything else; and what was not read. */
function shown(turn, chart, known) {
  if (chart.outcomes.size === 0) return [];
  return [...warnings(known), faults([...chart.outcomes.values()]), ...workspace(sections(known, (one) => amending(turn, chart, one), { ...T.sections, person: C.person }), chart.search), notRead(chart)]
    .filter(Boolean);
}

/** Kinds of records that are not on the page, though there are some; those that the sections tell of by themselves are left out. */
function notRead({ listed, outcomes, waiting }) {
  const rest = CATEGORIES.filter((category) => !Object.values(KNOWN).includes(category))
    .map((category) => [category, gaps(listed, outcomes, { category, waiting })]).filter(([, found]) => found.length);
  return rest.length ? h("details", { class: "card warn", id: "notRead", "data-of": "notRead" }, h("summary", {}, K.notRead),
    rest.map(([category, found]) => h("div", {}, h("strong", {}, T.categories[category]), reasons(found)))) : null;
}

/** Where somebody asks to read: {card, offer}. `offer` draws the kinds of records that there are by now. */
function asking(chart, answer, read) {
  const why = h("select", { id: "purpose" }, Object.entries(C.purposes).map(([code, text]) => h("option", { value: code }, text)));
  const frame = h("div", {});
  let [which, words, known] = [null, "", new Set()];
  const offer = () => {
    const all = live(chart);
    const kinds = CATEGORIES.filter((name) => all.some((one) => one.category === name));
    const names = Object.fromEntries(kinds.map((name) => [name, K.countOf(T.categories[name], all.filter((one) => one.category === name).length)]));
    card.hidden = all.length === 0;
    // What somebody unticked stays so.
    if (words === JSON.stringify(names)) return;
    words = JSON.stringify(names);
    const chosen = which?.values() ?? [];
    which = choices(C.which, names, (name) => !known.has(name) || chosen.includes(name));
    known = new Set(kinds);
    frame.replaceChildren(which.frame);
  };
  const ask = () => {
    const chosen = which.values();
    const wanted = live(chart).filter((one) => chosen.includes(one.category));
    if (wanted.length === 0) return answer.replaceChildren(h("p", { class: "card warn" }, C.none));
    return read(wanted, why.value, 0);
  };
  const card = h("section", { class: "card" }, frame, h("label", { for: "purpose" }, C.purpose), why, h("p", {}, deed({ id: "ask" }, C.ask, ask)));
  return { card, offer };
}

function glass(chart, read) {
  const reason = h("select", { id: "reason" }, Object.entries(C.reasons).map(([code, text]) => h("option", { value: code }, text)));
  return h("details", { class: "card warn", id: "glass" }, h("summary", {}, C.glass), h("p", {}, C.glassText),
    h("label", { for: "reason" }, C.reason), reason, h("p", {}, deed({ class: "danger", id: "break" }, C.glass,
      () => (confirm(C.sure) ? read(live(chart), "ETREAT", Number(reason.value)) : undefined))));
}

/** Allergies, problems and medicines; and others, among which are alerts. */
const EARLY = new Set([...Object.values(KNOWN), "other"]);

/** Asks for records of the chart's patient and shows what is granted, while the chart is shown. What was read stays. */
async function read(turn, chart, wanted, { purpose, reason, answer, draw, writer }) {
  let category = "";
  const keep = (outcomes) => {
    for (const [record, one] of outcomes) {
      const before = chart.outcomes.get(record);
      if (!(before?.text || before?.file) || one.text || one.file) chart.outcomes.set(record, one);
    }
    draw();
  };
  // What must be known first is shown first: the chart is drawn when each kind of that is read, and at the end.
  const tell = (count, outcomes) => {
    turn.check();
    clearTimeout(slow);
    answer.replaceChildren(h("p", { class: "card waiting" }, C.working(count, wanted.length)));
    const last = [...outcomes.values()].at(-1).view.category;
    if (last !== category && EARLY.has(category)) keep(outcomes);
    category = last;
  };
  answer.replaceChildren(h("p", { class: "card waiting" }, C.working(0, wanted.length)));
  const [listed, waiting] = [chart.listed, new Set(wanted.map((one) => one.record))];
  chart.waiting = waiting;
  const slow = hintLater(turn, chart, reason, answer);
  let done;
  try {
    done = await turn.of(readAll(turn, state.keys, chart.patient.account, wanted, { purpose, reason, told: tell }));
  } finally {
    clearTimeout(slow);
    if (chart.waiting === waiting) chart.waiting = new Set();
  }
  if (!done.failure) {
    chart.seen = listed;
    writer.forget();
  }
  keep(done.outcomes);
  answer.replaceChildren(...outcomeOf(done, chart, wanted, reason));
}

/** Whether the hospital can open something by itself where too few can be reached. */
const hasOwn = (chart) => live(chart).some((one) => one.hospital === state.keys.hospital);

/** A clinician who waits for a ledger that does not answer is told what to do in an emergency. */
const hintLater = (turn, chart, reason, answer) => setTimeout(() => {
  if (!turn.isOver && !reason && hasOwn(chart) && answer.querySelector(".waiting")) answer.append(h("p", { class: "unknown", id: "slow" }, C.slow, " ", C.noQuorum));
}, SLOW_MILLISECONDS);

/** What is said above the chart of what came of a reading, where that was not all of it. */
function outcomeOf(done, chart, wanted, reason) {
  const count = [...done.outcomes.values()].filter((one) => one.text || one.file).length;
  const numbers = new Set(done.refusals.map((one) => one.number));
  const isPermitted = [REFUSALS.noConsent, REFUSALS.outsideWindow, REFUSALS.usesSpent].some((number) => numbers.has(number));
  return [
    done.isInPartition ? h("p", { class: "card warn", role: "alert", id: "partition" }, C.inPartition) : null,
    done.failure ? h("div", { id: "failed" }, h("p", { class: "unknown" }, C.failed(done.outcomes.size, wanted.length)), problem(done.failure),
      done.failure.isUnknown && !reason && hasOwn(chart) ? h("p", { class: "unknown", id: "slow" }, C.noQuorum) : null) : null,
    done.refusals.length ? h("section", { class: "card alert", role: "alert", id: "refused" },
      h("h2", {}, count ? C.partly(refusedCount(done)) : C.refusedTitle), refusalsOf(done),
      numbers.has(REFUSALS.denied) ? h("p", {}, C.takeBack) : null,
      isPermitted ? [h("p", {}, C.permit), h("code", { class: "code" }, state.keys.account)] : null) : null,
  ].filter(Boolean);
}

// ---- Writing

/** What is written for the chart's patient, and signed for no other: {card, check, forget}. `check` holds what is typed
 * against what is known by now, `forget` takes away why it was not signed. */
function writing(turn, chart) {
  const homes = [...new Set(chart.listed.map((one) => one.hospital))];
  // A hospital writes for its own accounts only: a clinician who cannot sign is not asked to type.
  if (homes.length && !homes.includes(state.keys.hospital)) {
    return { card: h("p", { class: "card", id: "foreign" }, C.foreign(homes.map(hospitalName).join(", "))), check: () => {}, forget: () => {} };
  }
  const { draft } = chart;
  let [known, warned] = [null, ""];
  const keep = (field) => (event) => {
    draft[field] = event.target.value;
    warn();
    keepWritten(chart).catch(() => {});
  };
  const kind = h("select", { id: "noteKind", "aria-label": C.write, onchange: keep("kind") },
    Object.entries(C.kinds).map(([name, text]) => h("option", { value: name, selected: name === draft.kind }, text)));
  const [titleLabel, textLabel] = [h("label", { for: "noteTitle" }), h("label", { for: "noteText" })];
  const title = h("input", { type: "text", id: "noteTitle", autocomplete: "off", value: draft.title, oninput: keep("title") });
  const text = h("textarea", { id: "noteText", oninput: keep("text") }, draft.text);
  const risk = h("select", { id: "noteRisk", onchange: keep("risk") }, Object.entries(C.risks).map(([name, words]) => h("option", { value: name, selected: name === draft.risk }, words)));
  const [titleLine, riskLine] = [h("div", {}, titleLabel, title), h("div", {}, h("label", { for: "noteRisk" }, C.risk), risk)];
  const why = h("textarea", { id: "override", oninput: keep("reason") }, draft.reason);
  const override = h("div", { hidden: true }, h("label", { for: "override" }, C.override), why);
  const warning = h("div", { id: "warning", role: "alert" });
  const fault = h("div", { id: "unsigned", role: "alert" }, chart.unsigned ? h("p", { class: "card alert" }, h("strong", {}, chart.unsigned)) : null);
  chart.unsigned = "";
  const heading = h("h2", {});
  const drop = deed({ class: "second", id: "dropCorrection", hidden: true }, C.dropCorrection, () => {
    chart.draft = emptyDraft();
    keepWritten(chart).catch(() => {});
    return view(go("patient"), true);
  });
  const button = deed({ id: "sign" }, "", () => sign(turn, chart, () => known, fault));
  const warn = () => {
    heading.textContent = (draft.replaces ? C.correctFor : C.writeFor)(called(chart, known.items));
    drop.hidden = !draft.replaces;
    kind.disabled = Boolean(draft.replaces);
    titleLine.hidden = draft.kind === "noAllergy";
    riskLine.hidden = draft.kind !== "allergy";
    titleLabel.textContent = C.titleLabel[draft.kind] ?? "";
    textLabel.textContent = C.textLabel[draft.kind];
    const { lines, against } = judgement(draft, known);
    // A screen reader says it again only where it is something else.
    const words = lines.map((line) => line.textContent).join("\n");
    if (words !== warned) warning.replaceChildren(...lines);
    warned = words;
    override.hidden = !against.length;
    // Whom it is for stands on the button itself.
    button.textContent = (against.length ? C.signAnyway : C.sign)(called(chart, known.items));
    button.classList.toggle("danger", against.length > 0);
  };
  const card = h("section", { class: "card", id: "write" }, heading, kind, titleLine, textLabel, text, riskLine, warning, override, fault,
    h("p", { class: "row" }, button, drop));
  return { card, check: (now) => { known = now; warn(); }, forget: () => fault.replaceChildren() };
}

/** Lists the records again: what was anchored since the chart was opened may tell of an allergy. Where something did come,
 * the chart is drawn again, and the signing clinician sees it first. */
async function isNewsFirst(turn, chart) {
  const listed = await turn.of(node.patientRecords(state.keys, chart.patient.account));
  if (!isOutdated(chart.seen, listed)) return false;
  chart.unsigned = C.outdated;
  await view(go("patient"));
  return true;
}

/** What is held against what others wrote. */
const GOES_BY_OTHERS = new Set(["prescription", "noAllergy"]);

async function sign(turn, chart, now, fault) {
  // What is signed is what stood there when somebody wanted it signed.
  const draft = { ...chart.draft };
  try {
    if (GOES_BY_OTHERS.has(draft.kind) && await isNewsFirst(turn, chart)) return;
  } catch (error) {
    if (turn.isOver) say(C.leftUnsigned(called(chart, now().items)));
    else fault.replaceChildren(problem(error));
    return;
  }
  await signDraft(turn, chart, { draft, known: now(), fault });
}

async function signDraft(turn, chart, { draft, known, fault }) {
  const said = judgement(draft, known);
  const isTitled = draft.title.trim() || draft.kind === "noAllergy";
  const needed = !isTitled || !draft.text.trim() ? C.empty : said.against.length && !draft.reason.trim() ? C.overrideNeeded : "";
  fault.replaceChildren(needed ? h("p", { class: "card warn" }, needed) : "");
  if (needed) return;
  const name = called(chart, known.items);
  const notes = said.against.length ? [C.overridden(said.against.join(" "), draft.reason.trim())] : [];
  try {
    // It counts whatever is shown when it is done; so it is said then, with the patient's name.
    const content = JSON.stringify([draft, notes]);
    const replaced = draft.replaces ? { record: draft.replaces, category: chart.listed.find((one) => one.record === draft.replaces)?.category } : null;
    await record(chart, () => signed(state.keys, chart.patient.account, resourceOf(chart.patient, draft, notes), replaced), content);
  } catch (error) {
    if (turn.isOver) say(`${name}: ${failed(error)}`);
    else fault.replaceChildren(problem(error));
    return;
  }
  // What was typed meanwhile is not signed, and stays.
  const isSame = Object.keys(draft).every((field) => chart.draft[field] === draft[field]);
  if (isSame) chart.draft = emptyDraft();
  keepWritten(chart).catch(() => {});
  say(isSame ? C.signedFor(name) : C.signedBefore(name));
  if (!turn.isOver) await view(go("patient"));
}

/** Signs a resource as its author: by its hash-lock, which the ledger holds it against for good. What was signed before and
 * may have arrived is sent again as it was, so that it is there once. */
async function record(chart, made, content) {
  const isAgain = chart.sent?.content === content;
  if (!isAgain) chart.sent = await made().then((one) => ({ content, ...one }));
  await send(state.keys, chart.sent, isAgain);
  chart.written.set(chart.sent.identifier, chart.sent.opened);
  chart.sent = null;
}

// ---- What became of it

/** What can be done with what one wrote oneself: correct it, stop it, withdraw it. */
function amending(turn, chart, one) {
  const typed = one.stands === "current" && one.view.author === state.keys.account ? typedOf(one.resource) : null;
  if (!typed) return null;
  const correct = h("button", { class: "second correct", onclick: () => {
    if (isDirty(chart) && !confirm(C.overwrite)) return;
    chart.draft = { ...emptyDraft(), ...typed, replaces: one.view.record };
    view(go("patient"), true).then(() => document.getElementById("noteTitle")?.focus());
  } }, C.correct);
  const why = h("input", { type: "text", id: `why-${one.view.record.slice(0, 8)}`, autocomplete: "off" });
  const fault = h("div", { role: "alert" });
  const end = (how) => async () => {
    fault.replaceChildren(why.value.trim() ? "" : h("p", { class: "card warn" }, C.whyNeeded));
    if (!why.value.trim()) return;
    const resource = ended(one.resource, how, why.value.trim());
    try {
      await record(chart, () => signed(state.keys, chart.patient.account, resource, one.view), JSON.stringify([resource, one.view.record]));
    } catch (error) {
      if (turn.isOver) say(failed(error));
      else fault.replaceChildren(problem(error));
      return;
    }
    say(C.ended[how](one.shown.title));
    if (!turn.isOver) await view(go("patient"), true);
  };
  return h("div", { class: "amend" }, h("p", {}, correct), h("label", { for: why.id }, C.whyEnd), why, fault, h("p", { class: "row" },
    canEnd(typed.kind) ? deed({ class: "second stop" }, typed.kind === "problem" ? C.over : C.stop, end("stop")) : null, deed({ class: "danger withdraw" }, C.withdraw, end("withdraw"))));
}

/** Shows what the address names, to the clinician who came in. */
export function entered(turn, all, isKept) {
  [state.keys, state.isKept] = [all[0], isKept];
  const { name, rest } = address();
  PLACES.come(name, rest);
  return go(Object.hasOwn(VIEWS, name) ? name : "patient")(turn);
}
