// What a record bears: files that its attachments name and that are records of their own.

/** The ids of the Binaries that a resource's attachments name. */
function named(value, found = new Set()) {
  if (Array.isArray(value)) for (const one of value) named(one, found);
  else if (value && typeof value === "object") {
    const id = typeof value.url === "string" && /(?:^|\/)Binary\/([A-Za-z0-9.-]{1,64})(?:\/_history\/\d+)?$/.exec(value.url);
    if (id) found.add(id[1]);
    for (const one of Object.values(value)) named(one, found);
  }
  return found;
}

/** The resource that a record holds; null where it is none, or was not opened. */
function resource(one) {
  try {
    const value = typeof one.text === "string" ? JSON.parse(one.text) : null;
    return value && typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

/** The records that hold what a record's attachments name: by the record's own id, or as the Binary of that id. Left out is
 * what another current record of the same account names as well, what was erased or corrected, and what is to be erased already. */
export function attachments(one, all) {
  const own = resource(one);
  if (!own) return [];
  const others = all.filter((each) => each !== one && each.keys === one.keys && !each.view.erased && !each.view.supersededBy);
  const wanted = named(own);
  if (wanted.size === 0) return [];
  for (const each of others) for (const id of named(resource(each))) wanted.delete(id);
  return others.filter((each) => {
    if (each.view.erasureDue) return false;
    const held = resource(each);
    return wanted.has(each.view.record) || (held?.resourceType === "Binary" && wanted.has(held.id));
  });
}
