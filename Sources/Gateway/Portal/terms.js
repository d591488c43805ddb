// The words of records' contents. The pages' other words: texts.js.

/** The words of records' contents. */
export const D = {
  yes: "yes", no: "no", unnamed: "Unnamed", noValue: "no result is in the record", sufficient: "enough to reach",
  atLeast: (low) => `${low} or more`, atMost: (high) => `up to ${high}`, fromTo: (start, end) => `${start} to ${end}`,
  since: (day) => `since ${day}`, until: (day) => `until ${day}`, from: (day) => `from ${day}`, on: (day) => `on ${day}`, atAge: (age) => `at age ${age}`,
  series: (count, unit, step) => `a series of ${count} values${unit ? ` in ${unit}` : ""}${step ? `, one every ${step} ms` : ""}`,
  absent: (why) => `no result: ${why}`,
  absentReasons: {
    unknown: "unknown", "asked-unknown": "asked, and not known", "temp-unknown": "not known yet", "not-asked": "not asked", "asked-declined": "declined",
    masked: "hidden", "not-applicable": "does not apply", unsupported: "not supported", error: "error", "not-a-number": "no number",
    "negative-infinity": "below what can be measured", "positive-infinity": "above what can be measured", "not-performed": "not done", "not-permitted": "not permitted",
  },
  interpretations: {
    HH: "critically HIGH", LL: "critically LOW", AA: "critical", HU: "very HIGH", LU: "very LOW", H: "high", L: "low", A: "abnormal", N: "normal",
    HX: "above the critical limit", LX: "below the critical limit", ">": "above what can be measured", "<": "below what can be measured",
    POS: "positive", NEG: "negative", DET: "detected", ND: "not detected", R: "resistant", S: "susceptible", I: "intermediate",
    RR: "reactive", WR: "weakly reactive", NR: "not reactive", IND: "not clear", U: "rising", D: "falling", B: "better", W: "worse",
  },
  below: "below the usual range", above: "above the usual range", age: (range) => `age ${range}`,
  usual: (range, whom) => `usual: ${range}${whom ? ` (${whom})` : ""}`,
  doNotTake: "Must NOT be taken", doNot: "NOT to be done", onlyProposed: "proposed only", highRisk: "high risk", lowRisk: "low risk", riskUnknown: "risk not known",
  notNamed: "Its name is not in this record, so it is NOT compared with the allergies.",
  asProblem: "recorded as a problem", inRemission: "in remission: not active now",
  withdrawn: "withdrawn by the hospital that wrote it",
  bundle: (count) => `A file of ${count} records`,
  otherValue: "a value that this page does not show: read it under Details", subpotent: "subpotent: it may not protect",
  modifier: "Something in this record changes its meaning, and this page does not know it: read it under Details.",
  unreadable: "This record is not written as FHIR has it: read it under Details.",
  labelled: (label, words) => `${label}: ${words}`,
  reason: "Why", site: "Where on the body", because: "Because", attachment: "Attachment", amount: "Amount", valid: "Valid", method: "Method", contains: "Contains",
  reactions: "Reactions", lastTime: "Last time", stage: "Stage", ended: "Ended", diagnosis: "Diagnosis", discharged: "Discharged to", where: "Where",
  outcome: "Outcome", complications: "Complications", dose: "Dose number", lot: "Lot", about: "For", dead: "Has died", nameless: "Name not known", contact: "Contact",
  born: (day) => `born ${day}`, unnamedMedicine: "A medicine without a name", noDosage: "No dosage is recorded.",

  often: (times, every, unit) => `${times === "1" ? "once" : `${times} times`} ${every === "1" ? `a ${D.units[unit] ?? unit}` : `in ${every} ${D.units[unit] ?? unit}s`}`,
  times: (times) => (times === "1" ? "once" : `${times} times`),
  every: (every, unit) => (every === "1" ? `every ${D.units[unit] ?? unit}` : `every ${every} ${D.units[unit] ?? unit}s`),
  units: { s: "second", min: "minute", h: "hour", d: "day", wk: "week", mo: "month", a: "year" },
  timings: {
    BID: "twice a day", TID: "three times a day", QID: "four times a day", AM: "every morning", PM: "every afternoon", QD: "every day", QOD: "every second day",
    Q4H: "every 4 hours", Q6H: "every 6 hours", Q8H: "every 8 hours", Q1H: "every hour", Q2H: "every 2 hours", Q3H: "every 3 hours", BED: "at bedtime",
    WK: "once a week", MO: "once a month",
  },
  meals: {
    MORN: "in the morning", "MORN.early": "early in the morning", "MORN.late": "late in the morning", NOON: "at noon", AFT: "in the afternoon",
    EVE: "in the evening", NIGHT: "at night", PHS: "after sleep", HS: "before sleep", WAKE: "on waking", C: "with meals", CM: "with breakfast",
    CD: "with lunch", CV: "with dinner", AC: "before meals", ACM: "before breakfast", ACD: "before lunch", ACV: "before dinner", PC: "after meals",
    PCM: "after breakfast", PCD: "after lunch", PCV: "after dinner",
  },
  days: { mon: "Monday", tue: "Tuesday", wed: "Wednesday", thu: "Thursday", fri: "Friday", sat: "Saturday", sun: "Sunday" },
  at: (time) => `at ${time}`, onDays: (days) => `on ${days}`, lasting: (time, unit) => `for ${time} ${D.units[unit] ?? unit}${time === "1" ? "" : "s"} each time`,
  inAll: (count) => `${count} times in all`, for: (time) => `for ${time}`, rate: (rate) => `at ${rate}`,
  needed: "when needed", neededFor: (why) => `when needed for ${why}`, most: (amount) => `no more than ${amount}`, perTime: "each time", perLife: "in a lifetime",
  codedAs: (words) => `As coded: ${words}`,

  clash: {
    same: (medicine, allergy) => `${medicine}: an allergy to ${allergy} is recorded.`,
    class: (medicine, allergy, kind) => `${medicine}: an allergy to ${allergy} is recorded, and both are ${kind}.`,
    near: (medicine, allergy, kind) => `${medicine}: an allergy to ${allergy} is recorded. It is related to ${kind}: some people react to both.`,
  },
};
