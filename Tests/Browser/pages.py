"""The patient's and the clinician's ways through their pages, in Chromium, on a devnet of four real nodes.

Usage: pages.py PROGRAM [--pictures DIR] [--part story|harms|ways]. Exit status 0 only if every step came out as it must.
"""

import argparse
import base64
import hashlib
import http.server
import io
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import zxingcpp
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from harms import harms
from ways import ways

ROOT = pathlib.Path(__file__).resolve().parents[2]
FHIR_PORT, PORTAL_PORT, NODE_PORT, APP_PORT = 5611, 5621, 5601, 5631
CALLBACK = f"http://127.0.0.1:{APP_PORT}/callback"
ACCOUNT = {"system": "urn:consilium:account"}
SCRIPT = "<img src=x onerror=\"document.title='owned'\">"


class Devnet:
    """Four hospitals with portals and FHIR ports in a folder of their own."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.run("devnet", "up", "--folder", folder, "--port", str(NODE_PORT), "--fhir-port", str(FHIR_PORT),
                 "--portal-port", str(PORTAL_PORT), "--set", f"smart_clients=growth-chart={CALLBACK}")

    def run(self, *arguments):
        environment = dict(os.environ, CONSILIUM_PASSPHRASE_FILE=f"{self.folder}/passphrase",
                           CONSILIUM_GENESIS=f"{self.folder}/genesis.json")
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def register(self, hospital, code, *more):
        folder = f"{self.folder}/h{hospital}"
        said = self.run("account", "register", code, "--registrar", f"{folder}/registrar.key", "--api",
                        f"{folder}/api.sock", *more)
        return re.search(r"account\s+([0-9a-f]{64})", said).group(1)

    def post(self, hospital, resource):
        request = urllib.request.Request(
            f"http://127.0.0.1:{FHIR_PORT + hospital - 1}/fhir", tokens(json.dumps(resource)).encode(),
            {"Content-Type": "application/fhir+json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def down(self):
        self.run("devnet", "reset", "--folder", self.folder, "--port", str(NODE_PORT))


def portal(hospital):
    return f"http://127.0.0.1:{PORTAL_PORT + hospital - 1}"


def scanned(page):
    """What another's reader finds in the QR code on a page, in the dark too."""
    # Among a QR code's squares the reader now and then sees a bar code, which nobody put there.
    picture = Image.open(io.BytesIO(page.locator("svg.qr").screenshot()))
    found = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormat.QRCode)
    return [one.text for one in found]


def tokens(text):
    """JSON in which "#63.50" became the number 63.50, zeros and all; Python's own numbers lose them."""
    return re.sub(r'"#(-?[0-9.]+)"', r"\1", text)


