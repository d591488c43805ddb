// Checking a record that somebody was given: the document, its proof, and the consortium's genesis. No keys, nothing is
// sent anywhere; whoever has the genesis from elsewhere trusts nobody here.
import { locksOf } from "./content.js";
import * as node from "./node.js";
import { checkProof, ProofFault, readGenesis } from "./proof.js";
import { moment, T, V } from "./texts.js";
import { Over } from "./turns.js";
import { h, problem, view } from "./ui.js";

const chooser = (id, label) => [h("label", { for: id }, label), h("input", { type: "file", id })];
const chosen = (id) => document.getElementById(id).files[0];

async function read(file, fault) {
  try {
    return JSON.parse(await file.text());
  } catch {
    throw new ProofFault(fault);
  }
}

/** The genesis: of the file that was chosen, else as this hospital says that it is. */
async function genesis() {
  const file = chosen("genesis");
  const json = file ? await read(file, "genesis") : await node.genesis();
  try {
    return { ...readGenesis(json), isOwn: Boolean(file) };
  } catch {
    throw new ProofFault("genesis");
  }
}

async function check(turn, answer) {
  const [document, proof] = [chosen("document"), chosen("proof")];
  if (!document || !proof) return answer.replaceChildren(h("p", { class: "card warn" }, V.both));
  answer.replaceChildren(h("p", { class: "card waiting" }, T.loading));
  try {
    const from = await turn.of(genesis());
    const [given, locks] = [await turn.of(read(proof, "proof")), await turn.of(locksOf(document))];
    const found = await turn.of(checkProof(given, from, locks).catch((error) => {
      // A proof of another shape is no proof.
      throw error instanceof ProofFault ? error : new ProofFault("proof");
    }));
    const steps = [
      V.content, V.inLog(found.leaf, found.size), V.signed(found.signers.join(", "), found.needed),
      found.changes ? V.changes(found.changes) : null, from.isOwn ? V.ownGenesis : V.theirGenesis,
    ];
    return answer.replaceChildren(h("section", { class: "card good" }, h("h2", {}, V.authentic),
      h("p", {}, V.says(found.hospital, moment(found.time), from.name)), h("p", { class: "unknown", id: "moment" }, V.moment),
      h("ul", { class: "plain", id: "steps" }, steps.filter(Boolean).map((text) => h("li", {}, h("span", { class: "mark good" }, V.holds), " ", text))),
      h("dl", {}, [[T.fields.record, found.record], [V.author, found.author ?? T.system], [V.network, from.network]]
        .flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))));
  } catch (error) {
    if (error instanceof Over) return undefined;
    if (!(error instanceof ProofFault)) return answer.replaceChildren(problem(error));
    // Without a proof, or without knowing whose signatures count, nothing is said of the record.
    const isUnknown = error.kind === "genesis" || error.kind === "proof";
    return answer.replaceChildren(h("section", { class: `card ${isUnknown ? "warn" : "alert"}`, role: "alert" },
      h("h2", {}, isUnknown ? V.unknown : T.notAuthentic), h("p", {}, V.faults[error.kind](...error.values))));
  }
}

view((turn) => {
  const answer = h("div", { id: "verdict", "aria-live": "polite" });
  const run = (event) => {
    event.preventDefault();
    return check(turn.inner(), answer);
  };
  return [h("h1", {}, V.title), h("p", {}, V.text), h("form", { class: "card", onsubmit: run },
    chooser("document", V.document), chooser("proof", V.proof), chooser("genesis", V.genesis),
    h("p", {}, h("button", { id: "check" }, V.check))), answer];
});
