// Letting an app in (SMART App Launch): the practitioner signs a session for it; the app gets a code, never a key.
import { hex } from "./crypto.js";
import { day } from "./dates.js";
import { lockCard, open } from "./entrance.js";
import * as keyring from "./keys.js";
import * as node from "./node.js";
import { C, D } from "./texts.js";
import { run } from "./turns.js";
import { deed, h, hospitalName, main, place, problem } from "./ui.js";

const query = location.search.slice(1);

async function ask(turn, keys, isKept) {
  const app = await turn.of(node.app(query));
  const chart = app.patient ? await turn.of(node.appChart(keys, query)) : null;
  const who = chart && [chart.name, chart.birthDate && D.born(day(chart.birthDate))].filter(Boolean).join(", ");
  const answer = h("div", { "aria-live": "polite" });
  const allow = async () => {
    const key = await turn.of(node.sessionKey(keys));
    const transaction = await turn.of(node.openSession(keys, place.consortium, key, app.hours));
    location.assign(await turn.of(node.letIn(keys, query, hex(transaction))));
  };
  return [
    h("h1", {}, C.app(app.client)),
    h("section", { class: "card" }, h("p", {}, C.appText(app.client, hospitalName(place.consortium.own), app.hours)),
      ...(chart ? [h("p", { id: "chart" }, C.appPatient(who, app.patient))] : []),
      h("ul", { id: "scopes" }, app.scopes.map((scope) => h("li", {}, C.scope(scope)))), answer,
      h("div", { class: "row" },
        deed({ id: "allow" }, C.appAllow, () => run(allow, (error) => answer.replaceChildren(problem(error)))),
        h("button", { id: "deny", class: "danger", onclick: () => location.assign(app.refused) }, C.appDeny))),
    h("details", {}, h("summary", {}, C.tabs.leave), lockCard(isKept)),
  ];
}

open({
  name: "clinician", offered: false, code: keyring.clinicianCode, fits: (account) => account.kind === "practitioner", idleMinutes: 10,
  texts: { title: C.title, welcome: C.welcome, welcomeText: C.welcomeText, newText: C.newText, open: C.open, unregistered: C.unregistered, strange: C.notClinician },
  entered: (turn, all, isKept) => ask(turn, all[0], isKept),
}).then(() => main().focus());
