// How a medicine is taken, in words: as somebody wrote it, and as it is coded. Where both are, both are shown, for they
// may differ.
import { day } from "./dates.js";
import { D } from "./texts.js";
import { choice, codeOf, concept, digits, list, quantity, range, ratio, text } from "./values.js";

const number = (holder, key) => (holder[key] === undefined ? undefined : digits(holder, key));
const upTo = (low, high) => (low && high ? `${low}–${high}` : low ?? (high && D.atMost(high)));

/** "2 times in 3 days", "every 8 hours", "once a week". */
function often(repeat) {
  const times = upTo(number(repeat, "frequency"), number(repeat, "frequencyMax"));
  const every = upTo(number(repeat, "period"), number(repeat, "periodMax"));
  const unit = text(repeat.periodUnit);
  if (times && every && unit) return times === "1" && every !== "1" ? D.every(every, unit) : D.often(times, every, unit);
  if (times) return D.times(times);
  return every && unit ? D.every(every, unit) : undefined;
}

/** When something is done, again and again: in words. */
export function timing(value) {
  if (!value || typeof value !== "object") return undefined;
  const repeat = value.repeat ?? {};
  const code = codeOf(value.code);
  const parts = [
    often(repeat), concept(value.code) && (D.timings[code] ?? concept(value.code)),
    ...list(repeat.when).map((one) => D.meals[one] ?? one), list(repeat.timeOfDay).map((one) => D.at(String(one).slice(0, 5))).join(", "),
    list(repeat.dayOfWeek).length ? D.onDays(list(repeat.dayOfWeek).map((one) => D.days[one] ?? one).join(", ")) : undefined,
    repeat.duration !== undefined ? D.lasting(upTo(number(repeat, "duration"), number(repeat, "durationMax")), text(repeat.durationUnit) ?? "") : undefined,
    repeat.count !== undefined ? D.inAll(upTo(number(repeat, "count"), number(repeat, "countMax"))) : undefined,
    repeat.boundsPeriod ? [repeat.boundsPeriod.start && D.from(day(repeat.boundsPeriod.start)), repeat.boundsPeriod.end && D.until(day(repeat.boundsPeriod.end))]
      .filter(Boolean).join(" ") : undefined,
    repeat.boundsDuration ? D.for(quantity(repeat.boundsDuration)?.text ?? "") : undefined,
    repeat.boundsRange ? D.for(range(repeat.boundsRange) ?? "") : undefined,
    ...list(value.event).map((one) => D.on(day(one))),
  ];
  return parts.filter(Boolean).join(", ") || undefined;
}

/** One or more most amounts (R4 has one, later versions a list). */
const most = (value) => (Array.isArray(value) ? value : [value]).map((one) => quantity(one)?.text ?? ratio(one)).filter(Boolean).map(D.most).join(", ");

function asNeeded(one) {
  if (one.asNeededCodeableConcept) return D.neededFor(concept(one.asNeededCodeableConcept) ?? "");
  return one.asNeededBoolean === true ? D.needed : undefined;
}

/** Doses with their rates: "400 mg", "1–2 tablets at 5 mL/h". */
const doses = (one) => {
  const coded = [...list(one.doseAndRate), one.dose ? { doseQuantity: one.dose } : null, one.doseQuantity || one.rateQuantity || one.rateRatio ? one : null];
  return coded.filter(Boolean).map((each) => {
    const dose = choice(each, "dose")?.text;
    const rate = choice(each, "rate")?.text;
    return [dose, rate && D.rate(rate)].filter(Boolean).join(" ");
  }).filter(Boolean).join(", ");
};

function coded(one) {
  const parts = [
    doses(one), concept(one.route), concept(one.method), concept(one.site), timing(one.timing), asNeeded(one),
    ...["maxDosePerPeriod", "maxDosePerAdministration", "maxDosePerLifetime"].map((name, index) => {
      const words = one[name] && most(one[name]);
      return words && [words, index === 1 ? D.perTime : index === 2 ? D.perLife : ""].filter(Boolean).join(" ");
    }),
  ];
  return parts.filter(Boolean).join(", ");
}

const extra = (one) => [text(one.patientInstruction), ...list(one.additionalInstruction).map(concept)].filter(Boolean);

/** The lines of a medicine's dosages; each is one that counts, in their order. */
export function dosages(resource) {
  const all = [...list(resource.dosageInstruction), ...(Array.isArray(resource.dosage) ? list(resource.dosage) : [resource.dosage].filter(Boolean))];
  return all.filter((one) => typeof one === "object").sort((a, b) => (a.sequence ?? 0) - (b.sequence ?? 0)).flatMap((one) => {
    const [words, code] = [text(one.text), coded(one)];
    return [words ?? code, words && code && code !== words ? D.codedAs(code) : "", ...extra(one).filter((each) => each !== words)].filter(Boolean);
  });
}
