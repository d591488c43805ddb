// ristretto255 (RFC 9496) over plain integers: what a reader needs to judge custodians' shares and to combine them. No
// secret goes through here: a share alone says nothing, and what opens the record is made of shares that the reader has.

const P = (1n << 255n) - 19n;
/** The order of the group. */
export const L = (1n << 252n) + 27742317777372353535851937790883648493n;
const mod = (value, by = P) => ((value % by) + by) % by;

function power(base, exponent, by = P) {
  let [result, factor] = [1n, mod(base, by)];
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = (result * factor) % by;
    factor = (factor * factor) % by;
  }
  return result;
}

export const inverse = (value, by = L) => power(value, by - 2n, by);
const D = mod(-121665n * inverse(121666n, P));
const ROOT_M1 = power(2n, (P - 1n) / 4n);
const isNegative = (value) => (value & 1n) === 1n;
const absolute = (value) => (isNegative(value) ? mod(-value) : value);

/** √(u/v), or √(i·u/v) where there is none; whether there is one. RFC 9496 §4.2. */
function rootRatio(u, v) {
  const v3 = (v * v * v) % P;
  let root = (u * v3 % P) * power(u * v3 % P * v3 % P * v % P, (P - 5n) / 8n) % P;
  const check = (v * root % P) * root % P;
  const [isRight, isFlipped] = [check === mod(u), check === mod(-u)];
  const isFlippedI = check === mod(-u * ROOT_M1);
  if (isFlipped || isFlippedI) root = root * ROOT_M1 % P;
  return { isSquare: isRight || isFlipped, root: absolute(root) };
}
const ROOT_A_D = rootRatio(1n, mod(-1n - D)).root;

export const toNumber = (bytes) => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
export function toBytes(number) {
  const out = new Uint8Array(32);
  for (let index = 0; index < 32; index++) out[index] = Number((number >> BigInt(8 * index)) & 255n);
  return out;
}

/** A scalar of its 32 bytes; throws where they are not below L. */
export function scalar(bytes) {
  const number = toNumber(bytes);
  if (bytes.length !== 32 || number >= L) throw new Error("no scalar");
  return number;
}

export const IDENTITY = { x: 0n, y: 1n, z: 1n, t: 0n };

/** An element of its 32 bytes (RFC 9496 §4.3.1); throws where they encode none, or the identity. */
export function decode(bytes) {
  const s = toNumber(bytes);
  if (bytes.length !== 32 || s >= P || isNegative(s)) throw new Error("no element");
  const ss = s * s % P;
  const [u1, u2] = [mod(1n - ss), mod(1n + ss)];
  const u2u2 = u2 * u2 % P;
  const v = mod(-(D * u1 % P * u1) - u2u2);
  const { isSquare, root } = rootRatio(1n, v * u2u2 % P);
  const denominator = root * u2 % P;
  const x = absolute(2n * s * denominator % P);
  const y = u1 * (root * denominator % P * v % P) % P;
  const t = x * y % P;
  if (!isSquare || isNegative(t) || y === 0n || s === 0n) throw new Error("no element");
  return { x, y, z: 1n, t };
}

/** The 32 bytes of an element (RFC 9496 §4.3.2). */
export function encode({ x, y, z, t }) {
  const u1 = mod((z + y) * (z - y));
  const u2 = x * y % P;
  const { root } = rootRatio(1n, u1 * u2 % P * u2 % P);
  const [d1, d2] = [root * u1 % P, root * u2 % P];
  const zInverse = d1 * d2 % P * t % P;
  const rotates = isNegative(t * zInverse % P);
  const [x1, denominator] = rotates ? [y * ROOT_M1 % P, d1 * ROOT_A_D % P] : [x, d2];
  let y1 = rotates ? x * ROOT_M1 % P : y;
  if (isNegative(x1 * zInverse % P)) y1 = mod(-y1);
  return toBytes(absolute(denominator * mod(z - y1) % P));
}

export function add(p, q) {
  const a = mod((p.y - p.x) * (q.y - q.x));
  const b = (p.y + p.x) * (q.y + q.x) % P;
  const c = 2n * D * p.t % P * q.t % P;
  const d = 2n * p.z * q.z % P;
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return { x: mod(e * f), y: mod(g * h), z: mod(f * g), t: mod(e * h) };
}

const negative = ({ x, y, z, t }) => ({ x: mod(-x), y, z, t: mod(-t) });
export const subtract = (p, q) => add(p, negative(q));

export function multiply(number, point) {
  let [sum, factor] = [IDENTITY, point];
  for (let left = mod(number, L); left > 0n; left >>= 1n) {
    if (left & 1n) sum = add(sum, factor);
    factor = add(factor, factor);
  }
  return sum;
}

export const GENERATOR = decode(Uint8Array.from(
  "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76".match(/../g), (pair) => parseInt(pair, 16)));
