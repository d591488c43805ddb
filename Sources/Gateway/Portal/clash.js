// Medicines against allergies: by their codes first, then by what their names mean, then by the words alone. A reminder,
// not a decision: it knows a small table, and says which allergies it compared.
import { CLASSES, PHRASES, SUBSTANCES } from "./drugs.js";
import { list, text } from "./values.js";

export const RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm";
const SNOMED = "http://snomed.info/sct";
export const ATC = ["http://www.whocc.no/atc", "urn:oid:2.16.840.1.113883.6.73", "http://fhir.de/CodeSystem/bfarm/atc"];

/** Words that name no substance: forms, salts, doses, and the talk around them. In small letters, without accents. */
const STOP = new Set(`
tablet tablets tab tabs tbl tabletten tablette comprime comprimes comprimido comprimidos compressa compresse capsule capsules cap caps kapsel kapseln gelule
gelules capsula capsulas oral orally oraal buvable solution suspension syrup sirup sirop jarabe injection injectable injektion infusion drops tropfen gouttes cream
creme ointment salbe pommade gel patch spray inhaler powder pulver poudre suppository lozenge film coated extended release modified sustained delayed prolonged retard
forte chewable dispersible soluble effervescent mg mcg ug gram grams ml iu unit units dose doses daily day days week once twice times every per and with without for of the
in to by or as is on at no not than each all from und mit ohne oder der die das von zu gegen bei et avec sans ou de du des la le les l d a au aux contre con sin para por el los las del
y o e il lo di da allergy allergies allergic allergen allergie allergique allergisch alergia alergias alergico allergia intolerance intolerant intolerancia intolleranza
unvertraglichkeit adverse reaction reactions hypersensitivity sensitivity propensity disposition substance substances product products preparation medicament
medication medicine medicines drug drugs agent agents class antibiotic antibiotics containing specific known severe mild moderate high low risk finding situation disorder
history anaphylaxis anaphylactic anaphylaxie anafilaxia shock due status entered error suspected confirmed unknown other type form pack vial ampoule bottle new gloves glove med meds аллергия на таблетки непереносимость حساسية من دواء
`.split(/\s+/).filter(Boolean));
/** Salts and the like: they tell substances apart only where nothing else does. */
const SALTS = new Set(`
potassium sodium calcium magnesium kalium natrium sodique potassique hydrochloride hydrochlorid chlorhydrate clorhidrato chloride sulfate sulphate phosphate acetate
citrate tartrate maleate fumarate mesylate succinate bromide nitrate oxide carbonate gluconate acid acide acido saure trihydrate monohydrate dihydrate anhydrous hcl base oil
`.split(/\s+/).filter(Boolean));
/** The same for scripts that do not part words. */
const STOP_PARTS = /过敏|過敏|反应|反應|史|片|胶囊|膠囊|颗粒|注射液|注射用|口服液|钾|鉀|钠|鈉|缓释|药物|藥物|类|類|アレルギー|錠|カプセル|注射|薬|알레르기|정|캡슐|แพ้|ยา/gu;
const UNPARTED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}ー]+/gu;

/** Small letters without accents; what is written as one character stays one. */
const plain = (words) => words.normalize("NFKD").replace(/\p{M}/gu, "").normalize("NFKC").toLowerCase();
export const plural = (word) => (/^[a-z]{5,}s$/.test(word) ? word.slice(0, -1) : word);

const phrased = (words) => PHRASES.reduce((said, [phrase, name]) => said.replace(phrase, name), plain(words));
const parted = (words) => phrased(words).replace(UNPARTED, " ").match(/\p{L}[\p{L}\p{M}]*/gu) ?? [];
const unparted = (words) => (plain(words).match(UNPARTED) ?? []);

