"""What was erased, who was shown what, and who may not act any more, at the FHIR interface of real nodes.

Usage: privacy.py PROGRAM. Four hospitals; the standard library alone. Exit status 0 only if everything came out as it must.
"""

import json
import pathlib
import re
import sys
import tempfile
import urllib.error
import urllib.request

from devnet import Devnet, until

NODE_PORT, FHIR_PORT = 5741, 5751
BASE = f"http://127.0.0.1:{FHIR_PORT}/fhir"


def ask(method, path, resource=None, token=None, **headers):
    """Status, headers and body of an answer."""
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(f"{BASE}/{path}", json.dumps(resource).encode() if resource else None, {
        "Content-Type": "application/fhir+json", **headers}, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.headers, json.loads(refusal.read() or b"null")


def events(patient):
    status, _, bundle = ask("GET", f"AuditEvent?patient={patient}&_count=1000")
    assert status == 200, bundle
    return [entry["resource"] for entry in bundle.get("entry", [])]


def requestors(patient):
    return {event["agent"][0]["who"]["identifier"]["value"] for event in events(patient)}


def observation(name):
    return {"resourceType": "Observation", "id": name, "status": "final", "code": {"text": "a secret finding"},
            "identifier": [{"system": "urn:lab", "value": name}], "subject": {"reference": "Patient/p"}}


def reading(devnet, account):
    """Whoever is shown anything leaves a line; whoever may not act any more is shown nothing."""
    api = ["--api", f"{devnet.folder}/h1/api.sock"]
    assert events("p") == [], "who writes was shown nothing"
    assert ask("GET", "Observation?patient=p")[0] == 200
    shown = events("p")
    assert len(shown) == 1 and shown[0]["subtype"][0]["code"] == "search-type" and shown[0]["period"], shown
    assert requestors("p") == {"1"}, "the hospital's own system"
    key = f"{devnet.folder}/dr.key"
    devnet.run("keys", "new", "practitioner", "--out", key)
    said = devnet.run("account", "register", key, "--registrar", f"{devnet.folder}/h1/registrar.key", "--role", "207", *api)
    doctor = re.search(r"account\s+([0-9a-f]{64})", said).group(1)

    def session():
        return json.loads(devnet.run("session", "open", key, "--hours", "1", "--output", "json", *api))

    first, second = session(), session()
    assert ask("GET", "Patient/p/$everything", token=first["token"])[0] == 200
    assert requestors("p") == {"1", doctor}
    table = json.loads(devnet.run("access", "readings", account, "--output", "json", *api))
    assert {line.get("reader") for line in table} == {None, doctor} and {"everything"} < {
        line["interaction"] for line in table}, table
    devnet.run("session", "close", key, first["key"], *api)
    assert ask("GET", "Patient/p", token=first["token"])[0] == 401, "a session that was closed on the ledger"
    assert ask("GET", "Patient/p", token=second["token"])[0] == 200
    registrar = ["--registrar", f"{devnet.folder}/h1/registrar.key", *api]
    devnet.run("account", "set-status", doctor, "suspended", *registrar)
    assert ask("GET", "Patient/p", token=second["token"])[0] == 401, "a practitioner who is suspended"
    devnet.run("account", "set-status", doctor, "active", *registrar)
    assert ask("GET", "Patient/p", token=second["token"])[0] == 200
    devnet.run("account", "set-status", doctor, "revoked", *registrar)
    assert ask("GET", "Patient/p", token=second["token"])[0] == 401, "a practitioner who is revoked"
    print("readings: noted for the system, the practitioner and the patient; closed, suspended and revoked read nothing")


def erasing(devnet, record):
    """What the patient erased is nowhere, comes back by nothing, and every hospital says that it deleted it."""
    api = ["--api", f"{devnet.folder}/h1/api.sock"]
    keys = pathlib.Path(f"{devnet.folder}/h1/data")
    slots = {name: (keys / name / "keys").read_bytes() for name in ("fhir", "vault")}
    devnet.run("record", "erase", f"{devnet.folder}/patient-1.key", record, *api)
    until("the store forgets", 20, lambda: ask("GET", "Observation/a")[0] == 410)

    def gone():
        for path in ("Observation/a", "Observation/a/_history/1", "Observation/a/_history"):
            status, _, said = ask("GET", path)
            assert status == 410 and "erased by the patient" in said["issue"][0]["diagnostics"], (path, said)
        for path in ("Observation?patient=p", "Patient/p/$everything", "Patient?_revinclude=Observation:patient"):
            found = [entry["resource"]["id"] for entry in ask("GET", path)[2]["entry"]]
            assert "a" not in found and "b" in found, (path, found)
        for method, path in (("PUT", "Observation/a"), ("PUT", "Observation?identifier=urn:lab|a")):
            status, _, said = ask(method, path, observation("a"))
            assert status == 410 and "by POST" in said["issue"][0]["diagnostics"], said

    gone()

    def deleted():
        said = json.loads(devnet.run("record", "list", devnet.account, "--output", "json", *api))
        return len(next(one for one in said if one["record"] == record).get("deletedBy") or []) >= 3

    until("every vault that had it says that it deleted it", 30, deleted)
    for name, before in slots.items():
        after = (keys / name / "keys").read_bytes()
        changed = [place for place in range(32, len(before), 32) if before[place:place + 32] != after[place:place + 32]]
        # Drafts on their way to the ledger have keys too, which go sooner or later.
        assert changed and not any(any(after[place:place + 32]) for place in changed), (name, changed)
    devnet.down()
    devnet.up()
    until("the node serves", 60, serves)
    gone()
    again = {name: value for name, value in observation("a").items() if name != "id"}
    assert ask("POST", "Observation", again)[0] == 201, "what is sent as new is new"
    print("erasing: 410 by every route, also after a restart; refused when it comes again; its keys are overwritten")


def serves():
    try:
        return ask("GET", "Observation/b")[0] == 200
    except OSError:
        return False


def main():
    with tempfile.TemporaryDirectory() as folder:
        devnet = Devnet(str(pathlib.Path(sys.argv[1]).resolve()), f"{folder}/net", NODE_PORT, FHIR_PORT)
        try:
            devnet.account = devnet.patient()
            link = {"system": "urn:consilium:account", "value": devnet.account}
            assert ask("PUT", "Patient/p", {"resourceType": "Patient", "id": "p", "identifier": [link]})[0] == 201
            records = {}
            for name in ("a", "b"):
                status, headers, _ = ask("PUT", f"Observation/{name}", observation(name), Prefer="return=minimal")
                records[name] = headers["X-Consilium-Record"]
                assert status == 201 and re.fullmatch("[0-9a-f]{64}", records[name]), records
            reading(devnet, devnet.account)
            erasing(devnet, records["a"])
        finally:
            devnet.reset()


if __name__ == "__main__":
    main()
