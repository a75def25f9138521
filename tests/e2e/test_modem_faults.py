#!/usr/bin/env python3
"""Scenarios that break, limit or slow modems have modems of their own on loopback; and a
receiver that falls silent with nobody to ask for it makes no verdict on device or server."""
import json
import os
import socket
import subprocess
import time

from rig import QUICRIG, check, done, expect, gone, run, scenario, work

out = work / "out"


def journal():
    return [json.loads(line) for line in (out / "latest" / "journal.jsonl").read_text().splitlines()]


# ---- modems of their own, beside scenarios that share the run's ----
own = scenario("own.yaml", """version: 1
suite: own
defaults: {timeout: 40s}
scenarios:
  - name: shared
    devices: {count: 2}
    expect: {final: PROVISIONED}
  - name: broken
    modems: {senders: 2, receivers: 1}
    devices: {count: 1}
    faults:
      - {at: 0s, do: unplug, who: s1, for: 3s}
      - {on: sms.submitted, do: cms_error, code: 42, where: prompt, who: s2}
      - {on: modem.state, do: duplicate_cmti, who: r1}
    steps: [{wait: PROVISIONED, within: 30s}, {sleep: 2s}]
    expect:
      final: PROVISIONED
      requests: {login: 1}
      seen: {event: modem.state, match: {modem: s1, state: ABSENT}, count: ">= 1"}
  - name: limited
    modems: {senders: 2, receivers: 1, per_day: 2}
    devices: {count: 4}
    expect: {final: PROVISIONED, sms: {sent: 4}}
""")
got = run("run", "--rig", "loopback", "--out", out, own)
expect("broken and limited modems beside shared ones", got, 0, "PASS  own/shared", "PASS  own/broken", "PASS  own/limited")
events = journal()
of = {name: [e for e in events if e.get("scenario") == f"own/{name}" or e.get("name", "").startswith(f"own/{name}:")]
      for name in ("shared", "broken")}
states = [(e["modem"], e["state"]) for e in events if e["kind"] == "modem.state"]
check("the pulled modem came back under its name", ("s1", "ABSENT") in states and ("s1", "on") in states, states)
check("no number and no code in the journal", "+346" not in (out / "latest" / "journal.jsonl").read_text())
check("nothing is left behind", not gone(), gone())

# what only an emulated modem can play is not for a rig file
(work / "rig.yaml").write_text("version: 1\nserver: ours\nsms: {senders: any}\nmodems:\n"
                               "  m1: {device: /dev/null, connection: at115200, number: \"+34600000001\", role: both}\n")
expect("a rig file leaves them out", run("check", "--rig", work / "rig.yaml", own), 0,
       "SKIP  own/broken", "it breaks, limits or slows modems", "the rig serves 1 of them")

# ---- silent, and nobody asked for it ----
silent = scenario("silent.yaml", """version: 1
suite: silent
scenarios:
  - name: receiver
    timeout: 10s
    modems: {senders: 1, receivers: 1}
    devices: {count: 1, start: off}
    steps: [{sleep: 2500ms}, {power_on: A}]
    expect: {final: PROVISIONED}
""")
p = subprocess.Popen([QUICRIG, "run", "--rig", "loopback", "--out", str(out), str(silent)], cwd=work, text=True,
                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
control, end = None, time.monotonic() + 40
while control is None and time.monotonic() < end:
    # its server runs: the modems are READY, and the device is still off
    for folder in (work / "tmp").glob("quicrig-run-*"):
        if (folder / "0" / "server.db").exists():
            control = folder / "modems"
    time.sleep(0.05)
with socket.socket(socket.AF_UNIX) as s:
    s.connect(str(control))
    s.sendall(b'{"do": "mute", "modem": "r1"}\n')
    check("the emulator mutes it", json.loads(s.recv(4096))["ok"])
text = p.communicate(timeout=60)[0]
expect("a receiver that falls silent", (p.returncode, text), 5, "INC?  silent/receiver", "blame: modem")
events = [e for e in journal() if e["kind"] in ("sms.submitted", "sms.delivered", "modem.state") and e.get("dev")]
check("with evidence in the journal", any(e["kind"] == "modem.state" and e["modem"] == "r1" and e["state"] == "received"
                                         for e in events) and not any(e["kind"] == "sms.delivered" for e in events), events)

# asked for, it is as the scenario says
asked = scenario("asked.yaml", silent.read_text().replace("    steps:", "    faults: [{at: 0s, do: mute, who: r1}]\n    steps:")
                 .replace("suite: silent", "suite: asked"))
expect("one that the scenario mutes", run("run", "--rig", "loopback", "--out", out, asked), 1, "FAIL  asked/receiver")
expect("on the virtual rig, too", run("run", "--out", out, asked), 1, "FAIL  asked/receiver")
done()
