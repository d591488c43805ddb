// What browsers lack of the ledger's cryptography: BLAKE2b (RFC 7693), ChaCha20 and HChaCha20 (RFC 8439,
// draft-irtf-cfrg-xchacha), libsodium's secretstream and sealed boxes. Poly1305, HSalsa20 and the box itself come from
// TweetNaCl (nacl-fast.js, public domain); Ed25519, X25519, HKDF and SHA-256 from the browser.
/* global nacl */

const encoder = new TextEncoder();

export const utf8 = (text) => encoder.encode(text);
export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
export const base64 = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
export const unhex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
export const concat = (...parts) => {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
};
export const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", concat(...parts)));

const IV = [
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
];
const SIGMA = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4], [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13], [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11], [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5], [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];
const MASK = (1n << 64n) - 1n;
const rotateRight64 = (value, count) => ((value >> count) | (value << (64n - count))) & MASK;

/** BLAKE2b without a key, of `length` bytes. */
export function blake2b(message, length = 32) {
  const state = IV.slice();
  state[0] ^= 0x01010000n ^ BigInt(length);
  const blocks = Math.max(1, Math.ceil(message.length / 128));
  for (let block = 0; block < blocks; block++) {
    const padded = new Uint8Array(128);
    padded.set(message.subarray(block * 128, block * 128 + 128));
    const view = new DataView(padded.buffer);
    const words = Array.from({ length: 16 }, (_, index) => view.getBigUint64(index * 8, true));
    const isLast = block === blocks - 1;
    const v = state.concat(IV);
    v[12] ^= BigInt(isLast ? message.length : (block + 1) * 128);
    if (isLast) v[14] ^= MASK;
    const mix = (a, b, c, d, x, y) => {
      v[a] = (v[a] + v[b] + x) & MASK;
      v[d] = rotateRight64(v[d] ^ v[a], 32n);
      v[c] = (v[c] + v[d]) & MASK;
      v[b] = rotateRight64(v[b] ^ v[c], 24n);
      v[a] = (v[a] + v[b] + y) & MASK;
      v[d] = rotateRight64(v[d] ^ v[a], 16n);
      v[c] = (v[c] + v[d]) & MASK;
      v[b] = rotateRight64(v[b] ^ v[c], 63n);
    };
    for (let round = 0; round < 12; round++) {
      const s = SIGMA[round % 10];
      mix(0, 4, 8, 12, words[s[0]], words[s[1]]);
      mix(1, 5, 9, 13, words[s[2]], words[s[3]]);
      mix(2, 6, 10, 14, words[s[4]], words[s[5]]);
      mix(3, 7, 11, 15, words[s[6]], words[s[7]]);
      mix(0, 5, 10, 15, words[s[8]], words[s[9]]);
      mix(1, 6, 11, 12, words[s[10]], words[s[11]]);
      mix(2, 7, 8, 13, words[s[12]], words[s[13]]);
      mix(3, 4, 9, 14, words[s[14]], words[s[15]]);
    }
    for (let index = 0; index < 8; index++) state[index] ^= v[index] ^ v[index + 8];
  }
  const out = new DataView(new ArrayBuffer(64));
  state.forEach((word, index) => out.setBigUint64(index * 8, word, true));
  return new Uint8Array(out.buffer, 0, length);
}

/** The ledger's digest of a domain and parts: the domain is followed by a zero byte. */
export const digest = (domain, ...parts) => blake2b(concat(utf8(domain + "\0"), ...parts));

const CONSTANTS = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574];
const rotateLeft = (value, count) => (value << count) | (value >>> (32 - count));

