// Checking a record's proof here, with the genesis alone: which members' signatures count, whether a quorum signed the tree
// head, whether the entry stands under it, and what it says of the record (RECORDS §6). Node: Sources/Ledger/Proof.swift.
import { base64, digest, hex, isSame, sha256, unhex, utf8 } from "./crypto.js";
import { readAnchor } from "./custody.js";
import { Decoder, Encoder } from "./wire.js";

/** Why a proof proves nothing: a word of the catalogue, and what it is filled with. */
export class ProofFault extends Error {
  constructor(kind, ...values) {
    super(kind);
    [this.kind, this.values] = [kind, values];
  }
}

const LIMITS = [
  "pipelineMax", "cutTransactionsMax", "cutBytesMax", "checkpointInterval", "transactionLifeMilliseconds",
  "clockDriftMilliseconds",
];
const ENGINES = { pbft: 1, raft: 2 };
const CHANGE_MEMBERS = 20;
const ANCHOR_RECORD = 5;
const text = (encoder, value) => encoder.blob(utf8(value));

/** A consortium's first members, of the genesis file that it gives out; its content makes the network's identifier. */
export function readGenesis(json) {
  const rules = json.limits.rulesVersion ?? 1;
  const encoder = text(new Encoder().u8(rules > 1 ? 2 : 1), json.name).u8(ENGINES[json.engine]);
  for (const name of LIMITS) encoder.u64(json.limits[name]);
  encoder.u32(json.limits.blockBytesMax).u32(json.limits.transactionBytesMax).u16(json.members.length);
  for (const one of json.members) {
    text(encoder.u32(one.number), one.name).digest(one.key).digest(one.checkpointKey).digest(one.registrarKey)
      .digest(one.sealingKey).u16(one.addresses.length);
    for (const address of one.addresses) text(encoder, address);
  }
  if (rules > 1) encoder.u16(rules).u64(json.limits.emergencyAgeMilliseconds);
  const network = hex(digest("consilium/genesis/v1", encoder.bytes));
  if (network !== json.network) throw new ProofFault("genesis");
  const members = json.members.map((one) => ({ number: one.number, name: one.name, checkpointKey: unhex(one.checkpointKey) }));
  return { name: json.name, network, engine: json.engine, members, retired: new Set() };
}

function readMember(decoder) {
  const number = decoder.u32();
  const name = new TextDecoder().decode(decoder.blob());
  decoder.raw(32);
  const checkpointKey = decoder.raw(32);
  decoder.raw(64);
  for (let count = decoder.u16(); count > 0; count--) decoder.blob();
  return { number, name, checkpointKey };
}

const voters = (configuration) => configuration.members.filter((one) => !configuration.retired.has(one.number));
function quorum(configuration) {
  const count = voters(configuration).length;
  const faulty = configuration.engine === "pbft" ? Math.floor((count - 1) / 3) : 0;
  return Math.floor((count + faulty + 2) / 2);
}

/** The members after a change that is on the ledger. */
function changed(configuration, entry) {
  const decoder = new Decoder(entry.payload);
  decoder.raw(12);
  const [members, retired] = [[...configuration.members], new Set(configuration.retired)];
  const kind = decoder.u8();
  if (kind === 2) retired.add(decoder.u32());
  else {
    const member = readMember(decoder);
    const place = members.findIndex((one) => one.number === member.number);
    if ((kind === 1) !== (place < 0)) throw new ProofFault("configuration");
    members.splice(place < 0 ? members.length : place, 1, member);
  }
  return { ...configuration, members, retired };
}

function readEntry(bytes) {
  const decoder = new Decoder(bytes);
  if (decoder.u8() !== 1) throw new ProofFault("entry");
  decoder.u64();
  const [time, outcome] = [decoder.u64(), decoder.u16()];
  if (decoder.u8() !== 1) throw new ProofFault("entry");
  decoder.u8();
  const [kind, hospital] = [decoder.u16(), decoder.u32()];
  decoder.raw(20);
  return { time, outcome, kind, hospital, payload: decoder.blob() };
}

const node = (left, right) => sha256(Uint8Array.of(1), left, right);

