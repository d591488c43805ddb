"""Clients that others wrote, unchanged, against the FHIR interface and the log of a real node.

Usage: clients.py PROGRAM. fhirclient and fhirpy write, search, page and change; fhir.resources parses every answer;
schemathesis tries what the OpenAPI description allows, and what it does not; the log is verified from the C2SP
specifications alone. Exit status 0 only if everything came out as it must.
"""

import base64
import gzip
import hashlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fhir.resources.R4B import get_fhir_model_class
from fhirclient import client
from fhirclient.models.bundle import Bundle
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirpy import SyncFHIRClient

from devnet import Devnet

ROOT = pathlib.Path(__file__).resolve().parents[2]
NODE_PORT, FHIR_PORT = 5701, 5711
BASE = f"http://127.0.0.1:{FHIR_PORT}"
CASES = 40


def get(path, text=False):
    with urllib.request.urlopen(BASE + path) as answer:
        content = answer.read()
    return content.decode() if text else json.loads(content)


def post(resource, path="/fhir"):
    request = urllib.request.Request(BASE + path, json.dumps(resource).encode(),
                                     {"Content-Type": "application/fhir+json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def parse(resource):
    """Parses a resource, and what a bundle holds, as R4B: R4's and its shapes are the same for what is here."""
    if resource["resourceType"] == "Bundle":
        for entry in resource.get("entry", []):
            for part in (entry.get("resource"), entry.get("response", {}).get("outcome")):
                if part:
                    parse(part)
        resource = {**resource, "entry": []}
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    return 1


def load(patient_bundle, account):
    """A whole patient goes in as it is, and is linked to its account."""
    done = post(patient_bundle)
    made = [entry["response"] for entry in done["entry"]]
    assert all(answer["status"].startswith("201") for answer in made), made[:3]
    parse(done)
    number = re.search(r"Patient/([^/]+)/", next(a["location"] for a in made if "/Patient/" in a["location"])).group(1)
    patient = get(f"/fhir/Patient/{number}")
    patient.setdefault("identifier", []).append({"system": "urn:consilium:account", "value": account})
    request = urllib.request.Request(f"{BASE}/fhir/Patient/{number}", json.dumps(patient).encode(),
                                     {"Content-Type": "application/fhir+json"}, method="PUT")
    with urllib.request.urlopen(request) as answer:
        assert re.fullmatch("[0-9a-f]{64}", answer.headers["X-Consilium-Record"]), answer.headers
    return number


def with_fhirclient(number):
    server = client.FHIRClient(settings={"app_id": "clients", "api_base": f"{BASE}/fhir"}).server
    patient = Patient.read(number, server)
    assert patient.id == number
    observation = Observation({"status": "final", "code": {"text": "temperature"},
                               "subject": {"reference": f"Patient/{number}"},
                               "valueQuantity": {"value": 37.2, "unit": "Cel"}})
    made = observation.create(server)
    assert made["id"]
    again = Observation.read(made["id"], server)
    again.status = "amended"
    again.update(server)
    assert Observation.read(made["id"], server).status == "amended"
    found = Observation.where({"subject": f"Patient/{number}", "_count": "20"}).perform(server)
    seen = 0
    while True:
        seen += sum(1 for entry in found.entry or [] if entry.search.mode == "match")
        following = [link.url for link in found.link or [] if link.relation == "next"]
        if not following:
            break
        found = Bundle.read_from(following[0].removeprefix(f"{BASE}/fhir/"), server)
    assert seen == found.total > 20, (seen, found.total)
    return seen


def with_fhirpy():
    fhir = SyncFHIRClient(f"{BASE}/fhir")
    patient = fhir.resource("Patient", name=[{"family": "Öberg", "given": ["Åsa"]}], birthDate="1970-02-01")
    patient.save()
    assert fhir.resources("Patient").search(family="oberg").first().id == patient.id
    patient["active"] = True
    patient.save()
    assert fhir.resource("Patient", id=patient.id).serialize() is not None
    assert fhir.resources("Patient").search(_id=patient.id).count() == 1
    patient.delete()
    assert fhir.resources("Patient").search(_id=patient.id).count() == 0
    return fhir.resources("Observation").limit(25).fetch_all()


def parse_everything(number):
    paths = ["/fhir/metadata", f"/fhir/Patient/{number}", f"/fhir/Patient/{number}/_history",
             f"/fhir/Patient/{number}/$everything", f"/fhir/Consent?patient={number}",
             f"/fhir/AuditEvent?patient={number}", f"/fhir/Provenance?patient={number}&_count=500"]
    for path in paths:
        parse(get(path))
    provenance = get(paths[-1])
    assert provenance["total"] > 50
    first = provenance["entry"][0]["resource"]
    assert first["target"][0]["reference"].split("/")[0] in get("/fhir/openapi.json")["components"]["parameters"][
        "type"]["schema"]["enum"]
    proof = json.loads(base64.b64decode(first["signature"][-1]["data"]))
    assert proof["leaf"] == int(first["id"])
    return provenance["total"]


def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def root(hashes):
    """RFC 6962 §2.1, by its own recursion."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return hashlib.sha256(b"\1" + root(hashes[:split]) + root(hashes[split:])).digest()


def packed(number):
    """gzip both ways gives what plain text gives; a broken or swollen stream is refused."""
    def ask(path, content=None, **headers):
        request = urllib.request.Request(BASE + path, content, {"Content-Type": "application/fhir+json", **{
            name.replace("_", "-"): value for name, value in headers.items()}})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.headers.get("Content-Encoding"), answer.read()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.headers.get("Content-Encoding"), refusal.read()
    path = f"/fhir/Patient/{number}/$everything"
    plain, small = ask(path)[2], ask(path, Accept_Encoding="gzip, deflate")
    assert small[1] == "gzip" and len(small[2]) * 3 < len(plain)
    # Each says when it was made.
    first, second = json.loads(plain), json.loads(gzip.decompress(small[2]))
    assert first.pop("meta") and second.pop("meta") and first == second
    assert ask(path, Accept_Encoding="gzip;q=0")[1] is None
    body = gzip.compress(json.dumps({"resourceType": "Patient", "active": True}).encode())
    assert ask("/fhir/Patient", body, Content_Encoding="gzip")[0] == 201
    swollen = gzip.compress(b" " * (80 << 20))
    for content, encoding, status in [(body[:-9], "gzip", 400), (swollen, "gzip", 400), (body, "br", 415),
                                      (body, "identity", 400)]:
        assert ask("/fhir/Patient", content, Content_Encoding=encoding)[0] == status, (encoding, status)
    return len(plain) / len(small[2])


def verify_log(genesis):
    """The tree head's signatures (C2SP signed-note, tlog-cosignature) and its root over the entries (tlog-tiles)."""
    note = get("/log/checkpoint", text=True)
    body, signatures = note.split("\n\n", 1)
    body += "\n"
    origin, size, stated = body.split("\n")[:3]
    keys = [bytes.fromhex(member["checkpointKey"]) for member in genesis["members"]]
    signed = set()
    for line in signatures.strip().split("\n"):
        _, name, value = line.split(" ")
        value = base64.b64decode(value)
        for index, key in enumerate(keys):
            kind = 1 if name == origin else 4
            if value[:4] != hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + key).digest()[:4]:
                continue
            if kind == 1:
                Ed25519PublicKey.from_public_bytes(key).verify(value[4:], body.encode())
            else:
                seconds = int.from_bytes(value[4:12], "big")
                text = f"cosignature/v1\ntime {seconds}\n{body}"
                Ed25519PublicKey.from_public_bytes(key).verify(value[12:], text.encode())
            signed.add((index, kind))
    assert len({index for index, kind in signed if kind == 4}) >= 3, "a quorum signed"
    hashes, size = [], int(size)
    for number in range((size + 255) // 256):
        width = min(256, size - 256 * number)
        name = f"{number // 1000:03}".join(["x", "/"]) * (number >= 1000) + f"{number % 1000:03}"
        path = f"/log/tile/entries/{name}" + (f".p/{width}" if width < 256 else "")
        with urllib.request.urlopen(BASE + path) as answer:
            content = answer.read()
        while content:
            length = int.from_bytes(content[:2], "big")
            hashes.append(leaf_hash(content[2:2 + length]))
            content = content[2 + length:]
    assert len(hashes) == size and base64.b64encode(root(hashes)).decode() == stated
    return size


def attachments(devnet, number, account):
    """Bytes of their own: in as they are, out at another hospital for whom the patient permits, the same to the last."""
    def ask(path, content=None, base=BASE, **headers):
        request = urllib.request.Request(base + path, content, {
            name.replace("_", "-"): value for name, value in headers.items()})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.headers, refusal.read()

    key, api = f"{devnet.folder}/dr.key", ["--api", f"{devnet.folder}/h2/api.sock"]
    devnet.run("keys", "new", "practitioner", "--out", key)
    said = devnet.run("account", "register", key, "--registrar", f"{devnet.folder}/h2/registrar.key", "--role", "207",
                      *api)
    doctor = re.search(r"account\s+([0-9a-f]{64})", said).group(1)
    session = json.loads(devnet.run("session", "open", key, "--hours", "1", "--output", "json", *api))
    bearer, there = {"Authorization": f"Bearer {session['token']}"}, f"http://127.0.0.1:{FHIR_PORT + 1}"
    whose = {"X_Security_Context": f"Patient/{number}", "Content_Type": "application/pdf"}
    short, long = b"%PDF-1.7\n" + b"short", b"%PDF-1.7\n" + os.urandom(24 << 20)
    records = []
    for content in (short, long):
        status, headers, _ = ask("/fhir/Binary", content, **whose)
        assert status == 201, status
        records.append(re.search(r"/Binary/([0-9a-f]{64})/_history/1$", headers["Location"]).group(1))
    assert ask(f"/fhir/Binary/{records[1]}", base=there, Accept="*/*")[0] == 401
    status, _, said = ask(f"/fhir/Binary/{records[1]}", base=there, Accept="*/*", **bearer)
    assert status == 403 and b"--to-account " + doctor.encode() in said, said
    devnet.run("consent", "grant", f"{devnet.folder}/patient-1.key", "--to-account", doctor, "--category", "document",
               "--api", f"{devnet.folder}/h1/api.sock")
    for record, content in zip(records, (short, long)):
        # What Location named answers too: it is the only version.
        for path in (f"/fhir/Binary/{record}", f"/fhir/Binary/{record}/_history/1"):
            status, headers, got = ask(path, base=there, Accept="application/pdf", **bearer)
            assert status == 200 and headers["Content-Type"] == "application/pdf" and got == content, (status, len(got))
    assert ask(f"/fhir/Binary/{records[0]}/_history/2", base=there, Accept="application/pdf", **bearer)[0] == 404
    status, _, got = ask(f"/fhir/Binary/{records[0]}", base=there, Accept="application/fhir+json", **bearer)
    assert status == 200 and base64.b64decode(json.loads(got)["data"]) == short
    parse(json.loads(got))
    assert ask(f"/fhir/Binary/{records[1]}", base=there, Accept="application/fhir+json", **bearer)[0] == 406
    for headers, status in [({**whose, "Content_Encoding": "gzip"}, 415), ({"Content_Type": "application/pdf"}, 400), ({**whose, "X_Security_Context": "Patient/no"}, 422)]:
        assert ask("/fhir/Binary", short, **headers)[0] == status
    # A client that stops half-way: nothing is anchored, and the node goes on.
    before = len(json.loads(devnet.run("record", "list", account, "--output", "json", "--api",
                                       f"{devnet.folder}/h1/api.sock")))
    with socket.create_connection(("127.0.0.1", FHIR_PORT)) as connection:
        connection.sendall(f"POST /fhir/Binary HTTP/1.1\r\nHost: 127.0.0.1:{FHIR_PORT}\r\nContent-Type: application/pdf\r\n"
                           f"X-Security-Context: Patient/{number}\r\nContent-Length: 99999999\r\n\r\n".encode() + long[:9999999])
    after = devnet.run("record", "list", account, "--output", "json", "--api", f"{devnet.folder}/h1/api.sock")
    assert len(json.loads(after)) == before
    return len(long)


def send(path, method="GET", content=None, **headers):
    """Status, headers and content of any answer."""
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(f"{BASE}/fhir{path}", body, {"Content-Type": "application/fhir+json", **{
        name.replace("_", "-"): value for name, value in headers.items()}}, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.headers, refusal.read()


def records(devnet, account):
    """The current records of an account, and all of them."""
    said = json.loads(devnet.run("record", "list", account, "--output", "json", "--api", f"{devnet.folder}/h2/api.sock"))
    return [one for one in said if not one.get("supersededBy")], said


def one_current_record(devnet, number, account):
    """Two writers at once, a deletion and a wrong link, as every other hospital sees them."""
    before = len(records(devnet, account)[0])
    for attempt in range(10):
        gate, answers = threading.Barrier(2), {}

        def put(value, name=f"once-{attempt}"):
            gate.wait()
            answers[value] = send(f"/Observation/{name}", "PUT", {
                "resourceType": "Observation", "id": name, "status": "final", "code": {"text": "dose"},
                "valueInteger": value, "subject": {"reference": f"Patient/{number}"}})
        writers = [threading.Thread(target=put, args=(value,)) for value in (1, 2)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert sorted(answer[1]["ETag"] for answer in answers.values()) == ['W/"1"', 'W/"2"'], answers
        assert all(json.loads(answer[2])["valueInteger"] == value for value, answer in answers.items())
        made = {answer[1]["X-Consilium-Record"] for answer in answers.values()}
        current = {one["record"] for one in records(devnet, account)[0]}
        assert len(made) == 2 and len(made & current) == 1, (made, current)
    assert len(records(devnet, account)[0]) == before + 10
    status, headers, _ = send("/Observation/once-0", "DELETE")
    withdrawal = headers["X-Consilium-Record"]
    current, every = records(devnet, account)
    assert status == 204 and len(current) == before + 10
    assert [one["record"] for one in every if one.get("supersededBy") == withdrawal], "what was said is superseded"
    # An account of another hospital: refused here, with the reason.
    foreign = devnet.patient(hospital=2)
    linked = {"resourceType": "Patient", "identifier": [{"system": "urn:consilium:account", "value": foreign}]}
    status, headers, _ = send("/Patient", "POST", linked)
    assert status == 201 and headers["X-Consilium-Record"].startswith("refused: the account belongs to hospital 2")
    return before + 10


def with_schemathesis():
    """Whatever is sent, the node answers, as it says that it would."""
    checks = ("not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
              "unsupported_method")
    program = pathlib.Path(os.environ["PYTHONPATH"]) / "bin" / "schemathesis"
    # It keeps a cache where it runs.
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([str(program.resolve()), "run", f"{BASE}/fhir/openapi.json", "--max-examples", str(CASES),
                               "--seed", "1", "--checks", checks], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stdout[-4000:]
    return re.search(r"(\d+) generated", done.stdout).group(1)


def main():
    program = sys.argv[1]
    patient = json.loads(sorted((ROOT / "Scripts/patients").glob("*.json"))[0].read_text())
    with tempfile.TemporaryDirectory() as folder:
        devnet = Devnet(program, f"{folder}/net", NODE_PORT, FHIR_PORT)
        try:
            account = devnet.patient()
            number = load(patient, account)
            print(f"{len(patient['entry'])} resources went in as they are, and the patient is linked")
            print(f"fhirclient: created, changed, and paged through {with_fhirclient(number)} observations")
            print(f"fhirpy: saved, found, changed, deleted; fetched {len(with_fhirpy())} observations")
            print(f"fhir.resources: parsed everything, {parse_everything(number)} Provenance with their signatures")
            print(f"gzip: {packed(number):.1f} times smaller; broken and swollen streams are refused")
            print(f"attachments: {attachments(devnet, number, account)} bytes went in and came out elsewhere, unchanged")
            print(f"ledger: {one_current_record(devnet, number, account)} resources, one current record each")
            genesis = json.loads(pathlib.Path(f"{folder}/net/genesis.json").read_text())
            print(f"tlog: {verify_log(genesis)} entries hash to the root that a quorum signed")
            print(f"schemathesis: {with_schemathesis()} requests, each answered as described")
            assert get(f"/fhir/Patient/{number}")["id"] == number, "the node goes on"
        finally:
            devnet.reset()


if __name__ == "__main__":
    main()