function rounds(x) {
  const quarter = (a, b, c, d) => {
    x[a] += x[b];
    x[d] = rotateLeft(x[d] ^ x[a], 16);
    x[c] += x[d];
    x[b] = rotateLeft(x[b] ^ x[c], 12);
    x[a] += x[b];
    x[d] = rotateLeft(x[d] ^ x[a], 8);
    x[c] += x[d];
    x[b] = rotateLeft(x[b] ^ x[c], 7);
  };
  for (let round = 0; round < 10; round++) {
    quarter(0, 4, 8, 12);
    quarter(1, 5, 9, 13);
    quarter(2, 6, 10, 14);
    quarter(3, 7, 11, 15);
    quarter(0, 5, 10, 15);
    quarter(1, 6, 11, 12);
    quarter(2, 7, 8, 13);
    quarter(3, 4, 9, 14);
  }
}

const words = (bytes) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / 4 }, (_, index) => view.getUint32(index * 4, true));
};
const bytesOf = (numbers) => {
  const view = new DataView(new ArrayBuffer(numbers.length * 4));
  numbers.forEach((number, index) => view.setUint32(index * 4, number, true));
  return new Uint8Array(view.buffer);
};

/** HChaCha20: a key from a key and 16 bytes. */
export function hchacha20(key, input) {
  const x = Uint32Array.from([...CONSTANTS, ...words(key), ...words(input)]);
  rounds(x);
  return bytesOf([...x.subarray(0, 4), ...x.subarray(12, 16)]);
}

/** The message XOR ChaCha20's stream (12-byte nonce), from block `counter` on. */
export function chacha20(key, nonce, counter, message) {
  const out = new Uint8Array(message.length);
  const start = Uint32Array.from([...CONSTANTS, ...words(key), counter, ...words(nonce)]);
  const x = new Uint32Array(16);
  const stream = new DataView(new ArrayBuffer(64));
  for (let at = 0; at < message.length; at += 64) {
    x.set(start);
    rounds(x);
    for (let index = 0; index < 16; index++) stream.setUint32(index * 4, x[index] + start[index], true);
    const end = Math.min(64, message.length - at);
    for (let index = 0; index < end; index++) out[at + index] = message[at + index] ^ stream.getUint8(index);
    start[12] += 1;
  }
  return out;
}

export function poly1305(key, message) {
  const out = new Uint8Array(16);
  nacl.lowlevel.crypto_onetimeauth(out, 0, message, 0, message.length, key);
  return out;
}

export const isSame = (a, b) => {
  let difference = a.length ^ b.length;
  for (let index = 0; index < a.length; index++) difference |= a[index] ^ b[index];
  return difference === 0;
};

/** One stream of libsodium's secretstream, opened chunk by chunk after its header. */
export class StreamOpener {
  #key;
  #inner;
  #counter = 1;
  /** Whether the last chunk was opened: nothing may follow it. */
  isOver = false;

  constructor(header, key) {
    if (header.length !== 24) throw new Error("encryption");
    this.#key = hchacha20(key, header.subarray(0, 16));
    this.#inner = header.slice(16);
  }

