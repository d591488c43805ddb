// Questions to the hospital's node. Each is signed by the account's key; answers about records come as ciphertext.
import { longFile, openChunks } from "./content.js";
import { base64, concat, hex, unhex, utf8 } from "./crypto.js";
import { recordKey, sign } from "./keys.js";
import { readAnchor } from "./custody.js";
import { T } from "./texts.js";
import { Decoder, Encoder, KIND, readHead, readPart, readRelease, readSealed, transaction } from "./wire.js";

/** Longer records do not come with the others. Node: PortalServer.sealedBytesMax. */
const SEALED_MAX = 4 << 20;

/** A clock that went further wrong than this since it was looked at is looked at again. */
const CLOCK_MILLISECONDS = 5000;

/** A refusal in the node's own words, or that it cannot be reached; the ledger's own has its `number`. */
export class Refusal extends Error {
  constructor(code, message, remedy, number) {
    // In the reader's language, where the node's words are not in it.
    const said = T.outcomes[number] ?? T.codes[code];
    super(said ?? message);
    [this.code, this.remedy, this.number] = [code, said ? "" : remedy, number];
  }
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch {
    throw new Refusal("unreachable", "", "");
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  throw new Refusal(said.error ?? String(response.status), said.message ?? response.statusText, said.remedy ?? "");
}

/** How much the node's clock is ahead of this device's, in milliseconds: signatures carry the node's time. */
let ahead = 0;
const now = () => Date.now() + ahead;
/** How much the ledger's time is ahead of the node's: after clocks were wrong it stands until they have come as far. */
let lead = 0;

/** What the consortium is; and what time it is at the node. */
export async function consortium() {
  const before = Date.now();
  const answer = await (await ask("/api/consortium")).json();
  // In the middle between question and answer.
  if (Number.isFinite(answer.now)) ahead = answer.now - (before + Date.now()) / 2;
  lead = answer.ledgerAheadMilliseconds ?? 0;
  return answer;
}
/** How far this device's clock is off, in milliseconds. */
export const clockDifference = () => ahead;
export const genesis = async () => (await ask("/api/genesis")).json();
export const wordList = async () => (await (await ask("/api/words")).text()).split("\n");

/** A question, signed. Where the clock was set since the page was opened, it is asked again by the node's. */
async function asked(keys, path, body, isAgain = false) {
  const time = Math.round(now());
  const message = concat(
    utf8("consilium/portal/v1\0"), unhex(keys.network), unhex(keys.account), new Encoder().u64(time).bytes, utf8(path));
  const signature = hex(await sign(keys, message));
  const headers = { authorization: `Consilium time=${time}, signature=${signature}` };
  const sent = body instanceof Uint8Array ? body : JSON.stringify(body);
  try {
    return await ask(path, body === undefined ? { headers } : { headers, method: "POST", body: sent });
  } catch (error) {
    if (isAgain || error.code !== "unauthorized") throw error;
    const before = ahead;
    await consortium();
    if (Math.abs(ahead - before) < CLOCK_MILLISECONDS) throw error;
    return asked(keys, path, body, true);
  }
}

/** All rows of what comes in pages, the newest first there and the oldest first here: none is left out. */
async function pages(keys, path) {
  const rows = [];
  for (let below = ""; below !== null;) {
    const page = await (await asked(keys, `${path}count=1000${below}`)).json();
    rows.push(...page.items);
    below = page.next === undefined || page.next === null ? null : `&below=${page.next}`;
  }
  return rows.reverse();
}

/** The account whose key this is now, and its hospital: another than the key's first one, once a lost key was replaced. */
export async function accountOf(publicKey) {
  try {
    return await (await ask(`/api/keys/${hex(publicKey)}`)).json();
  } catch (error) {
    if (error.code === "not-found") return null;
    throw error;
  }
}

export const account = async (keys) => (await asked(keys, `/api/accounts/${keys.account}`)).json();
export const records = (keys) => pages(keys, `/api/patients/${keys.account}/records?`);
export const consents = async (keys) => (await asked(keys, `/api/patients/${keys.account}/consents`)).json();
export const history = (keys) => pages(keys, `/api/patients/${keys.account}/history?`);
/** The newest of it: enough to see whether anything came. */
export const newestHistory = async (keys) => (await (await asked(keys, `/api/patients/${keys.account}/history?count=20`)).json()).items;

/**
 * Who was shown anything of the patient by the hospital's own store, a page: `{items, next}`, the latest first. Only what
 * one `reader` was shown (an account, or "system"), `from` and `until` a time; `after` is the `next` of the page before.
 */
export const readings = async (keys, { reader, from, until, after }) => {
  const query = Object.entries({ reader, from, until, after }).filter(([, value]) => value).map(([name, value]) => `&${name}=${value}`);
  return (await asked(keys, `/api/patients/${keys.account}/readings?count=100${query.join("")}`)).json();
};

/** The proof that a record's anchor stands in the log, under a tree head that a quorum signed. */
export const proof = async (keys, record) => (await asked(keys, `/api/patients/${keys.account}/proof?record=${record}`)).json();

/** Who an account is: {kind, hospital, role, name}; the name where this hospital's system knows a practitioner's. */
export const who = async (keys, account) => (await asked(keys, `/api/accounts/${keys.account}/who?of=${account}`)).json();

/** What the ledger says of a practitioner. */
export const practitioner = async (keys, account) =>
  (await asked(keys, `/api/accounts/${keys.account}/practitioner?of=${account}`)).json();

/** Every sealed record of the account, by identifier. */
export async function sealed(keys, count) {
  const found = new Map();
  let place = 0;
  while (place < count) {
    const bytes = new Uint8Array(
      await (await asked(keys, `/api/patients/${keys.account}/sealed?from=${place}`)).arrayBuffer());
    const decoder = new Decoder(bytes);
    const next = decoder.u64();
    while (decoder.remaining > 0) {
      const record = readSealed(decoder.blob());
      found.set(record.record, record);
    }
    if (next <= place) break;
    place = next;
  }
  return found;
}

/** Opens a record and holds it against its hash-lock: {text or file, salt}, or {fault} in a word. */
export async function open(keys, view, sealedRecord) {
  if (!sealedRecord && view.sizeBytes > SEALED_MAX) return openLater(keys, view);
  if (!sealedRecord) return { fault: "missing" };
  const key = await recordKey(keys, view.record, sealedRecord.patientCopy);
  return key ? openChunks(sealedRecord.chunks, key, view.hashLock) : { fault: "key" };
}

/** A record that is longer than an answer: its key is opened now, the rest when it is asked for. */
async function openLater(keys, view) {
  const own = (path) => asked(keys, `/api/patients/${keys.account}/${path}&record=${view.record}`);
  const bytes = async (path) => new Uint8Array(await (await own(path)).arrayBuffer());
  const head = await bytes("head?").then(readHead, () => null);
  if (!head) return { fault: "missing" };
  const key = await recordKey(keys, view.record, head.patientCopy);
  return key ? longFile(view.sizeBytes, key, view.hashLock, async (from) => readPart(await bytes(`part?from=${from}`)))
    : { fault: "key" };
}

/** Codes after which what was sent may be done all the same. */
const UNKNOWN = new Set(["unreachable", "not-ordered-yet", "failed", "500", "502", "503", "504", "timeout"]);

/** Sends what counts once it arrives. Where no answer says what became of it, the error says that too (`isUnknown`). */
async function sent(work) {
  try {
    return await work();
  } catch (error) {
    error.isUnknown = UNKNOWN.has(error.code);
    throw error;
  }
}

/** What the ledger's time is. The rules go by it; it is asked for each time, for a page stays open for hours. */
async function ledgerTime() {
  await consortium();
  return Math.round(now()) + lead;
}

async function signed(keys, place, kind, payload) {
  const made = transaction({
    kind, hospital: keys.hospital, validUntil: await ledgerTime() + place.transactionLifeMilliseconds / 2,
    nonce: crypto.getRandomValues(new Uint8Array(12)), payload, publicKey: keys.publicKey, network: keys.network,
  });
  return made.complete(await sign(keys, made.signed));
}

const applied = (receipt) => {
  if (!receipt.applied) {
    const refusal = new Refusal("refused", receipt.outcome, "", receipt.code);
    // Of a request: which of its records kept it from being granted.
    refusal.records = (receipt.refused ?? []).map((one) => ({ ...one, outcome: T.outcomes[one.code] ?? one.outcome }));
    throw refusal;
  }
  return receipt;
};

/** Signs a transaction of the account and waits until it is executed. */
export async function submit(keys, consortium, kind, payload) {
  const body = await signed(keys, consortium, kind, payload);
  return applied(await sent(async () => (await ask("/api/transactions", { method: "POST", body })).json()));
}

/** Breaks the glass: {receipt}; or {opened} by record, where nothing is ordered and the hospital opened its own. */
export async function breakGlass(keys, consortium, payload) {
  const body = await signed(keys, consortium, KIND.breakGlass, payload);
  const said = await sent(async () => (await asked(keys, clinic(keys, "emergency"), body)).json());
  if (said.receipt) return { receipt: applied(said.receipt) };
  return { opened: new Map(said.opened.map((one) => [one.record, readRelease(base64(one.answer))])) };
}

/** The cases in which the glass was broken at this hospital; `name` where its EHR knows the patient. */
export const cases = async (keys) => (await pages(keys, `/api/officers/${keys.account}/cases?`)).reverse();

// ---- Letting an app in

/** What an app asks, by its query. */
export const app = async (query) => (await ask(`/api/apps?${query}`)).json();
/** Whose chart an app was launched in: {name, birthDate}. */
export const appChart = async (keys, query) => (await asked(keys, clinic(keys, `apps/chart?${query}`))).json();
/** A key that the node made for a session. */
export const sessionKey = async (keys) => (await asked(keys, clinic(keys, "sessions/keys"), {})).json();
/** Opens a session for a key, for a number of hours: the signed transaction's bytes. From the second rules on it includes the node's proof that it has the key. */
export async function openSession(keys, place, { key, possession }, hours) {
  const payload = new Encoder().digest(key).u64(await ledgerTime() + hours * 3600_000);
  if (place.rulesVersion > 1) payload.raw(unhex(possession));
  return signed(keys, place, KIND.openSession, payload.bytes);
}
/** Opens it; gives where the browser goes back to. */
export const letIn = async (keys, query, transaction) =>
  (await (await asked(keys, clinic(keys, "apps"), { query, transaction })).json()).redirect;

// ---- What readers ask, clinicians among them

const clinic = (keys, path) => `/api/clinicians/${keys.account}/${path}`;
const reader = (keys, path) => `/api/readers/${keys.account}/${path}`;
const binary = async (keys, path) => new Uint8Array(await (await asked(keys, reader(keys, path))).arrayBuffer());

/** The hospital's patients whose name or number fits: [{name, birthDate, account}]. */
export const patients = async (keys, text) =>
  (await asked(keys, clinic(keys, `patients?search=${encodeURIComponent(text)}`))).json();
export const patientRecords = (keys, patient) => pages(keys, reader(keys, `records?patient=${patient}&`));
/** What the ledger says of a patient for whom the holder of the keys acts in everything. */
export const patientConsents = async (keys, patient) => (await asked(keys, reader(keys, `consents?patient=${patient}`))).json();
export const patientHistory = (keys, patient) => pages(keys, reader(keys, `history?patient=${patient}&`));
export const anchor = async (keys, record) => readAnchor(await binary(keys, `anchor?record=${record}`));
/** The sealed record and shares of custodians that are not among `settled`. */
export const release = async (keys, request, record, settled) =>
  readRelease(await binary(keys, `release?request=${request}&record=${record}&without=${settled.join(".")}`));
/** A part of a record's ciphertext: {count, chunks}, by the request that was granted; null where the hospital opened its own. */
export const part = async (keys, request, record, from) =>
  readPart(await binary(keys, `part?${request ? `request=${request}&` : ""}record=${record}&from=${from}`));
/** Has the hospital's node seal and anchor what the clinician wrote and signed. */
export const write = async (keys, note) => applied(await sent(async () => (await asked(keys, clinic(keys, "notes"), note)).json()));