/** The root that an audit path leads to from a leaf (RFC 9162, 2.1.3.2); null where it does not fit. */
export async function rootOf(leaf, index, size, path) {
  if (index >= size) return null;
  let [place, last, hash] = [index, size - 1, leaf];
  for (const sibling of path) {
    if (last === 0) return null;
    if (place % 2 === 1 || place === last) {
      hash = await node(sibling, hash);
      while (place % 2 === 0 && place !== 0) [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
    } else {
      hash = await node(hash, sibling);
    }
    [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
  }
  return last === 0 ? hash : null;
}

async function isSigned(key, signature, message) {
  const imported = await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
  return crypto.subtle.verify("Ed25519", imported, signature, message);
}

/** What follows the key's hash in the line of a name and key (C2SP signed-note). */
async function signatureLine(lines, name, type, key) {
  const start = `\u2014 ${name} `;
  const hash = (await sha256(utf8(`${name}\n`), Uint8Array.of(type), key)).subarray(0, 4);
  for (const line of lines.filter((one) => one.startsWith(start))) {
    const bytes = base64(line.slice(start.length));
    if (isSame(bytes.subarray(0, 4), hash)) return bytes.subarray(4);
  }
  return null;
}

/** A signed tree head: {size, root, signers, needed}, of which a quorum of its configuration signed. */
async function readHead(note, network, chain) {
  const end = note.indexOf("\n\n");
  const body = note.slice(0, end + 1);
  const fields = body.split("\n");
  const origin = `consilium/${network}`;
  const number = /^configuration (\d+)$/.exec(fields[5] ?? "")?.[1];
  if (end < 0 || fields.length !== 7 || fields[0] !== origin || !/^\d{1,15}$/.test(fields[1]) || number === undefined) {
    throw new ProofFault("head");
  }
  const configuration = chain[Number(number)];
  if (!configuration) throw new ProofFault("configuration");
  const lines = note.slice(end + 2).split("\n");
  const signers = [];
  for (const member of voters(configuration)) {
    const plain = await signatureLine(lines, origin, 1, member.checkpointKey);
    const stamped = await signatureLine(lines, `consilium.member.${member.number}`, 4, member.checkpointKey);
    if (plain?.length !== 64 || stamped?.length !== 72) continue;
    const seconds = new DataView(stamped.buffer, stamped.byteOffset, 8).getBigUint64(0);
    const cosigned = utf8(`cosignature/v1\ntime ${seconds}\n${body}`);
    if (await isSigned(member.checkpointKey, plain, utf8(body)) && await isSigned(member.checkpointKey, stamped.subarray(8), cosigned)) {
      signers.push(member.name);
    }
  }
  const needed = quorum(configuration);
  if (signers.length < needed) throw new ProofFault("quorum", signers.length, needed);
  return { size: Number(fields[1]), root: base64(fields[2]), signers, needed, number: Number(number) };
}

async function readProof(proof, network, chain) {
  const head = await readHead(proof.checkpoint, network, chain);
  const bytes = base64(proof.entry);
  const root = await rootOf(await sha256(Uint8Array.of(0), bytes), proof.leaf, head.size, proof.path.map(unhex));
  if (!root || !isSame(root, head.root)) throw new ProofFault("inclusion");
  return { head, entry: readEntry(bytes) };
}

/** What a record's proof says, from a genesis on; `locks` gives the hash-locks that the document has under a salt. */
export async function checkProof(proof, genesis, locks) {
  const chain = [genesis];
  for (const link of proof.configurations ?? []) {
    const { head, entry } = await readProof(link, genesis.network, chain);
    if (head.number !== chain.length - 1 || entry.outcome !== 0 || entry.kind !== CHANGE_MEMBERS) throw new ProofFault("configuration");
    chain.push(changed(chain.at(-1), entry));
  }
  const { head, entry } = await readProof(proof, genesis.network, chain);
  if (entry.outcome !== 0 || entry.kind !== ANCHOR_RECORD) throw new ProofFault("entry");
  const anchor = readAnchor(entry.payload);
  if (!/^[0-9a-f]{64}$/.test(proof.salt ?? "") || !(await locks(unhex(proof.salt))).includes(hex(anchor.hashLock))) {
    throw new ProofFault("document");
  }
  const hospital = chain.at(-1).members.find((one) => one.number === entry.hospital)?.name ?? `${entry.hospital}`;
  return {
    hospital, time: new Date(entry.time).toISOString(), record: hex(anchor.record), author: anchor.author && hex(anchor.author),
    leaf: proof.leaf, size: head.size, signers: head.signers, needed: head.needed, changes: chain.length - 1,
  };
}