/** The words that name something. Where salts and stop words are all there is, the salts count. */
function telling(words) {
  const some = parted(words).filter((word) => !STOP.has(word) && (word.length > 2 || !/^[a-z]+$/.test(word)));
  const best = some.filter((word) => !SALTS.has(word));
  const pieces = unparted(words).flatMap((run) => run.replace(STOP_PARTS, " ").split(" ")).filter((piece) => piece.length > 1);
  return { words: new Set((best.length ? best : some).map(plural)), pieces };
}

// ---- The table, ready to be asked

const byWord = new Map();
const byPiece = [];
const byCode = new Map();
const entry = (name, kind, isClass) => ({ name, kind, isClass });

function learn(names, codes, what) {
  for (const name of names) {
    const small = plain(name);
    if (small.match(UNPARTED)?.[0] === small) byPiece.push([small, what]);
    else if (!byWord.has(plural(small))) byWord.set(plural(small), what);
  }
  for (const [system, all] of codes) for (const code of all) byCode.set(`${system}|${code}`, what);
}
for (const [kind, one] of Object.entries(CLASSES)) {
  learn(one.words.split(" ").filter(Boolean), [[RXNORM, one.rxnorm], [SNOMED, one.snomed]], entry(kind, kind, true));
}
for (const one of SUBSTANCES) learn(one.names, [[RXNORM, one.rxnorm], [SNOMED, one.snomed]], entry(one.name, one.kind, false));
byPiece.sort(([a], [b]) => b.length - a.length);

function byATC(code) {
  const found = Object.entries(CLASSES).find(([, one]) => one.atc.some((group) => code.startsWith(group)));
  return found ? entry(code.length >= 7 ? code : found[0], found[0], code.length < 7) : undefined;
}

const meanings = new WeakMap();
/** What somebody names, of {codings, texts}: what the table knows of it, its codes, and its words. Each is looked up once. */
function meant(named) {
  if (!meanings.has(named)) meanings.set(named, lookedUp(named));
  return meanings.get(named);
}

function lookedUp({ codings, texts }) {
  const known = [];
  for (const one of codings) {
    const code = text(one.code);
    if (!code) continue;
    const found = ATC.includes(one.system) ? byATC(code) : byCode.get(`${one.system}|${code}`);
    if (found) known.push(found);
  }
  const words = new Set();
  const pieces = [];
  for (const one of texts) {
    const said = telling(one);
    for (const word of said.words) {
      words.add(word);
      if (byWord.has(word)) known.push(byWord.get(word));
    }
    for (const run of unparted(one)) {
      let rest = run;
      for (const [name, what] of byPiece) {
        if (rest.includes(name)) {
          known.push(what);
          rest = rest.replace(name, " ");
        }
      }
    }
    pieces.push(...said.pieces);
  }
  const codes = new Set(codings.filter((one) => text(one.code) && text(one.system)).map((one) => `${one.system}|${one.code}`));
  return { known, codes, words, pieces };
}

/** The longest beginning that two words need to share, for endings differ between languages. */
const STEM_MIN = 6;
const isSameWord = (a, b) => a === b || (Math.min(a.length, b.length) >= STEM_MIN && Math.abs(a.length - b.length) <= 3
  && (a.startsWith(b.slice(0, -1)) || b.startsWith(a.slice(0, -1))));

const holds = (one, other) => Boolean(CLASSES[one].contains?.includes(other));
/** The class that two have in common, or that names one where the other is of it; undefined where there is none. */
function common(medicine, allergy) {
  if (medicine.kind === allergy.kind || (allergy.isClass && holds(allergy.kind, medicine.kind))) return allergy.kind;
  return medicine.isClass && holds(medicine.kind, allergy.kind) ? medicine.kind : undefined;
}

/** How a medicine clashes with an allergy: {level: "same" | "class" | "near", kind}; null where nothing says so. */
export function clash(medicine, allergy) {
  const [m, a] = [meant(medicine), meant(allergy)];
  if ([...m.codes].some((code) => a.codes.has(code))) return { level: "same" };
  let near = null;
  for (const one of m.known) {
    for (const other of a.known) {
      if (one.name === other.name) return { level: "same" };
      const kind = common(one, other);
      if (kind) return { level: "class", kind };
      if (CLASSES[other.kind].near.includes(one.kind)) near = { level: "near", kind: other.kind };
    }
  }
  if ([...m.words].some((word) => [...a.words].some((other) => isSameWord(word, other)))) return { level: "same" };
  if (m.pieces.some((piece) => a.pieces.some((other) => piece.includes(other) || other.includes(piece)))) return { level: "same" };
  return near;
}

