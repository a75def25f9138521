#!/usr/bin/env python3
"""docs/catalogue.md names, for each case of the catalogue, what shows it: every name on the page
must exist. argv: folder of quicrig, source folder."""
import pathlib
import re
import subprocess
import sys

quicrig = str(pathlib.Path(sys.argv[1]).resolve() / "quicrig")
root = pathlib.Path(sys.argv[2]).resolve()
# the catalogue's ids: a row may be added, none may go
IDS = [f"{group}{n}" for group, last in (("Q", 10), ("T", 4), ("J", 5), ("W", 8), ("R", 4), ("C", 9), ("M", 9), ("D", 4), ("E", 4))
       for n in range(1, last + 1)]
listed = subprocess.run([quicrig, "list", str(root / "scenarios")], text=True, check=True, stdout=subprocess.PIPE).stdout
scenarios = {line.split()[0] for line in listed.splitlines() if line.strip()}
suites = (root / "tests" / "CMakeLists.txt").read_text()
bad, refs, open_rows, seen = [], 0, [], []


def find(name, quoted):
    """Why `name` shows nothing; None where it is there."""
    if not name.startswith("tests/"):
        return None if name in scenarios else "no such scenario"
    file, _, test = name.partition(": ")
    path = root / file
    if not path.is_file():
        return "no such file"
    text = path.read_text()
    inside = file.removeprefix("tests/")
    if file.endswith(".c"):
        if not re.search(rf"\bSTART_TEST\({re.escape(test)}\)", text) or not re.search(rf"tcase_add\w*test\(\w+, {re.escape(test)}\b", text):
            return "no such test"
        if inside not in suites:
            return "no suite has it"
        return None if quoted is None or f'"{quoted}"' in text else f'no row is called "{quoted}"'
    theme = re.fullmatch(r"e2e/test_(\w+)\.py", inside)
    runs = inside in suites or (theme and re.search(rf"foreach\(theme [^)]*\b{theme[1]}\b", suites))
    return None if runs else "no test runs it"


for line in (root / "docs" / "catalogue.md").read_text().splitlines():
    m = re.fullmatch(r"\| ([A-Z]\d+) \| (.*) \|", line)
    if not m:
        continue
    row, shown = m[1], m[2].split(" | ")[-1]
    if row in seen:
        bad.append(f"{row} stands twice")
    seen.append(row)
    if m[2].count(" | ") != 3:
        bad.append(f"{row} has {m[2].count(' | ') + 2} columns, not 5")
    names = re.findall(r'`([^`]+)`(?: "([^"]+)")?', shown)
    for name, quoted in names:
        refs += 1
        why = find(name, quoted or None)
        if why:
            bad.append(f"{row}: {name}{' ' + quoted if quoted else ''}: {why}")
    if not names:
        bad.append(f"{row}: nothing shows it")
    if "open:" in shown:
        open_rows.append(row)
bad += [f"{row} is missing" for row in IDS if row not in seen]
if refs < len(IDS):
    bad.append("too few names: this test looks for the wrong things")
print("\n".join(bad) if bad else f"{len(seen)} cases, {refs} names that exist; partly open: {' '.join(open_rows) or 'none'}")
sys.exit(1 if bad else 0)
