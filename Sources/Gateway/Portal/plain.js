// All of a record in words: each element by its name, with its value. What a page shows of a record at first sight is
// chosen (fhir.js); here nothing that somebody wrote is left out but identifiers of machines and what is drawn elsewhere.
import { dayAndTime } from "./dates.js";
import { timing } from "./dosage.js";
import { fullName, joined, referred } from "./parts.js";
import { D, T } from "./texts.js";
import { concept, digits, list, money, period, quantity, range, ratio, text } from "./values.js";

/** As many lines as are shown; the rest is in the file. */
export const LINES_MAX = 400;
const DEPTH_MAX = 12;

/** What tells machines how to treat a record, and the words in HTML that a system made of it. */
const LEFT_OUT = new Set(["resourceType", "id", "meta", "implicitRules", "language", "text", "fhir_comments"]);
const LEFT_OUT_INSIDE = new Set(["id", "data", "hash", "contentType", "size"]);
const DATE = /^\d{4}(?:-\d\d(?:-\d\d(?:T\d\d:\d\d.*)?)?)?$/;

/** An element's name as people write it: of a choice (value[x]) without its type. */
const TYPES = "Quantity|CodeableConcept|String|Boolean|Integer|Range|Ratio|SampledData|Time|DateTime|Date|Period|Age|Duration|Reference|Attachment|Timing|Instant|Money|Coding|Code|Decimal|Uri|PositiveInt";
const CHOICE = new RegExp(`^(value|onset|abatement|effective|performed|occurrence|occurred|deceased|born|age|medication|reported|asNeeded|dose|rate|scheduled|product|due|detail|`
  + `doseNumber|seriesDoses|multipleBirth|start|quantity|timing|collected|allowed|item|content|probability|when|additive|substitution)(?:${TYPES})$`);
const nameOf = (key) => {
  const name = CHOICE.exec(key)?.[1] ?? key;
  return D.elements[name] ?? name.replace(/(?<=[a-z])(?=[A-Z])/g, " ").replace(/^./, (letter) => letter.toUpperCase());
};

/** Words for what is one value in FHIR, though it is an object; undefined where its parts are shown one by one. */
function phrase(value, find) {
  const has = (...names) => names.some((name) => value[name] !== undefined);
  if (has("coding") || (text(value.text) && Object.keys(value).length === 1)) return coded(value);
  if (has("code", "display") && !has("value", "resourceType") && Object.keys(value).every((key) => ["system", "version", "code", "display", "userSelected"].includes(key))) return text(value.display) ?? text(value.code);
  const number = Array.isArray(value.identifier) ? undefined : text(value.identifier?.value);
  if (has("reference", "display") || (number && Object.keys(value).length < 3 && !has("value"))) {
    const words = referred(value, find) ?? text(value.reference);
    return words && number && words !== number ? `${words} (${number})` : words ?? number;
  }
  if (has("low", "high") && !has("type", "text", "appliesTo")) return range(value);
  if (has("numerator", "denominator")) return ratio(value);
  if (has("currency")) return money(value);
  if (typeof value.value === "number") return quantity(value)?.text;
  if (has("repeat") || typeof list(value.event)[0] === "string") return timing(value);
  if (has("start", "end") && Object.keys(value).every((key) => ["start", "end"].includes(key))) return period(value);
  if (has("family", "given")) return named(value);
  if (has("line", "city", "postalCode", "country")) return text(value.text) ?? joined(list(value.line), value.postalCode, value.city, value.district, value.state, value.country);
  if (typeof value.value === "string" && has("system", "use")) return joined([concept(value.type), value.value].filter(Boolean).join(" "), concept(value.assigner));
  return undefined;
}

/** A name with its title; what people call somebody beside it. */
const named = (value) => {
  const [name, called] = [fullName(value), text(value.text)];
  const given = list(value.given).filter((one) => text(one) && !name?.includes(one));
  return joined([...list(value.prefix), name].filter(Boolean).join(" "), [...given, ...list(value.suffix)].filter((one) => !name?.includes(one)), called === name ? "" : called);
};

/** A concept's words, and what its codes say beside them. */
const coded = (value) => {
  const isBare = !text(value.text) && !list(value.coding).some((one) => text(one.display));
  const words = isBare ? inWords(concept(value)) : concept(value);
  const others = list(value.coding).map((one) => text(one.display) ?? (value.text ? undefined : text(one.code))).filter((one) => one && one !== words);
  return words && [words, others.length ? `(${[...new Set(others)].join("; ")})` : ""].filter(Boolean).join(" ");
};

const simple = (holder, key, value) => {
  if (typeof value === "number") return digits(holder, key);
  if (typeof value === "boolean") return value ? D.yes : D.no;
  if (DATE.test(value)) return dayAndTime(value);
  return inWords(value);
};
/** FHIR's own codes in the reader's language; what is no such code stays as it is. */
const WORDS = [T.statuses, T.severities, T.sexes, T.allergyTypes, D.allergyCategories, D.priorities];
const inWords = (code) => WORDS.find((one) => Object.hasOwn(one, code))?.[code] ?? code;

const EXTENSIONS = ["extension", "modifierExtension"];

/** Lines of a record: [{name, words, depth}]; `words` is empty where what is inside follows, a step deeper. */
export function reading(resource, find = () => undefined) {
  const lines = [];
  const add = (name, words, depth) => {
    if (lines.length < LINES_MAX) lines.push({ name, words, depth });
  };
  const one = (holder, key, name, depth) => {
    const value = holder[key];
    if (value === null || value === undefined || value === "" || depth > DEPTH_MAX) return;
    if (typeof value !== "object") return add(name, simple(holder, key, value), depth);
    const words = phrase(value, find);
    add(name, words ?? "", depth);
    if (words === undefined) each(value, depth + 1);
    else for (const inner of EXTENSIONS) extensions(value[inner], depth + 1);
  };
  const all = (holder, key, name, depth) => {
    if (Array.isArray(holder[key])) for (const index of holder[key].keys()) one(holder[key], String(index), name, depth);
    else one(holder, key, name, depth);
  };
  // An extension says by its address what it is.
  const extensions = (value, depth) => {
    for (const item of list(value)) {
      const key = Object.keys(item).find((name) => name.startsWith("value"));
      const name = text(item.url)?.split("/").at(-1) ?? D.unnamed;
      if (key) all(item, key, name, depth);
      else {
        add(name, "", depth);
        extensions(item.extension, depth + 1);
      }
    }
  };
  const each = (value, depth) => {
    const isResource = typeof value.resourceType === "string";
    if (isResource && depth > 0) add(D.elements.resource, T.types[value.resourceType] ?? value.resourceType, depth);
    for (const key of Object.keys(value)) {
      if (EXTENSIONS.includes(key)) extensions(value[key], depth);
      else if (!(isResource ? LEFT_OUT : LEFT_OUT_INSIDE).has(key) && !key.startsWith("_")) all(value, key, nameOf(key), depth);
    }
  };
  if (resource && typeof resource === "object") each(resource, 0);
  return lines;
}
