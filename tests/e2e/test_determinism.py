#!/usr/bin/env python3
"""One seed, one journal, byte for byte: again, in parallel, and with a device less
nobody else's life changes."""
import json

from rig import check, done, run, scenario, work


def plan(count):
    return scenario(f"d{count}.yaml", f"""version: 1
suite: d
scenarios:
  - name: lossy
    devices: {{A: {{count: 3}}, B: {{count: {count}}}}}
    network: {{loss: 10%, delay: 15ms, jitter: 5ms, duplicate: 3%, reorder: 3%}}
    timeout: 200s
    steps: [{{wait: PROVISIONED, within: 100s}}, {{sleep: 70s}}]
    expect: {{final: PROVISIONED}}
""")


def journal(count):
    code, text = run("run", "--hash", "--out", work / "out", plan(count))
    check(f"{count} others pass", code == 0, text)
    lines = [json.loads(l) for l in open(work / "out" / "latest" / "journal.jsonl")]
    return text.split("journal ")[1].split()[0], lines


def life(lines, actor):
    """What a device did and when. What the server drew for it (codes, tokens) is the
    server's stream, which is shared."""
    return [(l["t_ns"], l["kind"], l.get("row"), l.get("wait_ns"), l.get("sent"), l.get("received"))
            for l in lines if l["actor"] == actor and l["kind"] in ("device.state", "device.request", "net.count")]


first, with_two = journal(2)
again, _ = journal(2)
check("the same seed gives the same journal", first == again, (first, again))
other, with_one = journal(1)
check("another fleet gives another journal", first != other)
for actor in ("A[1]", "A[2]", "A[3]", "B[1]"):
    a, b = life(with_two, actor), life(with_one, actor)
    check(f"{actor} lives the same without B[2]", a == b and len(a) > 10,
          next(((x, y) for x, y in zip(a, b) if x != y), (len(a), len(b))))
done()
