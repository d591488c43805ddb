// The ledger's encoding: little-endian numbers, counted blobs, one encoding for one value. Node: Sources/Wire.
import { concat, hex, unhex, utf8 } from "./crypto.js";

export class Encoder {
  #parts = [];

  #number(bytes, set) {
    const view = new DataView(new ArrayBuffer(bytes));
    set(view);
    this.#parts.push(new Uint8Array(view.buffer));
    return this;
  }
  u8(value) { return this.#number(1, (view) => view.setUint8(0, value)); }
  u16(value) { return this.#number(2, (view) => view.setUint16(0, value, true)); }
  u32(value) { return this.#number(4, (view) => view.setUint32(0, value, true)); }
  u64(value) { return this.#number(8, (view) => view.setBigUint64(0, BigInt(value), true)); }
  raw(bytes) {
    this.#parts.push(bytes);
    return this;
  }
  blob(bytes) { return this.u32(bytes.length).raw(bytes); }
  digest(text) { return this.raw(unhex(text)); }
  flag(value) { return this.u8(value ? 1 : 0); }
  get bytes() { return concat(...this.#parts); }
}

export class Decoder {
  #bytes;
  #at = 0;

  constructor(bytes) { this.#bytes = bytes; }
  raw(count) {
    if (this.#at + count > this.#bytes.length) throw new Error("truncated");
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }
  #view(count) {
    const bytes = this.raw(count);
    return new DataView(bytes.buffer, bytes.byteOffset, count);
  }
  u8() { return this.raw(1)[0]; }
  u16() { return this.#view(2).getUint16(0, true); }
  u32() { return this.#view(4).getUint32(0, true); }
  u64() { return Number(this.#view(8).getBigUint64(0, true)); }
  flag() { return this.u8() === 1; }
  blob() { return this.raw(this.u32()); }
  get remaining() { return this.#bytes.length - this.#at; }
}

/** A record as vaults keep it. */
export function readSealed(bytes) {
  const decoder = new Decoder(bytes);
  const record = hex(decoder.raw(32));
  return { record, ...readContent(decoder) };
}

function readContent(decoder) {
  const chunks = Array.from({ length: decoder.u32() }, () => decoder.blob());
  const capsule = decoder.blob();
  decoder.blob();
  return { chunks, capsule, patientCopy: decoder.blob() };
}

/** What there is of a record besides its ciphertext. */
export const readHead = (bytes) => head(new Decoder(bytes));

function head(decoder) {
  const [record, count, capsule] = [hex(decoder.raw(32)), decoder.u32(), decoder.blob()];
  decoder.blob();
  return { record, count, capsule, patientCopy: decoder.blob() };
}

/** Some of a record's chunks, and how many it has. */
export function readPart(bytes) {
  const decoder = new Decoder(bytes);
  decoder.raw(32);
  const count = decoder.u16();
  decoder.u16();
  return { count, chunks: Array.from({ length: decoder.u16() }, () => decoder.blob()) };
}

/** What a reader gets: the sealed record, without chunks where it is fetched by parts, and custodians' shares in their
 * boxes, or a hospital's own box with the key; and what the custody key is read out of. */
export function readRelease(bytes) {
  const decoder = new Decoder(bytes);
  const { record, ...content } = head(decoder);
  content.chunks = Array.from({ length: decoder.u32() }, () => decoder.blob());
  const shares = Array.from({ length: decoder.u16() }, () => ({ member: decoder.u16(), box: decoder.blob() }));
  const hospitalBox = decoder.flag() ? decoder.blob() : null;
  if (hospitalBox) decoder.raw(64);
  return { record, ...content, shares, hospitalBox, custody: decoder.flag() ? decoder : null };
}

/** A request to read; a `reason` other than 0 breaks the glass. */
export function accessRequest({ patient, records, purpose, reason, ephemeralKey }) {
  const encoder = new Encoder().digest(patient).u16(records.length);
  for (const record of records) encoder.digest(record);
  return encoder.u16(PURPOSES[purpose]).u16(reason).raw(ephemeralKey).bytes;
}

export const KIND = { grantConsent: 6, revokeConsent: 7, requestAccess: 8, breakGlass: 9, reviewBreakGlass: 10, eraseRecord: 14, accuseCustodian: 19, rateRecord: 22, endRecovery: 25, openSession: 29, keepRecords: 38 };
export const FOREVER = (1n << 64n) - 1n;

/** HL7 v3 PurposeOfUse, as bits. */
export const PURPOSES = { TREAT: 1, ETREAT: 2, HPAYMT: 4, HRESCH: 8, PUBHLTH: 16, PATRQT: 32, HOPERAT: 64 };

/** The categories of records, in the order of their numbers. */
export const CATEGORIES = [
  "other", "demographics", "encounter", "condition", "allergy", "medication", "observation", "immunization",
  "procedure", "document", "financial", "bundle", "sensitive",
];

/** A consent: `grantee` is {hospital}, {account} or {team}; who `acts` may read and share; `categories` is null for all. */
export function consentGrant({ patient, isDenial, acts, grantee, categories, purposes, until }) {
  const encoder = new Encoder().digest(patient).u8(isDenial ? 1 : acts ? 6 : 0);
  if (grantee.account) encoder.u8(1).digest(grantee.account);
  else if (grantee.team) encoder.u8(4).digest(grantee.team);
  else encoder.u8(2).u32(grantee.hospital);
  if (categories) {
    encoder.u8(2).u32(categories.reduce((bits, name) => bits | (1 << CATEGORIES.indexOf(name)), 0) >>> 0);
  } else {
    encoder.u8(1);
  }
  const bits = purposes.reduce((sum, code) => sum | PURPOSES[code], 0);
  return encoder.u16(bits).u64(0).u64(until ?? FOREVER).flag(false).bytes;
}

/** What a privacy officer found of a request that broke the glass. */
export const accessReview = (request, isJustified) => new Encoder().digest(request).flag(isJustified).bytes;

export const consentRevocation = (patient, consent) => new Encoder().digest(patient).digest(consent).bytes;

/** Takes back every erasure of a patient's that is not done yet. */
export const erasureWithdrawal = (patient) => new Encoder().digest(patient).u16(0).bytes;

/** A person's transaction: what is signed, and how the signature completes it. */
export function transaction({ kind, hospital, validUntil, nonce, payload, publicKey, network }) {
  const content = new Encoder().u8(1).u8(1).u16(kind).u32(hospital).u64(validUntil).raw(nonce).blob(payload)
    .raw(publicKey).bytes;
  return {
    signed: concat(utf8("consilium/transaction/v1\0"), unhex(network), content),
    complete: (signature) => concat(content, signature),
  };
}

/** Feedback on a visit: a record, and 1 to 5. */
export const recordRating = (record, rating) => new Encoder().digest(record).u8(rating).bytes;

/** A digest's bytes. */
export const unhexDigest = (text) => new Encoder().digest(text).bytes;