  /** The next chunk's plaintext; null where it is not the one that was sealed there. */
  open(box) {
    if (this.isOver || box.length < 17) return null;
    const length = box.length - 17;
    const nonce = concat(bytesOf([this.#counter]), this.#inner);
    const authentication = chacha20(this.#key, nonce, 0, new Uint8Array(32));
    const first = new Uint8Array(64);
    first[0] = box[0];
    const opened = chacha20(this.#key, nonce, 1, first);
    const tag = opened[0];
    opened[0] = box[0];
    const ciphertext = box.subarray(1, 1 + length);
    const sizes = new DataView(new ArrayBuffer(16));
    sizes.setBigUint64(8, BigInt(64 + length), true);
    // libsodium pads by length mod 16 here, not up to a multiple of 16; the format keeps that.
    const padding = new Uint8Array(length & 15);
    const mac = poly1305(authentication, concat(opened, ciphertext, padding, new Uint8Array(sizes.buffer)));
    if (!isSame(mac, box.subarray(1 + length)) || (tag !== 0 && tag !== 3)) return null;
    this.isOver = tag === 3;
    for (let index = 0; index < 8; index++) this.#inner[index] ^= mac[index];
    this.#counter += 1;
    return chacha20(this.#key, nonce, 2, ciphertext);
  }
}

/** Opens libsodium's secretstream: the header, then chunks; the last one, and only it, says that it is the last. */
export function openStream(chunks, key) {
  if (chunks.length < 2 || chunks[0].length !== 24) return null;
  const opener = new StreamOpener(chunks[0], key);
  const out = [];
  for (const box of chunks.slice(1)) {
    const plain = opener.open(box);
    if (!plain) return null;
    out.push(plain);
  }
  return opener.isOver ? concat(...out) : null;
}

const ROOTS = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113,
  127, 131, 137, 139, 149, 151, 157, 163, 167, 173, 179, 181, 191, 193, 197, 199, 211, 223, 227, 229, 233, 239, 241, 251, 257, 263,
  269, 271, 277, 281, 283, 293, 307, 311];
/** The first 32 bits of the fraction of a root (FIPS 180-4, 4.2.2 and 5.3.3). */
const fraction = (root) => Math.floor((root - Math.floor(root)) * 2 ** 32) >>> 0;
const K = Uint32Array.from(ROOTS, (prime) => fraction(Math.cbrt(prime)));

/** SHA-256 of what comes piece by piece: the browser's own takes a whole only. */
export class RunningSHA256 {
  #state = Uint32Array.from(ROOTS.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));
  #waiting = new Uint8Array(0);
  #length = 0;
  #w = new Uint32Array(64);

  update(bytes) {
    this.#length += bytes.length;
    const all = this.#waiting.length ? concat(this.#waiting, bytes) : bytes;
    const end = all.length - (all.length % 64);
    const view = new DataView(all.buffer, all.byteOffset, all.length);
    for (let at = 0; at < end; at += 64) this.#block(view, at);
    this.#waiting = all.slice(end);
    return this;
  }

  #block(view, at) {
    const w = this.#w;
    for (let t = 0; t < 16; t++) w[t] = view.getUint32(at + 4 * t);
    for (let t = 16; t < 64; t++) {
      const [x, y] = [w[t - 15], w[t - 2]];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    let [a, b, c, d, e, f, g, k] = this.#state;
    for (let t = 0; t < 64; t++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (k + s1 + ((e & f) ^ (~e & g)) + K[t] + w[t]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      k = g; g = f; f = e; e = (d + t1) | 0; d = c; c = b; b = a; a = (t1 + t2) | 0;
    }
    [a, b, c, d, e, f, g, k].forEach((word, index) => { this.#state[index] += word; });
  }

  /** The digest; nothing can follow. */
  digest() {
    const bits = BigInt(this.#length) * 8n;
    const padding = new Uint8Array(((this.#waiting.length < 56 ? 56 : 120) - this.#waiting.length) + 8);
    padding[0] = 0x80;
    new DataView(padding.buffer).setBigUint64(padding.length - 8, bits);
    this.update(padding);
    const out = new DataView(new ArrayBuffer(32));
    this.#state.forEach((word, index) => out.setUint32(index * 4, word));
    return new Uint8Array(out.buffer);
  }
}

/** Opens libsodium's sealed box with an X25519 key that the browser holds; null where it is another's. */
export async function openBox(box, publicKey, privateKey) {
  if (box.length < 48) return null;
  const sender = box.slice(0, 32);
  const nonce = blake2b(concat(sender, publicKey), 24);
  const theirs = await crypto.subtle.importKey("raw", sender, "X25519", false, []);
  const shared = new Uint8Array(await crypto.subtle.deriveBits({ name: "X25519", public: theirs }, privateKey, 256));
  const key = new Uint8Array(32);
  nacl.lowlevel.crypto_core_hsalsa20(key, new Uint8Array(16), shared, utf8("expand 32-byte k"));
  return nacl.secretbox.open(box.slice(32), nonce, key);
}
