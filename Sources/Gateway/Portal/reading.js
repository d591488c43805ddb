// Reading by request: asks the ledger, gathers custodians' shares until enough are right, and opens the records here.
import { askFor, isRefusal } from "./asking.js";
import { longFile, openChunks } from "./content.js";
import { hex, openBox, unhex } from "./crypto.js";
import { ephemeral, Opening, readCustodyKey } from "./custody.js";
import * as node from "./node.js";
import { C } from "./texts.js";
import { place, say } from "./ui.js";
import { accessRequest, KIND } from "./wire.js";

const ATTEMPTS = 20;
const PAUSE_MILLISECONDS = 100;
/** As many records are opened at once as a browser asks one host for. */
const TOGETHER = 6;

/** Asks in a turn for records of a patient, together or category by category (asking.js), and opens what is granted. A
 * `reason` other than 0 breaks the glass. `told(count, outcomes)` hears of each. Gives {outcomes, refusals, isInPartition,
 * failure}: by record {view, text or file, salt}, {view, fault} or {view, refused: why}; a record without an outcome was not
 * read. `refusals` are [{category, count, why, number}]. */
export async function readAll(turn, keys, patient, wanted, { purpose, reason = 0, told = () => {} }) {
  const done = { outcomes: new Map(), refusals: [], isInPartition: false, failure: null };
  const refused = (some, error) => {
    const why = C.whys[error.number] ?? error.message;
    for (const one of some) {
      done.outcomes.set(one.record, { view: one, refused: why });
      const known = done.refusals.find((each) => each.category === one.category && each.why === why);
      if (known) known.count += 1;
      else done.refusals.push({ category: one.category, count: 1, why, number: error.number });
    }
  };
  try {
    await askFor(wanted, (some) => readSome(turn, keys, patient, some, { purpose, reason, told, done }), refused);
  } catch (error) {
    turn.check();
    done.failure = error;
  }
  return done;
}

/** How many records were refused. */
export const refusedCount = (done) => done.refusals.reduce((sum, one) => sum + one.count, 0);

/** One request: null where it was granted, and what it names was opened; else the refusal. */
async function readSome(turn, keys, patient, some, { purpose, reason, told, done }) {
  const once = await turn.of(ephemeral());
  const payload = accessRequest({
    patient, records: some.map((one) => one.record), purpose, reason, ephemeralKey: once.publicKey,
  });
  let glass;
  try {
    glass = await turn.of(reason ? node.breakGlass(keys, place.consortium, payload)
      : node.submit(keys, place.consortium, KIND.requestAccess, payload).then((receipt) => ({ receipt })));
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return error;
  }
  done.isInPartition ||= Boolean(glass.opened);
  const opening = (one) => (glass.opened ? openOwn(keys, patient, one, glass.opened.get(one.record), once, null)
    : openOne(turn, keys, patient, one, glass.receipt.transaction, once)).catch((error) => {
    // One record that is not what it should be does not keep the others from being read.
    if (error.code === "over" || error.code === "unreachable") throw error;
    return { fault: error.message };
  });
  // Some at once, for each waits for several hospitals; in their order, for what must be known first comes first.
  for (let at = 0; at < some.length; at += TOGETHER) {
    const next = some.slice(at, at + TOGETHER);
    const found = await turn.of(Promise.all(next.map(opening)));
    next.forEach((one, index) => {
      done.outcomes.set(one.record, { view: one, ...found[index] });
      told(done.outcomes.size, done.outcomes);
    });
  }
  return null;
}

/** A record's anchor, which must be this patient's: what is another's is not shown here. */
async function anchorOf(keys, patient, one) {
  const anchor = await node.anchor(keys, one.record);
  if (hex(anchor.patient) !== patient || hex(anchor.record) !== one.record) throw new Error("patient");
  return anchor;
}

/** What a hospital opened by itself, held against its anchor. */
async function openOwn(keys, patient, one, answer, once, request) {
  const anchor = await anchorOf(keys, patient, one);
  const inside = answer?.hospitalBox && (await openBox(answer.hospitalBox, once.publicKey, once.privateKey));
  if (!inside || inside.length !== 64 || hex(inside.subarray(0, 32)) !== one.record) return { fault: "key" };
  return opened(keys, one, answer, inside.slice(32), anchor, request);
}

/** Opens a record with its key, or says how it is opened once somebody wants it. */
function opened(keys, one, answer, key, anchor, request) {
  const hashLock = hex(anchor.hashLock);
  if (answer.chunks.length > 0) return openChunks(answer.chunks, key, hashLock);
  return key ? longFile(anchor.sizeBytes, key, hashLock, (from) => node.part(keys, request, one.record, from)) : { fault: "encryption" };
}

/** Gathers shares of custodians until enough are right, and opens the record. */
async function openOne(turn, keys, patient, one, request, once) {
  const anchor = await turn.of(anchorOf(keys, patient, one));
  const members = place.consortium.hospitals.map((hospital) => unhex(hospital.key));
  const opening = new Opening({ network: keys.network, request, anchor, keys: once, members });
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    let answer;
    try {
      answer = await turn.of(node.release(keys, request, one.record, opening.settled));
    } catch (error) {
      if (error.code === "over" || error.code === "unreachable") throw error;
      if (error.code !== "not-released" || attempt === ATTEMPTS - 1) return { fault: error.message };
      await turn.of(new Promise((resolve) => { setTimeout(resolve, PAUSE_MILLISECONDS); }));
      continue;
    }
    if (answer.hospitalBox) return openOwn(keys, patient, one, answer, once, request);
    opening.custody ??= readCustodyKey(answer.custody);
    await turn.of(opening.take(answer.shares, answer.capsule));
    for (const proof of opening.accusations(answer.capsule)) {
      say(C.accused);
      await turn.of(node.submit(keys, place.consortium, KIND.accuseCustodian, proof).catch(() => null));
    }
    if (opening.isComplete) return opened(keys, one, answer, await turn.of(opening.key(answer.capsule)), anchor, request);
  }
  return { fault: C.few };
}
