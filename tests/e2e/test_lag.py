#!/usr/bin/env python3
"""A harness that was held up has not shown that anybody else was late: INCONCLUSIVE, exit 5.
It is held up for real: the runner is stopped, again and again, for longer than its scenario
gives a device, while server and modems go on."""
import json
import os
import signal
import subprocess
import time

from rig import QUICRIG, check, children, done, expect, gone, run, scenario, work

STOPPED_S, RUNNING_S = 2.3, 0.2  # an SMS alone takes longer than the runner gets at once
tight = scenario("tight.yaml", """version: 1
suite: lag
scenarios:
  - name: tight
    rigs: [loopback]
    devices: {count: 1}
    steps: [{wait: PROVISIONED, within: 2s}]
    expect: {final: PROVISIONED}
""")
p = subprocess.Popen([QUICRIG, "run", "--rig", "loopback", "--out", work / "out", tight], cwd=work, text=True,
                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
end = time.monotonic() + 60
while p.poll() is None and not any(" serve " in f"{args} " for args in children().values()) and time.monotonic() < end:
    time.sleep(0.02)
# until the scenario is over: each time it runs a little, and then it is late for everything
while p.poll() is None and time.monotonic() < end:
    os.kill(p.pid, signal.SIGSTOP)
    time.sleep(STOPPED_S)
    os.kill(p.pid, signal.SIGCONT)
    time.sleep(RUNNING_S)
text = p.communicate(timeout=60)[0]
expect("a runner that is held up says so", (p.returncode, text), 5, "INC?  lag/tight", "tight.yaml:7:13", "blame: harness",
       "the harness itself lagged behind, by 2")
latest = work / "out" / "latest"
lags = [l for l in map(json.loads, open(latest / "journal.jsonl")) if l["kind"] == "harness.lag"]
waits = [l for l in map(json.loads, open(latest / "journal.jsonl")) if l["kind"] == "step.done"]
check("the journal has the lag before what it explains",
      lags and waits and max(l["lag_ns"] for l in lags) >= 2_000_000_000 and lags[0]["t_ns"] <= waits[0]["t_ns"], (lags, waits))
report = json.loads((latest / "report.json").read_text())
check("report.json lays it to the harness", [(s["verdict"], s["blame"]) for s in report["scenarios"]] == [("INCONCLUSIVE", "harness")],
      report["scenarios"][0]["reason"])
check("nothing is left behind", not gone(), gone())

# left alone it is no bottleneck, and none is told of that would excuse anybody
expect("a runner that is left alone", run("run", "--rig", "loopback", "--out", work / "out",
       scenario("ample.yaml", tight.read_text().replace("within: 2s", "within: 25s"))), 0, "PASS  lag/tight")
lags = [l["lag_ns"] for l in map(json.loads, open(latest / "journal.jsonl")) if l["kind"] == "harness.lag"]
check("… is not late by a second", max(lags, default=0) < 1_000_000_000, lags)
done()
