#!/usr/bin/env python3
"""quicrig run --parity: the same scenarios on two rigs, what is alike, what differs."""
import json

from rig import SRC, check, done, expect, run, scenario, work

out = work / "out"


def report():
    return json.loads((out / "latest" / "report.json").read_text())


def parity():
    return {s["id"]: s for s in report()["parity"]["scenarios"]}


# an SMS takes libgammu 0.7 s and the virtual rig 20 ms: what follows from that differs
mixed = scenario("mixed.yaml", """version: 1
suite: e2e
defaults: {timeout: 15s}
scenarios:
  - name: same
    devices: {count: 2}
    expect: {final: PROVISIONED}
  - name: rows
    devices: {count: 1}
    network: {delay: 150ms}
    steps: [{wait: PROVISIONED}, {sleep: 2s}]
    expect: {final: PROVISIONED}
  - name: verdict
    devices: {count: 1}
    expect: {within: {PROVISIONED: 400ms}}
  - name: explained
    devices: {count: 1}
    network: {delay: 150ms}
    parity: {compare: verdict, reason: the reply is slower than one SMS and faster than the other}
    steps: [{wait: PROVISIONED}, {sleep: 2s}]
    expect: {final: PROVISIONED}
  - name: mended
    modems: {send_time: 700ms}
    devices: {count: 1}
    network: {delay: 150ms}
    steps: [{wait: PROVISIONED}, {sleep: 2s}]
    expect: {final: PROVISIONED}
  - name: apart
    devices: {count: 1}
    parity: {compare: nothing, reason: nobody wants to know}
    expect: {final: PROVISIONED}
  - name: elsewhere
    rigs: [virtual]
    devices: {count: 1}
    expect: {final: PROVISIONED}
  - name: skipped
    skip: not today
    devices: {count: 1}
    expect: {final: PROVISIONED}
""")
got = run("run", "--parity", "loopback", "--out", out, mixed)
expect("rigs that differ fail", got, 1, "virtual:\n", "loopback:\n", " alike      e2e/same", " differs    e2e/rows",
       "only on virtual: RG.sms RG.200_held; only on loopback: RG.200_sms AC.sms", " differs    e2e/verdict",
       "virtual PASS, loopback FAIL", "verdicts alone: the reply is slower",
       "not compared 1 (e2e/apart): nobody wants to know", "not for loopback: its 'rigs' leave this one out",
       "not compared 1 (e2e/skipped): not today", "parity: 3 alike, 2 different, 0 undecided, 3 not compared")
p = parity()
check("the report says which rows", p["e2e/rows"]["outcome"] == "differs" and
      [sorted(o) for o in p["e2e/rows"]["only"]] == [["RG.200_held", "RG.sms"], ["AC.sms", "RG.200_sms"]], p)
check("and which verdicts", p["e2e/verdict"]["verdicts"] == ["PASS", "FAIL"], p)
check("the scenario's own reason", p["e2e/explained"]["compared"] == "verdicts" and p["e2e/explained"]["outcome"] == "alike", p)
check("a modem that takes its time on both", p["e2e/mended"]["outcome"] == "alike", p)
check("the totals", report()["parity"]["totals"] ==
      {"alike": 3, "differs": 2, "undecided": 0, "not compared": 3}, report()["parity"]["totals"])
runs = sorted(d for d in out.iterdir() if not d.is_symlink())
check("both runs keep their folder, the second one is the latest", len(runs) == 2 and
      (out / "latest").resolve() == runs[1].resolve() and
      "parity" not in json.loads((runs[0] / "report.json").read_text()), runs)

# neither its own verdict nor the other rig's: nothing is settled by half a comparison
got = run("run", "--parity", "loopback", "--wall", "200ms", "--filter", "same", "--out", out, mixed)
expect("a run that was cut short decides nothing", got, 5, "undecided  e2e/same", "1 undecided")

for name, code, text, args in (
    ("parity wants two rigs", 2, "compares two rigs", ["--parity", "virtual"]),
    ("parity wants a rig that exists", 2, "no rig 'loopbak'", ["--parity", "loopbak"]),
    ("parity wants a rig file that can be read", 2, "error", ["--parity", "./none.yaml"]),
    ("parity wants something to compare", 4, "no scenario is for both", ["--parity", "loopback", "--filter", "elsewhere or skipped"]),
):
    expect(name, run("run", *args, "--out", out, mixed), code, text)

for name, line, text in (
    ("parity: without a reason", "parity: {compare: verdict}", "'reason'"),
    ("parity: with another word", "parity: {compare: rows, reason: x}", "rows"),
):
    path = scenario("bad.yaml", f"version: 1\nsuite: e2e\nscenarios:\n  - name: x\n    {line}\n    devices: {{count: 1}}\n"
                                "    expect: {final: PROVISIONED}\n")
    expect(name, run("check", path), 2, text, "bad.yaml:5:")

try:
    import jsonschema
    schema = json.loads((SRC / "reports" / "report.schema.json").read_text())
    run("run", "--parity", "loopback", "--filter", "same or apart", "--out", out, mixed)
    jsonschema.Draft202012Validator(schema).validate(report())
    check("its report fits the schema", True)
except ImportError:
    print("skip  no jsonschema here")
done()
