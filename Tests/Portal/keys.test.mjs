// Goal: what a page shows for the desk is what the node's rules ask for, and a scanner can take it.
// Method: fixed bytes, as CodecTests has them; the QR code's fixed patterns.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hex } from "../../Sources/Gateway/Portal/crypto.js";
import { ownAccount, possessed } from "../../Sources/Gateway/Portal/keys.js";
import { modules } from "../../Sources/Gateway/Portal/qr.js";

test("what the holder of keys says of them has one form", () => {
  const keys = { network: "11".repeat(32), hospital: 2, sealingKey: new Uint8Array(32).fill(0x22) };
  const domain = "636f6e73696c69756d2f6b65792f763100";
  assert.equal(hex(possessed(keys, "patient")), `${domain}${"11".repeat(32)}0200000002${"22".repeat(32)}`);
  assert.equal(hex(possessed(keys, "practitioner")), `${domain}${"11".repeat(32)}0200000001${"22".repeat(32)}`);
});

test("an account of another hospital than the one that the keys were made for is not taken", () => {
  const keys = { hospital: 2, first: "aa" };
  assert.equal(ownAccount(keys, { account: "bb", hospital: 2 }), "bb");
  assert.equal(ownAccount(keys, { account: "cc", hospital: 1 }), "aa");
  assert.equal(ownAccount(keys, null), "aa");
});

test("a QR code takes the longest code for the desk", () => {
  const code = `CLINICIAN:${"A1".repeat(32)}:${"B2".repeat(32)}:${"C3".repeat(64)}`;
  const rows = modules(code);
  assert.equal(rows.length, 49);
  assert.ok(rows.every((row) => row.length === 49 && row.every((dark) => typeof dark === "boolean")));
  // The version's number, 8, at both of its places, its last bits first.
  const number = (read) => Array.from({ length: 18 }, (_, i) => Number(read(Math.floor(i / 3), 38 + i % 3)) << i)
    .reduce((sum, bit) => sum + bit);
  assert.equal(number((near, far) => rows[far][near]), 0x085bc);
  assert.equal(number((near, far) => rows[near][far]), 0x085bc);
  assert.throws(() => modules("A".repeat(280)), RangeError);
  assert.equal(modules("A1".repeat(32)).length, 33);
});
