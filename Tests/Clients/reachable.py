"""The FHIR interface of a real node from another machine: TLS, the hospital's own systems by their keys, pages of apps.

Usage: reachable.py PROGRAM. Four hospitals; the first one's FHIR interface listens on all addresses. authlib, a library
that others wrote, proves who a system is; certificates are made here. Exit status 0 only if everything came out as it must.
"""

import datetime
import json
import pathlib
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from joserfc.jwk import ECKey

from devnet import Devnet, until

NODE_PORT, FHIR_PORT = 5771, 5781
ORIGIN = f"https://localhost:{FHIR_PORT}"
APP = "https://chart.hospital.example"


def certificate(folder, days=90):
    """Writes a certificate for localhost, signed by itself, and its key: both new."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256()))
    chain, secret = folder / "tls.pem", folder / "tls.key"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.touch(0o600)
    secret.chmod(0o600)
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                         serialization.NoEncryption()))
    return ssl.create_default_context(cadata=chain.read_text())


def ask(context, method, path, resource=None, token=None, **headers):
    """Status, headers and body of an answer."""
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(f"{ORIGIN}{path}", json.dumps(resource).encode() if resource else None, {
        "Content-Type": "application/fhir+json", **headers}, method=method)
    try:
        with urllib.request.urlopen(request, context=context) as answer:
            body, kind = answer.read() or b"null", answer.headers["Content-Type"] or "json"
            return answer.status, answer.headers, json.loads(body) if "json" in kind else body
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.headers, json.loads(refusal.read() or b"null")


def shows(context):
    try:
        return ask(context, "GET", "/fhir/metadata")[0] == 200
    except (ssl.SSLError, urllib.error.URLError):
        return False


def refused_settings(devnet, folder):
    """What would put records on the network in the open does not start, and says what to do."""
    node = [devnet.program, "node", "--config", f"{devnet.folder}/h1/node.toml", "--set", f"fhir_port={FHIR_PORT}"]
    for settings, word in (
        (["fhir_host=0.0.0.0"], "tls_certificate"),
        (["fhir_url=https://fhir.hospital.example/fhir", "fhir_token_required=false"], "token"),
        ([f"tls_certificate={folder}/tls.pem"], "tls_key"),
        (["fhir_systems=ehr=missing.jwks,system/*.rs"], "missing.jwks"),
        (["fhir_url=http://fhir.hospital.example/fhir"], "fhir_url"),
    ):
        done = subprocess.run(node + [part for text in settings for part in ("--set", text)], capture_output=True, text=True,
                              timeout=60)
        assert done.returncode in (77, 78) and word in done.stderr, (settings, done.returncode, done.stderr)
    print("settings: refused with the reason where records would go in the open")


def client(key, scope=None):
    """authlib's own client: finds nothing out by itself but where it may ask."""
    proof = PrivateKeyJWT(f"{ORIGIN}/auth/token", alg="ES384", headers={"kid": "one"},
                          claims={"exp": int(time.time()) + 240})
    session = OAuth2Session("ehr", key, scope=scope, token_endpoint_auth_method=proof,
                            revocation_endpoint_auth_method=proof)
    session.register_client_auth_method(proof)
    return session


def system(key, context_file, scope):
    session = client(key, scope)
    return session.fetch_token(f"{ORIGIN}/auth/token", grant_type="client_credentials", scope=scope, verify=context_file)


def own_systems(context, folder, key):
    said = ask(context, "GET", "/fhir/.well-known/smart-configuration")[2]
    assert said["token_endpoint"] == f"{ORIGIN}/auth/token", said
    assert said["grant_types_supported"] == ["client_credentials"] and "authorization_endpoint" not in said, said
    assert "client-confidential-asymmetric" in said["capabilities"], said
    status, _, refusal = ask(context, "GET", "/fhir/Patient")
    assert status == 401 and "smart-configuration" in refusal["issue"][0]["diagnostics"], refusal
    assert ask(context, "GET", "/log/checkpoint")[0] == 401
    pem = str(folder / "tls.pem")
    token = system(key, pem, "system/Patient.crus system/Observation.cr")
    assert token["expires_in"] == 300 and token["scope"] == "system/Patient.crus system/Observation.cr", token
    bearer = token["access_token"]
    made = ask(context, "PUT", "/fhir/Patient/p", {"resourceType": "Patient", "id": "p"}, bearer)
    assert made[0] == 201 and made[1]["Location"].startswith(f"{ORIGIN}/fhir/Patient/p"), made
    for number in range(3):
        observation = {"resourceType": "Observation", "status": "final", "code": {"text": "pulse"},
                       "subject": {"reference": f"{ORIGIN}/fhir/Patient/p" if number else "Patient/p"}}
        assert ask(context, "POST", "/fhir/Observation", observation, bearer)[0] == 201
    assert ask(context, "GET", "/fhir/Observation?subject=Patient/p", token=bearer)[0] == 403, "it may not search"
    searching = system(key, pem, "system/Observation.rs")["access_token"]
    found = ask(context, "GET", "/fhir/Observation?subject=Patient/p&_count=2", token=searching)[2]
    assert found["total"] == 3, found
    following = next(link["url"] for link in found["link"] if link["relation"] == "next")
    assert following.startswith(f"{ORIGIN}/fhir/"), following
    assert len(ask(context, "GET", following.removeprefix(ORIGIN), token=searching)[2]["entry"]) == 1
    begun = ask(context, "GET", "/fhir/$export?_type=Observation", token=searching, Prefer="respond-async")
    assert begun[0] == 202, begun
    manifest = ask(context, "GET", begun[1]["Content-Location"].removeprefix(ORIGIN), token=searching)[2]
    assert [(file["type"], file["count"]) for file in manifest["output"]] == [("Observation", 3)], manifest
    request = urllib.request.Request(manifest["output"][0]["url"], None, {"Authorization": f"Bearer {searching}"})
    with urllib.request.urlopen(request, context=context) as answer:
        assert answer.headers["Content-Type"] == "application/fhir+ndjson", answer.headers
        lines = [json.loads(line) for line in answer.read().splitlines()]
    assert len(lines) == 3 and all(line["resourceType"] == "Observation" for line in lines), lines
    assert ask(context, "GET", "/log/checkpoint", token=bearer)[0] in (200, 404)
    print("systems: authlib gets in by its key, for what it asked; nobody else does; links lead through TLS; it exports all lines")


