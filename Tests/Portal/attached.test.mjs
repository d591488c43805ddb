// What goes with a record that is erased: the records of its attachments, and nothing that another one names too.
import assert from "node:assert/strict";
import { test } from "node:test";
import { attachments } from "../../Sources/Gateway/Portal/attached.js";

const keys = { account: "a" };
const long = "ab".repeat(32);
const one = (record, resource, rest = {}) => ({
  keys, view: { record, hospital: 1, ...rest }, ...(resource ? { text: JSON.stringify(resource) } : { file: { size: 3, kind: "file" } }),
});
const document = (record, url, rest) =>
  one(record, { resourceType: "DocumentReference", id: record, content: [{ attachment: { url } }] }, rest);
const binary = (record, id, rest) => one(record, { resourceType: "Binary", id, data: "eA==" }, rest);
const names = (found) => found.map((each) => each.view.record);

test("the Binary that a document bears, however its address is written, and however deep it stands", () => {
  for (const url of ["Binary/b", "http://h:8101/fhir/Binary/b", "Binary/b/_history/2"]) {
    const bearer = document("1", url);
    assert.deepEqual(names(attachments(bearer, [bearer, binary("2", "b"), binary("3", "c")])), ["2"], url);
  }
  const answers = one("1", { resourceType: "QuestionnaireResponse", item: [{ item: [{ answer: [{ valueAttachment: { url: "Binary/b" } }] }] }] });
  assert.deepEqual(names(attachments(answers, [answers, binary("2", "b")])), ["2"]);
});

test("a file that is a record under its own id, opened or not", () => {
  const bearer = document("1", `http://h/fhir/Binary/${long}`);
  assert.deepEqual(names(attachments(bearer, [bearer, one(long, null)])), [long]);
});

test("not what another record names, what is gone or going, an older version, or another account's", () => {
  const bearer = document("1", "Binary/b");
  assert.deepEqual(attachments(bearer, [bearer, document("4", "Binary/b"), binary("2", "b")]), []);
  for (const rest of [{ erased: true }, { supersededBy: "1" }]) {
    assert.deepEqual(names(attachments(bearer, [bearer, document("4", "Binary/b", rest), binary("2", "b")])), ["2"]);
  }
  for (const rest of [{ erased: true }, { supersededBy: "9" }, { erasureDue: "2026-12-03T00:00:00Z" }]) {
    assert.deepEqual(attachments(bearer, [bearer, binary("2", "b", rest)]), [], JSON.stringify(rest));
  }
  assert.deepEqual(attachments(bearer, [bearer, { ...binary("2", "b"), keys: { account: "b" } }]), []);
});

test("nothing where the record is no resource, or names no file of a hospital", () => {
  for (const bearer of [one("1", null), { keys, view: { record: "1" }, text: "Binary/b" }, document("1", "https://x/Binary/b?c"), document("1", null)]) {
    assert.deepEqual(attachments(bearer, [bearer, binary("2", "b")]), []);
  }
});
