// The canonical bytes of JSON: RFC 8785, but a number keeps the token that it was written with, for its precision is
// clinical meaning. Node: Sources/HealthRecords/Records/CanonicalJSON.swift.

const TOKEN = /[ \t\n\r]*(?:([{}[\],:])|("(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null))/y;
const DEPTH_MAX = 100;

/** Throws a SyntaxError where the text is no JSON, or a member occurs twice. */
export function canonical(text) {
  let at = 0;
  const next = () => {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text);
    if (!found) throw new SyntaxError(`no JSON at ${at}`);
    at = TOKEN.lastIndex;
    return { sign: found[1], string: found[2], number: found[3], word: found[4] };
  };
  const plain = (token) => {
    if (token.string !== undefined) {
      const value = JSON.parse(token.string);
      if (!value.isWellFormed()) throw new SyntaxError("a lone surrogate");
      return JSON.stringify(value);
    }
    return token.number ?? token.word;
  };
  const list = (close, item) => {
    const out = [];
    const start = at;
    if (next().sign === close) return out;
    at = start;
    for (;;) {
      out.push(item());
      const { sign } = next();
      if (sign === close) return out;
      if (sign !== ",") throw new SyntaxError(`no JSON at ${at}`);
    }
  };
  const value = (depth) => {
    if (depth > DEPTH_MAX) throw new SyntaxError("too deep");
    const token = next();
    if (token.sign === "[") return `[${list("]", () => value(depth + 1)).join(",")}]`;
    if (token.sign === "{") {
      const members = list("}", () => {
        const name = next();
        if (name.string === undefined || next().sign !== ":") throw new SyntaxError(`no JSON at ${at}`);
        return [JSON.parse(name.string), plain(name), value(depth + 1)];
      });
      members.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
      for (let index = 1; index < members.length; index++) {
        if (members[index][0] === members[index - 1][0]) throw new SyntaxError("a member occurs twice");
      }
      return `{${members.map(([, name, content]) => `${name}:${content}`).join(",")}}`;
    }
    if (token.sign) throw new SyntaxError(`no JSON at ${at}`);
    return plain(token);
  };
  const out = value(0);
  if (text.slice(at).trim()) throw new SyntaxError(`more after the end at ${at}`);
  return out;
}
