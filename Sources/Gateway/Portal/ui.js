// What both pages are made of. Everything shown is set as text, never as HTML.
import { LANGUAGE, languages, speak, T } from "./texts.js";
import { run, Turn } from "./turns.js";

/** An element with properties and children; strings become text. */
export function h(tag, properties = {}, ...children) {
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

/** A drawing's element, with its attributes and children. */
export function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Replaces what an element holds; what somebody has opened in it stays open, by its `data-of`,
 * and whoever types in it goes on. */
export function redraw(element, ...children) {
  const opened = new Set([...element.querySelectorAll("details[open]")].map((one) => one.dataset.of));
  const typing = element.contains(document.activeElement) ? document.activeElement.id : "";
  element.replaceChildren(...children);
  for (const one of element.querySelectorAll("details[data-of]")) if (opened.has(one.dataset.of)) one.open = true;
  if (typing) document.getElementById(typing)?.focus({ preventScroll: true });
}

export const main = () => document.getElementById("main");
export const show = (...children) => main().replaceChildren(...children);

const SAID_MILLISECONDS = 6000;
let saying = null;
export const say = (text) => {
  clearTimeout(saying);
  document.getElementById("said").textContent = text;
  saying = setTimeout(() => { document.getElementById("said").textContent = ""; }, SAID_MILLISECONDS);
};

const DOWNLOAD_MILLISECONDS = 60_000;
/** Saves something as a file. */
export function download(blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), DOWNLOAD_MILLISECONDS);
}

/** The consortium, once it is known. */
export const place = { consortium: null };
export const hospitalName = (number) =>
  place.consortium.hospitals.find((one) => one.number === number)?.name ?? `${number}`;

/** That something failed; or, where nobody knows whether it did, that. */
export const failed = (error) => (error.isUnknown ? T.unsure : T.problem);

/** What went wrong, and a way to try again. */
export function problem(error, again) {
  const text = error.code === "unreachable" ? T.unreachable : error.message;
  return h("div", { class: "card alert", role: "alert" }, h("h2", {}, failed(error)), h("p", {}, text),
    error.isUnknown ? h("p", {}, T.unsureText) : error.remedy ? h("p", { class: "quiet" }, error.remedy) : null,
    again ? h("button", { class: "second", onclick: again }, T.again) : null);
}

/** Does something again and again while a turn lasts, never twice at once. */
export function every(turn, milliseconds, work) {
  let isRunning = false;
  const timer = setInterval(() => {
    if (isRunning) return;
    isRunning = true;
    run(work, () => {}).finally(() => { isRunning = false; });
  }, milliseconds);
  turn.signal.addEventListener("abort", () => clearInterval(timer), { once: true });
}

let now = new Turn();
let isOpened = false;

/** Shows a view, which is made in a turn of its own: `make(turn)` gives its elements. The turn ends when another view
 * begins; what a view still waits for then is never shown. What it throws is shown with a way to try again. A view that
 * `isSame` as the one that is shown stays where somebody reads it until it is made anew. */
export async function view(make, isSame = false) {
  now.end();
  const turn = new Turn();
  now = turn;
  const top = isSame ? globalThis.scrollY : 0;
  if (!isSame) {
    main().classList.remove("wide");
    show(h("p", { class: "card waiting" }, T.loading));
  }
  await run(async () => {
    const made = await turn.of(make(turn));
    show(...[made].flat().filter(Boolean));
    // Whoever reads by keyboard or ear goes on here, and does not begin at the browser's own bar; a page that was just
    // opened begins at its beginning.
    if (isOpened && document.activeElement === document.body) main().focus({ preventScroll: true });
    isOpened = true;
    if (isSame) globalThis.scrollTo(0, top);
  }, (error) => show(problem(error, () => view(make))));
}