/** Short pieces that tell names apart: the D of vitamin D, the B12 of another. A dose is none. */
const short = ({ texts }) => texts.flatMap((one) => plain(one).match(/[\p{L}\p{N}]+/gu) ?? [])
  .filter((word) => word.length <= 3 && /^\p{L}/u.test(word) && !STOP.has(word));

/** Whether two name one substance: by a code, by the table, or by all their words. */
export function isSame(one, other) {
  const [a, b] = [meant(one), meant(other)];
  if ([...a.codes].some((code) => b.codes.has(code))) return true;
  if (a.known.some((x) => !x.isClass && b.known.some((y) => !y.isClass && x.name === y.name))) return true;
  const words = [[a, one], [b, other]].map(([{ words: own, pieces }, named]) => [...new Set([...own, ...pieces, ...short(named)])].sort().join(" "));
  return a.words.size + a.pieces.length > 0 && words[0] === words[1];
}

/** The classes of what is meant, and its words that name something. */
export const kindsOf = (named) => meant(named).known.map((one) => one.kind);
export const wordsOf = (named) => meant(named).words;

/** Whether the table knows what is meant. */
export const isKnown = (named) => meant(named).known.length > 0;

// ---- Of resources

const codings = (...concepts) => concepts.flatMap((one) => list(one?.coding));
const texts = (...concepts) => concepts.flatMap((one) => [text(one?.text), ...list(one?.coding).map((each) => text(each.display))]).filter(Boolean);
const named = (concepts, more = []) => ({ codings: codings(...concepts), texts: [...texts(...concepts), ...more.filter(Boolean)] });

/** What somebody typed. */
export const typed = (words) => ({ codings: [], texts: [words] });

/** The substances of an allergy: its own, and those of its reactions. */
export const ofAllergy = (resource) => named([resource.code, ...list(resource.reaction).map((one) => one.substance)]);

/** The substances of a medicine: its own, those of the medication that it refers to, and what is in that. */
export function ofMedicine(resource, find = () => undefined) {
  const found = resource.medicationReference ? find(resource.medicationReference) : undefined;
  const inside = list(found?.ingredient).map((one) => one.itemCodeableConcept);
  return named([resource.medicationCodeableConcept, found?.code, ...inside],
    [text(resource.medicationReference?.display), ...list(found?.ingredient).map((one) => text(one.itemReference?.display))]);
}

/** How people write in a problem that it is an allergy, in small letters without accents; and how, that it is none. */
const ALLERGY_WORDS = /all?erg|anaph?[yi]la[kcx]|anafila[kcx]|аллерги|анафила|过敏|過敏|アレルギー|アナフィラキシー|알레르기|حساسية/u;
const NO_ALLERGY = /^(?:no|not|keine?|sin|pas d|family history)\b/u;
/** The groups of ICD-10 that are allergies, anaphylaxis, and a history of either. */
const ICD10 = /icd-?10/i;
const ICD10_ALLERGY = /^(?:Z88|Z91\.0|T78\.[024]|T88\.6)/;

/** Whether a problem is an allergy: by a code of one, or by its words. */
export function isAllergy(resource) {
  const { codings: all, texts: said } = named([resource?.code]);
  const isCoded = all.some(({ system, code }) => (system === SNOMED && byCode.has(`${SNOMED}|${code}`))
    || (ICD10.test(text(system) ?? "") && ICD10_ALLERGY.test(text(code) ?? "")));
  return isCoded || said.map(plain).some((words) => ALLERGY_WORDS.test(words) && !NO_ALLERGY.test(words));
}
