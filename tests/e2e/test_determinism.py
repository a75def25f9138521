#!/usr/bin/env python3
"""One seed, one journal, byte for byte: again, in parallel, and with a device less
nobody else's life changes. What a restarted server draws is new."""
import hashlib
import json
import subprocess

from rig import BIN, SRC, check, done, expect, run, scenario, work


def plan(a, b):
    return scenario(f"d{a}{b}.yaml", f"""version: 1
suite: d
scenarios:
  - name: lossy
    devices: {{A: {{count: {a}}}, B: {{count: {b}}}}}
    carrier: typical
    modems: {{senders: 8}}
    network:
      {{loss: 10%, burst: 2, delay: 15ms, jitter: 5ms, duplicate: 3%, reorder: 3%, corrupt: 1%, rate: 2Mbit/s, queue: 9000,
       mtu: 1400, blackhole: {{on: 20s, off: 1s}}, drop: {{up: 4, per: connection}},
       rebind: {{what: address, after: 2s, every: 3s}}}}
    timeout: 200s
    steps: [{{wait: PROVISIONED, within: 100s}}, {{sleep: 70s}}]
    expect: {{final: PROVISIONED}}
""")


def journal(a, b):
    code, text = run("run", "--hash", "--out", work / "out", plan(a, b))
    check(f"{a} and {b} pass", code == 0, text)
    lines = [json.loads(l) for l in open(work / "out" / "latest" / "journal.jsonl")]
    return text.split("journal ")[1].split()[0], lines


# what the server draws (codes, token ids) is the server's stream, which is shared
SERVERS = {"seq", "code_fp", "jti", "fam"}


def life(lines, actor):
    """Everything that a device did, drew and met, and when, before the end: when that is
    depends on everybody."""
    end = next(l["t_ns"] for l in lines if l["kind"] == "scenario.end")
    return [{k: v for k, v in l.items() if k not in SERVERS} for l in lines if l["actor"] == actor and l["t_ns"] < end]


first, whole = journal(3, 2)
again, _ = journal(3, 2)
check("the same seed gives the same journal", first == again, (first, again))


def same_without(gone, lines, actors):
    for actor in actors:
        a, b = life(whole, actor), life(lines, actor)
        drawn = {l[k] for l in a for k in ("req", "reg") if k in l}
        check(f"{actor} lives the same without {gone}, down to its draws", a == b and len(a) > 10 and len(drawn) > 3,
              next(((x, y) for x, y in zip(a, b) if x != y), (len(a), len(b))))


other, less = journal(3, 1)
check("another fleet gives another journal", first != other)
same_without("B[2]", less, ("A[1]", "A[2]", "A[3]", "B[1]"))
# the place of those behind it changes, their draws do not
same_without("A[3]", journal(2, 2)[1], ("A[1]", "A[2]", "B[1]", "B[2]"))

# ids, codes and tokens of a server's second and third life are not those of its first
lives = scenario("lives.yaml", """version: 1
suite: lives
scenarios:
  - name: three
    devices: {A: {count: 1}, B: {count: 1, start: off}, C: {count: 1, start: off}}
    timeout: 60s
    steps:
      - {wait: PROVISIONED, who: A, within: 15s}
      - {server: kill}
      - {server: start}
      - {power_on: B}
      - {wait: PROVISIONED, who: B, within: 15s}
      - {server: stop}
      - {server: start}
      - {power_on: C}
      - {wait: PROVISIONED, who: C, within: 15s}
    expect: {final: {all: PROVISIONED}, server: {starts: 3}}
""")
expect("three lives of a server", run("run", "--out", work / "out", lives), 0, "SMS submitted 3 = codes issued 3")
drawn = [l.get("jti") or l["code_fp"] for l in map(json.loads, open(work / "out" / "latest" / "journal.jsonl"))
         if l["kind"] in ("token.issued", "code.issued")]
check("nothing is drawn twice", len(drawn) == 9 and len(set(drawn)) == 9, drawn)

# ---- one hash for a run, whatever -j and whichever scenario ends first ----
several = scenario("several.yaml", """version: 1
suite: several
defaults: {timeout: 200s, network: {loss: 5%, delay: 15ms, jitter: 5ms}}
scenarios:
  - name: long
    devices: {count: 30}
    steps: [{wait: PROVISIONED, within: 60s}, {sleep: 100s}]
    expect: {final: PROVISIONED}
  - {name: middle, devices: {count: 3}, expect: {final: PROVISIONED}}
  - {name: short, devices: {count: 1, known: false}, network: {loss: 0%}, expect: {final: IDLE}}
  - {name: last, devices: {count: 2}, expect: {final: PROVISIONED}}
""")


def whole_run(*args, quicrig=None):
    """What the run prints as its hash, what its reports have, and the order of its journal."""
    if quicrig:
        p = subprocess.run([quicrig, "run", "--hash", "--out", work / "out", *args, several], text=True, timeout=120,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        code, text = p.returncode, p.stdout
    else:
        code, text = run("run", "--hash", "--out", work / "out", *args, several)
    check(f"several {args} pass", code == 0, text)
    latest = work / "out" / "latest"
    printed = text.split("journal SHA-256 ")[1].split()[0]
    report = json.loads((latest / "report.json").read_text())
    check("the reports have the hash that is printed", report["run"]["journal_sha256"] == printed
          and printed in (latest / "summary.md").read_text(), (printed, report["run"]))
    lines = open(latest / "journal.jsonl").read().splitlines(keepends=True)
    order, parts = [], {}
    for line in lines:
        name = json.loads(line).get("scenario")
        if not order or order[-1] != name:
            order.append(name)
        parts.setdefault(name, hashlib.sha256()).update(line.encode())
    check("journal.jsonl is in the files' order", order == [f"several/{n}" for n in ("long", "middle", "short", "last")], order)
    for s in report["scenarios"]:
        check(f"{s['id']}: its hash is that of its journal", s["journal_sha256"] == parts[s["id"]].hexdigest())
    of_all = hashlib.sha256("".join(f"{s['journal_sha256']}  {s['id']}\n" for s in report["scenarios"]).encode())
    check("the run's hash is that of the scenarios' hashes", of_all.hexdigest() == printed)
    return printed


one = whole_run("-j", "1")
check("one hash: -j 1, 2, 4", {whole_run("-j", "2"), whole_run("-j", "4")} == {one})
check("another seed, another hash", whole_run("--seed", "7") != one)
# the other preset's build, where it stands there and is of these sources
sibling = {"build": "build-asan", "build-asan": "build"}.get(BIN.name)
other_build = SRC / sibling / "quicrig" if sibling else None


def up_to_date():
    p = subprocess.run(["ninja", "-n", "-C", SRC / sibling, "quicrig", "quicrig-virtual"], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return p.returncode == 0 and "no work to do" in p.stdout


if other_build and other_build.exists() and up_to_date():
    check(f"{sibling} gives the same hash", whole_run(quicrig=other_build) == one)
else:
    print(f"skip no up-to-date build of the other preset ({sibling})")

# an operator whom nobody hears would let a scenario pass without what it is about
expect("an operator of a server that is down", run("run", "--out", work / "out", scenario("deaf.yaml", """version: 1
suite: deaf
scenarios:
  - name: deaf
    devices: {count: 1}
    steps:
      - {wait: PROVISIONED, within: 15s}
      - {server: kill}
      - {disable: A}
    expect: {final: PROVISIONED}
""")), 5, "no server took what the operator asked for (disable)", "INC?  deaf/deaf")
done()
