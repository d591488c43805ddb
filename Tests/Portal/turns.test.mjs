// An answer that comes after somebody went on is dropped; and no view waits for anything outside of its turn.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Over, run, Turn } from "../../Sources/Gateway/Portal/turns.js";

const later = () => {
  const made = {};
  made.promise = new Promise((resolve, reject) => { Object.assign(made, { resolve, reject }); });
  return made;
};

test("what comes in its turn is given; what comes later is dropped, and so is what goes wrong later", async () => {
  const [turn, first, second, third] = [new Turn(), later(), later(), later()];
  first.resolve(1);
  assert.equal(await turn.of(first.promise), 1);
  const [late, wrong] = [turn.of(second.promise), turn.of(third.promise)];
  turn.end();
  second.resolve(2);
  third.reject(new Error("refused"));
  await assert.rejects(late, Over);
  await assert.rejects(wrong, Over);
  let told = null;
  await run(() => turn.of(Promise.resolve(1)), (error) => { told = error; });
  assert.equal(told, null);
});

test("a turn within ends with the outer one, and when the next one begins", () => {
  const turn = new Turn();
  const [a, b] = [turn.inner(), turn.inner()];
  assert.deepEqual([a.isOver, b.isOver], [true, false]);
  turn.end();
  assert.deepEqual([b.isOver, turn.inner().isOver], [true, true]);
});

// Every wait of a view is bound to its turn. What is not is listed here, with the reason.
const FREE = [
  "await act(", "await view(", "await record(", "await signDraft(", "await isNewsFirst(", "await work(", // They say themselves what comes of what counts, and draw nothing afterwards.
  "await navigator.clipboard", "await keyring.forget()", "await review(", "await file.text()", "await read(file", "await node.genesis()", // Nothing of a patient's is drawn after them.
  "await submit(", "await node.submit(", "await send(", "await made(", "await sha256(", "await keyring.sign(", // Inside of what is signed: it is bound to the chart that it was given.
  "await endingOf(", "await one.file.open(", "await blob.slice", // A file is saved where somebody asked for it.
];
test("no view waits outside of its turn", () => {
  for (const name of ["app", "authorize", "clinic", "entrance", "officer", "sections", "sharing", "verify"]) {
    const text = readFileSync(new URL(`../../Sources/Gateway/Portal/${name}.js`, import.meta.url), "utf8");
    for (const line of text.split("\n")) {
      for (const wait of line.split(/\bawait /).slice(1).map((rest) => `await ${rest}`)) {
        const isBound = /^await (?:turn|inner|next)\.of\(/.test(wait) || FREE.some((one) => wait.startsWith(one));
        assert.ok(isBound, `${name}.js waits outside of its turn: ${line.trim()}`);
      }
    }
  }
});

test("the pages set text only", () => {
  for (const name of ["app", "authorize", "clinic", "entrance", "officer", "sections", "sharing", "ui", "verify"]) {
    const text = readFileSync(new URL(`../../Sources/Gateway/Portal/${name}.js`, import.meta.url), "utf8");
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write/);
  }
});
