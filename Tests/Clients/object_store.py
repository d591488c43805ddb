"""A hospital's vault in an S3-compatible object store: a real server (moto, which checks signatures) and real nodes.

Usage: object_store.py PROGRAM. Exit status 0 only if everything came out as it must.
"""

import base64
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3

from devnet import Devnet

NODE_PORT, FHIR_PORT, STORE_PORT = 5731, 5741, 5751
STORE = f"http://127.0.0.1:{STORE_PORT}"


class Store:
    """The object store, with one user who may do everything, and whoever else nothing."""

    def __init__(self):
        # Making the user is not signed for; everything after that is.
        environment = dict(os.environ, INITIAL_NO_AUTH_ACTION_COUNT="3")
        self.server = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(STORE_PORT)],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        anyone = dict(endpoint_url=STORE, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="a")
        self.wait()
        iam = boto3.client("iam", **anyone)
        iam.create_user(UserName="hospital")
        self.key = iam.create_access_key(UserName="hospital")["AccessKey"]
        allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.put_user_policy(UserName="hospital", PolicyName="all", PolicyDocument=json.dumps(allowed))
        self.s3 = boto3.client("s3", endpoint_url=STORE, region_name="us-east-1",
                               aws_access_key_id=self.key["AccessKeyId"],
                               aws_secret_access_key=self.key["SecretAccessKey"])
        self.s3.create_bucket(Bucket="records")
        self.s3.create_bucket(Bucket="versions")
        self.s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
        self.s3.create_bucket(Bucket="suspended")
        for status in ("Enabled", "Suspended"):
            self.s3.put_bucket_versioning(Bucket="suspended", VersioningConfiguration={"Status": status})
        self.s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)

    def wait(self):
        for _ in range(300):
            try:
                return urllib.request.urlopen(f"{STORE}/moto-api/", timeout=1).close()
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the object store does not start")

    def keys(self):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket="records")
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def read(self, key):
        return self.s3.get_object(Bucket="records", Key=key)["Body"].read()

    def empty(self):
        for key in self.keys():
            self.s3.delete_object(Bucket="records", Key=key)

    def stop(self):
        self.server.kill()
        self.server.wait()


def until(what, seconds, holds):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.2)


def credentials(path, key, secret):
    path.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
    path.chmod(0o600)


def settings(bucket, file):
    return {"vault_s3_endpoint": STORE, "vault_s3_bucket": bucket, "vault_s3_credentials": str(file),
            "vault_s3_prefix": "hospital-1"}


