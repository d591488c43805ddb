// Sealed content, opened here and held against its hash-lock: resources as a whole, longer files part by part, when
// somebody asks for them.
import { canonical } from "./canonical.js";
import { hex, openStream, RunningSHA256, sha256, StreamOpener, utf8 } from "./crypto.js";

const DOMAIN = utf8("consilium/record/v1\0");
const SALT_LENGTH = 32;

/** What a file is, by its first bytes: a name for people and an ending for its name. */
const KINDS = [
  [0, "%PDF-", "pdf"], [128, "DICM", "dicom"], [1, "PNG\r\n", "png"], [0, "\xff\xd8\xff", "jpeg"], [4, "ftyp", "mp4"],
];
export function kindOf(bytes) {
  const found = KINDS.find(([at, text]) => [...text].every((one, index) => bytes[at + index] === one.charCodeAt(0)));
  return found ? found[2] : "file";
}

/** Opened content: {salt, text} where it is a resource, else {salt, file}. */
function told(plaintext) {
  const [salt, content] = [plaintext.slice(0, SALT_LENGTH), plaintext.subarray(SALT_LENGTH)];
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(content);
    if (typeof JSON.parse(text)?.resourceType === "string") return { salt, text };
  } catch { /* It is no resource: a file. */ }
  return { salt, file: { size: content.length, kind: kindOf(content), open: async () => ({ blob: new Blob([content]), salt }) } };
}

/** Opens chunks with their key: {salt, text or file}, or {fault} in a word. `hashLock` is in hexadecimal digits. */
export async function openChunks(chunks, key, hashLock) {
  const plaintext = key && openStream(chunks, key);
  if (!plaintext) return { fault: "encryption" };
  if (hex(await sha256(DOMAIN, plaintext)) !== hashLock) return { fault: "hash-lock" };
  return told(plaintext);
}

/** A file that is opened when it is asked for: `part` gives {count, chunks} from a chunk on. */
export const longFile = (size, key, hashLock, part) => ({ file: { size, kind: "file", open: (progress) => openLong(key, hashLock, part, progress) } });

/** Opens a file part by part; the browser keeps what was opened, and gives it out only once all of it is right. */
async function openLong(key, hashLock, part, progress) {
  const lock = new RunningSHA256().update(DOMAIN);
  const pieces = [];
  const salt = new Uint8Array(SALT_LENGTH);
  let [opener, place, saltLeft, done] = [null, 0, SALT_LENGTH, 0];
  for (;;) {
    const { count, chunks } = await part(place);
    for (const chunk of chunks) {
      if (place++ === 0) {
        opener = new StreamOpener(chunk, key);
        continue;
      }
      const plain = opener.open(chunk);
      if (!plain) throw new Error("encryption");
      lock.update(plain);
      const content = plain.subarray(Math.min(saltLeft, plain.length));
      salt.set(plain.subarray(0, plain.length - content.length), SALT_LENGTH - saltLeft);
      saltLeft -= plain.length - content.length;
      if (content.length) pieces.push(new Blob([content]));
      done += content.length;
    }
    progress?.(done);
    if (chunks.length === 0 || place >= count) break;
  }
  if (!opener?.isOver) throw new Error("encryption");
  if (hex(lock.digest()) !== hashLock) throw new Error("hash-lock");
  return { blob: new Blob(pieces), salt };
}

const PIECE = 4 << 20;
/** What is longer is no resource, and goes by piece by piece. */
const WHOLE_MAX = 32 << 20;

/** The hash-locks that a file has under a salt: that of its own bytes, and, as a resource, that of its canonical ones. */
export async function locksOf(file) {
  const forms = [];
  if (file.size <= WHOLE_MAX) {
    forms.push(new Uint8Array(await file.arrayBuffer()));
    try {
      forms.push(utf8(canonical(await file.text())));
    } catch { /* It is no JSON. */ }
  }
  return async (salt) => {
    if (forms.length) return Promise.all(forms.map(async (bytes) => hex(await sha256(DOMAIN, salt, bytes))));
    const lock = new RunningSHA256().update(DOMAIN).update(salt);
    for (let at = 0; at < file.size; at += PIECE) lock.update(new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer()));
    return [hex(lock.digest())];
  };
}
