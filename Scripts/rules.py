#!/usr/bin/env python3
"""The repository's own rules: floors, file lengths, forbidden words, top level, citations of the handbook, alerts.

Prints each breach; exit status 1 where there is one. `Scripts/rules.py --self-test` plants each kind of breach in a copy and
fails where one is not told.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLOORS = {
    0: ["CUV", "CLMDB", "CSodium", "CZlib"],
    1: ["Primitives", "Wire", "Signing", "Merkle", "Messages", "Ordering", "Rules", "Threshold"],
    2: ["Sessions", "Gossip", "Discovery", "Lanes", "PBFT", "Raft", "Ledger", "HealthRecords", "Custody", "Vaults"],
    3: ["NodeCore", "FHIR", "HL7"],
    4: ["EventLoop", "Gateway", "ObjectStore", "Storage", "Telemetry"],
    5: ["Driver", "Simulator"],
    6: ["consilium", "Laboratory"],
    7: ["ConsiliumSim", "Example"],
}
FLOOR = {name: floor for floor, names in FLOORS.items() for name in names}
SIMULATOR_MAY_REACH = 3
LINES_MAX, TEST_LINES_MAX, COLUMNS_MAX, FUNCTION_LINES_MAX = 500, 1000, 120, 70
TOP_LEVEL = {"Package.swift", "README.md", "LICENSE", "Sources", "Tests", "Simulations", "Scripts"}
# Machines see time, chance and the world only through their inputs.
AMBIENT = re.compile(
    r"(\bDate\(\)|\b(?:Date|Instant|Time|DispatchTime|DispatchWallTime)\.now\b|\bDispatchTime\b|\bsystemUptime\b|\bContinuousClock"
    r"|\bSuspendingClock|\.random\(|\.randomElement\(|\.shuffled?\(\)|\bUUID\(\)|\barc4random|\bSystemRandomNumberGenerator"
    r"|\bgetrandom\(|\bclock_gettime|\bgettimeofday|(?<![\w.])print\(|\bSecureRandom)")
HANDBOOK = "Sources/Handbook.docc"
PAGES = ("Architecture", "Ledger", "Overlay", "Records", "Simulation", "Operations", "Development")
CITATION = re.compile(r"\b(" + "|".join(page.upper() for page in PAGES) + r")\b(?:['’]s)?(?:,? §(\d+)(?:\.(\d+))?)?")
PROMISE = re.compile(r"(?<![\w.\"$])([IR])(\d{1,2})(?![\w\"])")
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


def handbook():
    """What can be cited: (page, section), (page, section, item), and the promises I1 …, R1 … with the page that defines each."""
    places, promises = set(), {}
    for page in PAGES:
        section = None
        for line in (ROOT / HANDBOOK / f"{page}.md").read_text().splitlines():
            if heading := re.match(r"## (\d+)\. ", line):
                section = heading.group(1)
                places.add((page.upper(), section))
            elif item := re.match(r"(\d+)\. ", line):
                places.add((page.upper(), section, item.group(1)))
            elif promise := re.match(r"- ([IR]\d+) \*\*", line):
                if promise.group(1) in promises:
                    raise SystemExit(f"{HANDBOOK}: {promise.group(1)} is defined twice")
                promises[promise.group(1)] = page
    return places, promises


def citation_breaches(relative, text, places, promises):
    for number, line in enumerate(text.splitlines(), 1):
        for page, section, item in CITATION.findall(line):
            if section and (page, section) not in places:
                yield f"{relative}:{number}: {page} §{section} is not in the handbook"
            elif item and (page, section, item) not in places:
                yield f"{relative}:{number}: {page} §{section}.{item} is not in the handbook"
        if relative.suffix == ".swift" and relative.parts[0] != "Tests":
            comment = line.partition("//")[2]
            for letter, digits in PROMISE.findall(comment):
                if letter + digits not in promises:
                    yield f"{relative}:{number}: {letter}{digits} is defined nowhere in the handbook"


def metrics():
    """The labels of each metric of the catalogue, by the names that queries write."""
    out = {}
    text = (ROOT / "Sources/Telemetry/Metrics.swift").read_text()
    for name, kind, more in re.findall(r'MetricKind\(\s*"(\w+)", \.(\w+)((?:, \w+: (?:"\w+"|\[[^\]]*\]))*)', text):
        labels = set(re.findall(r'"(\w+)"', (re.search(r"labels: \[([^\]]*)\]", more) or [""])[0])) | {"instance", "job"}
        if kind == "histogram":
            out |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
        elif kind == "stateset":
            out[name] = labels | {name}
        else:
            out[name + {"counter": "_total", "info": "_info"}.get(kind, "")] = labels
    return out


def monitoring_breaches():
    """Alerts and the dashboard ask for what the program tells, and each alert has its row in the handbook."""
    known = metrics()
    rows = set(re.findall(r"^\| `(Consilium\w+)` \|", (ROOT / HANDBOOK / "Operations.md").read_text(), re.M))
    rules = ROOT / "Scripts/monitoring/consilium-alerts.yml"
    panels = json.loads((ROOT / "Scripts/monitoring/consilium-dashboard.json").read_text())["panels"]
    queries = [("an alert", line) for line in re.findall(r"^ +expr: '(.*)'$", rules.read_text(), re.M)]
    queries += [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]
    for where, query in queries:
        for name, chosen in re.findall(r"\b((?:consilium|process)_\w+)(?:\{([^}]*)\})?", re.sub(r'"[^"]*"', '""', query)):
            if name not in known:
                yield f"Scripts/monitoring: {where} asks for {name}, and there is no such metric"
                continue
            for label in re.findall(r"(\w+)\s*[=!]", chosen):
                if label not in known[name]:
                    yield f"Scripts/monitoring: {where}: {name} has no label {label}"
    alerts = re.findall(r"^ +- alert: (\w+)$", rules.read_text(), re.M)
    for name in sorted(rows ^ set(alerts)):
        yield f"Scripts/monitoring: {name} is an alert or a row of Operations, section 7, and not both"
    if len(alerts) != rules.read_text().count("runbook_url: file:///usr/share/doc/consilium/handbook/Operations.md#7-metrics"):
        yield "Scripts/monitoring: an alert leads to no place in the handbook"


def main():
    breaches = list(monitoring_breaches())
    places, promises = handbook()
    for path in files():
        relative = path.relative_to(ROOT)
        if path.suffix in (".swift", ".md", ".py", ".js") and relative.parts[0] != "Scripts":
            breaches += citation_breaches(relative, path.read_text(), places, promises)
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


# One breach of each kind: the file that it is planted in, what is appended, and what must be said of it.
PLANTED = [
    ("Sources/PBFT/Replica.swift", "let planted = Date()", "a machine reads the world"),
    ("Sources/Lanes/Lane.swift", "let planted = ProcessInfo.processInfo.systemUptime", "a machine reads the world"),
    ("Sources/Gossip/Gossip.swift", "let planted = [1, 2].shuffled()", "a machine reads the world"),
    ("Sources/Ledger/Ledger.swift", "let planted = UUID()", "a machine reads the world"),
    ("Sources/Raft/RaftReplica.swift", "let planted = DispatchTime.now()", "a machine reads the world"),
    ("Sources/Ledger/Ledger.swift", "let planted = try! f()", "forbidden: try!"),
    ("Sources/Ledger/Ledger.swift", "import Driver", "may not import Driver"),
    ("Sources/Ledger/Ledger.swift", "// LEDGER §99 says so", "LEDGER §99 is not in the handbook"),
    ("Sources/Ledger/Ledger.swift", "// RECORDS §3.99 says so", "RECORDS §3.99 is not in the handbook"),
    ("Sources/Ledger/Ledger.swift", "// keeps I99", "I99 is defined nowhere"),
    ("Sources/Ledger/Ledger.swift", "// " + "x" * 130, "columns"),
    ("Sources/Ledger/Ledger.swift", "\n" * 600, "lines, 500 are the limit"),
    ("Tests/LanesTests/LanesTests.swift", "usleep(1)", "tests do not sleep"),
    ("notes.txt", "x", "not part of the top level"),
    ("Scripts/monitoring/consilium-alerts.yml", "        expr: 'consilium_planted > 0'", "asks for consilium_planted"),
    ("Scripts/monitoring/consilium-alerts.yml", "        expr: 'consilium_ready{color=\"red\"}'", "has no label color"),
    ("Scripts/monitoring/consilium-alerts.yml", "      - alert: ConsiliumPlanted", "ConsiliumPlanted is an alert or a row"),
]


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "copy"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)
        shutil.copy(__file__, copy / "Scripts/rules.py")
        shutil.copytree(ROOT / HANDBOOK, copy / HANDBOOK, dirs_exist_ok=True)
        missed = []
        for name, planted, expected in PLANTED:
            path = copy / name
            before = path.read_text() if path.exists() else None
            path.write_text((before or "") + planted + "\n")
            told = subprocess.run([sys.executable, copy / "Scripts/rules.py"], capture_output=True, text=True)
            if told.returncode != 1 or expected not in told.stderr:
                missed.append(f"{name}: {planted[:60]!r} was not told ({expected})")
            path.unlink() if before is None else path.write_text(before)
        for line in missed:
            print(line, file=sys.stderr)
        sys.exit(1 if missed else 0)


if __name__ == "__main__":
    self_test() if sys.argv[1:] == ["--self-test"] else main()
