// The patients' page, as it is opened: how somebody comes in. What it shows then is in patient.js.
import { fetched, open } from "./entrance.js";
import { registrationCode } from "./keys.js";
import { T } from "./texts.js";

open({
  name: "all", offered: true, code: registrationCode, fits: (account) => account.kind === "patient", idleMinutes: 20,
  texts: { title: T.title, welcome: T.welcome, welcomeText: T.welcomeText, newText: T.newText, open: T.openRecords, unregistered: T.unregisteredText, strange: T.notPatient },
  entered: fetched(() => import("./patient.js")),
});