def bundle(account):
    """A patient linked to an account: a penicillin allergy, a prescription that clashes, weights, and hostile text."""
    patient = "urn:uuid:00000000-0000-4000-8000-000000000001"
    def entry(number, resource):
        full = f"urn:uuid:00000000-0000-4000-8000-{number:012d}"
        return {"fullUrl": full, "resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}
    def weight(number, day, value):
        return entry(number, {
            "resourceType": "Observation", "status": "final", "code": {"text": "Body weight"},
            "subject": {"reference": patient}, "effectiveDateTime": day,
            "valueQuantity": {"value": value, "unit": "kg"}})
    return {"resourceType": "Bundle", "type": "transaction", "entry": [
        entry(1, {"resourceType": "Patient", "name": [{"given": ["Ada"], "family": "Quill"}], "birthDate": "1961-02-03",
                  "identifier": [dict(ACCOUNT, value=account), {"system": "urn:northside", "value": "N-4711"}]}),
        entry(2, {"resourceType": "AllergyIntolerance", "criticality": "high", "code": {"text": "Penicillin"},
                  "patient": {"reference": patient}}),
        entry(3, {"resourceType": "MedicationRequest", "status": "active", "intent": "order",
                  "medicationCodeableConcept": {"text": "Penicillin V 250 mg"}, "subject": {"reference": patient}}),
        weight(4, "2024-01-02", 61), weight(5, "2025-01-02", 64), weight(6, "2026-01-02", "#63.50"),
        entry(7, {"resourceType": "Condition", "code": {"text": SCRIPT}, "subject": {"reference": patient}}),
    ]}


class Person:
    """Somebody with a browser of their own, in which nothing may go wrong unseen."""

    def __init__(self, browser, hospital, path, size, scheme, pictures, zone=None, language="en-GB"):
        self.hospital, self.pictures, self.count = hospital, pictures, 0
        self.context = browser.new_context(viewport={"width": size, "height": 800}, color_scheme=scheme, timezone_id=zone, locale=language)
        self.page = self.context.new_page()
        self.faults = []
        self.page.on("pageerror", lambda error: self.faults.append(f"page: {error}"))
        self.page.on("console", lambda said: self.faults.append(said.text)
                     if said.type == "error" and "status of 4" not in said.text else None)
        self.page.on("request", lambda asked: self.faults.append(f"asks {asked.url}")
                     if not asked.url.startswith(portal(hospital)) and not asked.url.startswith(("data:", "blob:")) else None)
        self.page.on("dialog", lambda dialog: dialog.accept())
        self.page.goto(portal(hospital) + path)

    def code(self):
        """Makes new words and keys; gives the code for the desk."""
        self.look("welcome")
        # By keyboard: the first stop skips the bar, and what is focused is seen.
        self.page.keyboard.press("Tab")
        assert self.page.evaluate("() => document.activeElement.className") == "skip"
        self.page.focus("#new")
        self.page.keyboard.press("Enter")
        expect(self.page.locator("ol.words li")).to_have_count(24)
        words = self.page.locator("ol.words li").all_text_contents()
        self.page.check("#written")
        self.page.click("#goOn")
        code = self.page.locator("#code").text_content()
        # The desk's scanner types what it reads: the same code in capitals, which registers as well.
        typed = scanned(self.page)
        assert typed == [code.upper()], f"the QR code says {typed}"
        return words, typed[0]

    def look(self, name):
        """What must hold of every view: names for everything, nothing wider than the screen, nothing owned."""
        page = self.page
        expect(page.locator("h1")).to_have_count(1)
        nameless = page.evaluate("""() => [...document.querySelectorAll('button, input, select, textarea, a[href]')].filter((one) => {
          if (one.closest('[hidden]')) return false;
          const labels = [...(one.labels ?? [])].map((label) => label.textContent).join('');
          return !(one.textContent.trim() || labels.trim() || one.getAttribute('aria-label'));
        }).map((one) => one.outerHTML)""")
        assert not nameless, f"{name}: without a name: {nameless}"
        wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        widest = page.evaluate("""() => [...document.querySelectorAll('main *')].filter((one) =>
          one.getBoundingClientRect().right > innerWidth + 1).slice(0, 4).map((one) => one.outerHTML.slice(0, 120))""")
        assert wide <= 0, f"{name}: {wide} pixels wider than the screen: {widest}"
        faint = page.evaluate(CONTRAST)
        assert not faint, f"{name}: too little contrast: {faint}"
        assert page.title() != "owned", f"{name}: a record's text ran"
        shown = page.evaluate("() => [...document.querySelectorAll('[hidden]')].filter((one) => one.checkVisibility()).length")
        assert shown == 0, f"{name}: {shown} hidden elements are seen"
        if self.pictures:
            self.count += 1
            page.screenshot(path=f"{self.pictures}/{self.hospital}-{self.count:02d}-{name}.png", full_page=True)

    def tab(self, name):
        self.page.click(f"#tab-{name}")

    def end(self):
        assert not self.faults, self.faults
        self.context.close()


# WCAG 2.1, 1.4.3: the ratio of every text to what is behind it.
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const part = (value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const ground = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const out = [];
  for (const one of document.querySelectorAll('body *')) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !one.checkVisibility() || one.matches(':disabled, .skip, noscript *, option')) continue;
    const style = getComputedStyle(one);
    const [a, b] = [light(parse(style.color)), light(ground(one))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 24;
    if (ratio < (large ? 3 : 4.5)) out.push(`${ratio.toFixed(2)} ${one.tagName} ${one.textContent.slice(0, 40)}`);
  }
  return out;
}"""


# Vectors for what the pages compute themselves: RFC 9496 A.1 and A.2, RFC 8439 §2.4.2, draft-irtf-cfrg-xchacha §2.2.1;
# BLAKE2b against Python's own.
VECTORS = {
    "multiples": ["e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
                  "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
                  "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259"],
    "noElements": ["00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
                   "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                   "0100000000000000000000000000000000000000000000000000000000000000", "00" * 32,
                   "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"],
    "chacha20": {
        "key": bytes(range(32)).hex(), "nonce": "000000000000004a00000000",
        "plain": "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
                 "sunscreen would be it.",
        "cipher": "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0bf91b65c5524733ab8f593dabcd62b357"
                  "1639d624e65152ab8f530c359f0861d807ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736"
                  "5af90bbf74a35be6b40b8eedf2785e42874d"},
    "hchacha20": {"key": bytes(range(32)).hex(), "input": "000000090000004a0000000031415927",
                  "out": "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"},
    "blake2b": [{"in": data.hex(), "out": hashlib.blake2b(data, digest_size=32).hexdigest()}
                for data in [b"", b"abc", bytes(128), bytes(range(256)) * 3]],
    "canonical": [['{"b":[1.50,-0,1e2],"a":"\\u00e9\\/\\n"}', '{"a":"é/\\n","b":[1.50,-0,1e2]}'],
                  ['{"\\ud83d\\ude00":1,"\\ufb33":2,"a":null}', '{"a":null,"😀":1,"\ufb33":2}']],
    "noJSON": ['{"a":1,"a":2}', "[1,]", '"\\ud800"', "01", "nul", "[" * 200 + "]" * 200, '{"a":1} x'],
}

CHECK_VECTORS = """async (v) => {
  const r = await import("/ristretto.js"), c = await import("/crypto.js"), j = await import("/canonical.js");
  const wrong = [], same = (name, a, b) => { if (a !== b) wrong.push(`${name}: ${a} is not ${b}`); };
  const refused = (name, work) => { try { work(); } catch { return; } wrong.push(`${name} was taken`); };
  let sum = r.IDENTITY;
  v.multiples.forEach((text, index) => {
    sum = r.add(sum, r.GENERATOR);
    same("sum", c.hex(r.encode(sum)), text);
    same("multiple", c.hex(r.encode(r.multiply(BigInt(index + 1), r.GENERATOR))), text);
    same("decoded", c.hex(r.encode(r.decode(c.unhex(text)))), text);
    same("difference", c.hex(r.encode(r.subtract(r.add(sum, r.GENERATOR), r.GENERATOR))), text);
  });
  same("order", c.hex(r.encode(r.multiply(r.L, r.GENERATOR))), "00".repeat(32));
  same("inverse", String(r.inverse(12345n) * 12345n % r.L), "1");
  v.noElements.forEach((text) => refused(text, () => r.decode(c.unhex(text))));
  refused("L", () => r.scalar(r.toBytes(r.L)));
  same("chacha20", c.hex(c.chacha20(c.unhex(v.chacha20.key), c.unhex(v.chacha20.nonce), 1, c.utf8(v.chacha20.plain))), v.chacha20.cipher);
  same("hchacha20", c.hex(c.hchacha20(c.unhex(v.hchacha20.key), c.unhex(v.hchacha20.input))), v.hchacha20.out);
  v.blake2b.forEach((one) => same("blake2b", c.hex(c.blake2b(c.unhex(one.in))), one.out));
  v.canonical.forEach(([text, out]) => same("canonical", j.canonical(text), out));
  v.noJSON.forEach((text) => refused(text.slice(0, 20), () => j.canonical(text)));
  return wrong;
}"""


# A clinician's question, signed by a patient's own keys: the refusal's word.
AS_CLINICIAN = """async ([words, account]) => {
  const keyring = await import("/keys.js"), node = await import("/node.js");
  const consortium = await node.consortium();
  const entropy = await keyring.entropyOf(words, await node.wordList());
  const keys = await keyring.deriveKeys(entropy, consortium.network, consortium.own);
  try { await node.patients(keys, account); } catch (error) { return error.code; }
  return "answered";
}"""


def ask(url, form=None, token=None):
    """Status and JSON of an answer."""
    body = urllib.parse.urlencode(form).encode() if form is not None else None
    request = urllib.request.Request(url, body, {"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)


def identity(page, places, token):
    """An ID token's claims, whose signature the browser checks by the keys that the node publishes."""
    head, body, signature = token.split(".")
    unpack = lambda part: base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    key = next(one for one in ask(places["jwks_uri"])[1]["keys"] if one["kid"] == json.loads(unpack(head))["kid"])
    holds = """async ([key, signed, signature]) => {
      const imported = await crypto.subtle.importKey("jwk", key, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
      return crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, imported, Uint8Array.from(signature), new TextEncoder().encode(signed));
    }"""
    assert page.evaluate(holds, [key, f"{head}.{body}", list(unpack(signature))])
    assert not page.evaluate(holds, [key, f"{head}.{body}x", list(unpack(signature))])
    return json.loads(unpack(body))


