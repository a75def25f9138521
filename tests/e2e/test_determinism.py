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


# what the server draws (codes, token ids) is the server's stream, which is shared
SERVERS = {"seq", "code_fp", "jti", "fam"}


def life(lines, actor):
    """Everything that a device did, drew and met, and when."""
    return [{k: v for k, v in l.items() if k not in SERVERS} for l in lines if l["actor"] == actor]


first, with_two = journal(2)
again, _ = journal(2)
check("the same seed gives the same journal", first == again, (first, again))
other, with_one = journal(1)
check("another fleet gives another journal", first != other)
for actor in ("A[1]", "A[2]", "A[3]", "B[1]"):
    a, b = life(with_two, actor), life(with_one, actor)
    drawn = {l[k] for l in a for k in ("req", "reg") if k in l}
    check(f"{actor} lives the same without B[2], down to its draws", a == b and len(a) > 10 and len(drawn) > 3,
          next(((x, y) for x, y in zip(a, b) if x != y), (len(a), len(b))))
done()
