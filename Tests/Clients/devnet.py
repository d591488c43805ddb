"""Four hospitals on this machine, for tests that speak to them from outside."""

import os
import re
import subprocess
import time


def until(what, seconds, holds):
    """Waits until something is so; says what was awaited where it is not in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.2)


class Devnet:
    """Four hospitals with FHIR ports in a folder of their own."""

    def __init__(self, program, folder, port, fhir_port):
        self.program, self.folder, self.port, self.fhir_port = program, folder, port, fhir_port
        self.up()

    def up(self):
        self.run("devnet", "up", "--folder", self.folder, "--port", str(self.port), "--fhir-port", str(self.fhir_port))

    def down(self):
        """Stops the nodes; nothing is deleted."""
        self.run("devnet", "down", "--folder", self.folder, "--port", str(self.port))

    def run(self, *arguments):
        environment = dict(os.environ, CONSILIUM_PASSPHRASE_FILE=f"{self.folder}/passphrase",
                           CONSILIUM_GENESIS=f"{self.folder}/genesis.json")
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def patient(self, hospital=1):
        """A new patient's account at a hospital; its keys are `patient-HOSPITAL.key`."""
        key, folder = f"{self.folder}/patient-{hospital}.key", f"{self.folder}/h{hospital}"
        self.run("keys", "new", "patient", "--out", key, "--words", f"{self.folder}/words-{hospital}")
        said = self.run("account", "register", key, "--registrar", f"{folder}/registrar.key", "--api",
                        f"{folder}/api.sock")
        return re.search(r"account\s+([0-9a-f]{64})", said).group(1)

    def reset(self):
        self.run("devnet", "reset", "--folder", self.folder, "--port", str(self.port))
