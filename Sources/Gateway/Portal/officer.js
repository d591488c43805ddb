// The privacy officer's page: the cases in which this hospital's people broke the glass, with their deadlines, and what was
// found. A finding is signed with the officer's own keys and stands on the ledger, where the patient sees it.
import { lockCard, open } from "./entrance.js";
import * as keyring from "./keys.js";
import { acts } from "./looked.js";
import * as node from "./node.js";
import { C, moment, O } from "./texts.js";
import { act, deed, h, hospitalName, place, tabs, view } from "./ui.js";
import { accessReview, KIND } from "./wire.js";

const HOUR_MILLISECONDS = 3_600_000;
const state = { keys: null, isKept: false };
const isOpen = (one) => one.emergency === "reviewDue" || one.emergency === "overdue";
/** Emergencies, each with all its requests: a page asks for many records in several. What was found of them is one too. */
async function emergencies(turn, isWanted) {
  const cases = (await turn.of(node.cases(state.keys))).map(({ access, ...one }) => ({ ...access, ...one })).filter(isWanted);
  return [...new Set(cases.map((one) => one.emergency))].flatMap((found) => acts(cases.filter((one) => one.emergency === found)))
    .map((act) => ({ ...act, ...act.entries[0], records: act.records, due: act.entries.map((one) => one.due).sort()[0] }));
}
const VIEWS = {
  cases: async (turn) => list(O.cases, O.noCases, (await turn.of(emergencies(turn, isOpen))).sort((a, b) => a.due.localeCompare(b.due)),
    (one) => waiting(turn, one)),
  done: async (turn) => list(O.done, O.nothingDone, (await turn.of(emergencies(turn, (one) => !isOpen(one))))
    .sort((a, b) => b.time.localeCompare(a.time)), settled),
  leave: () => [h("h1", {}, O.tabs.leave), lockCard(state.isKept)],
};
const go = (name) => (turn) => tabs(turn, name, VIEWS, O.tabs);

function list(title, none, cases, card) {
  return [h("h1", {}, title), cases.length ? h("div", { id: "cases" }, cases.map(card)) : h("p", { class: "card", id: "none" }, none)];
}

/** What happened: when, who read of whom, why, and how much. */
function facts(one) {
  const rows = [
    [O.when, moment(one.time)], [O.reader, O.readerOf(one.reader, hospitalName(one.hospital))],
    [O.patient, one.name ? O.named(one.name, one.patient) : O.noName(one.patient)], [O.reason, C.reasons[one.reason] ?? O.otherReason(one.reason)],
    [O.records, one.entries.length > 1 ? O.inRequests(one.records.size, one.entries.length) : `${one.records.size}`],
  ];
  return h("dl", {}, rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function waiting(turn, one) {
  const left = Math.floor((new Date(one.due) - Date.now()) / HOUR_MILLISECONDS);
  const isLate = one.emergency === "overdue" || left < 0;
  const submit = async (isJustified) => {
    for (const each of one.entries) await node.submit(state.keys, place.consortium, KIND.reviewBreakGlass, accessReview(each.request, isJustified));
  };
  const review = (isJustified) => act(turn, () => submit(isJustified), O.said, go("cases"));
  const card = h("section", { class: isLate ? "card alert" : "card warn" });
  // A case is found right or wrong once: both buttons wait together.
  const find = (isJustified) => async () => {
    for (const button of card.querySelectorAll("button")) button.disabled = true;
    await review(isJustified);
  };
  card.append(h("h2", {}, isLate ? O.late(moment(one.due)) : O.left(left, moment(one.due))), facts(one),
    h("p", {}, deed({ class: "justified" }, O.justified, find(true)), " ", deed({ class: "danger unjustified" }, O.unjustified, find(false))));
  return card;
}

function settled(one) {
  const isRight = one.emergency === "justified";
  return h("section", { class: isRight ? "card" : "card alert" }, h("h2", {}, isRight ? O.wasJustified : O.wasNot), facts(one));
}

open({
  name: "officer", offered: false, code: keyring.officerCode,
  texts: { title: O.title, welcome: O.welcome, welcomeText: O.welcomeText, newText: O.newText, open: C.open, unregistered: C.unregistered },
  entered: async (turn, all, isKept) => {
    [state.keys, state.isKept] = [all[0], isKept];
    await turn.of(node.cases(state.keys));
    return go("cases")(turn);
  },
});
