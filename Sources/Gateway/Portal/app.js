// The patient's pages: views over what node.js fetches and keys.js opens. Everything shown is set as text, never as HTML.
import { canonical } from "./canonical.js";
import { hex, sha256, utf8 } from "./crypto.js";
import { describe, ORDER } from "./fhir.js";
import * as keyring from "./keys.js";
import * as node from "./node.js";
import { date, moment, T } from "./texts.js";
import { CATEGORIES, consentGrant, consentRevocation, KIND, PURPOSES, unhexDigest } from "./wire.js";

const ROWS_SHOWN = 12;
const POLL_MILLISECONDS = 4000;

/** What the page knows: the consortium, the keys of each pseudonym that it shows, and what was opened. */
const state = { consortium: null, all: [], isKept: false, tab: "records", opened: null };
let timer = null;

/** An element with properties and children; strings become text. */
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "class") element.className = value;
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const main = () => document.getElementById("main");
const show = (...children) => main().replaceChildren(...children);
const say = (text) => {
  document.getElementById("said").textContent = text;
  setTimeout(() => { document.getElementById("said").textContent = ""; }, 4000);
};
const own = () => state.all[0];
const hospitalName = (number) => state.consortium.hospitals.find((one) => one.number === number)?.name ?? `${number}`;
const waiting = () => h("p", { class: "card waiting" }, T.loading);

/** What went wrong, and a way to try again. */
function problem(error, again) {
  const text = error.code === "unreachable" ? T.unreachable : error.message;
  return h("div", { class: "card alert", role: "alert" }, h("h2", {}, T.problem), h("p", {}, text),
    error.remedy ? h("p", { class: "quiet" }, error.remedy) : null,
    again ? h("button", { class: "second", onclick: again }, T.again) : null);
}

/** Runs a view; what it throws is shown with a way to try again. */
async function view(make) {
  clearInterval(timer);
  show(waiting());
  try {
    show(...[await make()].flat());
  } catch (error) {
    show(problem(error, () => view(make)));
  }
}

// ---- Coming in

async function start() {
  if (!globalThis.isSecureContext) return show(problem(new Error(T.insecure)));
  await view(async () => {
    state.consortium = await node.consortium();
    const name = hospitalName(state.consortium.own);
    document.getElementById("hospital").textContent = name;
    document.title = T.title(name);
    const all = await keyring.kept();
    if (all?.[0]?.network !== state.consortium.network) return welcome();
    [state.all, state.isKept] = [all, true];
    return enter();
  });
}

function welcome() {
  const words = h("textarea", { id: "words", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const keep = h("input", { type: "checkbox", id: "keep" });
  const others = h("input", { type: "checkbox", id: "others" });
  const fault = h("p", { class: "quiet", role: "alert" });
  const open = async () => {
    fault.textContent = "";
    try {
      const entropy = await keyring.entropyOf(words.value, await node.wordList());
      words.value = "";
      await take(entropy, others.checked, keep.checked);
    } catch (error) {
      if (error instanceof keyring.PhraseFault) fault.textContent = T.phrase[error.kind](error.place);
      else if (error.name === "NotSupportedError") fault.textContent = T.unsupported;
      else throw error;
    }
  };
  return [
    h("h1", {}, T.welcome), h("p", {}, T.welcomeText),
    h("section", { class: "card" }, h("h2", {}, T.haveWords), h("label", { for: "words" }, T.wordsLabel), words,
      h("label", { class: "check" }, keep, T.keepHere), h("label", { class: "check" }, others, T.alsoOthers), fault,
      h("button", { id: "open", onclick: () => open().catch((error) => show(problem(error, start))) }, T.openRecords)),
    h("section", { class: "card" }, h("h2", {}, T.newHere), h("p", {}, T.newText),
      h("button", { class: "second", id: "new", onclick: () => view(newWords) }, T.makeWords)),
  ];
}

async function newWords() {
  const entropy = crypto.getRandomValues(new Uint8Array(32));
  const words = await keyring.phraseOf(entropy, await node.wordList());
  const button = h("button", { disabled: true, id: "goOn", onclick: () => take(entropy, false, false) }, T.goOn);
  const written = h("input", { type: "checkbox", id: "written", onchange: () => { button.disabled = !written.checked; } });
  return [h("h1", {}, T.yourWords), h("div", { class: "card" }, h("p", {}, T.newText),
    h("ol", { class: "words" }, words.map((word) => h("li", {}, word))),
    h("label", { class: "check" }, written, T.writtenDown), button)];
}

/** Makes the keys: of this hospital's pseudonym, and of the others' where the patient wants it. */
async function take(entropy, withOthers, isKept) {
  const { network, own: first, hospitals } = state.consortium;
  const numbers = [first, ...hospitals.map((one) => one.number).filter((number) => withOthers && number !== first)];
  state.all = await Promise.all(numbers.map((number) => keyring.deriveKeys(entropy, network, number)));
  entropy.fill(0);
  state.isKept = isKept;
  if (isKept) await keyring.keep(state.all);
  await view(enter);
}

async function enter() {
  try {
    await node.account(own());
  } catch (error) {
    if (error.code !== "not-found") throw error;
    return unregistered();
  }
  return tabs("records");
}

function unregistered() {
  const code = keyring.registrationCode(own());
  timer = setInterval(async () => {
    if (await node.account(own()).catch(() => null)) await view(enter);
  }, POLL_MILLISECONDS);
  return [h("h1", {}, T.unregistered), h("div", { class: "card" },
    h("p", {}, T.unregisteredText(hospitalName(own().hospital))), h("code", { class: "code", id: "code" }, code),
    h("p", {}, h("button", { class: "second", onclick: async () => {
      await navigator.clipboard.writeText(code);
      say(T.copied);
    } }, T.copy)))];
}

const VIEWS = { records, history, sharing, check, leave };

function tabs(current) {
  state.tab = current;
  const bar = document.getElementById("tabs");
  bar.hidden = false;
  bar.replaceChildren(...Object.keys(VIEWS).map((name) =>
    h("button", { id: `tab-${name}`, "aria-current": name === current ? "page" : null, onclick: () => {
      view(async () => tabs(name)).then(() => main().focus());
    } }, T.tabs[name])));
  return VIEWS[current]();
}

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
      else found.push({ keys, view: one, ...(await node.open(keys, one, sealed.get(one.record))) });
    }
  }
  for (const one of found) {
    if (!one.text) continue;
    one.resource = JSON.parse(one.text);
    one.shown = describe(one.resource);
  }
  state.opened = found;
  return found;
}

