#!/usr/bin/env python3
"""One seed, one journal, byte for byte: again, in parallel, and with a device less
nobody else's life changes. What a restarted server draws is new."""
import json

from rig import check, done, expect, run, scenario, work


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
