// Opened records as people read them: by section, allergies first, results with small plots; and what is not known.
import { arrange, bySection, conflicts, grouped, ofKind, sentence } from "./chart.js";
import { kindOf } from "./content.js";
import { KINDS, missingIn, statement } from "./known.js";
import { called } from "./names.js";
import { LINES_MAX, reading } from "./plain.js";
import { C, clock, date, K, moment, T } from "./texts.js";
import { pretty } from "./values.js";
import { busy, download, draw, h, hospitalName, place } from "./ui.js";

const ROWS_SHOWN = 12;
const JSON_SHOWN = 4000;
const ENDINGS = { pdf: "pdf", dicom: "dcm", png: "png", jpeg: "jpg", mp4: "mp4", file: "bin" };

/** What is known of one patient, for a page to show: `listed` are all the records that there are (null: not known),
 * `outcomes` what came of reading each, `asked` the hospitals whose records are listed, `without` those at which the person
 * has no account, `asOf` when the records were listed. */
export function knowledge({ listed, outcomes, asked, waiting, without, asOf }) {
  const items = arrange([...outcomes.values()].map((one) => ({ ...one, view: listed?.find((view) => view.record === one.view.record) ?? one.view })));
  const all = place.consortium.hospitals.map((one) => one.number);
  const statements = Object.fromEntries(KINDS.map((kind) =>
    [kind, statement(kind, { listed, outcomes, current: ofKind(items, kind), asked, all, waiting, without, asOf })]));
  return { items, statements, asOf, missing: (section) => missingIn(section, { listed, outcomes, waiting }) };
}

/** Sections of what is known; `actions` gives what can be done with a record. */
export function sections({ items, statements, missing, ...told }, actions = () => null, words = T.sections) {
  return bySection(items).map((one) => section(one, { said: statements[one.name], missing: missing(one.name), ...told }, actions, words[one.name])).filter(Boolean);
}

/** Medicines that clash with allergies, both standing. */
export function warnings({ items }, text) {
  const all = conflicts(items);
  if (all.length === 0) return [];
  const isGrave = all.some((pair) => pair.isGrave);
  return [h("section", { class: `card conflict ${isGrave ? "alert" : "warn"}`, role: "alert" }, h("h2", {}, C.conflict),
    all.map((pair) => h("p", { dir: "auto" }, sentence(pair))), text ? h("p", {}, text) : null)];
}

/** Records that could not be opened or are not what was anchored; null where all are right. */
export function faults(opened) {
  const faulty = opened.filter((one) => one.fault);
  return faulty.length ? h("section", { class: "card alert", id: "faults" }, h("ul", { class: "plain" }, faulty.map((one) =>
    h("li", {}, h("span", { class: "mark alert" }, T.unverifiable), ` ${hospitalName(one.view.hospital)}, `
      + `${date(one.view.time)}: ${T.faults[one.fault] ?? one.fault}`)))) : null;
}

// ---- What is known, and what is not

const names = (numbers) => numbers.map(hospitalName).join(", ");

const writerOf = (one) => (one.view.author ? called(one.view.author) : hospitalName(one.view.hospital));

/** Why something is not known, as a list. */
export const reasons = (gaps) => h("ul", {}, gaps.map((gap) => h("li", {}, K.reasons[gap.reason](gap.count, gap.why))));

/** What was refused, by reason, as a list: which categories, how many records of each, and why. */
export function refusalsOf({ refusals }) {
  const whys = [...new Set(refusals.map((one) => one.why))];
  const of = (why) => refusals.filter((one) => one.why === why).map((one) => K.countOf(T.categories[one.category] ?? one.category, one.count)).join(", ");
  return h("ul", {}, whys.map((why) => h("li", {}, K.refusedOf(of(why), why))));
}

/** The hospitals that were not asked, and those that could not be, in a sentence; empty where all were asked. */
export const othersOf = (said) => (said.asked.length === 0 && said.without.length === 0 ? K.othersUnknown
  : [said.others.length ? K.others(names(said.others)) : "", said.without.length ? K.noAccount(names(said.without)) : ""].filter(Boolean).join(" "));

/** When what there is was listed. A page that lists it again says so in the same place (`restamp`). */
export const asOf = (said) => (said.asOf ? [" ", h("span", { class: "quiet asOf" }, K.asOf(clock(said.asOf)))] : []);
export const restamp = (time) => {
  for (const one of document.querySelectorAll(".asOf")) one.textContent = K.asOf(clock(time));
};

