#!/usr/bin/env python3
"""Every cell of the table of answers in docs/device.md, run: a device in that state is given
that answer once by a scripted server, and must go where the page says."""
import pathlib
import re
import subprocess
import sys
import tempfile

build, source = map(pathlib.Path, sys.argv[1:3])
FULL = {"NP": "NOT_PROVISIONED", "IDLE": "IDLE", "PV": "PROVISIONED", "RF": "REFRESHING"}
RESOURCE = {"REGISTERING": "registerDevice", "LOGGING_IN": "login", "PROVISIONED": "publishMeasure",
            "REFRESHING": "refreshToken"}

section = (source / "docs/device.md").read_text().split("\n## Answers\n")[1].split("\n## ")[0]
table = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.split("\n") if line.startswith("|")]
states, rows = table[0][1:], table[2:]


def expectation(state, to):
    """A self-transition is no part of a path: it is seen by the request that follows, and by where the device never went."""
    if FULL[to] != state:
        return f"path: [..., {state}, {FULL[to]}" + ("]" if to == "IDLE" else ", ..., PROVISIONED]")
    if state == "PROVISIONED":
        return "{path: [NOT_PROVISIONED, REGISTERING, AWAITING_CODE, LOGGING_IN, PROVISIONED], requests: {publishMeasure: \">= 2\"}}"
    return "{path: [..., LOGGING_IN, PROVISIONED, REFRESHING, PROVISIONED], requests: {refreshToken: 2}}"


text, cells = "version: 1\nsuite: device\nscenarios:\n", 0
for answer, *row in rows:
    said = re.search("`(.*)`", answer)[1]
    what = said if ":" in said else "code: " + said
    for state, to in zip(states, row, strict=True):
        hold = "access_ttl: 4s, " if state == "REFRESHING" else ""
        want = expectation(state, to)
        cells += 1
        text += f"""\
  - name: {re.sub("[^a-z0-9]+", "-", said)}-{state}
    devices: {{count: 1}}
    settings: {{{hold}publish_interval: 2s, request_timeout: 500ms, sms_interval: 100ms}}
    server: scripted
    answers: [{{to: {RESOURCE[state]}, {what}}}]
    steps: [{{sleep: 7s}}]
    expect: {want if want.startswith("{") else "{" + want + "}"}
"""
with tempfile.TemporaryDirectory() as work:
    file = pathlib.Path(work) / "device.yaml"
    file.write_text(text)
    ran = subprocess.run([build / "quicrig", "run", "--out", work, file], text=True, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT)
if cells < 52 or ran.returncode or f"{cells} run: {cells} passed" not in ran.stdout:
    print(ran.stdout, f"{cells} cells")
    sys.exit(1)
print(f"{cells} cells of docs/device.md are as it says")