def check(program, config, **changes):
    """What `consilium vault check` says with a configuration and changes to it."""
    sets = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    done = subprocess.run([program, "vault", "check", "--config", str(config), *sets], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def create(hospital, resource):
    """Writes a resource at a hospital; gives its record."""
    request = urllib.request.Request(f"http://127.0.0.1:{FHIR_PORT + hospital - 1}/fhir/{resource['resourceType']}",
                                     json.dumps(resource).encode(), {"Content-Type": "application/fhir+json"})
    with urllib.request.urlopen(request) as answer:
        return answer.headers["X-Consilium-Record"], json.load(answer)["id"]


def document(patient, size):
    """A document of so many bytes that no compression makes smaller."""
    content = base64.b64encode(random.Random(size).randbytes(size)).decode()
    return {"resourceType": "DocumentReference", "status": "current", "subject": {"reference": f"Patient/{patient}"},
            "content": [{"attachment": {"contentType": "image/png", "data": content}}]}


def checks(program, store, folder, config):
    good = folder / "credentials"
    credentials(good, store.key["AccessKeyId"], store.key["SecretAccessKey"])
    wrong = folder / "wrong"
    credentials(wrong, store.key["AccessKeyId"], "x" * 40)
    opened = folder / "open"
    credentials(opened, "a", "b")
    opened.chmod(0o644)
    status, said = check(program, config, **settings("records", good))
    assert status == 0 and "deletes for good" in said, said
    assert store.keys() == [], "the probe is gone"
    for bucket, file, words in [("versions", good, "keeps old versions"),
                                ("suspended", good, "keeps old versions"), ("locked", good, "keeps old versions"),
                                ("none", good, "make the bucket"),
                                ("records", wrong, "vault_s3_credentials"), ("records", opened, "chmod 600")]:
        status, said = check(program, config, **settings(bucket, file))
        assert status != 0 and words in said, (bucket, said)
    return good


def main():
    program = str(pathlib.Path(sys.argv[1]).resolve())
    store = Store()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        auditor = Nobody()
        devnet = Devnet(program, f"{folder}/net", NODE_PORT, FHIR_PORT)
        try:
            config = folder / "net/h1/node.toml"
            good = checks(program, store, folder, config)
            print("vault check: takes a bucket, refuses one with versions, a missing one, a wrong and an open key")
            devnet.down()
            lines = "".join(f'{key} = "{value}"\n' for key, value in settings("records", good).items())
            config.write_text(config.read_text() + lines)
            auditor = Auditor(devnet, folder)
            devnet.up()
            auditor.start()
            run(devnet, store, auditor)
        finally:
            auditor.stop()
            devnet.reset()
            store.stop()


class Nobody:
    """No auditor yet."""

    def stop(self):
        pass


class Auditor:
    """A third party with a node of its own, which only follows."""

    def __init__(self, devnet, folder):
        self.devnet, self.folder, self.node = devnet, folder / "auditor", None
        devnet.run("init", str(self.folder), "--member", "9", "--name", "Auditor", "--listen",
                   f"/ip4/127.0.0.1/tcp/{NODE_PORT + 8}", "--passphrase-file", f"{devnet.folder}/passphrase")
        shutil.copy(f"{devnet.folder}/genesis.json", self.folder)
        key = json.loads((self.folder / "member.json").read_text())["key"]
        for hospital in range(1, 5):
            config = pathlib.Path(f"{devnet.folder}/h{hospital}/node.toml")
            config.write_text(config.read_text() + f'observers = "{key}"\n')

    def start(self):
        self.node = subprocess.Popen([self.devnet.program, "node", "--config", str(self.folder / "node.toml")])

    def follow(self, challenges=24):
        arguments = ["audit", "follow", "--state", str(self.folder / "seen"), "--once", "--challenges", str(challenges),
                     "--api", str(self.folder / "api.sock"), "--genesis", str(self.folder / "genesis.json")]
        done = subprocess.run([self.devnet.program, *arguments], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def has(self, record):
        arguments = ["audit", "follow", "--state", str(self.folder / "probe"), "--once", "--challenges", "0", "--api",
                     str(self.folder / "api.sock"), "--genesis", str(self.folder / "genesis.json")]
        subprocess.run([self.devnet.program, *arguments], capture_output=True)
        log = self.folder / "probe.log"
        anchors = json.loads(log.read_text())["kept"] if log.exists() else []
        return any(base64.b64decode(one["anchor"]).hex().startswith(record) for one in anchors)

    def stop(self):
        if self.node:
            self.node.terminate()
            self.node.wait()


def run(devnet, store, auditor):
    patient = {"resourceType": "Patient", "name": [{"family": "Bucketeer"}]}
    people, accounts = {}, {}
    for hospital in (1, 2):
        accounts[hospital] = devnet.patient(hospital)
        account = {"system": "urn:consilium:account", "value": accounts[hospital]}
        people[hospital] = create(hospital, {**patient, "identifier": [account]})
    first = people[1][0]
    assert f"hospital-1/records/{first}" in store.keys()
    large, _ = create(1, document(people[1][1], 9 << 20))
    whole = store.s3.get_object(Bucket="records", Key=f"hospital-1/records/{large}")
    assert whole["ETag"].endswith('-2"'), "twelve megabytes, as base64 is longer, go up in two parts"
    parted = None
    while parted is None:
        record, _ = create(2, document(people[2][1], 9 << 20))
        if f"hospital-1/records/{record}" in store.keys():
            parted = record
    assert sum(f"chunks/{parted}/" in key for key in store.keys()) >= 2
    scan = devnet.folder + "/scan.dcm"
    pathlib.Path(scan).write_bytes(random.Random(7).randbytes(21 << 20))
    attached = json.loads(devnet.run(
        "record", "attach", scan, "--patient", accounts[1], "--output", "json", "--api",
        f"{devnet.folder}/h1/api.sock"))["record"]
    assert sum(f"chunks/{attached}/" in key for key in store.keys()) == 5, "a long one is kept part by part"
    for key in store.keys():
        assert b"Bucketeer" not in store.read(key)
    print(f"nodes: {len(store.keys())} objects, whole, in parts and another hospital's; no plaintext in any")

    # The patient's way to the object store and back.
    def read(record, to, hospital=1):
        devnet.run("record", "read", f"{devnet.folder}/patient-{hospital}.key", record, "--api",
                   f"{devnet.folder}/h1/api.sock", "--out", str(to))
        return pathlib.Path(to).read_bytes()

    assert read(attached, f"{devnet.folder}/one.dcm") == pathlib.Path(scan).read_bytes()
    assert json.loads(read(first, f"{devnet.folder}/one.json"))["name"] == patient["name"]
    devnet.run("record", "erase", f"{devnet.folder}/patient-2.key", parted, "--api", f"{devnet.folder}/h2/api.sock")
    until("what is erased is deleted", 20, lambda: not any(parted in key for key in store.keys()))
    print("erasure: no object of the record is left")

    until("the auditor's node has followed", 20, lambda: auditor.has(large))

    def everybody_proves():
        status, said = auditor.follow()
        return status == 0 and said.count("proven") > 12 and "failed" not in said

    # A vault that was slow to take a copy, so that another was asked in its place, has it a round later.
    until("every vault proves what it keeps", 90, everybody_proves)

    # Its own; of others' copies it may have had some only because another vault was slow.
    own = {f"hospital-1/records/{record}" for record in (first, large, attached)}
    store.empty()
    # It ends with the alarm; fewer might never draw that vault.
    status, said = auditor.follow(400)
    assert status != 0 and "ALARM: member 1's vault does not keep what it should" in said, said
    evidence = json.loads((auditor.folder / "seen.evidence").read_text())
    assert [one["member"] for one in evidence] == [1, 1] and all(one["outcome"] == "failed" for one in evidence)
    print("audit: every vault proves what it keeps; one that lost it is named, with the evidence")
    devnet.down()
    devnet.up()
    until("a lost bucket is filled again from the others", 40, lambda: own <= set(store.keys()))
    print("repair: a bucket that lost everything has this hospital's records again")

    rotten = f"hospital-1/records/{first}"
    content = store.read(rotten)
    for body in (content[:-3] + bytes([content[-3] ^ 1]) + content[-2:], content[:40], b""):
        store.s3.put_object(Bucket="records", Key=rotten, Body=body)
        devnet.down()
        devnet.up()
        until("what rotted is mended from the others", 40, lambda: store.read(rotten) == content)
    print("rot: a changed bit, a cut and an emptied object are found and mended before anybody asks")

    # Another custody key: the keys of records are enclosed anew, here and in the others' copies; an old object that comes
    # back, from a backup of the bucket, is told and mended.
    api = f"{devnet.folder}/h1/api.sock"

    def rotated():
        custody = json.loads(devnet.run("custody", "show", "--output", "json", "--api", api))
        return custody["generation"] == 2 and custody["destroyedBy"] == [1, 2, 3, 4]

    devnet.run("custody", "rotate", "--registrar", f"{devnet.folder}/h1/registrar.key", "--api", api)
    until("the old custody key is destroyed", 60, rotated)
    sealed = store.read(rotten)
    assert sealed != content and len(sealed) == len(content)
    store.s3.put_object(Bucket="records", Key=rotten, Body=content)
    devnet.down()
    devnet.up()
    until("the boxes of an older key are replaced", 40, lambda: store.read(rotten) == sealed)
    assert json.loads(read(first, f"{devnet.folder}/again.json"))["name"] == patient["name"]
    print("another custody key: keys are enclosed anew; an object from before is mended")

    store.stop()
    assert json.loads(read(first, f"{devnet.folder}/two.json"))["name"] == patient["name"]
    print("the store away: what it holds is read from another hospital's vault")


if __name__ == "__main__":
    main()
