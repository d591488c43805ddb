// Reading by request: asks the ledger, gathers custodians' shares until enough are right, and opens the records here.
import { longFile, openChunks } from "./content.js";
import { hex, openBox, unhex } from "./crypto.js";
import { ephemeral, Opening, readCustodyKey } from "./custody.js";
import * as node from "./node.js";
import { C } from "./texts.js";
import { place, say } from "./ui.js";
import { accessRequest, KIND } from "./wire.js";

const RECORDS_MAX = 64;
const ATTEMPTS = 20;
const PAUSE_MILLISECONDS = 100;

/** Asks for records of a patient, as many as one request may name at once, and opens what is granted. A `reason` other
 * than 0 breaks the glass. Gives {opened: [{view, text or file, salt} or {view, fault}], refused, why, isInPartition}. */
export async function readAll(keys, patient, wanted, { purpose, reason = 0, told = () => {} }) {
  const done = { opened: [], refused: 0, why: "", isInPartition: false };
  for (let at = 0; at < wanted.length; at += RECORDS_MAX) {
    const some = wanted.slice(at, at + RECORDS_MAX);
    const once = await ephemeral();
    const payload = accessRequest({
      patient, records: some.map((one) => one.record), purpose, reason, ephemeralKey: once.publicKey,
    });
    let glass;
    try {
      glass = reason ? await node.breakGlass(keys, place.consortium, payload)
        : { receipt: await node.submit(keys, place.consortium, KIND.requestAccess, payload) };
    } catch (error) {
      if (error.code !== "refused") throw error;
      [done.refused, done.why] = [done.refused + some.length, error.message];
      continue;
    }
    done.isInPartition ||= Boolean(glass.opened);
    for (const one of some) {
      const found = glass.opened ? await openOwn(keys, one, glass.opened.get(one.record), once)
        : await openOne(keys, one, glass.receipt.transaction, once);
      done.opened.push({ view: one, ...found });
      told(done.opened.length);
    }
  }
  return done;
}

/** What a hospital opened by itself, held against its anchor. */
async function openOwn(keys, one, answer, once) {
  const anchor = await node.anchor(keys, one.record);
  const inside = answer?.hospitalBox && (await openBox(answer.hospitalBox, once.publicKey, once.privateKey));
  if (!inside || inside.length !== 64 || hex(inside.subarray(0, 32)) !== one.record) return { fault: "key" };
  return opened(keys, one, answer, inside.slice(32), anchor);
}

/** Opens a record with its key, or says how it is opened once somebody wants it. */
function opened(keys, one, answer, key, anchor) {
  const hashLock = hex(anchor.hashLock);
  if (answer.chunks.length > 0) return openChunks(answer.chunks, key, hashLock);
  return key ? longFile(anchor.sizeBytes, key, hashLock, (from) => node.part(keys, one.record, from)) : { fault: "encryption" };
}

/** Gathers shares of custodians until enough are right, and opens the record. */
async function openOne(keys, one, request, once) {
  const anchor = await node.anchor(keys, one.record);
  const members = place.consortium.hospitals.map((hospital) => unhex(hospital.key));
  const opening = new Opening({ network: keys.network, request, anchor, keys: once, members });
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    let answer;
    try {
      answer = await node.release(keys, request, one.record, opening.settled);
    } catch (error) {
      if (error.code !== "not-released" || attempt === ATTEMPTS - 1) return { fault: error.message };
      await new Promise((resolve) => { setTimeout(resolve, PAUSE_MILLISECONDS); });
      continue;
    }
    if (answer.hospitalBox) return openOwn(keys, one, answer, once);
    opening.custody ??= readCustodyKey(answer.custody);
    await opening.take(answer.shares, answer.capsule);
    for (const proof of opening.accusations(answer.capsule)) {
      say(C.accused);
      await node.submit(keys, place.consortium, KIND.accuseCustodian, proof).catch(() => null);
    }
    if (opening.isComplete) return opened(keys, one, answer, await opening.key(answer.capsule), anchor);
  }
  return { fault: C.few };
}
