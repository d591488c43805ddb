// What both pages are made of. Everything shown is set as text, never as HTML.
import { T } from "./texts.js";

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

export const main = () => document.getElementById("main");
export const show = (...children) => main().replaceChildren(...children);
export const say = (text) => {
  document.getElementById("said").textContent = text;
  setTimeout(() => { document.getElementById("said").textContent = ""; }, 4000);
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

/** What went wrong, and a way to try again. */
export function problem(error, again) {
  const text = error.code === "unreachable" ? T.unreachable : error.message;
  return h("div", { class: "card alert", role: "alert" }, h("h2", {}, T.problem), h("p", {}, text),
    error.remedy ? h("p", { class: "quiet" }, error.remedy) : null,
    again ? h("button", { class: "second", onclick: again }, T.again) : null);
}

let timer = null;
/** Does something again and again until another view is shown. */
export function every(milliseconds, work) {
  timer = setInterval(work, milliseconds);
}

/** Runs a view; what it throws is shown with a way to try again. */
export async function view(make) {
  clearInterval(timer);
  show(h("p", { class: "card waiting" }, T.loading));
  try {
    show(...[await make()].flat());
  } catch (error) {
    show(problem(error, () => view(make)));
  }
}

/** Does something, says that it is done, and shows a view anew. */
export async function act(work, done, make) {
  try {
    await work();
  } catch (error) {
    return show(problem(error, () => view(make)));
  }
  say(done);
  return view(make);
}

/** The bar of pages: `views` by name, with a word for each. */
export function tabs(current, views, words) {
  const bar = document.getElementById("tabs");
  bar.hidden = false;
  bar.replaceChildren(...Object.keys(views).map((name) =>
    h("button", { id: `tab-${name}`, "aria-current": name === current ? "page" : null, onclick: () => {
      view(() => tabs(name, views, words)).then(() => main().focus());
    } }, words[name])));
  return views[current]();
}

/** Checkboxes in a frame; `values` gives the ones that are ticked. */
export function choices(legend, names, ticked) {
  const boxes = Object.entries(names).map(([value, label]) => [
    h("input", { type: "checkbox", value, checked: ticked(value) }), label]);
  const frame = h("fieldset", {}, h("legend", {}, legend), boxes.map(([box, label]) => h("label", { class: "check" }, box, label)));
  return { frame, values: () => boxes.filter(([box]) => box.checked).map(([box]) => box.value) };
}
