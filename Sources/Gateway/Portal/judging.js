// What is held against the chart before it is signed: a prescription against allergies, what must not be taken, and what is
// taken now, with what that comparison is worth; and that no allergy is known, against those that are.
import { besides, comparable, conflictsOf, isMedicineKnown, sentence } from "./chart.js";
import { isUnknown, othersOf, reasons } from "./sections.js";
import { C, clock, K } from "./texts.js";
import { h } from "./ui.js";

/** What is said beside what somebody writes, {lines}, and what it is signed `against`, in sentences: for those a reason is needed. */
export function judgement(draft, known) {
  if (draft.kind === "noAllergy") return ofNone(known.statements.allergy);
  if (draft.kind !== "prescription") return { lines: [], against: [] };
  const { allergy, medicine } = known.statements;
  const pairs = conflictsOf(draft.title, known.items, draft.replaces);
  const ofAllergies = pairs.filter((pair) => pair.allergy !== undefined);
  const isUnknownNow = isUnknown(allergy);
  return {
    against: [...pairs.filter((pair) => pair.isGrave).map(sentence), ...(isUnknownNow ? [C.unknownAllergies] : [])],
    lines: [
      ...[...pairs].sort((a, b) => Number(b.isGrave) - Number(a.isGrave)).map((pair) => h("p", { class: pair.isGrave ? "card alert" : "card warn" }, h("strong", {}, sentence(pair)))),
      isUnknownNow ? h("div", { class: "card alert", id: "unknownAllergies" }, h("strong", {}, C.unknownAllergies), reasons(allergy.gaps)) : null,
      isUnknown(medicine) ? h("div", { class: "card warn", id: "unknownMedicines" }, h("strong", {}, C.unknownMedicines), reasons(medicine.gaps)) : null,
      ...compared(draft.title.trim(), ofAllergies, known, isUnknownNow), ...comparedBeside(draft, pairs, known),
    ].filter(Boolean),
  };
}

/** That no allergy is known is signed against those that are recorded, and against what nobody has read. */
function ofNone(allergy) {
  const against = [allergy.items.length ? C.thereAre(allergy.items.map((one) => one.shown.title).join(", ")) : "", isUnknown(allergy) ? C.noneUnread : ""].filter(Boolean);
  return { against, lines: against.map((words) => h("p", { class: "card alert" }, h("strong", {}, words))) };
}

/** What the comparison with allergies is worth: what could not be compared comes before that nothing was found. */
function compared(medicine, pairs, { items, statements }, isUnknownNow) {
  const { count, unknown } = comparable(items);
  // An allergy that clashes by its words alone was compared.
  const left = unknown.filter((name) => !pairs.some((pair) => pair.allergy === name));
  const rest = count - left.length;
  const isWorthLess = medicine && count > 0;
  const nothing = count === 0 ? C.compared(0) : !medicine || rest === 0 ? "" : left.length ? C.comparedRest(rest) : C.compared(count);
  return [
    isWorthLess && left.length ? h("p", { class: "card warn", id: "notComparable" }, h("strong", {}, C.notComparable(left.join(", ")))) : null,
    isWorthLess && !pairs.length && !isMedicineKnown(medicine) ? h("p", { class: "card warn", id: "medicineUnknown" }, h("strong", {}, C.comparedWords)) : null,
    !pairs.length && !isUnknownNow ? h("p", { class: "quiet" }, nothing, " ", K.asOf(clock(statements.allergy.asOf)), " ", othersOf(statements.allergy)) : null,
  ];
}

/** What the comparison with the medicines that are taken now is worth. */
function comparedBeside({ title, replaces }, pairs, { items, statements }) {
  const { count, isListed } = besides(title, items, replaces);
  if (!title.trim() || count === 0 || isUnknown(statements.medicine)) return [];
  if (!isListed) return [h("p", { class: "quiet", id: "notListed" }, C.notListed(count))];
  return pairs.some((pair) => pair.level === "together") ? [] : [h("p", { class: "quiet" }, C.comparedBeside(count))];
}
