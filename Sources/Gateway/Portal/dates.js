// Dates as records have them: with the precision that somebody wrote, at the place where it was. No time zone shifts them.
import { LANGUAGE } from "./texts.js";

const FORM = /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?$/;

// Made once: a formatter costs a thousand times what it takes to use it.
const format = (fields) => new Intl.DateTimeFormat(LANGUAGE, { timeZone: "UTC", year: "numeric", ...fields });
const [YEAR, MONTH, DAY] = [format({}), format({ month: "short" }), format({ month: "short", day: "numeric" })];

/** A date's parts, as FHIR writes them (date, dateTime, instant); null where it is none. */
function parts(text) {
  const found = typeof text === "string" ? FORM.exec(text) : null;
  if (!found) return null;
  const [, year, month, day, time, zone] = found;
  const midday = new Date(`${year}-${month ?? "01"}-${day ?? "01"}T12:00:00Z`);
  if (Number.isNaN(midday.getTime()) || (day && midday.getUTCDate() !== Number(day))) return null;
  return { midday, month, day, time, zone };
}

/** The day, month or year that a record names; a text that is no date stays as it is. */
export function day(text) {
  const found = parts(text);
  if (!found) return typeof text === "string" ? text : "";
  return (found.day ? DAY : found.month ? MONTH : YEAR).format(found.midday);
}

const zoneName = (zone) => (zone === "Z" || zone === "+00:00" || zone === "-00:00" ? "UTC" : `UTC${zone}`);

/** The day, and the time of it where the record has one, on the clock of the place where it was written. */
export function dayAndTime(text) {
  const found = parts(text);
  if (!found?.time) return day(text);
  return `${day(text)}, ${found.time}${found.zone ? ` ${zoneName(found.zone)}` : ""}`;
}

/** Where a date stands among others, in milliseconds; a date that is not complete counts from its beginning. */
export function place(text) {
  const found = parts(text);
  if (!found) return Number.NaN;
  const time = Date.parse(found.time && !found.zone ? `${text}Z` : text);
  return Number.isNaN(time) ? found.midday.getTime() : time;
}

/** Whether a date names its day. */
export const isComplete = (text) => Boolean(parts(text)?.day);

/** How old somebody born on a day is `today`, as people say it: in days, months, or years; empty where the day is not known. */
export function age(birthDate, today = new Date()) {
  if (!isComplete(birthDate)) return "";
  const [year, month, date] = birthDate.split("-").map(Number);
  const months = (today.getFullYear() - year) * 12 + today.getMonth() + 1 - month - (today.getDate() < date ? 1 : 0);
  const days = Math.round((Date.UTC(today.getFullYear(), today.getMonth(), today.getDate()) - Date.UTC(year, month - 1, date)) / DAY_MILLISECONDS);
  if (days < 0) return "";
  const [count, unit] = months < MONTHS_FROM ? [days, "day"] : months < YEARS_FROM ? [months, "month"] : [Math.floor(months / 12), "year"];
  return new Intl.NumberFormat(LANGUAGE, { style: "unit", unit, unitDisplay: "long" }).format(count);
}
const DAY_MILLISECONDS = 24 * 3600_000;
/** From how many months on an age is told in months, and in years. */
const [MONTHS_FROM, YEARS_FROM] = [3, 36];
