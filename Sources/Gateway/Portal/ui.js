// What both pages are made of. Everything shown is set as text, never as HTML.
import { T } from "./texts.js";
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

/** Replaces what an element holds; what somebody has opened in it stays open, by its `data-of`. */
export function redraw(element, ...children) {
  const opened = new Set([...element.querySelectorAll("details[open]")].map((one) => one.dataset.of));
  element.replaceChildren(...children);
  for (const one of element.querySelectorAll("details[data-of]")) if (opened.has(one.dataset.of)) one.open = true;
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

/** Shows a view, which is made in a turn of its own: `make(turn)` gives its elements. The turn ends when another view
 * begins; what a view still waits for then is never shown. What it throws is shown with a way to try again. */
export async function view(make) {
  now.end();
  const turn = new Turn();
  now = turn;
  show(h("p", { class: "card waiting" }, T.loading));
  await run(async () => {
    const made = await turn.of(make(turn));
    show(...[made].flat());
  }, (error) => show(problem(error, () => view(make))));
}

/** Does something that counts whatever is shown when it is done: that is said. The view is shown again where its turn lasts. */
export async function act(turn, work, done, make) {
  try {
    await work();
  } catch (error) {
    if (!turn.isOver) return show(problem(error, () => view(make)));
    return say(`${failed(error)}: ${error.code === "unreachable" ? T.unreachable : error.message}`);
  }
  say(done);
  return turn.isOver ? undefined : view(make);
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

/** The bar of pages, with a word for each of `views`, and the current one, made in its turn. */
export function tabs(turn, current, views, words) {
  turn.check();
  const bar = document.getElementById("tabs");
  bar.hidden = false;
  bar.replaceChildren(...Object.keys(views).map((name) =>
    h("button", { id: `tab-${name}`, "aria-current": name === current ? "page" : null, onclick: () => {
      view((next) => tabs(next, name, views, words)).then(() => main().focus());
    } }, words[name])));
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