async function records() {
  const all = await openAll();
  const live = all.filter((one) => one.shown);
  const faulty = all.filter((one) => one.fault);
  const sections = ORDER.map((name) => [name, live.filter((one) => one.shown.section === name)
    .sort((a, b) => (b.shown.when ?? b.view.time).localeCompare(a.shown.when ?? a.view.time))]);
  const erased = all.filter((one) => one.view.erased).length;
  return [
    h("h1", {}, T.tabs.records),
    all.length === 0 ? h("p", { class: "card" }, T.noRecords) : null,
    faulty.length ? h("section", { class: "card alert" }, h("ul", { class: "plain" }, faulty.map((one) =>
      h("li", {}, h("span", { class: "mark alert" }, T.unverifiable), ` ${hospitalName(one.view.hospital)}, `
        + `${date(one.view.time)}: ${T.faults[one.fault]}`)))) : null,
    ...sections.map(([name, items]) => section(name, items)),
    erased ? h("p", { class: "quiet" }, T.erasedCount(erased)) : null,
  ].filter(Boolean);
}

function section(name, items) {
  if (items.length === 0 && name !== "allergy") return null;
  const rows = name === "result" ? results(items) : items.map(row);
  const list = h("ul", { class: "plain" }, rows.slice(0, ROWS_SHOWN));
  const rest = rows.length > ROWS_SHOWN ? h("button", { class: "second", onclick: () => {
    list.replaceChildren(...rows);
    rest.remove();
  } }, T.more(rows.length)) : null;
  return h("section", { class: name === "allergy" && items.length ? "card alert" : "card", id: `section-${name}` },
    h("h2", {}, T.sections[name]), items.length ? list : h("p", {}, T.noAllergies), rest);
}

function row({ keys, view: entry, shown, resource }) {
  const facts = [shown.value, shown.status, shown.severity, ...shown.reactions].filter(Boolean).join(", ");
  return h("li", {},
    h("div", { class: "row" }, h("strong", {}, shown.title), h("span", { class: "quiet" }, date(shown.when ?? entry.time))),
    facts ? h("div", {}, facts) : null,
    entry.supersededBy ? h("span", { class: "mark warn" }, T.superseded) : null,
    h("details", {}, h("summary", {}, T.details),
      h("p", {}, h("span", { class: "mark good" }, T.verified), " ", T.verifiedText),
      h("dl", {}, Object.entries({
        [T.fields.hospital]: hospitalName(entry.hospital),
        [T.fields.author]: entry.author ? T.clinician(entry.author) : T.system,
        [T.fields.anchored]: moment(entry.time), [T.fields.record]: entry.record,
      }).flatMap(([term, text]) => [h("dt", {}, term), h("dd", {}, text)])),
      h("pre", { class: "code" }, JSON.stringify(resource, null, 1).slice(0, 4000)),
      keys.hospital === state.consortium.own ? h("button", { class: "danger", onclick: () => erase(keys, entry) }, T.erase) : null));
}

