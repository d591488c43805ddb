// The privacy officer's page: the cases in which this hospital's people broke the glass, with their deadlines, and what was
// found. A finding is signed with the officer's own keys and stands on the ledger, where the patient sees it.
import { lockCard, open } from "./entrance.js";
import * as keyring from "./keys.js";
import * as node from "./node.js";
import { C, moment, O } from "./texts.js";
import { act, deed, h, hospitalName, place, tabs, view } from "./ui.js";
import { accessReview, KIND } from "./wire.js";

const HOUR_MILLISECONDS = 3_600_000;
const state = { keys: null, isKept: false };
const isOpen = (one) => one.access.emergency === "reviewDue" || one.access.emergency === "overdue";
const VIEWS = {
  cases: async (turn) => list(O.cases, O.noCases, (await turn.of(node.cases(state.keys))).filter(isOpen)
    .sort((a, b) => a.due.localeCompare(b.due)), (one) => waiting(turn, one)),
  done: async (turn) => list(O.done, O.nothingDone, (await turn.of(node.cases(state.keys))).filter((one) => !isOpen(one)), settled),
  leave: () => [h("h1", {}, O.tabs.leave), lockCard(state.isKept)],
};
const go = (name) => (turn) => tabs(turn, name, VIEWS, O.tabs);

function list(title, none, cases, card) {
  return [h("h1", {}, title), cases.length ? h("div", { id: "cases" }, cases.map(card)) : h("p", { class: "card", id: "none" }, none)];
}

/** What happened: when, who read of whom, why, and how much. */
function facts(one) {
  const rows = [
    [O.when, moment(one.access.time)], [O.reader, `${one.access.reader.slice(0, 8)}, ${hospitalName(one.access.hospital)}`],
    [O.patient, one.name ?? one.patient.slice(0, 8)], [O.reason, C.reasons[one.reason] ?? O.otherReason(one.reason)],
    [O.records, `${one.access.records.length}`],
  ];
  return h("dl", {}, rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function waiting(turn, one) {
  const left = Math.floor((new Date(one.due) - Date.now()) / HOUR_MILLISECONDS);
  const isLate = one.access.emergency === "overdue" || left < 0;
  const review = (isJustified) => act(turn, () => node.submit(
    state.keys, place.consortium, KIND.reviewBreakGlass, accessReview(one.request, isJustified)), O.said, go("cases"));
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
  const isRight = one.access.emergency === "justified";
  return h("section", { class: isRight ? "card" : "card alert" }, h("h2", {}, isRight ? O.wasJustified : O.wasNot), facts(one));
}

open({
  name: "officer", offered: false, code: keyring.officerCode,
  texts: { title: O.title, welcome: O.welcome, welcomeText: O.welcomeText, open: C.open, unregistered: C.unregistered },
  entered: async (turn, all, isKept) => {
    [state.keys, state.isKept] = [all[0], isKept];
    await turn.of(node.cases(state.keys));
    return go("cases")(turn);
  },
});
