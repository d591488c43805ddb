// A QR code (ISO/IEC 18004) of an account or a registration code, for the scanner at a desk: it types what it reads.
// Alphanumeric mode, versions 4 and 6 with error correction level M, which take 90 and 154 characters, and version 8 with
// level L, which takes 279; mask 0: what is shown is mostly hexadecimal digits without a pattern, which any mask spreads as well.
import { draw } from "./ui.js";

const CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
/** `format` is the level and mask 0, with their own error correction; `number` the version's, where a code tells it. */
const VERSIONS = [
  { size: 33, charactersMax: 90, blocks: 2, data: 32, correction: 18, format: 0x5412, middles: [] },
  { size: 41, charactersMax: 154, blocks: 4, data: 27, correction: 16, format: 0x5412, middles: [] },
  { size: 49, charactersMax: 279, blocks: 2, data: 97, correction: 24, format: 0x77c4, number: 0x085bc,
    middles: [[24, 6], [6, 24], [24, 24], [42, 24], [24, 42]] },
];

/** The data's codewords: mode, count, pairs of characters, then filling. */
function codewords(text, version) {
  const bits = [];
  const put = (value, count) => { for (let i = count - 1; i >= 0; i--) bits.push((value >> i) & 1); };
  put(2, 4);
  put(text.length, 9);
  const values = [...text].map((character) => CHARACTERS.indexOf(character));
  for (let i = 0; i + 1 < values.length; i += 2) put(values[i] * 45 + values[i + 1], 11);
  if (values.length % 2) put(values.at(-1), 6);
  const capacity = version.blocks * version.data * 8;
  put(0, Math.min(4, capacity - bits.length));
  put(0, (8 - bits.length % 8) % 8);
  for (let filling = 0xec; bits.length < capacity; filling ^= 0xec ^ 0x11) put(filling, 8);
  return Array.from({ length: bits.length / 8 }, (_, i) => bits.slice(i * 8, i * 8 + 8).reduce((sum, bit) => sum * 2 + bit, 0));
}

/** A product in GF(2⁸) modulo x⁸ + x⁴ + x³ + x² + 1. */
function times(a, b) {
  let product = 0;
  for (let i = 7; i >= 0; i--) {
    product = (product << 1) ^ (product >> 7) * 0x11d;
    if ((b >> i) & 1) product ^= a;
  }
  return product;
}

/** The Reed–Solomon codewords of a block. */
function correction(block, degree) {
  let divisor = [1];
  for (let i = 0, root = 1; i < degree; i++, root = times(root, 2)) {
    const next = [...divisor, 0];
    divisor.forEach((coefficient, k) => { next[k + 1] ^= times(coefficient, root); });
    divisor = next;
  }
  const rest = Array(degree).fill(0);
  for (const byte of block) {
    const factor = byte ^ rest.shift();
    rest.push(0);
    for (let k = 0; k < degree; k++) rest[k] ^= times(divisor[k + 1], factor);
  }
  return rest;
}

/** Data and correction of all blocks, interleaved. */
function interleaved(text, version) {
  const all = codewords(text, version);
  const data = Array.from({ length: version.blocks }, (_, i) => all.slice(i * version.data, (i + 1) * version.data));
  const checks = data.map((block) => correction(block, version.correction));
  const across = (blocks) => blocks[0].flatMap((_, i) => blocks.map((block) => block[i]));
  return [...across(data), ...across(checks)];
}

/** The modules, row by row; true is dark. */
export function modules(text) {
  const version = VERSIONS.find((one) => text.length <= one.charactersMax);
  if (!version || [...text].some((character) => !CHARACTERS.includes(character))) throw new RangeError("no QR code takes this");
  const { size } = version;
  const rows = Array.from({ length: size }, () => Array(size).fill(null));
  const set = (x, y, dark) => { if (x >= 0 && y >= 0 && x < size && y < size) rows[y][x] = Boolean(dark); };
  for (let i = 8; i < size - 8; i++) { set(i, 6, i % 2 === 0); set(6, i, i % 2 === 0); }
  const rings = (x, y, reach, isDark) => {
    for (let dy = -reach; dy <= reach; dy++) for (let dx = -reach; dx <= reach; dx++) set(x + dx, y + dy, isDark(Math.max(Math.abs(dx), Math.abs(dy))));
  };
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) rings(x, y, 4, (ring) => ring !== 2 && ring !== 4);
  for (const [x, y] of [...version.middles, [size - 7, size - 7]]) rings(x, y, 2, (ring) => ring !== 1);
  for (let i = 0; version.number && i < 18; i++) {
    const [near, far] = [Math.floor(i / 3), size - 11 + i % 3];
    set(near, far, (version.number >> i) & 1);
    set(far, near, (version.number >> i) & 1);
  }
  const bit = (i) => (version.format >> i) & 1;
  for (let i = 0; i < 15; i++) {
    const near = i < 6 ? [8, i] : i < 8 ? [8, i + 1] : i === 8 ? [7, 8] : [14 - i, 8];
    set(...near, bit(i));
    set(...(i < 8 ? [size - 1 - i, 8] : [8, size - 15 + i]), bit(i));
  }
  set(8, size - 8, true);
  const bits = interleaved(text, version).flatMap((byte) => Array.from({ length: 8 }, (_, i) => (byte >> (7 - i)) & 1));
  let next = 0;
  for (let right = size - 1; right > 0; right -= 2) {
    if (right === 6) right = 5;
    const isUpward = ((right + 1) & 2) === 0;
    for (let step = 0; step < size; step++) {
      const y = isUpward ? size - 1 - step : step;
      for (const x of [right, right - 1]) if (rows[y][x] === null) rows[y][x] = ((bits[next++] ?? 0) ^ ((x + y) % 2 === 0 ? 1 : 0)) === 1;
    }
  }
  return rows;
}

/** A picture of a text in capitals, with the quiet zone that scanners need; black on white in the dark too. */
export function picture(text, label) {
  const rows = modules(text.toUpperCase());
  const path = rows.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x + 4} ${y + 4}h1v1h-1z` : ""))).join("");
  const side = rows.length + 8;
  return draw("svg", { class: "qr", viewBox: `0 0 ${side} ${side}`, role: "img", "aria-label": label, "shape-rendering": "crispEdges" },
    draw("rect", { width: side, height: side, fill: "#fff" }), draw("path", { d: path, fill: "#000" }));
}