async function erase(keys, entry) {
  if (!confirm(T.eraseSure)) return;
  await act(() => node.submit(keys, state.consortium, KIND.eraseRecord, unhexDigest(entry.record)), T.erased, "records");
}

/** Results of one kind in one row, with a small plot where they are numbers. */
function results(items) {
  const kinds = Map.groupBy(items, (one) => one.shown.title);
  return [...kinds.values()].map((group) => {
    const numbers = group.filter((one) => one.shown.number !== undefined && one.shown.when).reverse();
    if (group.length === 1 || numbers.length < 2) return group.length === 1 ? row(group[0]) : many(group, null);
    return many(group, plot(group[0].shown.title, numbers));
  });
}

function many(group, picture) {
  const [last] = group;
  return h("li", {}, h("div", { class: "row" }, h("strong", {}, last.shown.title), picture,
    h("span", {}, `${last.shown.value ?? ""} `, h("span", { class: "quiet" }, date(last.shown.when ?? last.view.time)))),
  h("details", {}, h("summary", {}, T.values(group.length)), h("ul", { class: "plain" }, group.map(row))));
}

function plot(name, points) {
  const space = "http://www.w3.org/2000/svg";
  const times = points.map((one) => Date.parse(one.shown.when));
  const values = points.map((one) => one.shown.number);
  const scale = (list, size) => {
    const [low, high] = [Math.min(...list), Math.max(...list)];
    return list.map((value) => (high === low ? size / 2 : ((value - low) / (high - low)) * size));
  };
  const [x, y] = [scale(times, 100), scale(values, 24).map((value) => 27 - value)];
  const svg = document.createElementNS(space, "svg");
  const label = T.plot(name, points.length, points[0].shown.value, points.at(-1).shown.value);
  for (const [key, value] of [["class", "plot"], ["viewBox", "0 0 100 30"], ["role", "img"], ["aria-label", label],
    ["preserveAspectRatio", "none"]]) svg.setAttribute(key, value);
  const line = document.createElementNS(space, "polyline");
  line.setAttribute("points", x.map((at, index) => `${at.toFixed(1)},${y[index].toFixed(1)}`).join(" "));
  svg.append(line);
  return svg;
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
  timer = setInterval(() => { if (!document.hidden) fill().catch(() => {}); }, POLL_MILLISECONDS);
  return [h("h1", {}, T.tabs.history), h("p", {}, T.historyText), h("div", { class: "card" }, list)];
}

function access(one) {
  const why = one.purpose.split(",").map((code) => T.purposes[code] ?? code).join(", ");
  return h("li", {},
    h("div", { class: "row" }, h("span", {}, `${T.asked(hospitalName(one.hospital), one.records.length)} ${why}: `,
      h("span", { class: `mark ${one.granted ? "good" : "alert"}` }, one.granted ? T.allowed : T.refused)),
    h("span", { class: "quiet" }, moment(one.time))),
    one.emergency !== "none" ? h("p", { class: "card warn" }, T.emergency[one.emergency]) : null,
    h("p", { class: "quiet" }, T.reader(one.reader),
      one.granted ? (one.releasedBy.length ? ` ${T.released(one.releasedBy.map(hospitalName).join(", "))}` : "") : ` ${one.outcome}`));
}

// ---- Sharing

async function sharing() {
  const all = await node.consents(own());
  return [h("h1", {}, T.tabs.sharing), h("p", {}, T.sharingText),
    h("div", { class: "card" }, all.length ? h("ul", { class: "plain", id: "consents" }, all.reverse().map(consent))
      : h("p", {}, T.sharingEmpty)), form()];
}

function consent(one) {
  const [kind, id] = one.grantee.split(" ");
  const who = kind === "hospital" ? T.hospitalStaff(hospitalName(Number(id)))
    : kind === "account" ? T.person(id) : one.grantee;
  const what = one.scope === "all records" ? T.everything
    : one.scope.split(", ").map((name) => T.categories[name] ?? name).join(", ");
  const why = one.purposes.length === Object.keys(PURPOSES).length ? T.anyReason
    : one.purposes.map((code) => T.purposes[code] ?? code).join(", ");
  const until = one.until.startsWith("20") ? date(one.until) : T.noEnd;
  const isOver = one.until.startsWith("20") && Date.parse(one.until) < Date.now();
  const sentence = (one.kind === "denial" ? T.mayNot : T.may)(who, what, why, until);
  const mark = one.revoked ? ["warn", T.revoked(date(one.revoked))] : isOver ? ["warn", T.expired] : ["good", T.active];
  return h("li", {}, h("p", {}, sentence), h("div", { class: "row" }, h("span", { class: `mark ${mark[0]}` }, mark[1]),
    one.uses ? h("span", { class: "quiet" }, T.used(one.uses)) : null,
    one.revoked || isOver ? null : h("button", { class: "danger", onclick: () => act(() =>
      node.submit(own(), state.consortium, KIND.revokeConsent, consentRevocation(own().account, one.consent)), T.taken,
    "sharing") }, T.revoke)));
}

