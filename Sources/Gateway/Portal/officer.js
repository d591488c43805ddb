// The privacy officer's page: the cases in which this hospital's people broke the glass, or others for its records, with
// their deadlines, and what was found. A finding is signed with the officer's own keys and stands on the ledger, where the patient sees it.
import { lockCard, OFFICER, open } from "./entrance.js";
import * as keyring from "./keys.js";
import { acts } from "./looked.js";
import { called, learn } from "./names.js";
import * as node from "./node.js";
import { C, moment, O } from "./texts.js";
import { address, deed, h, hospitalName, place, problem, say, tabs } from "./ui.js";
import { accessReview, KIND } from "./wire.js";

const HOUR_MILLISECONDS = 3_600_000;
const state = { keys: null, isKept: false };
const isOpen = (one) => one.emergency === "reviewDue" || one.emergency === "overdue";
/** Emergencies, each with all its requests: a page asks for many records in several. What was found of them is one too. */
async function emergencies(turn, isWanted) {
  const cases = (await turn.of(node.cases(state.keys))).map(({ access, ...one }) => ({ ...access, ...one })).filter(isWanted);
  await turn.of(learn(state.keys, cases.map((one) => one.reader)));
  return [...new Set(cases.map((one) => one.emergency))].flatMap((found) => acts(cases.filter((one) => one.emergency === found)))
    .map((act) => ({ ...act, ...act.entries[0], records: act.records, due: act.entries.map((one) => one.due).sort()[0] }));
}
const VIEWS = {
  cases: async (turn) => list(turn, O.cases, O.noCases, (await turn.of(emergencies(turn, isOpen))).sort((a, b) => a.due.localeCompare(b.due)), waiting),
  done: async (turn) => list(turn, O.done, O.nothingDone, (await turn.of(emergencies(turn, (one) => !isOpen(one))))
    .sort((a, b) => b.time.localeCompare(a.time)), settled),
  leave: () => [h("h1", {}, O.tabs.leave), lockCard(state.isKept)],
};
const go = (name) => (turn) => tabs(turn, name, VIEWS, O.tabs);

/** As many as are shown at once. */
const SHOWN_MAX = 50;

