// The clinicians' page, as it is opened: how somebody comes in. What it shows then is in clinician.js.
import { fetched, open } from "./entrance.js";
import { clinicianCode } from "./keys.js";
import { C } from "./texts.js";

open({
  name: "clinician", offered: false, code: clinicianCode, fits: (account) => account.kind === "practitioner", idleMinutes: 10,
  texts: { title: C.title, welcome: C.welcome, welcomeText: C.welcomeText, newText: C.newText, open: C.open, unregistered: C.unregistered, strange: C.notClinician },
  entered: fetched(() => import("./clinician.js")),
});