/** Checkboxes in a frame; `values` gives the ones that are ticked. */
function choices(legend, names, ticked) {
  const boxes = Object.entries(names).map(([value, label]) => [
    h("input", { type: "checkbox", value, checked: ticked(value) }), label]);
  const frame = h("fieldset", {}, h("legend", {}, legend), boxes.map(([box, label]) => h("label", { class: "check" }, box, label)));
  return { frame, values: () => boxes.filter(([box]) => box.checked).map(([box]) => box.value) };
}

function form() {
  const account = h("input", { type: "text", id: "account", autocomplete: "off" });
  const accountLine = h("div", { hidden: true }, h("label", { for: "account" }, T.accountLabel), account);
  const who = h("select", { id: "who", onchange: () => { accountLine.hidden = who.value !== ""; } },
    state.consortium.hospitals.map((one) => h("option", { value: one.number }, T.hospitalChoice(one.name))),
    h("option", { value: "" }, T.accountChoice));
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
    const wrong = who.value === "" && !/^[0-9a-f]{64}$/.test(account.value.trim()) ? T.accountWrong
      : chosen.length === 0 ? T.what1 : why.values().length === 0 ? T.why1 : end && end < Date.now() ? T.untilPast : "";
    fault.textContent = wrong;
    if (wrong) return;
    await act(() => node.submit(own(), state.consortium, KIND.grantConsent, consentGrant({
      patient: own().account, isDenial: kind.value === "denial",
      grantee: who.value === "" ? { account: account.value.trim() } : { hospital: Number(who.value) },
      categories: chosen.length === CATEGORIES.length ? null : chosen, purposes: why.values(), until: end,
    })), T.given, "sharing");
  };
  return h("section", { class: "card" }, h("h2", {}, T.newConsent), kind, h("label", { for: "who" }, T.who), who, accountLine,
    what.frame, why.frame, h("label", { for: "until" }, T.untilLabel), until, fault,
    h("p", {}, h("button", { id: "give", onclick: give }, T.give)));
}

/** Does something, says that it is done, and shows a page anew. */
async function act(work, done, tab) {
  try {
    await work();
  } catch (error) {
    return show(problem(error, () => view(async () => tabs(tab))));
  }
  say(done);
  return view(async () => tabs(tab));
}

// ---- Checking a file

async function check() {
  const all = state.opened ?? (await openAll());
  const answer = h("div", { role: "status", id: "verdict" });
  const judge = async (file) => {
    const tell = (kind, title, ...texts) => answer.replaceChildren(
      h("div", { class: `card ${kind}` }, h("h2", {}, title), texts.map((text) => h("p", {}, text))));
    let bytes;
    try {
      bytes = utf8(canonical(await file.text()));
    } catch {
      return tell("alert", T.notAuthentic, T.notJSON);
    }
    for (const one of all.filter((item) => item.salt)) {
      if (hex(await sha256(utf8("consilium/record/v1\0"), one.salt, bytes)) !== one.view.hashLock) continue;
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
  return [h("h1", {}, T.tabs.check), h("p", {}, T.checkText), zone, answer];
}

// ---- Keys

async function leave() {
  const save = async () => {
    const all = (state.opened ?? (await openAll())).filter((one) => one.text);
    const entries = all.map((one) => `{"resource":${one.text}}`).join(",\n");
    const file = new Blob([`{"resourceType":"Bundle","type":"collection","entry":[\n${entries}\n]}\n`], { type: "application/fhir+json" });
    const link = h("a", { href: URL.createObjectURL(file), download: "my-records.json" });
    link.click();
    URL.revokeObjectURL(link.href);
    say(T.exported(all.length));
  };
  return [h("h1", {}, T.tabs.leave), h("div", { class: "card" }, h("p", {}, T.leaveText, state.isKept ? ` ${T.keptText}` : ""),
    h("p", {}, h("button", { class: "danger", id: "lock", onclick: async () => {
      await keyring.forget();
      location.reload();
    } }, T.lock))),
  h("div", { class: "card" }, h("p", {}, T.exportText), h("button", { class: "second", id: "export", onclick: save }, T.export))];
}

start();