/** How many cases each has: [[account, count]], the most first. */
function counted(cases, of) {
  const counts = new Map();
  for (const one of cases) counts.set(of(one), (counts.get(of(one)) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

/** Cases with what they have in common: whose they are, by a choice, and by what somebody types. A case that was reviewed
 * leaves the list, which stays where somebody reads it. */
function list(turn, title, none, cases, card) {
  const shownCases = h("div", { id: "cases" });
  const count = h("p", { class: "quiet", id: "count", role: "status" });
  const empty = h("p", { class: "card", id: "none" }, none);
  const readers = counted(cases, (one) => one.reader);
  const who = h("select", { id: "byReader", onchange: () => draw() }, h("option", { value: "" }, O.everybody),
    readers.map(([account, number]) => h("option", { value: account }, O.readerCount(called(account), number))));
  const words = h("input", { type: "search", id: "searchCases", "aria-label": O.searchCases, placeholder: O.searchCases, oninput: () => draw() });
  const cards = new Map();
  const left = new Set(cases);
  let most = SHOWN_MAX;
  const more = h("button", { class: "second", id: "more", onclick: () => {
    most += SHOWN_MAX;
    draw();
  } }, O.moreCases);
  const cardOf = (one) => {
    if (!cards.has(one)) cards.set(one, card(turn, one, patterns(one, cases), () => {
      left.delete(one);
      draw();
    }));
    return cards.get(one);
  };
  const fits = (one) => (!who.value || one.reader === who.value)
    && words.value.toLowerCase().split(/\s+/).every((word) => wordsOf(one).includes(word));
  const draw = () => {
    const all = [...left].filter(fits);
    shownCases.replaceChildren(...all.slice(0, most).map(cardOf));
    count.textContent = left.size ? O.countOf(all.length, left.size) : "";
    empty.hidden = left.size > 0;
    more.hidden = all.length <= most;
    filters.hidden = cases.length < 2;
  };
  const filters = h("div", { class: "card", id: "filters" }, h("label", { for: "byReader" }, O.byReader), who, words);
  draw();
  return [h("h1", {}, title), filters, count, shownCases, more, empty];
}

const wordsOf = (one) => [called(one.reader), one.reader, one.name ?? "", one.patient, C.reasons[one.reason] ?? "", moment(one.time)].join(" ").toLowerCase();

/** What is unlike other cases: many by one reader, or of one patient. */
const patterns = (one, cases) => [
  [cases.filter((each) => each.reader === one.reader).length, O.manyByReader], [cases.filter((each) => each.patient === one.patient).length, O.manyOfPatient],
].filter(([count]) => count >= PATTERN_MIN).map(([count, say]) => say(count));
const PATTERN_MIN = 3;

/** What happened: when, who read of whom, why, and how much. */
function facts(one, patterned) {
  const rows = [
    [O.when, moment(one.time)], [O.reader, called(one.reader)], [O.readerAccount, one.reader],
    [O.patient, one.name ? O.named(one.name, one.patient) : O.noName(one.patient)], [O.reason, C.reasons[one.reason] ?? O.otherReason(one.reason)],
    [O.records, one.entries.length > 1 ? O.inRequests(one.records.size, one.entries.length) : `${one.records.size}`],
  ];
  return [h("dl", {}, rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    patterned.length ? h("p", { class: "marks" }, patterned.map((words) => h("span", { class: "mark warn" }, words))) : null];
}

function waiting(turn, one, patterned, done) {
  const left = Math.floor((new Date(one.due) - Date.now()) / HOUR_MILLISECONDS);
  const isLate = one.emergency === "overdue" || left < 0;
  const submit = async (isJustified) => {
    for (const each of one.entries) await node.submit(state.keys, place.consortium, KIND.reviewBreakGlass, accessReview(each.request, isJustified));
  };
  const card = h("section", { class: isLate ? "card alert" : "card warn" });
  const answer = h("div", {});
  // A case is found right or wrong once, and for good: it is asked for, and both buttons wait together.
  const find = (isJustified) => async () => {
    const name = one.name ?? one.patient.slice(0, 8);
    if (!confirm((isJustified ? O.justifiedSure : O.unjustifiedSure)(called(one.reader), name))) return;
    for (const button of card.querySelectorAll("button")) button.disabled = true;
    try {
      await submit(isJustified);
      say(O.said);
      done();
    } catch (error) {
      if (turn.isOver) return;
      for (const button of card.querySelectorAll("button")) button.disabled = false;
      answer.replaceChildren(problem(error));
    }
  };
  // Another hospital's people read this hospital's records: that one judges, this one sees.
  const isOwn = one.hospital === place.consortium.own;
  card.append(...[h("h2", {}, isLate ? O.late(moment(one.due)) : O.left(left, moment(one.due))), facts(one, patterned),
    isOwn ? h("p", { class: "row" }, deed({ class: "justified" }, O.justified, find(true)), deed({ class: "danger unjustified" }, O.unjustified, find(false)))
      : h("p", { class: "elsewhere" }, O.elsewhere(hospitalName(one.hospital))), answer].flat().filter(Boolean));
  return card;
}

function settled(turn, one, patterned) {
  const isRight = one.emergency === "justified";
  return h("section", { class: isRight ? "card" : "card alert" }, h("h2", {}, isRight ? O.wasJustified : O.wasNot), facts(one, patterned));
}

open({
  name: "officer", offered: false, code: keyring.officerCode, fits: (account) => account.kind === "practitioner" && account.role === OFFICER, idleMinutes: 10,
  texts: { title: O.title, welcome: O.welcome, welcomeText: O.welcomeText, newText: O.newText, open: C.open, unregistered: C.unregistered, strange: O.notOfficer },
  entered: (turn, all, isKept) => {
    [state.keys, state.isKept] = [all[0], isKept];
    const { name } = address();
    return go(Object.hasOwn(VIEWS, name) ? name : "cases")(turn);
  },
});
