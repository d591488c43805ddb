// What a patient permits and refuses: what stands, each once and in a sentence; and the form, which says in a sentence what
// will be given before it is.
import { about, called, learn } from "./names.js";
import * as node from "./node.js";
import { picture } from "./qr.js";
import { date, moment, T } from "./texts.js";
import { run } from "./turns.js";
import { act, choices, deed, h, hospitalName, place } from "./ui.js";
import { CATEGORIES, consentGrant, consentRevocation, KIND, PURPOSES } from "./wire.js";

const ACCOUNT = /^[0-9a-f]{64}$/;
const YEAR_DAYS = 365;
const DAY_MILLISECONDS = 24 * 3600_000;
/** What nobody permits by accident. */
const SENSITIVE = "sensitive";

const isOver = (one) => one.until.startsWith("20") && Date.parse(one.until) < Date.now();
const isActive = (one) => !one.revoked && !isOver(one);
/** Whether somebody whom the desk lets act for a patient does not yet. */
export const isComing = (one) => isActive(one) && one.givenBy === "registrar" && Date.parse(one.from) > Date.now();

function grantee(one) {
  const [kind, id] = one.grantee.split(" ");
  return kind === "hospital" ? T.hospitalStaff(hospitalName(Number(id))) : kind === "account" ? (about(id)?.kind === "practitioner" ? called(id) : T.person(id)) : kind === "team" ? T.team(id) : one.grantee;
}

/** Kinds of records in words. */
function kinds(names, isDenial) {
  if (names.length === CATEGORIES.length) return isDenial ? T.anything : T.everything;
  if (!isDenial && names.length === CATEGORIES.length - 1 && !names.includes(SENSITIVE)) return T.allButSensitive;
  return names.map((name) => T.categories[name] ?? name).join(", ");
}
const reasons = (codes) => (codes.length >= Object.keys(PURPOSES).length ? T.anyReason : codes.map((code) => T.purposes[code] ?? code).join(", "));

function sentence(one) {
  const isDenial = one.kind === "denial";
  const what = kinds(one.scope === "all records" ? CATEGORIES : one.scope.split(", "), isDenial);
  const until = one.until.startsWith("20") ? date(one.until) : T.noEnd;
  if (!isActive(one)) return (isDenial ? T.mightNot : T.might)(grantee(one), what, reasons(one.purposes), date(one.revoked ?? one.until));
  return (isDenial ? T.mayNot : one.actions.includes("share") ? T.mayAct : T.may)(grantee(one), what, reasons(one.purposes), until);
}

/** Consents that say the same, as one: [{all, one, words}], those that count first. */
export function merged(consents) {
  const found = new Map();
  for (const one of consents) {
    const words = sentence(one);
    const key = isActive(one) ? `${words} ${one.givenBy}` : one.consent;
    if (found.has(key)) found.get(key).all.push(one);
    else found.set(key, { all: [one], one, words });
  }
  return [...found.values()].sort((a, b) => Number(isActive(b.one)) - Number(isActive(a.one)));
}

/** The page: what stands, the own account, and the form. `again` shows it anew. */
export async function sharing(turn, keys, again) {
  const all = await turn.of(node.consents(keys));
  await turn.of(learn(keys, all.filter((one) => one.grantee.startsWith("account ")).map((one) => one.grantee.split(" ")[1])));
  const rows = merged(all.reverse());
  return [h("h1", {}, T.tabs.sharing), h("p", {}, T.sharingText), h("p", {}, T.sharingEmergency),
    h("div", { class: "card" }, rows.length ? h("ul", { class: "plain", id: "consents" }, rows.map((one) => row(turn, keys, one, all, again)))
      : h("p", {}, T.sharingEmpty)), h("p", { class: "quiet" }, T.ownAccount, picture(keys.account, T.qrAccount), h("code", { class: "code" }, keys.account)),
    form(turn, keys, keys.account, again)];
}

/** What stands of somebody for whom one acts; what one gave by that can be taken back. */
export function standing(turn, keys, patient, all, again) {
  const isOwn = (one) => all.some((power) => one.givenBy === `proxy by ${power.consent}` && power.grantee === `account ${keys.account}`);
  return h("ul", { class: "plain", id: "wardConsents" }, merged([...all].reverse()).map((one) => row(turn, keys, one, all, again, { patient, isMine: one.all.every(isOwn) })));
}

function row(turn, keys, { all, one, words }, others, again, { patient = keys.account, isMine = true } = {}) {
  const giver = one.givenBy === "patient" ? null : one.givenBy === "registrar" ? T.byRegistrar : T.byProxy;
  const mark = one.revoked ? ["warn", T.revoked(date(one.revoked))] : isOver(one) ? ["warn", T.expired] : isComing(one) ? ["warn", T.begins(moment(one.from))] : ["good", T.active];
  const uses = all.reduce((sum, each) => sum + each.uses, 0);
  // What goes on when this one is taken back is said before it is.
  const left = others.filter((each) => isActive(each) && each.kind !== "denial" && each.grantee === one.grantee && !all.includes(each)).length;
  const revoke = async () => {
    for (const each of all) await node.submit(keys, place.consortium, KIND.revokeConsent, consentRevocation(patient, each.consent));
  };
  const take = () => (confirm((one.kind === "denial" ? T.revokeDenialSure : T.revokeSure)(grantee(one), left)) ? act(turn, revoke, T.taken, again) : undefined);
  return h("li", { class: isActive(one) ? null : "replaced" }, h("p", {}, words), h("div", { class: "row" }, h("span", { class: `mark ${mark[0]}` }, mark[1]),
    all.length > 1 ? h("span", { class: "quiet" }, T.givenTimes(all.length)) : null, giver ? h("span", { class: "quiet" }, giver) : null,
    uses ? h("span", { class: "quiet" }, T.used(uses)) : null,
    isActive(one) && isMine ? deed({ class: "danger", "aria-label": `${T.revoke}: ${words}` }, T.revoke, take) : null));
}

