// A patient's keys: 24 words ↔ 32 bytes → a pair of keys for each hospital (RECORDS: pairwise pseudonyms). The private
// keys are made non-extractable: no script, ours neither, can read them back out of the browser.
/* global nacl */
import { concat, digest, hex, openBox, sha256, unhex, utf8 } from "./crypto.js";
import { Encoder } from "./wire.js";

/** Why words are no recovery phrase: "count", "word" with its place, or "checksum". */
export class PhraseFault extends Error {
  constructor(kind, place) {
    super(kind);
    [this.kind, this.place] = [kind, place];
  }
}

export async function phraseOf(entropy, list) {
  const bytes = concat(entropy, (await sha256(entropy)).subarray(0, 1));
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
  return Array.from({ length: 24 }, (_, index) => list[parseInt(bits.slice(index * 11, index * 11 + 11), 2)]);
}

export async function entropyOf(text, list) {
  // With numbers, commas or lines between them, as they were shown or written down.
  const words = text.toLowerCase().split(/[^a-z]+/).filter(Boolean);
  if (words.length !== 24) throw new PhraseFault("count", words.length);
  const bits = words.map((word, index) => {
    const number = list.indexOf(word);
    if (number < 0) throw new PhraseFault("word", index + 1);
    return number.toString(2).padStart(11, "0");
  }).join("");
  const bytes = Uint8Array.from(bits.match(/.{8}/g), (byte) => parseInt(byte, 2));
  const entropy = bytes.slice(0, 32);
  if ((await sha256(entropy))[0] !== bytes[32]) throw new PhraseFault("checksum");
  return entropy;
}

const PKCS8 = { Ed25519: "302e020100300506032b657004220420", X25519: "302e020100300506032b656e04220420" };
const importSecret = (name, secret, uses) =>
  crypto.subtle.importKey("pkcs8", concat(unhex(PKCS8[name]), secret), name, false, uses);

/** What the keys of the pseudonym at one hospital are made of: 64 bytes. */
export async function secretBits(entropy, network, hospital) {
  const secret = await crypto.subtle.importKey("raw", entropy, "HKDF", false, ["deriveBits"]);
  const info = concat(utf8("consilium/pseudonym/v1\0"), utf8(String(hospital)));
  return new Uint8Array(await crypto.subtle.deriveBits(
    { name: "HKDF", hash: "SHA-256", salt: unhex(network), info }, secret, 512));
}

/** The keys of the pseudonym at one hospital. */
export const deriveKeys = async (entropy, network, hospital) => keysOf(await secretBits(entropy, network, hospital), network, hospital);

/** Keys of their bits, which are wiped. */
export async function keysOf(bits, network, hospital) {
  const [signing, sealing] = [bits.subarray(0, 32), bits.subarray(32, 64)];
  const publicKey = nacl.sign.keyPair.fromSeed(signing).publicKey;
  const keys = {
    network, hospital, publicKey, sealingKey: nacl.scalarMult.base(sealing),
    account: hex(digest("consilium/account/v1", unhex(network), new Encoder().u32(hospital).bytes, publicKey)),
    signing: await importSecret("Ed25519", signing, ["sign"]),
    opening: await importSecret("X25519", sealing, ["deriveBits"]),
  };
  bits.fill(0);
  return keys;
}

export const sign = async (keys, message) =>
  new Uint8Array(await crypto.subtle.sign("Ed25519", keys.signing, message));

/** The record's key inside the patient's box; null where the box is another's or for another record. */
export async function recordKey(keys, record, box) {
  const opened = await openBox(box, keys.sealingKey, keys.opening);
  return opened && opened.length === 64 && hex(opened.subarray(0, 32)) === record ? opened.slice(32) : null;
}

/** The account of the keys, as the ledger has it. The keys are made for one hospital: an account at another hospital does not
 * belong to their owner, even if somebody registered it there. */
export const ownAccount = (keys, holder) => (holder?.hospital === keys.hospital ? holder.account : keys.first);

/** The kinds of accounts. Node: AccountKind. */
const KIND = { practitioner: 1, patient: 2 };

/** What the holder of the keys says of them before they are an account's. Node: KeyPossession. */
export const possessed = (keys, kind) => new Encoder().raw(utf8("consilium/key/v1\0")).digest(keys.network).u32(keys.hospital)
  .u8(KIND[kind]).raw(keys.sealingKey).bytes;

/** Both public keys, and their holder's word: nobody else registers what this shows. */
async function codeOf(keys, kind) {
  const word = await sign(keys, possessed(keys, kind));
  return [keys.publicKey, keys.sealingKey, word].map((bytes) => hex(bytes)).join(":");
}

/** What a registrar needs to register a clinician: that it is one, and the code of the keys. */
export const clinicianCode = async (keys) => `clinician:${await codeOf(keys, "practitioner")}`;
export const officerCode = async (keys) => `officer:${await codeOf(keys, "practitioner")}`;

/** What the desk of a hospital needs to register the pseudonym. */
export const registrationCode = (keys) => codeOf(keys, "patient");

function database() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("consilium", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("keys");
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

async function inStore(mode, work) {
  const opened = await database();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = opened.transaction("keys", mode);
      const request = work(transaction.objectStore("keys"));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = () => reject(transaction.error);
    });
  } finally {
    opened.close();
  }
}

/** Keys that this device keeps under a name; undefined where it keeps none. */
export const kept = (name) => inStore("readonly", (store) => store.get(name));
export const keep = (name, all) => inStore("readwrite", (store) => store.put(all, name));
export const forgetOne = (name) => inStore("readwrite", (store) => store.delete(name));
export const forget = () => inStore("readwrite", (store) => store.clear());
/** The names that begin with something. */
export const named = (start) => inStore("readonly", (store) => store.getAllKeys(IDBKeyRange.bound(start, `${start}\uffff`)));