/** What a section says before its records: what is not known, and why; that there are none, and who said so. */
export function known(said, hasApart = false) {
  const words = K.kinds[said.kind];
  // One record that is shown must not look like all that there are.
  const others = othersOf(said);
  const out = said.contradicting.map((one) => h("p", { class: "unknown contradiction" }, K.contradicts(one.shown.title, writerOf(one), dateOf(one))));
  if (said.state === "unknown") out.push(h("p", { class: "unknown" }, h("strong", {}, words.unknown), asOf(said)), reasons(said.gaps));
  if (said.state === "noneKnown") {
    out.push(...said.none.map((one) => h("p", { class: "quiet" }, K.saidBy(one.shown.title, writerOf(one), dateOf(one)), asOf(said))));
    if (!said.isAll) out.push(h("p", {}, words.otherwise(names(said.asked)), asOf(said)));
  }
  if (said.state === "noneRecorded") out.push(h("p", {}, (hasApart ? words.noneNow : words.none)(names(said.asked) || K.here), asOf(said)));
  if (said.state === "recorded" && said.gaps.length) out.push(h("p", { class: "unknown" }, h("strong", {}, words.more), asOf(said)), reasons(said.gaps));
  if (said.erased) out.push(h("p", { class: "quiet" }, K.erased(said.erased)));
  if (said.state !== "unknown" && said.isMoreInside && said.state !== "recorded") out.push(h("p", { class: "quiet" }, K.inside));
  if (others) out.push(h("p", { class: "quiet" }, others));
  return out;
}

/** That what a section shows may not be all. */
const more = (name, missing, told) => (missing.length
  ? h("div", { id: `more-${name}` }, h("p", { class: "unknown" }, h("strong", {}, K.more), asOf(told)), reasons(missing)) : null);

/** One line of what is known of allergies, for where it must not be overlooked. */
export const isUnknown = (said) => said.state === "unknown" || said.gaps.length > 0;

// ---- The whole of it

/** What stands beside everything else: what nobody may overlook. */
const BESIDE = new Set(["section-alert", "section-allergy", "section-problem", "section-medicine"]);

/** Sections as a workspace: on a wide screen allergies, problems and medicines beside the rest, bills last. A search among
 * the records stands above; `search` keeps what was typed. Alerts and allergies are never hidden. */
export function workspace(all, search) {
  const beside = all.filter((one) => BESIDE.has(one.id));
  const rest = all.filter((one) => !BESIDE.has(one.id));
  const frame = h("div", { class: "workspace" }, h("div", { class: "beside" }, beside), h("div", { class: "rest" }, rest));
  const found = h("p", { class: "quiet", role: "status" });
  const filter = () => {
    const words = search.text.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length) for (const more of frame.querySelectorAll("button.more")) more.click();
    let count = 0;
    for (const section of all) {
      if (["section-alert", "section-allergy"].includes(section.id)) continue;
      const rows = [...section.querySelectorAll(":scope > ul > li")];
      for (const row of rows) {
        row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
        if (!row.hidden) count += 1;
      }
      section.classList.toggle("sought", words.length > 0 && rows.every((row) => row.hidden));
    }
    found.textContent = words.length ? K.found(count) : "";
  };
  const input = h("input", { type: "search", id: "searchRecords", "aria-label": K.search, placeholder: K.search, value: search.text, oninput: () => {
    search.text = input.value;
    filter();
  } });
  if (search.text) filter();
  return [h("div", { class: "search" }, input, found), frame];
}

// ---- Sections

const rowsOf = (name, items, actions) => (name === "result" ? results(items, actions) : items.map((one) => row(one, actions)));

/** Rows, the first ones at once; all of them where none may be overlooked. */
function shortened(rows, isWhole = false) {
  const list = h("ul", { class: "plain" }, rows.slice(0, isWhole ? rows.length : ROWS_SHOWN));
  const rest = !isWhole && rows.length > ROWS_SHOWN ? h("button", { class: "second more", onclick: () => {
    list.replaceChildren(...rows);
    rest.remove();
  } }, T.more(rows.length)) : null;
  return [list, rest];
}