/** The day that is proposed as the last one. */
const proposed = () => new Date(Date.now() + YEAR_DAYS * DAY_MILLISECONDS).toISOString().slice(0, 10);

/** A permission or a refusal of a patient's: one's own, or, as a proxy, another's. */
export function form(turn, keys, patient, again) {
  const isOwn = patient === keys.account;
  const account = h("input", { type: "text", id: "account", autocomplete: "off" });
  const whose = h("p", { class: "quiet", id: "whoseAccount", "aria-live": "polite" });
  const acts = h("input", { type: "checkbox", id: "acts" });
  const accountLine = h("div", { hidden: true }, h("label", { for: "account" }, T.accountLabel), account, whose);
  const actsLine = h("label", { class: "check", hidden: true }, acts, T.actsLabel);
  const who = h("select", { id: "who" }, place.consortium.hospitals.map((one) => h("option", { value: one.number }, T.hospitalChoice(one.name))),
    h("option", { value: "" }, T.accountChoice), h("option", { value: "team" }, T.teamChoice));
  const kind = h("select", { id: "kind", "aria-label": T.newConsent }, h("option", { value: "" }, T.allowLabel), h("option", { value: "denial" }, T.denyLabel));
  const what = choices(T.what, Object.fromEntries(CATEGORIES.map((name) => [name, T.categories[name]])), (name) => name !== SENSITIVE);
  const why = choices(isOwn ? T.why : T.whyThem, Object.fromEntries(["TREAT", "HPAYMT", "HRESCH", "PUBHLTH"].map((code) => [code, (isOwn ? T.purposes : T.purposesThem)[code]])),
    (code) => code === "TREAT");
  const until = h("input", { type: "date", id: "until", value: proposed() });
  const fault = h("p", { class: "unknown", role: "alert" });
  const summary = h("p", { id: "summary", "aria-live": "polite" });
  const named = () => account.value.trim().toLowerCase();
  const isDenial = () => kind.value === "denial";
  const isNamed = () => who.value === "" || who.value === "team";
  const isActing = () => !actsLine.hidden && acts.checked && !isDenial();
  const end = () => (until.value ? Date.parse(`${until.value}T23:59:59.999`) : null);
  const tell = () => {
    accountLine.hidden = !isNamed();
    actsLine.hidden = who.value !== "" || !isOwn;
    const whom = who.value === "" ? (!ACCOUNT.test(named()) ? T.somebody : about(named())?.kind === "practitioner" ? called(named()) : T.person(named())) : who.value === "team" ? T.team(named()) : T.hospitalStaff(hospitalName(Number(who.value)));
    const says = isDenial() ? T.mayNot : isActing() ? T.mayAct : T.may;
    summary.textContent = what.values().length && why.values().length
      ? T.summary(says(whom, kinds(what.values(), isDenial()), why.values().map((code) => (isOwn ? T.purposes : T.purposesThem)[code]).join(", "), until.value ? date(`${until.value}T12:00:00`) : T.noEnd)) : "";
  };
  kind.addEventListener("change", () => {
    why.tick((code) => isDenial() || code === "TREAT");
    // Refusing too much harms less than permitting too much.
    what.tick((name) => isDenial() || name !== SENSITIVE);
    until.value = isDenial() ? "" : proposed();
  });
  const recognise = async () => {
    whose.textContent = "";
    if (who.value !== "" || !ACCOUNT.test(named())) return;
    await turn.of(learn(keys, [named()]));
    const one = about(named());
    whose.textContent = one === null ? T.nobodyThere : one?.kind === "practitioner" ? called(named()) : "";
    tell();
  };
  account.addEventListener("change", () => run(recognise, () => {}));
  const wrong = async () => {
    if (isNamed() && !ACCOUNT.test(named())) return T.accountWrong;
    if (what.values().length === 0) return T.what1;
    if (why.values().length === 0) return T.why1;
    if (end() && end() < Date.now()) return T.untilPast;
    if (who.value !== "") return "";
    if (named() === patient) return T.ownAccountGiven;
    await turn.of(learn(keys, [named()]));
    // A mistyped account is nobody's: what is given to it helps nobody.
    return about(named()) === null ? T.nobodyThere : "";
  };
  const give = async () => {
    fault.textContent = await turn.of(wrong());
    if (fault.textContent) return;
    // A refusal is for the reasons that nobody is asked about too: whoever acts for the patient reads by one of them.
    const others = isDenial() ? ["ETREAT", "PATRQT", "HOPERAT"] : isActing() ? ["PATRQT"] : [];
    await act(turn, () => node.submit(keys, place.consortium, KIND.grantConsent, consentGrant({
      patient, isDenial: isDenial(), acts: isActing(),
      grantee: who.value === "" ? { account: named() } : who.value === "team" ? { team: named() } : { hospital: Number(who.value) },
      categories: what.values().length === CATEGORIES.length ? null : what.values(), purposes: [...why.values(), ...others], until: end(),
    })), T.given, again);
  };
  const card = h("section", { class: "card", oninput: tell, onchange: tell }, h("h2", {}, T.newConsent), kind, h("label", { for: "who" }, T.who), who, accountLine, actsLine,
    what.frame, h("p", { class: "quiet" }, T.sensitiveText), why.frame, h("label", { for: "until" }, T.untilLabel), until, summary, fault,
    h("p", {}, deed({ id: "give" }, T.give, () => run(give, (error) => { fault.textContent = error.message; }))));
  tell();
  return card;
}
