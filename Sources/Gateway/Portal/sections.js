// Opened records as people read them: by section, allergies first, results with small plots.
import { describe, ORDER, parsed } from "./fhir.js";
import { kindOf } from "./content.js";
import { date, moment, T } from "./texts.js";
import { download, draw, h, hospitalName } from "./ui.js";

const ROWS_SHOWN = 12;
const ENDINGS = { pdf: "pdf", dicom: "dcm", png: "png", jpeg: "jpg", mp4: "mp4", file: "bin" };

/** Sections of opened records, each `{view, text, …}`; `actions` gives what can be done with one. */
export function sections(opened, actions = () => null, words = T.sections) {
  const live = opened.filter((one) => one.text || one.file).map((one) => {
    if (one.file) return { ...one, shown: { section: "document", title: T.files[one.file.kind], value: T.size(one.file.size), reactions: [] } };
    const resource = parsed(one.text);
    return { ...one, resource, shown: describe(resource) };
  });
  return ORDER.map((name) => {
    const items = live.filter((one) => one.shown.section === name)
      .sort((a, b) => (b.shown.when ?? b.view.time).localeCompare(a.shown.when ?? a.view.time));
    return section(name, items, actions, words[name]);
  }).filter(Boolean);
}

/** Records that could not be opened or are not what was anchored; null where all are right. */
export function faults(opened) {
  const faulty = opened.filter((one) => one.fault);
  return faulty.length ? h("section", { class: "card alert" }, h("ul", { class: "plain" }, faulty.map((one) =>
    h("li", {}, h("span", { class: "mark alert" }, T.unverifiable), ` ${hospitalName(one.view.hospital)}, `
      + `${date(one.view.time)}: ${T.faults[one.fault] ?? one.fault}`)))) : null;
}

function section(name, items, actions, title) {
  if (items.length === 0 && name !== "allergy") return null;
  const rows = name === "result" ? results(items, actions) : items.map((one) => row(one, actions));
  const list = h("ul", { class: "plain" }, rows.slice(0, ROWS_SHOWN));
  const rest = rows.length > ROWS_SHOWN ? h("button", { class: "second", onclick: () => {
    list.replaceChildren(...rows);
    rest.remove();
  } }, T.more(rows.length)) : null;
  return h("section", { class: name === "allergy" && items.length ? "card alert" : "card", id: `section-${name}` },
    h("h2", {}, title), items.length ? list : h("p", {}, T.noAllergies), rest);
}

function row(one, actions) {
  const { view: entry, shown, resource } = one;
  const facts = [shown.value, shown.status, shown.severity, ...shown.reactions].filter(Boolean).join(", ");
  return h("li", {},
    h("div", { class: "row" }, h("strong", {}, shown.title), h("span", { class: "quiet" }, date(shown.when ?? entry.time))),
    facts ? h("div", {}, facts) : null,
    entry.supersededBy ? h("span", { class: "mark warn" }, T.superseded) : null,
    h("details", {}, h("summary", {}, T.details),
      one.file ? saving(one) : h("p", {}, h("span", { class: "mark good" }, T.verified), " ", T.verifiedText),
      h("dl", {}, Object.entries({
        [T.fields.hospital]: hospitalName(entry.hospital),
        [T.fields.author]: entry.author ? T.clinician(entry.author) : T.system,
        [T.fields.anchored]: moment(entry.time), [T.fields.record]: entry.record,
      }).flatMap(([term, text]) => [h("dt", {}, term), h("dd", {}, text)])),
      resource ? h("pre", { class: "code" }, JSON.stringify(resource, null, 1).slice(0, 4000)) : null,
      ...[actions(one)].flat().filter(Boolean)));
}

/** How a file's name ends, by its first bytes. */
export const endingOf = async (blob) => ENDINGS[kindOf(new Uint8Array(await blob.slice(0, 256).arrayBuffer()))];

/** A file: it is opened, held against its hash-lock, and only then saved. */
function saving(one) {
  const answer = h("p", { class: "quiet", role: "status" });
  const save = async () => {
    button.disabled = true;
    try {
      const { blob } = await one.file.open((done) => { answer.textContent = T.opening(T.size(done), T.size(one.file.size)); });
      download(blob, `${one.view.record.slice(0, 8)}.${await endingOf(blob)}`);
      answer.textContent = T.fileSaved;
    } catch (error) {
      answer.textContent = T.faults[error.message] ?? error.message;
    }
    button.disabled = false;
  };
  const button = h("button", { class: "second save", onclick: save }, T.save);
  return h("div", {}, h("p", {}, button), answer);
}

/** Results of one kind in one row, with a small plot where they are numbers. */
function results(items, actions) {
  const kinds = Map.groupBy(items, (one) => one.shown.title);
  return [...kinds.values()].map((group) => {
    const numbers = group.filter((one) => one.shown.number !== undefined && one.shown.when).reverse();
    if (group.length === 1) return row(group[0], actions);
    return many(group, numbers.length < 2 ? null : plot(group[0].shown.title, numbers), actions);
  });
}

function many(group, picture, actions) {
  const [last] = group;
  return h("li", {}, h("div", { class: "row" }, h("strong", {}, last.shown.title), picture,
    h("span", {}, `${last.shown.value ?? ""} `, h("span", { class: "quiet" }, date(last.shown.when ?? last.view.time)))),
  h("details", {}, h("summary", {}, T.values(group.length)),
    h("ul", { class: "plain" }, group.map((one) => row(one, actions)))));
}

function plot(name, points) {
  const times = points.map((one) => Date.parse(one.shown.when));
  const values = points.map((one) => one.shown.number);
  const scale = (list, size) => {
    const [low, high] = [Math.min(...list), Math.max(...list)];
    return list.map((value) => (high === low ? size / 2 : ((value - low) / (high - low)) * size));
  };
  const [x, y] = [scale(times, 100), scale(values, 24).map((value) => 27 - value)];
  const label = T.plot(name, points.length, points[0].shown.value, points.at(-1).shown.value);
  const places = x.map((at, index) => `${at.toFixed(1)},${y[index].toFixed(1)}`).join(" ");
  return draw("svg", { class: "plot", viewBox: "0 0 100 30", role: "img", "aria-label": label, preserveAspectRatio: "none" },
    draw("polyline", { points: places }));
}
