// What is permitted is read, whatever else was asked for with it; and one reading act is one line.
import assert from "node:assert/strict";
import { test } from "node:test";
import { askFor, REFUSALS } from "../../Sources/Gateway/Portal/asking.js";
import { acts } from "../../Sources/Gateway/Portal/looked.js";

const views = (category, count, from = 0) => Array.from({ length: count }, (_, index) => ({ record: `${category} ${from + index}`, category }));

/** Asks a ledger that permits some categories: {requests, read, refused}. */
async function asked(wanted, permitted, number = REFUSALS.noConsent, code = "refused") {
  const [requests, read, refused] = [[], [], new Map()];
  await askFor(wanted, async (some) => {
    const isGranted = some.every((one) => permitted.includes(one.category));
    requests.push({ records: some.map((one) => one.record), granted: isGranted });
    if (isGranted) read.push(...some.map((one) => one.record));
    return isGranted ? null : { code, number, message: "no" };
  }, (some, why) => { for (const one of some) refused.set(one.record, why.number); });
  return { requests, read, refused };
}

test("what is permitted is read though more was asked for", async () => {
  const wanted = [...views("observation", 2), ...views("medication", 1), ...views("condition", 1), ...views("allergy", 1)];
  const { requests, read, refused } = await asked(wanted, ["allergy", "medication"]);
  assert.deepEqual(read, ["allergy 0", "medication 0"]);
  assert.deepEqual([...refused.keys()], ["condition 0", "observation 0", "observation 1"]);
  assert.equal(requests.length, 5);
});

/** Asks a ledger that permits some records and says which it does not: {requests, read, refused}. */
async function askedByName(wanted, permits) {
  const [requests, read, refused] = [[], [], new Map()];
  await askFor(wanted, async (some) => {
    requests.push(some.length);
    const records = some.map((one) => ({ record: one.record, code: permits(one.record), outcome: "no" })).filter((one) => one.code);
    if (!records.length) read.push(...some.map((one) => one.record));
    return records.length ? { code: "refused", number: records[0].code, message: "no", records } : null;
  }, (some, why) => { for (const one of some) refused.set(one.record, why.number); });
  return { requests, read, refused };
}

test("single records that are permitted are read though others of their kind were asked for that are not", async () => {
  const wanted = [...views("observation", 5), ...views("condition", 3)];
  const named = await askedByName(wanted, (record) => ({ "observation 3": 0, "condition 1": 0, "condition 2": 30 }[record] ?? 29));
  assert.deepEqual(named.read.sort(), ["condition 1", "observation 3"]);
  assert.deepEqual(named.requests, [8, 2]);
  assert.equal(named.refused.get("condition 2"), 30);
  assert.equal(named.refused.size, 6);
  const many = views("observation", 640);
  const half = await askedByName(many, (record) => (Number(record.split(" ")[1]) % 2 ? 29 : 0));
  assert.equal(half.read.length, 320);
  assert.ok(half.requests.length <= 2 * (640 / 64 + 1), `${half.requests.length}`);
  assert.deepEqual((await askedByName(many, () => 29)).requests.length, 10, "nothing is asked for again where nothing is permitted");
  // Taken back in between: told, and not asked for ever.
  const told = new Map();
  let count = 0;
  await askFor(views("allergy", 2), async (some) => ({ code: "refused", number: 29, message: "no", records: count++ ? [] : [{ record: some[0].record, code: 29, outcome: "no" }] }),
    (some, why) => { for (const one of some) told.set(one.record, why.number); });
  assert.deepEqual([count, told.size], [2, 2]);
});

test("one request where all of it is permitted, and no more than its parts where it is not", async () => {
  const all = ["allergy", "condition", "medication", "observation", "document", "sensitive"];
  const wanted = all.flatMap((name) => views(name, 40));
  assert.equal((await asked(wanted, all)).requests.length, 4);
  for (const permitted of [[], ["allergy"], ["document"], all.slice(0, 3), all.slice(0, 5)]) {
    const { requests, read, refused } = await asked(wanted, permitted);
    assert.ok(requests.length <= Math.ceil(wanted.length / 64) + all.length + 1, `${requests.length} requests for ${permitted}`);
    assert.ok(requests.every((one) => one.records.length <= 64));
    assert.equal(read.length, permitted.length * 40);
    assert.equal(read.length + refused.size, wanted.length, "a record is without an answer");
    assert.equal(new Set(read).size, read.length, "a record was read twice");
  }
});

test("a refusal that is not of some records is not asked again in parts", async () => {
  const wanted = [...views("allergy", 1), ...views("condition", 1)];
  assert.equal((await asked(wanted, [], 36)).requests.length, 1, "the limit of emergencies");
  assert.equal((await asked(views("allergy", 3), [])).requests.length, 1, "one category");
  // Who was refused too often for a day is still granted what is permitted.
  assert.deepEqual((await asked(wanted, ["condition"], REFUSALS.tooManyRequests)).read, ["condition 0"]);
  assert.deepEqual((await asked(wanted, ["condition"], undefined, "too-many-refused")).read, ["condition 0"]);
});

test("a category that nobody knows here is asked for too", async () => {
  assert.deepEqual((await asked([...views("genome", 1), ...views("allergy", 1)], ["genome", "allergy"])).read, ["allergy 0", "genome 0"]);
});

const time = (seconds) => new Date(Date.UTC(2026, 10, 30, 2, 0, seconds)).toISOString();
const entry = (records, granted, seconds, rest = {}) => ({
  leaf: seconds, time: time(seconds), patient: "p", reader: "r", hospital: 2, purpose: "TREAT", records, granted, emergency: "none", ...rest });
const told = (...entries) => acts(entries).map((act) => [act.entries.length, act.records.size, act.allowed.size]);

test("the requests of one reading act are one line, with what was allowed of it", async () => {
  const wanted = ["allergy", "medication", "observation", "financial"].flatMap((name) => views(name, 30));
  const { requests } = await asked(wanted, ["allergy", "medication"]);
  assert.deepEqual(told(...requests.map((one, index) => entry(one.records, one.granted, index))), [[requests.length, 120, 60]]);
  // An emergency over more records than one request may name.
  const glass = { emergency: "reviewDue", purpose: "ETREAT" };
  assert.deepEqual(told(entry(["a", "b"], true, 0, glass), entry(["c"], true, 2, glass)), [[2, 3, 3]]);
  assert.deepEqual(told(entry(["a"], true, 0, glass), entry(["b"], true, 2, { emergency: "justified", purpose: "ETREAT" })), [[2, 2, 2]]);
});

test("what is asked for again is another act, and so is another reader's, purpose's, patient's or time's", () => {
  assert.deepEqual(told(entry(["a"], true, 0), entry(["a"], true, 1)), [[1, 1, 1], [1, 1, 1]]);
  assert.deepEqual(told(entry(["a", "b"], false, 0), entry(["a", "b"], true, 1)), [[1, 2, 2], [1, 2, 0]]);
  assert.deepEqual(told(entry(["a", "b"], false, 0), entry(["a"], true, 1), entry(["b"], false, 2), entry(["a", "b"], false, 3)), [[1, 2, 0], [3, 2, 1]]);
  for (const rest of [{ reader: "s" }, { hospital: 3 }, { purpose: "HRESCH" }, { patient: "q" }, { emergency: "reviewDue" }, { openedInPartition: time(9) }, { reason: 1 }]) {
    assert.equal(told(entry(["a"], true, 0), entry(["b"], true, 1, rest)).length, 2, JSON.stringify(rest));
  }
  assert.equal(told(entry(["a"], true, 0), entry(["b"], true, 301)).length, 2);
});
