// What was measured or found, with every digit of the record: quantities, ranges, ratios, series, codes, yes and no; what
// a result means, and what is usual. Nothing is rounded, nothing is converted.
import { day, dayAndTime } from "./dates.js";
import { D } from "./texts.js";

export const text = (value) => (typeof value === "string" && value.trim() ? value : undefined);
export const list = (value) => (Array.isArray(value) ? value.filter((one) => one !== null && one !== undefined) : []);
export const first = (value) => list(value)[0];

/** A concept's words, or its code where it has none. */
export const concept = (value) => {
  const coded = list(value?.coding).find((one) => text(one.display)) ?? first(value?.coding);
  return text(value?.text) ?? text(coded?.display) ?? text(coded?.code);
};

/** A word for an allergy that somebody can read. */
export const allergyName = (resource) => concept(resource.code) ?? list(resource.reaction).map((one) => concept(one.substance)).find(Boolean);

/** The code that a concept has in a system, or in any. */
export const codeOf = (value, system) =>
  text(list(value?.coding).find((one) => text(one.code) && (!system || one.system === system))?.code);

const tokens = new WeakMap();

/** JSON with each number as a string behind a mark that occurs nowhere else in it. */
function marked(json) {
  JSON.parse(json);
  let mark = "#";
  while (json.includes(mark)) mark += "#";
  return { mark, text: json.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g,
    (token) => (token.startsWith('"') ? token : `"${mark}${token}"`)) };
}

/** A resource's JSON. Of each number its digits are kept too, for 1.50 is not 1.5 in medicine. */
export function parsed(json) {
  const { mark, text: all } = marked(json);
  return JSON.parse(all, function keep(key, value) {
    if (typeof value !== "string" || !value.startsWith(mark)) return value;
    const token = value.slice(mark.length);
    if (!tokens.has(this)) tokens.set(this, new Map());
    tokens.get(this).set(key, token);
    return Number(token);
  });
}

/** JSON in lines, with the digits that it has. */
export function pretty(json) {
  const { mark, text: all } = marked(json);
  return JSON.stringify(JSON.parse(all), null, 1).replaceAll(new RegExp(`"${mark}([^"]*)"`, "g"), "$1");
}

/** A number's digits, as the record has them. */
export const digits = (holder, key) => tokens.get(holder)?.get(key) ?? String(holder[key]);

const COMPARATORS = { "<": "<", "<=": "≤", ">=": "≥", ">": ">", ad: D.sufficient };
/** UCUM's codes that people write otherwise: another spelling of the same unit. */
const UNITS = {
  "mm[Hg]": "mmHg", "cm[H2O]": "cmH₂O", Cel: "°C", "[degF]": "°F", "[lb_av]": "lb", "[oz_av]": "oz", "[in_i]": "in", "[ft_i]": "ft",
  ug: "µg", "ug/L": "µg/L", "ug/mL": "µg/mL", "umol/L": "µmol/L", um: "µm", "10*3/uL": "10³/µL", "10*6/uL": "10⁶/µL",
  "10*9/L": "10⁹/L", "10*12/L": "10¹²/L", "{score}": "", "{count}": "", 1: "",
};
export const unitOf = (value) => {
  const unit = text(value?.unit) ?? text(value?.code) ?? "";
  return Object.hasOwn(UNITS, unit) ? UNITS[unit] : unit;
};

/** A quantity: its words; its number and unit where it is exactly that. */
export function quantity(value) {
  if (!value || typeof value !== "object" || value.value === undefined || value.value === null) return undefined;
  const sign = text(value.comparator);
  const unit = unitOf(value);
  const words = [sign ? COMPARATORS[sign] ?? sign : "", digits(value, "value"), unit].filter(Boolean).join(" ");
  return { text: words, number: !sign && Number.isFinite(value.value) ? value.value : undefined, unit };
}

/** A range; its unit is said once where both ends have the same. */
export function range(value) {
  const [low, high] = [quantity(value?.low), quantity(value?.high)];
  if (low && high) {
    return low.unit === high.unit && low.number !== undefined && high.number !== undefined
      ? `${digits(value.low, "value")}–${high.text}` : `${low.text} – ${high.text}`;
  }
  return low ? D.atLeast(low.text) : high ? D.atMost(high.text) : undefined;
}

export function ratio(value) {
  const [above, below] = [quantity(value?.numerator), quantity(value?.denominator)];
  if (!above || !below) return undefined;
  if (!above.unit && !below.unit) return `${above.text}:${below.text}`;
  return below.number === 1 && below.unit ? `${above.text} / ${below.unit}` : `${above.text} / ${below.text}`;
}

export function period(value) {
  const [start, end] = [text(value?.start), text(value?.end)];
  if (start && end) return day(start) === day(end) ? day(start) : D.fromTo(day(start), day(end));
  return start ? D.since(day(start)) : end ? D.until(day(end)) : undefined;
}

function series(value) {
  const samples = (text(value?.data) ?? "").split(/\s+/).filter(Boolean);
  return D.series(samples.length, unitOf(value?.origin), value?.period === undefined ? "" : digits(value, "period"));
}

