// Consents in sentences, each once; words as people write them down; and questions signed by the node's clock.
import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.document = { createElement: () => ({}), createElementNS: () => ({}) };
const { place } = await import("../../Sources/Gateway/Portal/ui.js");
const { merged } = await import("../../Sources/Gateway/Portal/sharing.js");
const { entropyOf, phraseOf, PhraseFault } = await import("../../Sources/Gateway/Portal/keys.js");
const { CATEGORIES } = await import("../../Sources/Gateway/Portal/wire.js");
place.consortium = { own: 1, hospitals: [{ number: 1, name: "Northside General" }, { number: 2, name: "St. Mary" }] };

const consent = (id, rest = {}) => ({ consent: id, grantee: "hospital 2", scope: "all records", purposes: ["TREAT"], until: "2099-01-01T09:00:00Z", kind: "permission",
  actions: ["read"], givenBy: "patient", revoked: null, uses: 0, ...rest });
const words = (...all) => merged(all).map((one) => one.words);

test("equal permissions are one, and those that are over say what was", () => {
  const [one] = merged([consent("a"), consent("b")]);
  assert.deepEqual([one.all.length, one.words], [2, "All clinicians of St. Mary may read everything to treat you, until 1 Jan 2099."]);
  assert.equal(merged([consent("a"), consent("b", { givenBy: "registrar" })]).length, 2, "who gave it is told apart");
  assert.deepEqual(words(consent("a", { revoked: "2026-11-30T09:00:00Z" }), consent("b", { until: "2020-02-03T09:00:00Z" })), [
    "All clinicians of St. Mary could read everything to treat you, until 30 Nov 2026.", "All clinicians of St. Mary could read everything to treat you, until 3 Feb 2020."]);
  assert.equal(words(consent("a", { revoked: "2026-11-30T09:00:00Z" }), consent("b"))[0].includes("may read"), true, "what counts comes first");
  assert.deepEqual(words(consent("a", { kind: "denial" })), ["All clinicians of St. Mary may NOT read anything to treat you, until 1 Jan 2099."]);
  const usual = CATEGORIES.filter((name) => name !== "sensitive").join(", ");
  assert.match(words(consent("a", { scope: usual }))[0], /may read everything that is not especially sensitive to treat you/);
  assert.match(words(consent("a", { scope: "allergy, medication" }))[0], /may read allergies, medicines to treat you/);
});

test("words with numbers, commas and lines between them", async () => {
  const list = Array.from({ length: 2048 }, (_, index) => [...String(index)].map((digit) => "abcdefghij"[digit]).join(""));
  const entropy = new Uint8Array(32).fill(9);
  const phrase = await phraseOf(entropy, list);
  for (const text of [phrase.join(" "), phrase.map((word, index) => `${index + 1}. ${word}`).join("\n"), phrase.join(", ").toUpperCase()]) {
    assert.deepEqual(await entropyOf(text, list), entropy);
  }
  await assert.rejects(entropyOf(phrase.slice(1).join(" "), list), (error) => error instanceof PhraseFault && error.kind === "count");
});

test("a device whose clock is wrong asks by the node's", async () => {
  const node = await import("../../Sources/Gateway/Portal/node.js");
  const pair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
  const keys = { network: "11".repeat(32), account: "22".repeat(32), signing: pair.privateKey };
  let ahead = 300_000;
  const times = [];
  globalThis.fetch = async (path, options = {}) => {
    const answer = (status, body) => ({ ok: status < 400, status, json: async () => body });
    if (path === "/api/consortium") return answer(200, { now: Date.now() + ahead });
    const time = Number(/time=(\d+)/.exec(options.headers.authorization)[1]);
    times.push(time);
    return Math.abs(time - Date.now() - ahead) < 60_000 ? answer(200, { kind: "patient" }) : answer(403, { error: "unauthorized", message: "the question's time is not this hospital's" });
  };
  await node.consortium();
  assert.equal((await node.account(keys)).kind, "patient");
  assert.equal(times.length, 1);
  // Set while the page was open: it is asked again, once.
  ahead = -3_600_000;
  assert.equal((await node.account(keys)).kind, "patient");
  assert.equal(times.length, 3);
  // Whoever is refused for another reason is not asked again.
  globalThis.fetch = async (path) => ({ ok: path === "/api/consortium", status: 403, json: async () => (path === "/api/consortium" ? { now: Date.now() + ahead } : { error: "unauthorized", message: "no" }) });
  await assert.rejects(node.account(keys), (error) => error.code === "unauthorized");
});

test("what is signed is valid by the ledger's time as it is now, however long the page was open", async () => {
  const node = await import("../../Sources/Gateway/Portal/node.js");
  const pair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
  const keys = { network: "11".repeat(32), account: "22".repeat(32), hospital: 1, signing: pair.privateKey, publicKey: new Uint8Array(32) };
  let lead = 0;
  const sent = [];
  globalThis.fetch = async (path, options = {}) => {
    const answer = (body) => ({ ok: true, status: 200, json: async () => body });
    if (path === "/api/consortium") return answer({ now: Date.now(), ledgerAheadMilliseconds: lead });
    sent.push(options.body);
    return answer({ applied: true });
  };
  const place = await node.consortium();
  Object.assign(place, { transactionLifeMilliseconds: 600_000, rulesVersion: 1 });
  const until = () => {
    const bytes = sent.at(-1);
    return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(8, true)) - Date.now();
  };
  for (const hours of [0, 3, 2, 0]) {
    lead = hours * 3_600_000;
    await node.submit(keys, place, 7, new Uint8Array(3));
    assert.ok(Math.abs(until() - lead - 300_000) < 60_000, `${hours} hours: ${until()}`);
  }
  lead = 3 * 3_600_000;
  sent.push(await node.openSession(keys, place, { key: "33".repeat(32) }, 2));
  assert.ok(Math.abs(until() - lead - 300_000) < 60_000);
});