function section({ name, ...items }, { said, missing, ...told }, actions, title) {
  const stands = said ? [...said.items, ...(said.state === "recorded" ? said.none : [])] : items.current;
  const apart = ["past", "invalid", "replaced"].filter((state) => items[state].length);
  // What is said of another kind is shown, and says nothing of this one.
  const isAside = ["noneKnown", "unknown"].includes(said?.state) ? () => true : (one) => one.shown.absence === "elsewhere";
  const shown = [...stands, ...items.current.filter((one) => one.shown.absence && isAside(one))];
  if (!said && shown.length === 0 && apart.length === 0) return null;
  const tone = name === "alert" && shown.length ? " alert" : name !== "allergy" ? "" : said.items.length ? " alert" : said.state === "unknown" ? " warn" : "";
  return h("section", { class: `card${tone}`, id: `section-${name}` }, h("h2", {}, title),
    shown.length ? shortened(rowsOf(name, [...new Set(shown)], actions), ["alert", "allergy", "medicine"].includes(name)) : null, said ? known(said, apart.length > 0) : more(name, missing, told),
    apart.map((state) => h("details", { class: `apart ${state}`, "data-of": `${name} ${state}` }, h("summary", {}, T.standing[state](items[state].length)),
      shortened(items[state].map((one) => row(one, actions))))));
}

/** When it was, by the record; or when it was recorded, which is said. When a record came onto the ledger is no date of it. */
export function dateOf(one, isExact = false) {
  const { when } = one.shown;
  if (!when) return T.sinceOnLedger(date(one.view.time));
  const words = isExact ? when.exact ?? when.words : when.words;
  return when.isRecorded ? T.recordedOn(words) : words;
}

const mark = (one) => h("span", { class: `mark ${one.tone}` }, one.text);
const marks = (all) => (all.length ? h("span", { class: "marks" }, all.map(mark)) : null);

function row(one, actions) {
  const { shown } = one;
  const isForbidden = shown.isForbidden && one.stands === "current";
  const replaced = one.stands === "replaced" ? [{ tone: "warn", text: one.isNewerUnread ? T.newerUnread : T.superseded }] : [];
  const isResult = shown.section === "result";
  const when = h("span", { class: "quiet when" }, dateOf(one, isResult));
  const value = shown.value ? h(isResult ? "span" : "div", { class: "value", dir: "auto" }, shown.value) : null;
  return h("li", { class: `${isForbidden ? "forbidden" : one.stands}${isResult ? " result" : ""}` },
    h("div", { class: "row" }, h("strong", { dir: "auto" }, shown.title), isResult ? value : null, when),
    marks([...replaced, ...shown.marks]), isResult ? null : value, facts(shown), shown.attachments.map(attachment), details(one, actions));
}

/** What belongs to a value: its parts, and what was noted of it. */
const facts = (shown) => [
  shown.parts.length ? h("dl", { class: "parts" }, shown.parts.flatMap((part) => [h("dt", { dir: "auto" }, part.name),
    h("dd", { dir: "auto" }, part.value, " ", marks(part.marks), part.notes.length ? h("span", { class: "quiet" }, ` ${part.notes.join("; ")}`) : null)])) : null,
  shown.lines.map((line) => h("div", { dir: "auto" }, line)), shown.status ? h("div", { class: "quiet" }, shown.status) : null,
].flat();

/** What folds out of a record: all of it in words, where it comes from, and what can be done with it. It is made when
 * somebody wants to see it, for most is never seen. */
function details(one, actions) {
  const inside = h("div", {});
  const fill = () => {
    if (element.open && !inside.hasChildNodes()) inside.append(...folded(one, actions).flat().filter(Boolean));
  };
  const element = h("details", { "data-of": one.view.record, ontoggle: fill }, h("summary", {}, T.details), inside);
  return element;
}

function folded(one, actions) {
  const { view: entry } = one;
  const json = one.isInside ? "" : one.text && one.resource ? pretty(one.text) : one.text ?? "";
  return [
    one.file ? saving(one) : h("p", {}, h("span", { class: "mark good" }, T.verified), " ", T.verifiedText),
    one.resource ? whole(one) : null,
    h("dl", {}, Object.entries({
      [T.fields.hospital]: hospitalName(entry.hospital),
      [T.fields.author]: entry.author ? called(entry.author) : T.system,
      [T.fields.anchored]: moment(entry.time), [T.fields.record]: entry.record,
    }).flatMap(([term, text]) => [h("dt", {}, term), h("dd", {}, text)])),
    json ? h("details", {}, h("summary", {}, T.asWritten), h("pre", { class: "code" }, json.slice(0, JSON_SHOWN)),
      json.length > JSON_SHOWN ? h("p", { class: "quiet" }, T.cut) : null) : null,
    one.isInside ? h("p", { class: "quiet" }, T.insideFile) : null, ...[one.isInside ? null : actions(one)].flat(),
  ];
}

/** Every element of a record by its name. */
function whole(one) {
  const lines = reading(one.resource, one.find);
  return [h("dl", { class: "whole" }, lines.flatMap(({ name, words, depth }) => [h("dt", { class: `deep${Math.min(depth, 4)}` }, name), h("dd", { dir: "auto" }, words)])),
    lines.length >= LINES_MAX ? h("p", { class: "quiet" }, T.cut) : null];
}

