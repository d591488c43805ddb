// Reading acts: a page asks for more records than one request may name in several requests, and again category by category
// where not all is permitted. Those are one act, and one line; nothing of it is left out.

/** The longest that an act goes on. */
const ACT_MILLISECONDS = 300_000;

const key = (one) => [one.patient, one.reader, one.hospital, one.purpose, one.reason ?? "", one.emergency !== "none", Boolean(one.openedInPartition)].join(" ");

/** Whether a request goes on with an act: it asks for nothing a second time, unless more was refused together just before. */
function goesOn(act, entry) {
  if (Date.parse(entry.time) - Date.parse(act.time) > ACT_MILLISECONDS) return false;
  const wanted = new Set(entry.records);
  return entry.records.every((record) => {
    const before = act.last.get(record);
    return !before || (!before.granted && before.records.some((one) => !wanted.has(one)));
  });
}

/** Requests by act, the newest first: [{entries, time, records, allowed}], where `entries` are an act's requests in their
 * order, `time` is the first one's, and `allowed` are those of its `records` that were granted. */
export function acts(entries) {
  const [all, newest] = [[], new Map()];
  for (const entry of [...entries].sort((a, b) => Date.parse(a.time) - Date.parse(b.time) || a.leaf - b.leaf)) {
    let act = newest.get(key(entry));
    if (!act || !goesOn(act, entry)) {
      act = { entries: [], time: entry.time, records: new Set(), allowed: new Set(), last: new Map() };
      newest.set(key(entry), act);
      all.push(act);
    }
    act.entries.push(entry);
    for (const record of entry.records) {
      act.last.set(record, entry);
      act.records.add(record);
      if (entry.granted) act.allowed.add(record);
    }
  }
  return all.reverse();
}

/** What the requests of an act say of something, each once. */
export const said = (act, of) => [...new Set(act.entries.flatMap(of))];
