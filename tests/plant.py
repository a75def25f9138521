#!/usr/bin/env python3
"""No product program can misbehave on demand: planted bugs (core/plant.h) are in
quicrig-prove and in no other program, neither as code nor by name; and a plan that asks
the product for one is refused."""
import json
import pathlib
import subprocess
import sys

where = pathlib.Path(sys.argv[1])
bad = []


def symbols(name):
    out = subprocess.run(["nm", where / name], text=True, stdout=subprocess.PIPE, check=True).stdout
    return {l.split()[-1] for l in out.splitlines() if l.split()}


bugs = [json.loads(line) for line in subprocess.run([where / "quicrig-prove", "--list"], text=True, check=True,
                                                    stdout=subprocess.PIPE).stdout.splitlines()]
names = [b["name"] for b in bugs]
if len(names) < 10 or len(set(names)) != len(names):
    bad.append(f"quicrig-prove lists {len(names)} bugs")
image = (where / "quicrig-prove").read_bytes()
bad += [f"quicrig-prove lacks '{n}': this test looks for the wrong names" for n in names if n.encode() not in image]
if "plant_selected" not in symbols("quicrig-prove"):
    bad.append("quicrig-prove lacks plant_selected: this test looks for the wrong symbol")
for program in ("quicrig", "quicrig-virtual", "quicrig-modem", "quicrig-bench"):
    image = (where / program).read_bytes()
    bad += [f"{program} knows '{n}'" for n in names if b"\0" + n.encode() + b"\0" in image]
    bad += [f"{program} holds {s}" for s in symbols(program) if s.startswith("plant_")]


def answer(program, plan):
    p = subprocess.run([where / program], input=json.dumps(plan), text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=60)
    return p.returncode, p.stdout


for program, plan in (("quicrig-virtual", {"plant": names[0]}), ("quicrig-prove", {"plant": "no-such-bug"}),
                      ("quicrig-prove", {"plant": 1})):
    code, text = answer(program, plan)
    if code != 2 or "planted" not in text:
        bad.append(f"{program} takes {plan}: exit {code}, {text}")
# the member alone is what the product refuses: without it the same plan is refused as a plan
if "planted" in answer("quicrig-virtual", {})[1]:
    bad.append("quicrig-virtual refuses whatever it is given")
print("\n".join(bad) if bad else f"{len(names)} planted bugs live in quicrig-prove alone")
sys.exit(1 if bad else 0)