def app(doctor, words, account):
    """An app of hospital 2 is let in by SMART App Launch, and reads a record of hospital 1 in the clinician's name."""
    came = []

    class Callback(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            place = urllib.parse.urlparse(self.path)
            if place.path == "/callback":
                came.append(dict(urllib.parse.parse_qsl(place.query)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"back at the app")

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", APP_PORT), Callback)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{FHIR_PORT + 1}/fhir"
    status, places = ask(f"{base}/.well-known/smart-configuration")
    assert status == 200 and places["code_challenge_methods_supported"] == ["S256"], places
    security = ask(f"{base}/metadata")[1]["rest"][0]["security"]
    assert {one["valueUri"] for one in security["extension"][0]["extension"]} == {
        places[f"{name}_endpoint"] for name in ("authorization", "token", "revocation", "introspection")}, security
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    query = {"response_type": "code", "client_id": "growth-chart", "redirect_uri": CALLBACK,
             "scope": "launch openid fhirUser online_access user/*.rs", "nonce": "once",
             "state": "a b&c", "aud": base, "code_challenge": challenge, "code_challenge_method": "S256"}
    page = doctor.context.new_page()
    for wrong in [{"client_id": "stranger"}, {"redirect_uri": "http://127.0.0.1:1/"}, {"code_challenge_method": "plain"},
                  {"aud": "http://elsewhere.example/fhir"}, {"scope": "openid"}]:
        status, said = ask(f"{portal(2)}/api/apps?{urllib.parse.urlencode(query | wrong)}")
        assert status == 400 and said["remedy"], (wrong, said)

    def come():
        page.goto(f"{places['authorization_endpoint']}?{urllib.parse.urlencode(query)}")
        page.fill("#words", " ".join(words))
        page.click("#open")
        expect(page.locator("#scopes")).to_contain_text("read, search: every kind of resource", timeout=15000)
        expect(page.locator("#scopes")).to_contain_text("learn your account's number")

    come()
    if doctor.pictures:
        page.screenshot(path=f"{doctor.pictures}/2-app.png", full_page=True)
    page.click("#deny")
    expect(page.locator("body")).to_contain_text("back at the app")
    assert came.pop() == {"error": "access_denied", "state": "a b&c"}

    def enter():
        come()
        page.click("#allow")
        expect(page.locator("body")).to_contain_text("back at the app", timeout=15000)
        given = came.pop()
        assert given["state"] == "a b&c", given
        form = {"grant_type": "authorization_code", "code": given["code"], "redirect_uri": CALLBACK,
                "client_id": "growth-chart", "code_verifier": verifier}
        status, token = ask(places["token_endpoint"], form)
        assert status == 200 and token["token_type"] == "Bearer" and token["expires_in"] == 3600, token
        assert token["scope"] == "openid fhirUser online_access user/*.rs", token
        return form, token

    # A code a second time: somebody else has it, so what it gave is over.
    form, token = enter()
    assert ask(places["token_endpoint"], form) == (400, {"error": "invalid_grant"}), "a code was good twice"
    assert ask(f"{base}/$records?account={account}", token=token["access_token"])[0] == 401, "a stolen code's token is good"
    form, token = enter()
    claims = identity(page, places, token["id_token"])
    assert claims["iss"] == places["issuer"] == base and claims["aud"] in ("growth-chart", ["growth-chart"]), claims
    assert claims["nonce"] == "once" and claims["fhirUser"] == f"{base}/Practitioner/{claims['sub']}", claims
    status, who = ask(claims["fhirUser"], token=token["access_token"])
    assert status == 200 and who["identifier"][0]["value"] == claims["sub"] and who["active"], who
    renewal = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"], "client_id": "growth-chart"}
    old, (status, token) = token, ask(places["token_endpoint"], renewal)
    assert status == 200 and token["access_token"] != old["access_token"], token
    assert ask(f"{base}/$records?account={account}", token=old["access_token"])[0] == 401, "a token that was renewed is good"
    status, found = ask(f"{base}/$records?account={account}", token=token["access_token"])
    assert status == 200 and found["total"] == 7, found
    allergy = next(one["resource"] for one in found["entry"] if one["resource"]["category"][0]["text"] == "allergy")
    status, read = ask(allergy["content"][0]["attachment"]["url"], token=token["access_token"])
    assert status == 200 and read["code"]["text"] == "Penicillin", read
    request = urllib.request.Request(f"{base}/Observation", b"{}", {
        "Authorization": f"Bearer {token['access_token']}", "Content-Type": "application/fhir+json"})
    try:
        urllib.request.urlopen(request)
        raise AssertionError("an app that may read wrote")
    except urllib.error.HTTPError as refusal:
        assert refusal.code == 403, refusal.code
    assert ask(allergy["content"][0]["attachment"]["url"])[0] == 401
    # A refresh token a second time: it was stolen, or the next one was, and neither is good any more.
    for stolen in (renewal, dict(renewal, refresh_token=token["refresh_token"])):
        assert ask(places["token_endpoint"], stolen) == (400, {"error": "invalid_grant"}), stolen
    assert ask(f"{base}/$records?account={account}", token=token["access_token"])[0] == 401
    page.close()
    server.shutdown()
    print("app: refused, then let in with PKCE; reads a record of hospital 1 in the clinician's name, writes nothing")


def story(browser, devnet, pictures):
    patient = Person(browser, 1, "/", 360, "light", pictures)
    wrong = patient.page.evaluate(CHECK_VECTORS, VECTORS)
    assert not wrong, wrong
    print("vectors: ristretto255, ChaCha20, HChaCha20, BLAKE2b, canonical JSON")
    words, code = patient.code()
    account = devnet.register(1, code)
    devnet.post(1, bundle(account))
    page = patient.page
    expect(page.locator("#section-allergy")).to_contain_text("Penicillin", timeout=15000)
    expect(page.locator("#section-result svg")).to_have_count(1)
    # 63.50 is not 63.5 in medicine, and no digit is dropped.
    expect(page.locator("#section-result")).to_contain_text("63.50 kg")
    expect(page.locator("#section-problem")).to_contain_text(SCRIPT)
    patient.look("records")
    print("patient: new words, registered, 7 records by section, hostile text stays text")

    doctor = Person(browser, 2, "/clinic", 1000, "dark", pictures)
    doctor_words, code = doctor.code()
    own = devnet.register(2, code, "--role", "207")
    expect(doctor.page.locator("#search")).to_be_visible(timeout=15000)
    doctor.look("find")
    doctor.page.fill("#search", account.upper())
    doctor.page.press("#search", "Enter")
    expect(doctor.page.locator("#ask")).to_be_visible()
    doctor.page.click("#ask")
    expect(doctor.page.locator("#refused")).to_contain_text("no consent covers this", timeout=15000)
    expect(doctor.page.locator("#refused")).to_contain_text(own)
    expect(doctor.page.locator("#section-allergy")).to_contain_text("Allergies are NOT known.")
    expect(doctor.page.locator("#banner")).to_contain_text("Name not known")
    expect(doctor.page.locator("#foreign")).to_contain_text("Only clinicians of Northside General can write")
    assert doctor.page.locator("#sign").count() == 0
    doctor.look("refused")
    print("clinician of another hospital: registered, asks, refused with a reason and what to do")

    patient.tab("history")
    expect(page.locator("#history > li")).to_have_count(1)
    expect(page.locator("#history")).to_contain_text("refused")
    patient.look("history")
    patient.tab("sharing")
    assert scanned(page) == [account.upper()], "the account's QR code says something else"
    page.select_option("#who", "2")
    page.click("#give")
    expect(page.locator("#consents")).to_contain_text("Active")
    patient.look("sharing")
    print("patient: sees the refused request, permits hospital 2")

    doctor.page.click("#ask")
    expect(doctor.page.locator("#section-allergy")).to_contain_text("Penicillin", timeout=30000)
    expect(doctor.page.locator("#chart")).to_contain_text("an allergy to Penicillin is recorded")
    expect(doctor.page.locator("#section-problem")).to_contain_text(SCRIPT)
    assert doctor.page.locator("#chart .card.alert").count() >= 2
    doctor.look("chart")
    print("clinician: 7 records opened of shares in the browser; the allergy and its conflict stand out")

    app(doctor, doctor_words, account)

    local = Person(browser, 1, "/clinic", 360, "dark", pictures)
    _, code = local.code()
    devnet.register(1, code, "--role", "207")
    expect(local.page.locator("#search")).to_be_visible(timeout=15000)
    for text in ["Quill", "N-4711"]:
        local.page.fill("#search", text)
        local.page.click("#find")
        expect(local.page.locator("#found")).to_contain_text("Ada Quill")
    local.look("found")
    local.page.click("#found button")
    local.page.click("#ask")
    expect(local.page.locator("#section-medicine")).to_contain_text("Penicillin V", timeout=30000)
    local.page.select_option("#noteKind", "prescription")
    local.page.fill("#noteTitle", "Penicillin V 500 mg")
    expect(local.page.locator("#warning")).to_contain_text("an allergy to Penicillin is recorded")
    local.look("write")
    local.page.fill("#noteTitle", "Doxycycline 100 mg")
    local.page.fill("#noteText", "1 tablet a day, for 7 days")
    local.page.click("#sign")
    expect(local.page.locator("#said")).to_contain_text("Signed, sealed and on the ledger", timeout=15000)
    patient.tab("records")
    expect(page.locator("#section-medicine")).to_contain_text("Doxycycline 100 mg", timeout=15000)
    medicine = page.locator("#section-medicine li", has_text="Doxycycline")
    medicine.locator("summary").click()
    medicine.get_by_role("button", name="Who wrote this?").click()
    expect(medicine).to_contain_text("No patient has given feedback yet")
    patient.look("background")
    medicine.locator("select").select_option("4")
    expect(page.locator("#said")).to_contain_text("Your feedback is on the ledger", timeout=15000)
    medicine.locator("summary").click()
    medicine.get_by_role("button", name="Who wrote this?").click()
    expect(medicine).to_contain_text("4.0 of 5 on average, once")
    expect(medicine.locator("select")).to_have_value("4")
    print("patient: reads the clinician's background, and gives feedback on the visit")
    print("clinician of the patient's hospital: found by name and number, reads, is warned, signs a prescription")

    said = page.evaluate(AS_CLINICIAN, [" ".join(words), account])
    assert said == "unauthorized", f"a patient's signature on a clinician's question: {said}"
    for path in [f"/api/readers/{own}/records?patient={account}", f"/api/readers/{account}/custody",
                 f"/api/clinicians/{own}/patients?search=Quill"]:
        try:
            urllib.request.urlopen(portal(2) + path)
            raise AssertionError(f"{path} was answered without a signature")
        except urllib.error.HTTPError as refusal:
            assert refusal.code in (403, 404), refusal.code
    print("questions for clinicians: refused to a patient, and to whoever does not sign")

    strange = Person(browser, 3, "/clinic", 1000, "light", pictures)
    _, code = strange.code()
    devnet.register(3, code, "--role", "207")
    expect(strange.page.locator("#search")).to_be_visible(timeout=15000)
    strange.page.fill("#search", account)
    strange.page.click("#find")
    strange.page.click("#glass summary")
    strange.look("glass")
    strange.page.click("#break")
    expect(strange.page.locator("#section-allergy")).to_contain_text("Penicillin", timeout=30000)
    patient.tab("history")
    expect(page.locator("#history")).to_contain_text("Emergency access without consent", timeout=15000)
    patient.look("emergency")
    print("emergency at hospital 3: the glass is broken, records are read at once, the patient sees it")

    officer = Person(browser, 3, "/officer", 360, "light", pictures)
    _, code = officer.code()
    devnet.register(3, code)
    review = officer.page
    expect(review.locator("#cases section")).to_have_count(1, timeout=15000)
    expect(review.locator("#cases")).to_contain_text("hours left")
    expect(review.locator("#cases")).to_contain_text("life or health is at risk")
    officer.look("cases")
    review.locator("button.justified").click()
    expect(review.locator("#none")).to_be_visible(timeout=15000)
    officer.tab("done")
    expect(review.locator("#cases h2")).to_have_text("It was right")
    officer.look("reviewed")
    try:
        urllib.request.urlopen(portal(3) + f"/api/officers/{account}/cases")
        raise AssertionError("cases were told to whoever does not sign")
    except urllib.error.HTTPError as refusal:
        assert refusal.code in (403, 404), refusal.code
    print("privacy officer of hospital 3: sees the case with its deadline, reviews it, finds it among the reviewed")

    parent = Person(browser, 1, "/", 360, "dark", pictures)
    parent_words, code = parent.code()
    guardian = devnet.register(1, code)
    expect(parent.page.locator("#tab-others")).to_be_visible(timeout=15000)
    parent.tab("others")
    parent.page.fill("#ward", account)
    parent.page.click("#openWard")
    expect(parent.page.locator("#wardRecords")).to_contain_text("nobody has said that you may act", timeout=15000)
    parent.look("not-a-proxy")
    patient.tab("sharing")
    page.select_option("#who", "")
    page.fill("#account", guardian.upper())
    page.check("#acts")
    page.click("#give")
    expect(page.locator("#consents")).to_contain_text("may act for you", timeout=15000)
    patient.look("acts")
    parent.page.click("#openWard")
    expect(parent.page.locator("#section-allergy")).to_contain_text("Penicillin", timeout=30000)
    expect(parent.page.locator("#section-problem")).to_contain_text(SCRIPT)
    parent.page.select_option("#who", "4")
    parent.page.click("#give")
    expect(parent.page.locator("#said")).to_contain_text("Given", timeout=15000)
    parent.look("ward")
    patient.tab("sharing")
    expect(page.locator("#consents")).to_contain_text("Somebody who acts for you said so", timeout=15000)
    print("a proxy: refused before, then reads and permits hospital 4 in the patient's name; the patient sees both")

    _, code = Person(browser, 1, "/", 360, "light", None).code()
    devnet.run("account", "recover", account, code, "--registrar", f"{devnet.folder}/h1/registrar.key", "--api",
               f"{devnet.folder}/h1/api.sock")
    patient.tab("records")
    expect(page.locator("#recovery")).to_contain_text("another one takes over", timeout=15000)
    patient.look("recovery")
    page.click("#object")
    expect(page.locator("#said")).to_contain_text("your key stays", timeout=15000)
    expect(page.locator("#section-allergy")).to_contain_text("Penicillin", timeout=15000)
    expect(page.locator("#recovery")).to_have_count(0)
    print("recovery that the patient did not ask for: the page says so, and the patient objects")

    pdf = b"%PDF-1.7\n" + random.Random(5).randbytes(9 << 20)
    for name, content in [("long.pdf", pdf), ("short.pdf", pdf[:5000])]:
        pathlib.Path(f"{devnet.folder}/{name}").write_bytes(content)
        devnet.run("record", "attach", f"{devnet.folder}/{name}", "--patient", account, "--api",
                   f"{devnet.folder}/h1/api.sock")
    patient.tab("records")
    expect(page.locator("#section-document")).to_contain_text("PDF document", timeout=15000)
    for size, content in [("9.4 MB", pdf), ("5 kB", pdf[:5000])]:
        row = page.locator("#section-document li").filter(has_text=size)
        row.locator("summary").click()
        with page.expect_download(timeout=60000) as saved:
            row.locator("button.save").click()
        assert pathlib.Path(saved.value.path()).read_bytes() == content and saved.value.suggested_filename.endswith(".pdf")
        expect(row).to_contain_text("its hash-lock holds")
    patient.look("files")
    print("patient: opens and saves a short and a long document, part by part in the browser")

    with page.expect_download() as saved:
        patient.tab("leave")
        page.click("#export")
    records = json.loads(pathlib.Path(saved.value.path()).read_text())["entry"]
    assert len(records) == 8, len(records)
    allergy = next(one["resource"] for one in records if one["resource"]["resourceType"] == "AllergyIntolerance")
    patient.tab("check")
    for text, verdict in [(json.dumps(allergy), "Authentic"), (json.dumps(dict(allergy, criticality="low")), "Not authentic")]:
        page.set_input_files("#file", {"name": "one.json", "mimeType": "application/json", "buffer": text.encode()})
        expect(page.locator("#verdict h2")).to_have_text(verdict)
    patient.look("check")
    # The long one too: it is opened to be compared.
    for content, verdict in [(pdf[:5000], "Authentic"), (pdf[:4999] + b"x", "Not authentic"), (pdf, "Authentic"), (pdf[:-1] + b"x", "Not authentic")]:
        page.set_input_files("#file", {"name": "one.pdf", "mimeType": "application/pdf", "buffer": content})
        expect(page.locator("#verdict h2")).to_have_text(verdict, timeout=60000)
    admit(devnet)
    patient.tab("records")
    row = page.locator("#section-allergy li")
    row.locator("summary").click()
    saved = []
    page.on("download", lambda one: saved.append(one))
    proof = {}
    # Until the new members have signed a tree head too.
    while not proof.get("configurations"):
        saved.clear()
        row.locator("button.proof").click()
        while len(saved) < 2:
            page.wait_for_timeout(50)
        record, proof = pathlib.Path(saved[0].path()).read_text(), json.loads(pathlib.Path(saved[1].path()).read_text())
    expect(row).to_contain_text("Saved: the record and its proof")
    anybody(browser, devnet, pictures, record, proof)
    patient.tab("leave")
    page.click("#lock")
    page.fill("#words", " ".join(words))
    page.click("#open")
    expect(page.locator("#section-allergy")).to_contain_text("Penicillin", timeout=15000)
    print("patient: exports, checks an authentic and a changed file, locks, comes back with the words")

    for person in [patient, doctor, local, strange, officer, parent]:
        person.end()


def admit(devnet):
    """A fifth hospital becomes a member: whoever has the genesis alone needs the change, proved, from then on."""
    folder = pathlib.Path(devnet.folder)
    devnet.run("init", f"{folder}/h5", "--member", "5", "--name", "Eastgate", "--listen", "/ip4/127.0.0.1/tcp/5609",
               "--passphrase-file", f"{folder}/passphrase")
    api = ["--api", f"{folder}/h1/api.sock"]
    devnet.run("member", "propose", "add", f"{folder}/h5/member.json", "--out", f"{folder}/change.json", *api)
    approvals = [f"{folder}/approval-{number}.json" for number in (1, 2, 3)]
    for number, approval in zip((1, 2, 3), approvals):
        devnet.run("member", "approve", f"{folder}/change.json", "--registrar", f"{folder}/h{number}/registrar.key",
                   "--out", approval)
    devnet.run("member", "submit", f"{folder}/change.json", *approvals, *api)
    deadline = time.monotonic() + 30
    while json.loads(devnet.run("member", "list", "--output", "json", *api))["configuration"] != 1:
        assert time.monotonic() < deadline, "the fifth hospital did not become a member"
    # Something to sign for.
    devnet.run("keys", "new", "patient", "--out", f"{folder}/other.key", "--words", f"{folder}/other.words")
    devnet.register(1, f"{folder}/other.key")


def anybody(browser, devnet, pictures, record, proof):
    """Whoever was given a record and its proof checks them, without keys, by a genesis from elsewhere."""
    person = Person(browser, 2, "/verify", 360, "light", pictures)
    page = person.page
    genesis = json.loads(pathlib.Path(f"{devnet.folder}/genesis.json").read_text())

    def check(record, proof, genesis):
        for name, content in [("document", record), ("proof", json.dumps(proof)), ("genesis", genesis)]:
            given = [] if content is None else {"name": name, "mimeType": "text/plain", "buffer": (
                content if isinstance(content, str) else json.dumps(content)).encode()}
            page.set_input_files(f"#{name}", given)
        page.click("#check")
        expect(page.locator("#verdict h2")).to_be_visible(timeout=15000)
        expect(page.locator("#verdict .waiting")).to_have_count(0, timeout=15000)
        return page.locator("#verdict").inner_text()

    said = check(record, proof, genesis)
    assert "Authentic when the proof was made" in said and "Northside General put this record on the ledger" in said, said
    assert "corrected, withdrawn or erased since: that is not known here" in said and "changed since" not in said, said
    for name, content in [("given.json", record), ("given.proof", json.dumps(proof))]:
        pathlib.Path(f"{devnet.folder}/{name}").write_text(content)
    told = devnet.run("verify", f"{devnet.folder}/given.json", "--proof", f"{devnet.folder}/given.proof", "--genesis", f"{devnet.folder}/genesis.json")
    assert "Authentic when the proof was made" in told and "corrected, withdrawn or erased since is not known here" in told, told
    assert "The members changed once" in said, said
    assert "All this follows from the genesis that you gave" in said and page.locator("#steps li").count() == 5, said
    person.look("verified")
    assert "the genesis that this hospital names" in check(record, proof, None)
    flipped = dict(proof, path=[("1" if proof["path"][0][0] == "0" else "0") + proof["path"][0][1:], *proof["path"][1:]])
    lines = proof["checkpoint"].split("\n")
    unsigned = dict(proof, checkpoint="\n".join(line for line in lines if not line.startswith("\u2014 consilium.member.")))
    older = dict(proof, checkpoint=proof["checkpoint"].replace(f"\n{lines[1]}\n", f"\n{int(lines[1]) + 1}\n", 1))
    renamed = dict(genesis, name="another")
    for given, word in [((record.replace("Penicillin", "Aspirin"), proof, genesis), "not the one that was anchored"),
                        ((record, flipped, genesis), "does not stand in the log"),
                        ((record, unsigned, genesis), "Only 0 members' signatures hold, 4 are needed"),
                        ((record, older, genesis), "Only 0 members' signatures hold"),
                        ((record, dict(proof, salt="00" * 32), genesis), "not the one that was anchored"),
                        ((record, dict(proof, configurations=[]), genesis), "A change of the members is missing"),
                        ((record, {"leaf": 1}, genesis), "The proof is none"),
                        ((record, proof, renamed), "The genesis is none, or somebody changed it")]:
        said = check(*given)
        title = "This cannot be checked" if word.startswith(("The proof", "The genesis")) else "Not authentic"
        assert title in said and word in said, (word, said)
    person.look("not-checked")
    person.end()
    print("anybody: checks a record and its proof by the genesis alone; every forgery is told apart")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--pictures")
    parser.add_argument("--part", choices=["story", "harms", "ways"])
    options = parser.parse_args()
    if options.pictures:
        pathlib.Path(options.pictures).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        devnet = Devnet(options.program, f"{folder}/net")
        try:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            tools = sys.modules[__name__]
            for name, part in [("ways", lambda: ways(tools, browser, devnet, options.pictures)),
                               ("harms", lambda: harms(tools, browser, devnet, options.pictures)),
                               ("story", lambda: story(browser, devnet, options.pictures))]:
                if options.part in (None, name):
                    part()
            browser.close()
        finally:
            devnet.down()
    print("every step came out as it must")


if __name__ == "__main__":
    main()
