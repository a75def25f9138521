#!/usr/bin/env python3
"""Every scenario in the documentation is checked and run; every verb and option of
quicrig that a command line there uses exists."""
import pathlib
import re
import subprocess
import sys
import tempfile

quicrig = str(pathlib.Path(sys.argv[1]).resolve() / "quicrig")
root = pathlib.Path(sys.argv[2]).resolve()
pages = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
bad, ran, lines = [], 0, 0
helps = {}

with tempfile.TemporaryDirectory() as tmp:
    for page in pages:
        text = page.read_text()
        for n, block in enumerate(re.findall(r"```yaml\n(.*?)```", text, re.S)):
            if "scenarios:" not in block:
                continue
            path = pathlib.Path(tmp) / f"{page.stem}-{n}.yaml"
            path.write_text(block)
            p = subprocess.run([quicrig, "run", "--out", tmp + "/out", str(path)], text=True, timeout=60,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            ran += 1
            if p.returncode:
                bad.append(f"{page.name}: its example {n + 1} ends with {p.returncode}\n{p.stdout}")
        for line in re.findall(r"^\$? ?(?:build/)?quicrig (.*)$", text, re.M):
            words = line.split("#")[0].split()
            verb = words[0]
            helps.setdefault(verb, subprocess.run([quicrig, *words[:2 if verb == "modems" else 1], "--help"], text=True,
                                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
            if helps[verb].returncode:
                bad.append(f"{page.name}: no verb in '{line}'")
            for option in (w for w in words if w.startswith("--")):
                if option not in helps[verb].stdout:
                    bad.append(f"{page.name}: '{option}' of '{line}' is not in the verb's help")
            lines += 1
if not ran or not lines:
    bad.append("found no example: this test looks for the wrong things")
print("\n".join(bad) if bad else f"{ran} scenarios ran, {lines} command lines fit")
sys.exit(1 if bad else 0)
