// Each language says the same: no word is missing, none takes other values, and none was left in the other language. And no
// page says anything but by the catalogue.
import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";
import * as english from "../../Sources/Gateway/Portal/english.js";
import * as german from "../../Sources/Gateway/Portal/german.js";

/** What a node says in English by itself, and names that are English in the table: another language has more of them. */
const MORE = new Set(["T.codes", "T.outcomes", "D.classes"]);
/** Words that are the same in both. */
const SAME = new Set(["Details", "Name", "Patient", "Text", "System", "Status", "QR", "normal", "final", "Prisma", "Position"]);

/** Every leaf with its path; of a function also what it says of some values. */
function leaves(value, path, found = new Map()) {
  if (typeof value === "object" && value !== null && !MORE.has(path)) for (const [key, one] of Object.entries(value)) leaves(one, `${path}.${key}`, found);
  else if (!MORE.has(path)) found.set(path, value);
  return found;
}
const all = (words) => new Map(["T", "K", "C", "O", "V", "D"].flatMap((name) => [...leaves(words[name], name)]));
const [en, de] = [all(english), all(german)];

test("both languages have the same words, with the same values put in", () => {
  assert.deepEqual([...en.keys()].filter((path) => !de.has(path)), [], "missing in German");
  assert.deepEqual([...de.keys()].filter((path) => !en.has(path)), [], "missing in English");
  for (const [path, value] of en) {
    assert.equal(typeof de.get(path), typeof value, path);
    if (typeof value === "function") assert.ok(de.get(path).length <= Math.max(value.length, 3), path);
  }
});

test("what is put in is said in both", () => {
  for (const [path, value] of en) {
    if (typeof value !== "function") continue;
    for (const count of [1, 2]) {
      // Numbers count, words are said again.
      const names = ["Alfa", "Bravo", "Charlie", "Delta"];
      for (const given of [names, [count, "Bravo", "Charlie", "Delta"], ["Alfa", count, "Charlie", "Delta"]]) {
        const [a, b] = [value, de.get(path)].map((say) => { try { return String(say(...given)); } catch { return null; } });
        if (a === null || b === null) continue;
        assert.ok(/undefined|\[object|NaN/.test(a) || !/undefined|\[object|NaN/.test(b), `${path}: ${b}`);
        for (const name of names) if (typeof a === "string" && a.includes(name)) assert.ok(b.includes(name), `${path} drops ${name}: ${b}`);
      }
    }
  }
});

test("nothing was left in English", () => {
  const left = [...en].filter(([path, value]) => typeof value === "string" && value === de.get(path) && /\s/.test(value) && !SAME.has(value)).map(([path]) => path);
  assert.deepEqual(left, []);
});

test("no page says anything but by the catalogue", () => {
  const folder = new URL("../../Sources/Gateway/Portal/", import.meta.url);
  const said = fs.readdirSync(folder).filter((name) => name.endsWith(".js") && !/^(english|german|nacl|drugs|clash)/.test(name)).flatMap((name) => {
    const text = fs.readFileSync(new URL(name, folder), "utf8");
    // Text beside an element's properties, or set as its content: two words or more.
    return [...text.matchAll(/(?:\}, |textContent = |placeholder: |"aria-label": |title: )"([A-Z][a-z]+ [a-z][^"]*)"/g)].map((one) => `${name}: ${one[1]}`);
  });
  assert.deepEqual(said, []);
});

test("German sentences", () => {
  const { D, T } = german;
  assert.equal(D.often("3", "1", "d"), "3-mal am Tag");
  assert.equal(D.often("1", "1", "wk"), "einmal in der Woche");
  assert.equal(D.often("2", "3", "d"), "2-mal in 3 Tagen");
  assert.equal(D.every("8", "h"), "alle 8 Stunden");
  assert.equal(D.every("2", "d"), "alle 2 Tage");
  assert.equal(D.lasting("2", "d"), "jedes Mal 2 Tage lang");
  assert.equal(D.lasting("30", "min"), "jedes Mal 30 Minuten lang");
  assert.equal(T.may("alle Behandelnden von Nord", "alles", "zu Ihrer Behandlung", "3. Feb. 2027"), "Erlaubt für alle Behandelnden von Nord: alles lesen, zu Ihrer Behandlung, bis 3. Feb. 2027.");
});