/** Money, with the digits that were written. */
export const money = (value) => (value?.value === undefined ? undefined : `${digits(value, "value")} ${text(value.currency) ?? ""}`.trim());

/** FHIR's value[x] of a holder, by the name of the choice: {text, number, unit}; undefined where it has none. */
export function choice(holder, name = "value") {
  const of = (type) => holder?.[name + type];
  const said = (words) => (words === undefined || words === "" ? undefined : { text: words });
  if (of("Quantity")) return quantity(of("Quantity"));
  if (of("CodeableConcept")) return said(concept(of("CodeableConcept")));
  if (of("String") !== undefined) return said(text(of("String")));
  if (typeof of("Boolean") === "boolean") return said(of("Boolean") ? D.yes : D.no);
  if (typeof of("Integer") === "number") return { text: digits(holder, `${name}Integer`), number: of("Integer"), unit: "" };
  if (of("Range")) return said(range(of("Range")));
  if (of("Ratio")) return said(ratio(of("Ratio")));
  if (of("SampledData")) return said(series(of("SampledData")));
  if (of("Time")) return said(text(of("Time")));
  if (of("DateTime")) return said(dayAndTime(of("DateTime")));
  if (of("Period")) return said(period(of("Period")));
  // A kind that is not known here is said to be there: the result is not missing.
  const isThere = name === "value" && Object.keys(holder ?? {}).some((key) => /^value[A-Z]/.test(key) && !/^value(?:Quantity|CodeableConcept)$/.test(key));
  return isThere ? { text: D.otherValue } : undefined;
}

// ---- What a result means

/** HL7 v3 ObservationInterpretation: how loudly each is said. What is not known here is worth a look. */
const TONES = {
  HH: "alert", LL: "alert", AA: "alert", HU: "alert", LU: "alert", N: "quiet", S: "quiet", NEG: "quiet", ND: "quiet", NR: "quiet",
  B: "quiet", U: "quiet", D: "quiet", normal: "quiet", Normal: "quiet",
};
const isOrdinary = (usual) => !usual.appliesTo && !usual.age && (!usual.type || codeOf(usual.type) === "normal");

/** Marks of an observation or a component: by its interpretation; else by its own range, where that can be compared. */
export function meaning(one) {
  const said = list(one?.interpretation).map((each) => {
    const code = codeOf(each) ?? concept(each);
    return { code, tone: TONES[code] ?? "warn", text: D.interpretations[code] ?? concept(each) };
  }).filter((each) => each.text);
  if (said.length) return said.filter((each) => each.code !== "N").map(({ tone, text: words }) => ({ tone, text: words }));
  const own = band(one);
  const value = quantity(one?.valueQuantity)?.number;
  if (own && value < own.low) return [{ tone: "warn", text: D.below }];
  if (own && value > own.high) return [{ tone: "warn", text: D.above }];
  return [];
}

/** What is usual, as numbers in the value's own unit: {low, high}; null where that is not one plain range. */
export function band(one) {
  const ranges = list(one?.referenceRange);
  const value = quantity(one?.valueQuantity);
  if (ranges.length !== 1 || !isOrdinary(ranges[0]) || value?.number === undefined) return null;
  const [low, high] = [quantity(ranges[0].low), quantity(ranges[0].high)].map((end) => (end?.number !== undefined && (end.unit === value.unit || !end.unit) ? end.number : undefined));
  return low === undefined && high === undefined ? null : { low, high };
}

/** What is usual, in words. */
export const usual = (one) => list(one?.referenceRange).map((each) => {
  const words = [range(each), text(each.text)].filter(Boolean).join("; ");
  const whom = [...list(each.appliesTo).map(concept), range(each.age) && D.age(range(each.age))].filter(Boolean).join(", ");
  const kind = codeOf(each.type) === "normal" ? undefined : concept(each.type);
  return words && D.usual(words, [kind, whom].filter(Boolean).join(", "));
}).filter(Boolean);

/** Why there is no value. */
const absent = (one) => (one?.dataAbsentReason ? D.absent(D.absentReasons[codeOf(one.dataAbsentReason)] ?? concept(one.dataAbsentReason)) : undefined);

/** Systolic before diastolic, as everybody writes it: LOINC, SNOMED CT. */
const LEADING = ["8480-6", "271649006", "8462-4", "271650006"];
const rank = (part) => {
  const found = LEADING.findIndex((code) => list(part?.code?.coding).some((one) => one.code === code));
  return found < 0 ? LEADING.length : found;
};

/** Parts of a result, each with its name: [{name, value, marks, notes}]. */
export const components = (resource) => [...list(resource?.component)].sort((a, b) => rank(a) - rank(b)).map((part) => ({
  name: concept(part.code) ?? D.unnamed, value: choice(part)?.text ?? absent(part) ?? D.noValue, marks: meaning(part), notes: usual(part),
}));

/** What was found: {text, number, unit}; where nothing was, why. */
export const finding = (resource) => choice(resource) ?? (absent(resource) ? { text: absent(resource) } : undefined);
