#!/usr/bin/env python3
"""quicrig shrink: from the folder of a failure or from a file to a small scenario that is
fit to be committed; what a large lossy fleet finds becomes one device and one datagram."""
import re
import signal
import subprocess
import time

from rig import QUICRIG, check, done, expect, gone, run, scenario, work

big = scenario("big.yaml", """version: 1
suite: big
defaults: {tags: [nightly]}
scenarios:
  - name: strangers
    timeout: 5m
    settings: {code_wait: 20s, publish_interval: 2s}
    devices:
      ours: {count: 12, type: [lightSensor, thermometer]}
      theirs: {count: 9, known: false, connection: hold}
    arrive: {ramp: {from: 0/s, to: 10/s, over: 4s}}
    network: {loss: 1%, delay: 10ms}
    faults:
      - {on: sms.submitted, each: true, chance: 5%, do: delay, by: 3s}
      - {at: 7s, who: "ours[3]", do: power_cycle}
    steps:
      - {sleep: 9s}
      - {power_cycle: "ours[11]", off: 3s}
      - {sleep: 2s}
    expect:
      final: PROVISIONED
      codes: {used: ">= 12"}
  - name: fine
    devices: {count: 1}
    expect: {final: PROVISIONED}
  - name: unreliable
    devices: {count: 2, known: false}
    quarantine: {reason: "#7", until: 2999-01-01}
    expect: {final: PROVISIONED}
""")


def shrink(*args, timeout=120, **more):
    p = subprocess.run([QUICRIG, "shrink", *map(str, args)], cwd=work, text=True, timeout=timeout, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, **more)
    return p.returncode, p.stdout, p.stderr


def devices(text):
    return sum(map(int, re.findall(r"\bcount: (\d+)", text.split("expect:")[0])))


# ---- from the folder that a run left ----
got = run("run", "--out", "out", big)
expect("the large one fails", got, 1, "FAIL  big/strangers")
code, text, log = shrink("out/latest/big/strangers", "-o", "small.yaml")
small = (work / "small.yaml").read_text()
check("shrunk to one device that nobody knows", code == 0 and devices(small) == 1 and "known: false" in small and
      not re.search("faults|steps|network|settings|arrive|seed", small.split("version")[1]), log + small)
check("it says what it came from and why", small.startswith("# Shrunk from big/strangers") and "IDLE (refused, 403)" in small, small)
check("progress, then sizes", "21 devices, 2 faults, 3 steps, a network → 1 device, 0 faults, 0 steps" in log, log)
expect("fit to be checked", run("check", "small.yaml"), 0)
got = run("run", "--out", "out", "small.yaml")
expect("it fails alike", got, 1, "FAIL  regression/big-strangers", "expected PROVISIONED at the end", "IDLE (refused, 403)")
code, again, log = shrink("small.yaml")
check("nothing smaller is left", code == 0 and again.split("version")[1] == small.split("version")[1], again)
before = re.findall(r"fails with .*\((\w{8})\)", shrink(f"{big}:strangers", "--trials", "1")[2])
check("one signature before and behind", before and before == re.findall(r"fails with .*\((\w{8})\)", log), log)

# ---- what cannot be shrunk ----
code, text, log = shrink(f"{big}:fine")
check("what passes is not shrunk", code == 4 and not text and "does not fail" in log, (code, log))
code, text, log = shrink(f"{big}:unreliable")
check("what is in quarantine fails, too", code == 0 and "count: 1" in text and "quarantine" not in text, (code, text, log))
code, text, log = shrink(big)
check("one scenario at a time", code == 2 and "big.yaml:NAME" in log, (code, log))
code, text, log = shrink(f"{big}:nobody")
check("no such scenario", code == 2 and "no scenario 'nobody'" in log, (code, log))
code, text, log = shrink("out/latest")
check("a run's folder is not one failure's", code == 2 and "out/latest/SUITE/NAME" in log, (code, log))
(work / "odd").mkdir()
for odd in ("[]", "null", "{", '{"id": "a/b", "groups": [{}]}', '{"id": "a/b", "groups": 3, "expect": [], "faults": {}}'):
    (work / "odd" / "plan.json").write_text(odd)
    code, text, log = shrink("odd")
    check(f"no plan: {odd}", code == 2 and not text and "error:" in log, (code, log))
code, text, log = shrink(f"{big}:strangers", "--plant", "nonsense")
check("no such bug", code == 2 and "no bug 'nonsense'" in log, (code, log))
code, text, log = shrink(f"{big}:strangers", "-o", "nowhere/small.yaml", "--trials", "1")
check("nowhere to write to", code == 3 and "No such file" in log and "runs" not in log, (code, log))
code, text, log = shrink(f"{big}:strangers", "-o", "/dev/full", "--trials", "1")
check("no room for the file: it is not lost", code == 3 and "No space left" in log and text.startswith("# Shrunk from"), (code, text, log))

# ---- bounded, and safe to interrupt ----
code, text, log = shrink(f"{big}:strangers", "--trials", "12")
check("so many runs and no more", code == 0 and "in 12 runs; not done" in log and "suite:" in text, log)
slow = scenario("slow.yaml", """version: 1
suite: slow
scenarios:
  - name: never
    timeout: 10m
    devices: {count: 8}
    settings: {publish_interval: 1s}
    steps: [{sleep: 3m}, {power_cycle: "A[1]"}, {sleep: 2m}]
    expect: {final: IDLE, requests: {refreshToken: ">= 1"}}
""")
p = subprocess.Popen([QUICRIG, "shrink", f"{slow}:never", "-o", "cut.yaml"], cwd=work, stderr=subprocess.PIPE, text=True)
line = p.stderr.readline()
p.send_signal(signal.SIGINT)
log = line + p.communicate(timeout=60)[1]
check("interrupted, and what was found is written", p.returncode == 130 and (work / "cut.yaml").exists() and "not done" in log,
      (p.returncode, log))
expect("it is a scenario", run("check", "cut.yaml"), 0)
check("nothing runs on", not gone(), gone(0))

# ---- what a lossy fleet finds: a planted defect that no smaller test shows ----
fleet = scenario("fleet.yaml", """version: 1
suite: fleet
scenarios:
  - name: lossy
    timeout: 2m
    devices: {count: 100, type: [thermometer, lightSensor]}
    arrive: {ramp: {from: 0/s, to: 50/s, over: 4s}}
    network: {loss: 2%, delay: 15ms, jitter: 5ms}
    expect: {final: PROVISIONED}
""")
start = time.monotonic()
code, text, log = shrink("--plant", "slow-reply-strands", f"{fleet}:lossy", "-o", "lost.yaml")
lost = (work / "lost.yaml").read_text() if code == 0 else ""
print(f"     {log.splitlines()[-2] if code == 0 else log}, {time.monotonic() - start:.1f} s")
check("100 devices become one", code == 0 and devices(lost) <= 3 and "loss:" not in lost.split("version")[1], log + lost)
check("and one datagram", "drop:" in lost, lost)
expect("without the bug it passes", run("run", "--out", "out", "lost.yaml"), 0, "PASS  regression/fleet-lossy")
found = re.findall(r"fails with .*\((\w{8})\)", log)
code, again, log = shrink("--plant", "slow-reply-strands", "lost.yaml")
check("with the bug it fails, every time", code == 0 and found and found == re.findall(r"fails with .*\((\w{8})\)", log), log)
expect("so the library would catch it now", run("prove", "--bug", "slow-reply-strands", "lost.yaml"), 0, "1 caught")
done()
