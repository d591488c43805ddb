// Sealed content, opened here and held against its hash-lock: resources as a whole, longer files part by part, when
// somebody asks for them.
import { concat, hex, RunningSHA256, sha256, StreamOpener, openStream, utf8 } from "./crypto.js";

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
  return { salt, file: { size: content.length, kind: kindOf(content), open: async () => new Blob([content]) } };
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
      saltLeft -= plain.length - content.length;
      if (content.length) pieces.push(new Blob([content]));
      done += content.length;
    }
    progress?.(done);
    if (chunks.length === 0 || place >= count) break;
  }
  if (!opener?.isOver) throw new Error("encryption");
  if (hex(lock.digest()) !== hashLock) throw new Error("hash-lock");
  return new Blob(pieces);
}

/** The hash-lock of content under a salt. */
export const hashLockOf = async (salt, content) => hex(await sha256(concat(DOMAIN, salt), content));