/** How a file's name ends, by its first bytes. */
export const endingOf = async (blob) => ENDINGS[kindOf(new Uint8Array(await blob.slice(0, 256).arrayBuffer()))];

/** A document inside a record, which was held against its hash-lock with it. */
function attachment(one) {
  if (!one.data) return h("div", {}, one.title, one.type ? ` (${one.type})` : "");
  const save = async () => {
    let bytes;
    try {
      bytes = Uint8Array.from(atob(one.data), (letter) => letter.charCodeAt(0));
    } catch {
      return answer.replaceChildren(T.attachmentDamaged);
    }
    const blob = new Blob([bytes]);
    return download(blob, `${one.title.replace(/[^\p{L}\p{N} ._-]/gu, "_").slice(0, 60)}.${one.type === "text/plain" ? "txt" : await endingOf(blob)}`);
  };
  const answer = h("p", { class: "quiet", role: "status" });
  return h("div", {}, h("button", { class: "second", onclick: save }, T.saveAttachment(one.title)), answer);
}

/** A file: it is opened, held against its hash-lock, and only then saved. */
function saving(one) {
  const answer = h("p", { class: "quiet", role: "status" });
  const save = async () => {
    try {
      const { blob } = await one.file.open((done) => { answer.textContent = T.opening(T.size(done), T.size(one.file.size)); });
      download(blob, `${one.view.record.slice(0, 8)}.${await endingOf(blob)}`);
      answer.textContent = T.fileSaved;
    } catch (error) {
      answer.textContent = T.faults[error.message] ?? error.message;
    }
  };
  const button = h("button", { class: "second save", onclick: () => busy(button, save) }, T.save);
  return h("div", {}, h("p", {}, button), answer);
}

// ---- Results

/** Results of one kind in one row, with a small plot for each unit where they are numbers. */
function results(items, actions) {
  return [...grouped(items)].sort((a, b) => loudness(a.items[0]) - loudness(b.items[0])).map(({ items: group, plots }) => (group.length === 1 ? row(group[0], actions)
    : many(group, plots.map(({ points }) => plot(group[0].shown.title, points)), actions)));
}

/** What must be seen first: critical values, then those that are out of range, then the newest. */
const loudness = ({ shown }) => (shown.marks.some((one) => one.tone === "alert") ? 0 : shown.marks.some((one) => one.tone === "warn") ? 1 : 2);

function many(group, pictures, actions) {
  const [last] = group;
  const { shown } = last;
  return h("li", { class: "result" }, h("div", { class: "row" }, h("strong", { dir: "auto" }, shown.title), shown.value ? h("span", { class: "value" }, shown.value) : null,
    pictures, h("span", { class: "quiet when" }, dateOf(last, true))),
  marks(shown.marks), facts(shown),
  h("details", { "data-of": `${shown.kind} values` }, h("summary", {}, T.values(group.length)),
    h("ul", { class: "plain" }, group.map((one) => row(one, actions)))));
}

/** The usual range behind a plot, as far as the plot reaches. */
function rangeOf({ low = -Infinity, high = Infinity }, least, most, at) {
  const place = (value) => 27 - Math.min(27, Math.max(-3, at(Math.min(most, Math.max(least, value)))));
  const [top, bottom] = [high >= most ? 0 : place(high), low <= least ? 30 : place(low)];
  return draw("rect", { class: "band", x: 0, width: 100, y: top.toFixed(1), height: Math.max(0, bottom - top).toFixed(1) });
}

function plot(name, points) {
  const times = points.map((one) => one.shown.order);
  const values = points.map((one) => one.shown.number);
  const scale = (list, size) => {
    const [low, high] = [Math.min(...list), Math.max(...list)];
    return (value) => (high === low ? size / 2 : ((value - low) / (high - low)) * size);
  };
  const [atTime, atValue] = [scale(times, 100), scale(values, 24)];
  const [x, y] = [times.map(atTime), values.map((value) => 27 - atValue(value))];
  const usual = points.at(-1).shown.band;
  const label = T.plot(name, points.length, points[0].shown.value, points.at(-1).shown.value);
  const places = x.map((at, index) => `${at.toFixed(1)},${y[index].toFixed(1)}`).join(" ");
  return draw("svg", { class: "plot", viewBox: "0 0 100 30", role: "img", "aria-label": label, preserveAspectRatio: "none" },
    ...(usual ? [rangeOf(usual, Math.min(...values), Math.max(...values), atValue)] : []), draw("polyline", { points: places }));
}