def given_back(context, folder, key):
    """authlib asks about a token and gives it back (RFC 7662, RFC 7009)."""
    said = ask(context, "GET", "/fhir/.well-known/smart-configuration")[2]
    pem = str(folder / "tls.pem")
    token = system(key, pem, "system/Patient.r")["access_token"]

    def known():
        return client(key).introspect_token(said["introspection_endpoint"], token, verify=pem).json()
    view = known()
    assert view["active"] and view["client_id"] == "ehr" and view["scope"] == "system/Patient.r", view
    assert 0 < view["exp"] - time.time() <= 300 and view["iss"] == f"{ORIGIN}/fhir", view
    assert ask(context, "GET", "/fhir/Patient/p", token=token)[0] == 200
    for _ in range(2):
        done = client(key).revoke_token(said["revocation_endpoint"], token, "access_token", verify=pem)
        assert done.status_code == 200 and not done.content, (done.status_code, done.text)
    assert ask(context, "GET", "/fhir/Patient/p", token=token)[0] == 401
    assert known() == {"active": False}, known()
    nobody = OAuth2Session("stranger", token_endpoint_auth_method="none")
    assert nobody.introspect_token(said["introspection_endpoint"], token, verify=pem).status_code == 401
    print("tokens: authlib learns what one allows, gives it back, and it is good no more")


def pages(context):
    preflight = ask(context, "OPTIONS", "/fhir/Patient/p", Origin=APP, **{"Access-Control-Request-Method": "GET"})
    assert preflight[0] == 403 and preflight[1]["Access-Control-Allow-Origin"] is None, "no app was named"
    assert ask(context, "GET", "/fhir/metadata", Origin="https://evil.example")[0] == 403
    assert ask(context, "GET", "/fhir/metadata", Origin=ORIGIN)[0] == 200
    assert ask(context, "GET", "/fhir/metadata", Host="evil.example")[0] == 403
    print("pages: other sites are refused")


def renewal(devnet, folder, context):
    """A certificate that is renewed is shown to the next who comes; one that is wrong leaves the old one."""
    log = pathlib.Path(devnet.folder, "h1", "node.log")
    (folder / "tls.key").write_text("no key")
    time.sleep(1.1)  # The files are looked at once a second at most.
    assert shows(context), "the old one is still shown"
    until("a wrong key is told", 10, lambda: "tls.refused" in log.read_text())
    for what, days, mode in (("is over", -0.01, 0o600), ("others on this machine can read", 90, 0o644)):
        certificate(folder, days=days)
        (folder / "tls.key").chmod(mode)
        time.sleep(1.1)
        assert shows(context), what
        until(what, 10, lambda: what in log.read_text())
    fresh = certificate(folder, days=5)
    until("the new one is shown", 10, lambda: shows(fresh))
    assert not shows(context)
    assert "tls.ending" in log.read_text()
    print("renewal: a new certificate is shown without a restart; a wrong one is told and not taken")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        devnet = Devnet(str(pathlib.Path(sys.argv[1]).resolve()), f"{folder}/net", NODE_PORT, FHIR_PORT)
        try:
            devnet.down()
            context = certificate(folder)
            refused_settings(devnet, folder)
            key = ECKey.generate_key("P-384", {"alg": "ES384", "kid": "one", "use": "sig"})
            (folder / "ehr.jwks").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
            with open(f"{devnet.folder}/h1/node.toml", "a", encoding="utf-8") as settings:
                settings.write(f'fhir_host = "0.0.0.0"\nfhir_url = "{ORIGIN}/fhir"\ntls_certificate = "{folder}/tls.pem"\n'
                               f'tls_key = "{folder}/tls.key"\nfhir_systems = "ehr={folder}/ehr.jwks,system/*.cruds"\n')
            devnet.up()
            until("the node serves", 60, lambda: shows(context))
            try:
                urllib.request.urlopen(f"http://localhost:{FHIR_PORT}/fhir/metadata", timeout=10)
                raise AssertionError("plain HTTP was answered")
            except OSError:
                pass
            own_systems(context, folder, key)
            given_back(context, folder, key)
            pages(context)
            renewal(devnet, folder, context)
        finally:
            devnet.reset()


if __name__ == "__main__":
    main()
