// The reader's side of custody (RECORDS §5): custodians' shares are judged and combined here, in the browser, so that no
// node ever has a record's key. Node: Sources/Threshold.
import { chacha20, concat, digest, hex, isSame, openBox, poly1305, sha256, unhex, utf8 } from "./crypto.js";
import { add, decode, encode, GENERATOR, IDENTITY, inverse, L, multiply, scalar, subtract, toBytes, toNumber } from "./ristretto.js";
import { Decoder, Encoder } from "./wire.js";

/** The consortium's custody key. */
export function readCustodyKey(decoder) {
  const [generation, epoch] = [decoder.u64(), decoder.u64()];
  const commitments = Array.from({ length: decoder.u16() }, () => decoder.raw(32));
  return {
    generation, epoch, threshold: commitments.length, points: commitments.map(decode),
    identifier: digest("consilium/custody-key/v1", new Encoder().u64(generation).raw(commitments[0]).bytes),
  };
}

/** What the ledger has of a record. */
export function readAnchor(bytes) {
  const decoder = new Decoder(bytes);
  const optional = () => (decoder.u8() === 1 ? decoder.raw(32) : null);
  return {
    record: decoder.raw(32), patient: decoder.raw(32), author: optional(), category: decoder.u8(),
    hashLock: decoder.raw(32), address: decoder.raw(32), sizeBytes: decoder.u64(), capsule: decoder.raw(32),
  };
}

const readCapsule = (bytes) => {
  const decoder = new Decoder(bytes);
  return { generation: decoder.u64(), box: decoder.raw(48), point: decoder.raw(32) };
};

async function challenge(domain, ...parts) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-512", concat(utf8(`${domain}\0`), ...parts)));
  return toNumber(hash) % L;
}

/** x_i·G of a member: what its shares are held against. Member i's point is i + 1. */
const verificationKey = (custody, member) =>
  custody.points.reduceRight((sum, one) => add(multiply(BigInt(member + 1), sum), one), IDENTITY);

/** The request to which shares are sealed: a key pair of its own, whose secret never leaves the browser. */
export async function ephemeral() {
  const pair = await crypto.subtle.generateKey("X25519", false, ["deriveBits"]);
  return { publicKey: new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)), privateKey: pair.privateKey };
}

/** What a share is proved and signed for. */
const context = (network, request, capsule, { generation, epoch }) => concat(
  utf8("consilium/release-share/v1\0"), unhex(network), unhex(request), capsule,
  new Encoder().u64(generation).u64(epoch).bytes);

/** "right", "wrong" (and its author signed it: evidence), or "unsigned". */
async function judge(share, capsule, custody, bound, memberKey) {
  const author = await crypto.subtle.importKey("raw", memberKey, "Ed25519", false, ["verify"]);
  const signed = concat(bound, toBytes(BigInt(share.member)), share.content);
  if (!(await crypto.subtle.verify("Ed25519", author, share.signature, signed))) return "unsigned";
  const [power, base] = [verificationKey(custody, share.member), decode(capsule.point)];
  const first = subtract(multiply(share.response, GENERATOR), multiply(share.challenge, power));
  const second = subtract(multiply(share.response, base), multiply(share.challenge, share.element));
  const expected = await challenge(
    "consilium/equality/v1", await sha256(bound), encode(GENERATOR), encode(power), capsule.point,
    encode(share.element), encode(first), encode(second));
  return expected === share.challenge ? "right" : "wrong";
}

/** A custodian's share, out of its box; null where it is none. */
async function openShare(member, box, keys) {
  const bytes = await openBox(box, keys.publicKey, keys.privateKey);
  if (!bytes) return null;
  try {
    const decoder = new Decoder(bytes);
    const named = decoder.u16();
    const content = decoder.raw(96);
    const inside = new Decoder(content);
    const share = {
      member: named, content, element: decode(inside.raw(32)), challenge: scalar(inside.raw(32)),
      response: scalar(inside.raw(32)), signature: decoder.raw(64), bytes,
    };
    return named === member && decoder.remaining === 0 ? share : null;
  } catch {
    return null;
  }
}

/** ChaCha20-Poly1305 (RFC 8439); null where a byte differs. */
function openAEAD(box, key, associated) {
  const [nonce, ciphertext] = [new Uint8Array(12), box.subarray(0, box.length - 16)];
  const pad = (bytes) => new Uint8Array((16 - (bytes.length % 16)) % 16);
  const sizes = new Encoder().u64(associated.length).u64(ciphertext.length).bytes;
  const mac = poly1305(chacha20(key, nonce, 0, new Uint8Array(32)),
    concat(associated, pad(associated), ciphertext, pad(ciphertext), sizes));
  return isSame(mac, box.subarray(box.length - 16)) ? chacha20(key, nonce, 1, ciphertext) : null;
}

/** The shares of one opening, as they come in. */
export class Opening {
  #right = new Map();
  #wrong = new Map();

  /** For a granted request, with its ephemeral `keys`; `members` are the members' keys by their place. */
  constructor({ network, request, anchor, keys, members }) {
    Object.assign(this, { network, request, anchor, custody: null, keys, members });
  }
  get settled() { return [...this.#right.keys(), ...this.#wrong.keys()]; }
  get isComplete() { return this.#right.size >= this.custody.threshold; }
  /** Proofs against custodians that signed wrong shares: the payloads for the ledger. */
  accusations(capsule) {
    return [...this.#wrong.values()].map((share) => new Encoder().digest(this.request).raw(this.anchor.record)
      .blob(capsule).raw(share.bytes).bytes);
  }

  /** Takes sealed shares, [{member, box}], of the record's capsule. */
  async take(boxes, capsuleBytes) {
    if (!isSame(await sha256(utf8("consilium/box/v1\0"), capsuleBytes), this.anchor.capsule)) throw new Error("capsule");
    const capsule = readCapsule(capsuleBytes);
    const bound = context(this.network, this.request, this.anchor.capsule, this.custody);
    for (const { member, box } of boxes) {
      const share = this.members[member] && (await openShare(member, box, this.keys));
      if (!share) continue;
      const verdict = await judge(share, capsule, this.custody, bound, this.members[member]);
      if (verdict === "right") this.#right.set(member, share);
      if (verdict === "wrong") this.#wrong.set(member, share);
    }
  }

  /** The record's key, of t right shares; null where the capsule's maker lied. */
  async key(capsuleBytes) {
    const capsule = readCapsule(capsuleBytes);
    const members = [...this.#right.keys()].sort((a, b) => a - b).slice(0, this.custody.threshold);
    const shared = members.reduce((sum, member) => {
      const own = BigInt(member + 1);
      const others = members.filter((other) => other !== member).map((other) => BigInt(other + 1));
      const above = others.reduce((product, other) => product * other % L, 1n);
      const below = others.reduce((product, other) => product * (other - own + L) % L, 1n);
      return add(sum, multiply(above * inverse(below) % L, this.#right.get(member).element));
    }, IDENTITY);
    const secret = await crypto.subtle.importKey("raw", encode(shared), "HKDF", false, ["deriveBits"]);
    const mask = new Uint8Array(await crypto.subtle.deriveBits(
      { name: "HKDF", hash: "SHA-256", salt: this.custody.identifier, info: utf8("consilium/capsule/v1") }, secret, 256));
    const { author, category, record, address } = this.anchor;
    const label = new Encoder().digest(this.network).raw(this.custody.identifier).raw(record).flag(author !== null);
    if (author) label.raw(author);
    return openAEAD(capsule.box, mask, digest("consilium/capsule-label/v1", label.u8(category).raw(address).bytes));
  }
}
