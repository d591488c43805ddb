#!/usr/bin/env python3
"""The repository's own rules: floors, file lengths, forbidden words, top level. Prints each breach; exit 1 where there is one."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLOORS = {
    0: ["CUV", "CLMDB", "CSodium", "CZlib"],
    1: ["Primitives", "Wire", "Signing", "Merkle", "Messages", "Ordering", "Rules", "Threshold"],
    2: ["Sessions", "Gossip", "Discovery", "Lanes", "PBFT", "Raft", "Ledger", "HealthRecords", "Custody", "Vaults"],
    3: ["NodeCore", "FHIR"],
    4: ["EventLoop", "Gateway", "ObjectStore", "Storage", "Telemetry"],
    5: ["Driver", "Simulator"],
    6: ["consilium", "Laboratory"],
    7: ["ConsiliumSim"],
}
FLOOR = {name: floor for floor, names in FLOORS.items() for name in names}
SIMULATOR_MAY_REACH = 3
LINES_MAX, TEST_LINES_MAX, COLUMNS_MAX, FUNCTION_LINES_MAX = 500, 1000, 120, 70
TOP_LEVEL = {"Package.swift", "README.md", "LICENSE", "Sources", "Tests", "Simulations", "Scripts"}
# Machines see time, chance and the world only through their inputs.
AMBIENT = re.compile(r"\b(Date\(\)|\b(?:Date|Instant|Time)\.now\b|ContinuousClock|\.random\(|arc4random|SystemRandomNumberGenerator|print\(|SecureRandom)")
FORBIDDEN = re.compile(r"\btry!|\bas!|\bfatalError\(|-Ounchecked|\bTODO\b|\bFIXME\b")


def files():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def floor_breaches(path, text):
    parts = path.relative_to(ROOT).parts
    target = parts[1]
    if target not in FLOOR:
        yield f"{parts[0]}/{target}: on no floor; give it one in Scripts/rules.py"
        return
    here = FLOOR[target]
    for module in re.findall(r"^(?:@testable |public |internal |package )*import (\w+)", text, re.M):
        there = FLOOR.get(module)
        if there is None or module == target:
            continue
        if target == "Simulator" and there > SIMULATOR_MAY_REACH:
            yield f"{path.relative_to(ROOT)}: the simulator drives floors 1 to 3 and may not import {module}"
        elif there > here or (there == here and here not in (1,)):
            yield f"{path.relative_to(ROOT)}: {target} (floor {here}) may not import {module} (floor {there})"


def function_breaches(path, text):
    lines = text.splitlines()
    for start, line in enumerate(lines):
        match = re.match(r"^(\s*)(?:[\w@()]+ )*(?:func \w+|init[?(<]|init\()", line)
        if not match or line.rstrip().endswith("}"):
            continue
        for end in range(start + 1, len(lines)):
            if lines[end].startswith(match.group(1) + "}"):
                if end - start + 1 > FUNCTION_LINES_MAX:
                    yield f"{path.relative_to(ROOT)}:{start + 1}: a function of {end - start + 1} lines"
                break
            if lines[end] and not lines[end].startswith(match.group(1) + " ") and end > start and "{" not in "".join(lines[start:end + 1]):
                break


def main():
    breaches = []
    for path in files():
        relative = path.relative_to(ROOT)
        if relative.parts[0] not in TOP_LEVEL and not relative.parts[0].startswith("."):
            breaches.append(f"{relative}: not part of the top level's layout")
        if path.suffix != ".swift":
            continue
        text = path.read_text()
        is_test = relative.parts[0] == "Tests"
        limit = TEST_LINES_MAX if is_test else LINES_MAX
        count = text.count("\n")
        if count > limit:
            breaches.append(f"{relative}: {count} lines, {limit} are the limit")
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > COLUMNS_MAX:
                breaches.append(f"{relative}:{number}: {len(line)} columns, {COLUMNS_MAX} are the limit")
            if not is_test and FORBIDDEN.search(line):
                breaches.append(f"{relative}:{number}: forbidden: {FORBIDDEN.search(line).group(0)}")
            if is_test and re.search(r"Task\.sleep|usleep\(|Thread\.sleep|\bsleep\(", line):
                breaches.append(f"{relative}:{number}: tests do not sleep")
        if relative.parts[0] in ("Sources", "Simulations") and len(relative.parts) > 2:
            breaches += floor_breaches(path, text)
            breaches += function_breaches(path, text)
            if FLOOR.get(relative.parts[1]) in (1, 2, 3) and relative.parts[1] != "Signing":
                for number, line in enumerate(text.splitlines(), 1):
                    if AMBIENT.search(line) and not line.lstrip().startswith("//"):
                        breaches.append(f"{relative}:{number}: a machine reads the world: {AMBIENT.search(line).group(0)}")
    for breach in breaches:
        print(breach, file=sys.stderr)
    sys.exit(1 if breaches else 0)


main()