/** Does something that counts whatever is shown when it is done: that is said. The view is shown again where its turn lasts. */
export async function act(turn, work, done, make) {
  let said;
  try {
    said = await work();
  } catch (error) {
    if (!turn.isOver) return show(problem(error, () => view(make)));
    return say(`${failed(error)}: ${error.code === "unreachable" ? T.unreachable : error.message}`);
  }
  // Said when it is seen.
  if (!turn.isOver) await view(make, true);
  say(typeof said === "string" ? said : done);
}

/** A button for something that takes time: it says so, and cannot be pressed again before it is over. */
export function deed(properties, text, work) {
  const button = h("button", { ...properties, onclick: () => busy(button, work) }, text);
  return button;
}

/** Runs something with its button disabled. A form's `button` may be sent by the keyboard: it does nothing twice either. */
export async function busy(button, work) {
  if (button.disabled) return;
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  try {
    await work();
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
  }
}

// ---- Addresses

/** Which view an address names, and what of it: #patient/ab12. */
export const address = () => {
  const [name = "", ...rest] = location.hash.slice(1).split("/");
  return { name, rest: rest.join("/") };
};
/** How the view is made that an address names; null before somebody came in. */
let shown = null;
globalThis.addEventListener?.("popstate", () => {
  if (!shown) return;
  const { views, words, places } = shown;
  const { name, rest } = address();
  places?.come(name, rest);
  view((next) => tabs(next, Object.hasOwn(views, name) ? name : Object.keys(views)[0], views, words, places))
    .then(() => main().focus({ preventScroll: true }));
});

/** The page around the views, in the reader's language. */
function dress() {
  document.documentElement.lang = LANGUAGE;
  const skip = document.querySelector(".skip");
  skip.textContent = T.skip;
  // This link leads past the bar, and is no view's address.
  skip.addEventListener("click", (event) => {
    event.preventDefault();
    main().focus();
  });
  document.getElementById("tabs").setAttribute("aria-label", T.bar);
  document.getElementById("languages").replaceChildren(...languages.filter((one) => !one.isShown)
    .map(({ code, name }) => h("button", { class: "plain", lang: code, onclick: () => speak(code) }, name)));
}
if (globalThis.document?.querySelector) dress();
/** Forgets the views: the next ones are those of whoever comes in. */
export function closeViews() {
  shown = null;
  document.getElementById("tabs").hidden = true;
}

/** The bar of pages, with a word for each of `views`, and the current one, made in its turn. Each has an address, so that
 * back, forward and reload lead where somebody was: `places.rest(name)` is what of a view is shown, and `places.come(name,
 * rest)` hears that the browser went to another one. */
export function tabs(turn, current, views, words, places) {
  turn.check();
  shown = { views, words, title: shown?.title ?? document.title, places };
  const rest = places?.rest(current) ?? "";
  const here = `#${current}${rest && `/${rest}`}`;
  if (location.hash === "") history.replaceState(null, "", here);
  else if (location.hash !== here) history.pushState(null, "", here);
  document.title = `${words[current]} – ${shown.title}`;
  const bar = document.getElementById("tabs");
  bar.hidden = false;
  bar.replaceChildren(...Object.keys(views).map((name) =>
    h("button", { id: `tab-${name}`, "aria-current": name === current ? "page" : null, onclick: () => {
      view((next) => tabs(next, name, views, words, places)).then(() => main().focus());
    } }, words[name])));
  bar.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  return views[current](turn);
}

/** Checkboxes in a frame; `values` gives the ones that are ticked, `tick` ticks those that are wanted and no others. */
export function choices(legend, names, ticked) {
  const boxes = Object.entries(names).map(([value, label]) => [
    h("input", { type: "checkbox", value, checked: ticked(value) }), label]);
  const frame = h("fieldset", {}, h("legend", {}, legend), boxes.map(([box, label]) => h("label", { class: "check" }, box, label)));
  return {
    frame, values: () => boxes.filter(([box]) => box.checked).map(([box]) => box.value),
    tick: (wanted) => { for (const [box] of boxes) box.checked = wanted(box.value); },
  };
}
