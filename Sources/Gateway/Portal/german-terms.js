// The words of records' contents, in German: the same words as english-terms.js.

const many = (count, unit) => (count === "1" ? D.units[unit] ?? unit : UNITS[unit] ?? unit);
/** Several of a unit, after "in" and "alle". */
const UNITS = { s: "Sekunden", min: "Minuten", h: "Stunden", d: "Tagen", wk: "Wochen", mo: "Monaten", a: "Jahren" };
const EVERY = { ...UNITS, d: "Tage", mo: "Monate", a: "Jahre" };
const ONE = { s: "je Sekunde", min: "je Minute", h: "je Stunde", d: "am Tag", wk: "in der Woche", mo: "im Monat", a: "im Jahr" };
const EACH = { s: "jede Sekunde", min: "jede Minute", h: "jede Stunde", d: "jeden Tag", wk: "jede Woche", mo: "jeden Monat", a: "jedes Jahr" };
const times = (count) => (count === "1" ? "einmal" : `${count}-mal`);

/** The words of records' contents. */
export const D = {
  yes: "ja", no: "nein", unnamed: "Ohne Namen", noValue: "der Eintrag hat kein Ergebnis", sufficient: "genug für",
  atLeast: (low) => `${low} oder mehr`, atMost: (high) => `bis ${high}`, fromTo: (start, end) => `${start} bis ${end}`,
  since: (day) => `seit ${day}`, until: (day) => `bis ${day}`, from: (day) => `ab ${day}`, on: (day) => `am ${day}`, atAge: (age) => `im Alter von ${age}`,
  series: (count, unit, step) => `eine Reihe von ${count} Werten${unit ? ` in ${unit}` : ""}${step ? `, einer alle ${step} ms` : ""}`,
  absent: (why) => `kein Ergebnis: ${why}`,
  absentReasons: {
    unknown: "unbekannt", "asked-unknown": "gefragt und nicht bekannt", "temp-unknown": "noch nicht bekannt", "not-asked": "nicht gefragt", "asked-declined": "abgelehnt",
    masked: "verborgen", "not-applicable": "trifft nicht zu", unsupported: "nicht unterstützt", error: "Fehler", "not-a-number": "keine Zahl",
    "negative-infinity": "unter dem Messbaren", "positive-infinity": "über dem Messbaren", "not-performed": "nicht durchgeführt", "not-permitted": "nicht erlaubt",
  },
  interpretations: {
    HH: "bedrohlich HOCH", LL: "bedrohlich NIEDRIG", AA: "bedrohlich", HU: "sehr HOCH", LU: "sehr NIEDRIG", H: "hoch", L: "niedrig", A: "auffällig", N: "normal",
    HX: "über der kritischen Grenze", LX: "unter der kritischen Grenze", ">": "über dem Messbaren", "<": "unter dem Messbaren",
    POS: "positiv", NEG: "negativ", DET: "nachgewiesen", ND: "nicht nachgewiesen", R: "resistent", S: "empfindlich", I: "intermediär",
    RR: "reaktiv", WR: "schwach reaktiv", NR: "nicht reaktiv", IND: "nicht eindeutig", U: "steigend", D: "fallend", B: "besser", W: "schlechter",
  },
  below: "unter dem üblichen Bereich", above: "über dem üblichen Bereich", age: (range) => `Alter ${range}`,
  usual: (range, whom) => `üblich: ${range}${whom ? ` (${whom})` : ""}`,
  doNotTake: "Darf NICHT eingenommen werden", doNot: "NICHT durchführen", onlyProposed: "nur vorgeschlagen", highRisk: "hohes Risiko", lowRisk: "geringes Risiko", riskUnknown: "Risiko nicht bekannt",
  notNamed: "Der Name steht nicht in diesem Eintrag, also ist es NICHT mit den Allergien verglichen.",
  asProblem: "als Diagnose eingetragen", inRemission: "in Remission: jetzt nicht aktiv",
  withdrawn: "zurückgezogen von dem Krankenhaus, das es geschrieben hat",
  bundle: (count) => `Eine Datei aus ${count} Einträgen`,
  otherValue: "ein Wert, den diese Seite nicht zeigt: lesen Sie ihn unter Einzelheiten", subpotent: "zu schwach: der Schutz ist nicht sicher",
  modifier: "Etwas in diesem Eintrag ändert seine Bedeutung, und diese Seite kennt es nicht: lesen Sie es unter Einzelheiten.",
  unreadable: "Dieser Eintrag ist nicht so geschrieben, wie FHIR es vorsieht: lesen Sie ihn unter Einzelheiten.",
  labelled: (label, words) => `${label}: ${words}`,
  reason: "Warum", site: "Wo am Körper", because: "Weil", attachment: "Anhang", amount: "Menge", valid: "Gültig", method: "Verfahren", contains: "Enthält",
  reactions: "Reaktionen", lastTime: "Zuletzt", stage: "Stadium", ended: "Zu Ende", diagnosis: "Diagnose", discharged: "Entlassen nach", where: "Wo",
  outcome: "Ergebnis", complications: "Komplikationen", dose: "Dosis Nummer", lot: "Charge", about: "Für", dead: "Verstorben", nameless: "Name nicht bekannt", contact: "Kontakt",
  born: (day) => `geboren ${day}`, unnamedMedicine: "Ein Medikament ohne Namen", alsoNamed: "Auch genannt", noDosage: "Keine Dosierung ist eingetragen.",

  by: "Von", with: "Mit", specimen: "Probe", device: "Gerät", lasts: "Reicht für", found: "Festgestelltes Problem", signs: "Zeichen", priority: "Dringlichkeit",
  came: "Kam von", followUp: "Was folgen soll", maker: "Hersteller", expires: "Haltbar bis", aims: "Ziele", due: "Wann", numbers: "Nummern", speaks: "Sprache",
  thick: "Flüssigkeiten", without: "Ohne", prefers: "Kost", outlook: "Aussicht", taken: "Entnommen",
  repeats: (count) => (count === 0 ? "nicht zu wiederholen" : `darf ${times(String(count))} wiederholt werden`),
  noSubstitute: "darf nicht durch ein anderes Mittel ersetzt werden", maySubstitute: "darf durch ein anderes Mittel ersetzt werden", substituted: "ein anderes Mittel wurde gegeben", ofDoses: (count) => `von ${count}`, daily: (amount) => `${amount} am Tag`,
  within: (time) => `innerhalb von ${time}`, ledToDeath: "trug zum Tod bei", pictures: (count) => `${count} Bilder`, onlyPossible: "ist nicht geschehen, hätte aber geschehen können",
  struck: "von der Liste gestrichen", nothingInside: "hier steht nichts",
  priorities: { routine: "normal", urgent: "DRINGEND", asap: "so bald wie möglich", stat: "SOFORT" },
  allergyCategories: { food: "Nahrung", medication: "Medikament", environment: "Umwelt", biologic: "biologisches Mittel" },
  eyes: { right: "rechtes Auge", left: "linkes Auge" },
  lens: { sphere: "Sphäre", cylinder: "Zylinder", axis: "Achse", add: "Addition", power: "Stärke", backCurve: "Basiskurve", diameter: "Durchmesser", prism: "Prisma" },

  elements: {
    resource: "Eintrag darin", contained: "Gehört dazu", identifier: "Nummer", status: "Stand", clinicalStatus: "Zustand", verificationStatus: "Wie sicher", category: "Art",
    criticality: "Risiko", code: "Was", subject: "Patient", patient: "Patient", encounter: "Besuch", onset: "Beginn", abatement: "Ende", recordedDate: "Eingetragen am", recorder: "Eingetragen von",
    asserter: "Angegeben von", lastOccurrence: "Zuletzt", note: "Notiz", reaction: "Reaktion", substance: "Stoff", manifestation: "Zeichen", severity: "Schwere", exposureRoute: "Aufgenommen über",
    bodySite: "Wo am Körper", stage: "Stadium", summary: "Zusammenfassung", evidence: "Anhaltspunkte", detail: "Genauer", statusReason: "Grund für den Stand", intent: "Absicht", priority: "Dringlichkeit",
    doNotPerform: "Nicht durchführen", medication: "Medikament", authoredOn: "Geschrieben am", requester: "Angeordnet von", performer: "Durchgeführt von", reasonCode: "Warum", reasonReference: "Warum",
    dosageInstruction: "Dosierung", dosage: "Dosierung", timing: "Wann", route: "Weg", method: "Verfahren", site: "Stelle", doseAndRate: "Dosis", dose: "Dosis", rate: "Geschwindigkeit", asNeeded: "Bei Bedarf",
    sequence: "Reihenfolge", additionalInstruction: "Anweisung", patientInstruction: "Anweisung für die Person", dispenseRequest: "Abzugeben", quantity: "Menge",
    numberOfRepeatsAllowed: "Wiederholungen", validityPeriod: "Gültig", expectedSupplyDuration: "Reicht für", substitution: "Ersatz durch ein anderes Mittel", allowed: "Erlaubt", effective: "Wann",
    issued: "Bereitgestellt", value: "Wert", dataAbsentReason: "Warum es keinen Wert gibt", interpretation: "Bedeutung", specimen: "Probe", device: "Gerät",
    referenceRange: "Üblicher Bereich", low: "Von", high: "Bis", appliesTo: "Für", age: "Alter", component: "Teil", hasMember: "Enthält", derivedFrom: "Abgeleitet aus", result: "Ergebnis",
    conclusion: "Beurteilung", conclusionCode: "Beurteilung", presentedForm: "Dokument", vaccineCode: "Impfstoff", occurrence: "Wann", lotNumber: "Charge", expirationDate: "Haltbar bis",
    manufacturer: "Hersteller", performed: "Wann", period: "Wann", start: "Von", end: "Bis", outcome: "Ergebnis", complication: "Komplikation", followUp: "Was folgen soll", class: "Rahmen",
    type: "Art", serviceType: "Leistung", participant: "Beteiligt", individual: "Wer", actor: "Wer", member: "Wer", role: "Rolle", diagnosis: "Diagnose", condition: "Diagnose oder Problem",
    hospitalization: "Aufenthalt", admitSource: "Kam von", dischargeDisposition: "Entlassen nach", location: "Wo", serviceProvider: "Krankenhaus", title: "Titel",
    description: "Beschreibung", addresses: "Betrifft", goal: "Ziel", activity: "Was getan wird", target: "Zielwert", measure: "Maß", due: "Bis", lifecycleStatus: "Stand",
    achievementStatus: "Wie weit", relationship: "Beziehung", name: "Name", sex: "Geschlecht", gender: "Geschlecht", birthDate: "Geboren", born: "Geboren", deceased: "Verstorben", address: "Adresse",
    telecom: "Kontakt", contact: "Kontakt", maritalStatus: "Familienstand", communication: "Sprache", language: "Sprache", author: "Geschrieben von", content: "Inhalt",
    attachment: "Anhang", date: "Datum", time: "Zeit", text: "Text", display: "Name", item: "Posten", amount: "Betrag", total: "Summe", created: "Geschrieben am", provider: "Leistungserbringer",
    insurance: "Versicherung", url: "Adresse des Dokuments", entry: "Eintrag", fullUrl: "Adresse", use: "Verwendung", system: "System", rank: "Reihenfolge",
  },

  often: (count, every, unit) => `${times(count)} ${every === "1" ? ONE[unit] ?? unit : `in ${every} ${UNITS[unit] ?? unit}`}`,
  times: (count) => times(count),
  every: (every, unit) => (every === "1" ? EACH[unit] ?? unit : `alle ${every} ${EVERY[unit] ?? unit}`),
  units: { s: "Sekunde", min: "Minute", h: "Stunde", d: "Tag", wk: "Woche", mo: "Monat", a: "Jahr" },
  timings: {
    BID: "zweimal am Tag", TID: "dreimal am Tag", QID: "viermal am Tag", AM: "jeden Morgen", PM: "jeden Nachmittag", QD: "jeden Tag", QOD: "jeden zweiten Tag",
    Q4H: "alle 4 Stunden", Q6H: "alle 6 Stunden", Q8H: "alle 8 Stunden", Q1H: "jede Stunde", Q2H: "alle 2 Stunden", Q3H: "alle 3 Stunden", BED: "zur Schlafenszeit",
    WK: "einmal in der Woche", MO: "einmal im Monat",
  },
  meals: {
    MORN: "morgens", "MORN.early": "früh am Morgen", "MORN.late": "spät am Morgen", NOON: "mittags", AFT: "nachmittags",
    EVE: "abends", NIGHT: "nachts", PHS: "nach dem Schlafen", HS: "vor dem Schlafen", WAKE: "beim Aufwachen", C: "zu den Mahlzeiten", CM: "zum Frühstück",
    CD: "zum Mittagessen", CV: "zum Abendessen", AC: "vor den Mahlzeiten", ACM: "vor dem Frühstück", ACD: "vor dem Mittagessen", ACV: "vor dem Abendessen", PC: "nach den Mahlzeiten",
    PCM: "nach dem Frühstück", PCD: "nach dem Mittagessen", PCV: "nach dem Abendessen",
  },
  days: { mon: "Montag", tue: "Dienstag", wed: "Mittwoch", thu: "Donnerstag", fri: "Freitag", sat: "Samstag", sun: "Sonntag" },
  at: (time) => `um ${time}`, onDays: (days) => `am ${days}`, lasting: (time, unit) => `jedes Mal ${time} ${many(time, unit).replace(/^(Tag|Monat|Jahr)en$/, "$1e")} lang`,
  inAll: (count) => `${times(count)} insgesamt`, for: (time) => `für ${time}`, rate: (rate) => `mit ${rate}`,
  needed: "bei Bedarf", neededFor: (why) => `bei Bedarf gegen ${why}`, most: (amount) => `höchstens ${amount}`, perTime: "jedes Mal", perLife: "im ganzen Leben",
  codedAs: (words) => `Wie kodiert: ${words}`,

  forbidden: (medicine, other, kind) => `${medicine}: laut Akte darf ${other} NICHT eingenommen werden${kind ? `, und beide gehören zu: ${kind}` : ""}.`,
  twice: (medicine, other) => `${medicine}: ${other} wird schon genommen.`,
  together: (medicine, other, effect) => `${medicine} zusammen mit ${other}: ${effect}.`,
  effects: {
    bleeding: "schwere Blutungen sind wahrscheinlicher", serotonin: "Serotoninsyndrom, das tödlich sein kann", pressure: "der Blutdruck kann gefährlich fallen",
    marrow: "das Knochenmark kann versagen", muscles: "Muskeln können zerfallen", vessels: "Blutgefäße können sich verschließen", swelling: "der Rachen kann zuschwellen",
    toxic: "eines von beiden kann giftig hoch ansteigen", seizures: "Krampfanfälle können wiederkehren", breathing: "die Atmung kann aussetzen", potassium: "Kalium kann gefährlich steigen",
    slow: "das Herz kann zu langsam schlagen", rhythm: "der Herzrhythmus kann gefährlich werden (langes QT)", weaker: "eines von beiden wirkt schwächer oder gar nicht",
    two: "beide gehören zu einer Art",
  },

  /** Classes of medicines, by their names in drugs.js. */
  classes: {
    "beta-lactams": "Betalaktame", penicillins: "Penicilline", cephalosporins: "Cephalosporine", carbapenems: "Carbapeneme", sulfonamides: "Sulfonamide", macrolides: "Makrolide",
    tetracyclines: "Tetracycline", quinolones: "Chinolone", aminoglycosides: "Aminoglykoside", "anti-inflammatory painkillers (NSAIDs)": "entzündungshemmende Schmerzmittel (NSAR)",
    opioids: "Opioide", "ACE inhibitors": "ACE-Hemmer", statins: "Statine", "local anaesthetics": "örtliche Betäubungsmittel", "local anaesthetics (esters)": "örtliche Betäubungsmittel (Ester)",
    "local anaesthetics (amides)": "örtliche Betäubungsmittel (Amide)", heparins: "Heparine", "iodinated contrast media": "jodhaltige Kontrastmittel",
    "antiepileptics with an aromatic ring": "Epilepsiemittel mit aromatischem Ring",
  },
  clash: {
    same: (medicine, allergy) => `${medicine}: eine Allergie gegen ${allergy} ist eingetragen.`,
    class: (medicine, allergy, kind) => `${medicine}: eine Allergie gegen ${allergy} ist eingetragen, und beide gehören zu: ${kind}.`,
    near: (medicine, allergy, kind) => `${medicine}: eine Allergie gegen ${allergy} ist eingetragen. Es ist verwandt mit: ${kind}; manche reagieren auf beide.`,
  },
};
