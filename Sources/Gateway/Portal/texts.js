// Every word that the pages say, in the language of whoever reads, and dates as that language has them. The words are in
// english.js and german.js, which say the same.

const NAMES = { en: "English", de: "Deutsch" };
const USUAL = { en: "en-GB", de: "de-DE" };
const STORED = "consilium language";

const stored = () => {
  try {
    return globalThis.localStorage?.getItem(STORED);
  } catch {
    return null;
  }
};

/** A language's words are those of the first part of its tag; dates and numbers go by the whole. */
function chosen() {
  // Without a page nobody reads: tests have the usual language.
  if (!globalThis.location) return USUAL.en;
  const tags = [...(navigator.languages ?? []), navigator.language].filter(Boolean);
  const wish = stored();
  const tag = tags.find((one) => (wish ? one.split("-")[0] === wish : NAMES[one.split("-")[0]]));
  return tag ?? USUAL[wish] ?? USUAL.en;
}

export const LANGUAGE = chosen();
const here = LANGUAGE.split("-")[0];

export const { T, K, C, O, V, D } = await (here === "de" ? import("./german.js") : import("./english.js"));

/** The languages that there are: [{code, name, isShown}]. */
export const languages = Object.entries(NAMES).map(([code, name]) => ({ code, name, isShown: code === here }));

/** Shows the pages in another language from now on, on this device. */
export function speak(code) {
  try {
    localStorage.setItem(STORED, code);
  } catch { /* A browser that keeps nothing goes by its own language. */ }
  location.reload();
}

const DAY = new Intl.DateTimeFormat(LANGUAGE, { day: "numeric", month: "short", year: "numeric" });
const MOMENT = new Intl.DateTimeFormat(LANGUAGE, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
const CLOCK = new Intl.DateTimeFormat(LANGUAGE, { hour: "2-digit", minute: "2-digit" });
const formatted = (format, text) => {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? "" : format.format(time);
};
/** When something came to pass on the ledger, on this device's clock. A record's own dates: dates.js. */
export const date = (text) => formatted(DAY, text);
export const moment = (text) => formatted(MOMENT, text);
/** A time of today by its clock alone; else with its day. */
export const clock = (text, now = new Date()) => (date(text) === date(now) ? formatted(CLOCK, text) : moment(text));
