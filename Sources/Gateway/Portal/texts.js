// Every word that the pages say, in one place for translation. A function where something is put in.

export const LANGUAGE = "en-GB";

export const T = {
  tabs: { records: "My records", history: "Who looked", sharing: "Sharing", check: "Check a file", leave: "My keys" },
  title: (hospital) => `${hospital}: my records`,
  loading: "One moment …",
  problem: "That did not work",
  unreachable: "The hospital's node cannot be reached. Check your connection and try again.",
  again: "Try again",
  unsupported: "This browser cannot make the keys that are needed (Ed25519, X25519). Please use a newer one.",
  insecure: "Keys can be made on a secure page only: this page must be opened over https.",

  welcome: "Your records, opened by you",
  welcomeText: "Your hospitals keep your records encrypted. Your 24 words make the keys that open them. The words and the keys stay in this browser.",
  haveWords: "I have my 24 words",
  wordsLabel: "Your 24 words, in order",
  openRecords: "Open my records",
  keepHere: "Keep my keys on this device (only if nobody else uses it)",
  alsoOthers: "Also show my records of the other hospitals. This hospital then learns that they are yours.",
  newHere: "I am new here",
  newText: "You get 24 words. Write them on paper and keep them safe: they are the only way to your records, and nobody can give them to you again.",
  makeWords: "Make my 24 words",
  yourWords: "Your 24 words",
  writtenDown: "I have written them down",
  goOn: "Go on",
  phrase: {
    count: (count) => `Twenty-four words are needed; these are ${count}.`,
    word: (place) => `Word ${place} is not one of the list. Check its spelling.`,
    checksum: () => "The words do not fit together: one is wrong, or two are swapped.",
  },

  unregistered: "You are not registered here yet",
  unregisteredText: (hospital) => `Show this code at the desk of ${hospital}, with your identity card. This page goes on by itself.`,
  copy: "Copy the code",
  copied: "Copied.",

  sections: {
    allergy: "Allergies", problem: "Problems", medicine: "Medicines", result: "Results", immunisation: "Immunisations",
    visit: "Visits", procedure: "Procedures", document: "Documents and reports", person: "About me", other: "Other",
  },
  noAllergies: "No allergy is recorded.",
  noRecords: "Nothing is recorded yet.",
  more: (count) => `Show all ${count}`,
  details: "Details",
  verified: "checked",
  verifiedText: "It is what was anchored on the ledger: its hash-lock holds.",
  faults: {
    missing: "No vault has it at the moment.", key: "It does not open with your key.",
    encryption: "Its encrypted content is damaged.", "hash-lock": "It is NOT what was anchored on the ledger.",
  },
  unverifiable: "cannot be verified",
  superseded: "replaced by a newer version",
  erasedCount: (count) => (count === 1 ? "One record was erased." : `${count} records were erased.`),
  fields: { hospital: "Hospital", author: "Written by", anchored: "On the ledger since", record: "Record" },
  system: "the hospital's system",
  clinician: (account) => `clinician ${account.slice(0, 8)}`,
  erase: "Erase this record",
  eraseSure: "Erase this record for good? No hospital will be able to open or give it out any more. This cannot be undone.",
  erased: "Erased.",
  values: (count) => `${count} values`,
  plot: (name, count, first, last) => `${name}: ${count} values, from ${first} to ${last}`,

  historyText: "Every time that somebody asked for your records, whether it was allowed or not. This page stays up to date.",
  historyEmpty: "Nobody has asked for your records.",
  asked: (hospital, count) => `Somebody at ${hospital} asked for ${count === 1 ? "one record" : `${count} records`}`,
  purposes: {
    TREAT: "to treat you", ETREAT: "in an emergency", HPAYMT: "for payment", HRESCH: "for research",
    PUBHLTH: "for public health", PATRQT: "at your request", HOPERAT: "to run the hospital",
  },
  allowed: "allowed",
  refused: "refused",
  emergency: {
    reviewDue: "Emergency access without consent; the privacy officer has to review it.",
    justified: "Emergency access without consent; the privacy officer found it right.",
    unjustified: "Emergency access without consent; the privacy officer found it WRONG.",
    overdue: "Emergency access without consent; its review is OVERDUE.",
  },
  released: (names) => `Keys were given out by a quorum: ${names}`,
  reader: (account) => `Account ${account.slice(0, 8)}…`,

  sharingText: "Who may read your records. A refusal is stronger than a permission. Your own hospital may read what it wrote itself, unless you refuse it.",
  sharingEmpty: "You have given no permission and no refusal.",
  may: (who, what, why, until) => `${who} may read ${what} ${why}, until ${until}.`,
  mayNot: (who, what, why, until) => `${who} may NOT read ${what} ${why}, until ${until}.`,
  hospitalStaff: (name) => `All clinicians of ${name}`,
  person: (account) => `The person with account ${account.slice(0, 8)}…`,
  everything: "everything",
  anyReason: "for any reason",
  noEnd: "you take it back",
  used: (count) => (count === 1 ? "Used once." : `Used ${count} times.`),
  revoke: "Take back",
  revoked: (when) => `Taken back on ${when}`,
  expired: "Over",
  active: "Active",
  taken: "Taken back.",
  newConsent: "Give a permission, or a refusal",
  allowLabel: "They may read",
  denyLabel: "They may not read",
  who: "Who",
  hospitalChoice: (name) => `All clinicians of ${name}`,
  accountChoice: "One person, by account …",
  accountLabel: "The account: 64 letters and digits, as the person shows it to you",
  accountWrong: "An account has 64 digits and letters from a to f.",
  what: "Which records",
  whatAll: "All",
  what1: "Choose at least one kind of record.",
  why: "What for",
  why1: "Choose at least one purpose.",
  untilLabel: "Until and including (leave empty: until I take it back)",
  untilPast: "That day is over.",
  give: "Give it",
  given: "Given.",
  categories: {
    other: "other", demographics: "name and address", encounter: "visits", condition: "problems", allergy: "allergies",
    medication: "medicines", observation: "results", immunization: "immunisations", procedure: "procedures",
    document: "documents", financial: "bills", bundle: "whole files", sensitive: "especially sensitive ones",
  },

  checkText: "Drop a file that somebody gave you. You learn whether it is one of your records, unchanged. The file stays in this browser.",
  choose: "Choose a file",
  dropHere: "or drop it here",
  authentic: "Authentic",
  authenticText: (hospital, when) => `This is a record of yours, as ${hospital} put it on the ledger on ${when}. Not a letter was changed.`,
  authenticOld: "A newer version has replaced it.",
  notAuthentic: "Not authentic",
  notAuthenticText: "This is none of your records, or it was changed.",
  notJSON: "This is no FHIR record: a JSON file is expected.",

  leaveText: "Your keys are in this browser now.",
  keptText: "They are kept on this device, so that you need not type the words again.",
  export: "Save all my records as a file",
  exportText: "A FHIR bundle, not encrypted: keep it safe.",
  exported: (count) => `Saved ${count} records.`,
  lock: "Leave, and forget my keys on this device",
};

export const date = (text) => {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? "" : time.toLocaleDateString(LANGUAGE, { day: "numeric", month: "short", year: "numeric" });
};
export const moment = (text) => {
  const time = new Date(text);
  return Number.isNaN(time.getTime())
    ? "" : time.toLocaleString(LANGUAGE, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
};
