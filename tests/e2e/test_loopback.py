#!/usr/bin/env python3
"""The loopback rig when things go wrong: Ctrl-C, modems that never answer, a killed
runner; and quicrig device against quicrig serve."""
import json
import os
import signal
import subprocess
import time

from rig import QUICRIG, check, children, done, expect, run, scenario, work

slow = scenario("slow.yaml", """version: 1
suite: e2e
scenarios:
  - name: quick
    devices: {count: 1}
    expect: {final: PROVISIONED}
  - name: slow
    timeout: 100s
    devices: {count: 1}
    steps:
      - {sleep: 90s}
    expect: {final: PROVISIONED}
""")


def interrupt(how, rig, seconds, twice=False):
    p = subprocess.Popen([QUICRIG, "run", "--rig", rig, "--out", str(work / "out"), str(slow)], cwd=work, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    time.sleep(seconds)
    p.send_signal(signal.SIGUSR1)
    time.sleep(0.3)
    t = time.monotonic()
    p.send_signal(how)
    if twice:
        time.sleep(0.1)
        p.send_signal(how)
    text = p.communicate(timeout=20)[0]
    return p.returncode, text, time.monotonic() - t


def after_interrupt(name, got, code):
    expect(name, got[:2], code, "PASS  e2e/quick", "interrupted")
    check(f"{name}: within 5 s", got[2] < 6, got[2])
    report = json.loads((work / "out" / "latest" / "report.json").read_text())
    check(f"{name}: the report is written", any(s["id"] == "e2e/quick" for s in report["scenarios"]))
    time.sleep(0.5)
    check(f"{name}: nothing is left behind", not children(), children())


got = interrupt(signal.SIGINT, "loopback", 12)
after_interrupt("Ctrl-C on loopback", got, 130)
check("SIGUSR1 says what runs", "e2e/slow" in got[1], got[1])
got = interrupt(signal.SIGTERM, "loopback", 12, twice=True)
check("twice stops at once", got[0] == 143 and got[2] < 5, got)

# killed, nothing of it stays
p = subprocess.Popen([QUICRIG, "run", "--rig", "loopback", "--out", str(work / "out"), str(slow)], cwd=work,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
time.sleep(7)
p.kill()
p.wait()
for _ in range(40):
    if not children():
        break
    time.sleep(0.25)
check("a killed runner leaves no child", not children(), children())

# a modem that takes the PDU and never answers: the SMS arrived all the same, so the device is
# provisioned; and one that swallows it: the verdict is honest and the run ends by itself
mute = scenario("mute.yaml", """version: 1
suite: mute
scenarios:
  - name: swallowed
    timeout: 8s
    devices: {count: 1}
    faults:
      - {on: sms.submitted, do: lose}
    expect: {final: PROVISIONED}
""")
t = time.monotonic()
got = run("run", "--rig", "loopback", "--out", work / "out", mute)
check("an SMS that never comes ends the scenario by its timeout", got[0] in (1, 5) and time.monotonic() - t < 40, got)

# a start that comes before the old server is gone waits for it, however the old one ends
restart = scenario("restart.yaml", """version: 1
suite: restart
defaults: {settings: {publish_interval: 1s}, timeout: 30s}
scenarios:
  - name: killed
    devices: {count: 1}
    steps: [{wait: PROVISIONED, within: 15s}, {server: kill}, {server: start}, {sleep: 2s}]
    expect: {final: PROVISIONED, server: {starts: 2}}
  - name: stopped
    devices: {count: 1}
    steps: [{wait: PROVISIONED, within: 15s}, {server: stop}, {server: start}, {sleep: 2s}]
    expect: {final: PROVISIONED, server: {starts: 2}}
  - name: by-a-fault
    devices: {count: 1}
    faults: [{on: code.used, do: restart, after: 0s}]
    expect: {final: PROVISIONED, server: {starts: 2}}
""")
expect("a server that is started again at once", run("run", "--rig", "loopback", "--out", work / "out", restart), 0, "3 passed")

# a device of its own against a server of its own
subprocess.run([QUICRIG, "pki", str(work / "keys")], check=True, stdout=subprocess.DEVNULL)
uuid = "ee9f2110-5843-11e9-a9ba-139bd26c8b4b"
(work / "devices.json").write_text(json.dumps({"version": 1, "devices": [{
    "uuid": uuid, "deviceType": "thermometer", "serialId": "0000000001", "networkType": "Mobile",
    "networkId": "214010000000001", "msisdn": "+34690000001", "methods": ["SMS"]}]}))
journal = open(work / "serve.jsonl", "w")
serve = subprocess.Popen([QUICRIG, "serve", "--listen", "127.0.0.1:0", "--registry", "devices.json", "--db", "server.db",
                          "--pki", "keys", "--lab", "--sms", "file:sms.txt", "--journal-fd", str(journal.fileno())],
                         cwd=work, pass_fds=[journal.fileno()], stderr=subprocess.PIPE, text=True)
port = None
for _ in range(100):
    lines = (work / "serve.jsonl").read_text().splitlines()
    if lines:
        port = json.loads(lines[0])["port"]
        break
    time.sleep(0.1)
device = subprocess.Popen([QUICRIG, "device", "--server", f"127.0.0.1:{port}", "--pki", "keys", "--uuid", uuid, "--type",
                           "thermometer", "--serial", "0000000001", "--imsi", "214010000000001", "--until", "PROVISIONED",
                           "--timeout", "20s", "--code-from", "stdin"], cwd=work, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
code = None
for _ in range(100):
    text = (work / "sms.txt").read_text() if (work / "sms.txt").exists() else ""
    if "#" in text:
        code = text.split("#")[1].split()[0]
        break
    time.sleep(0.1)
out = device.communicate(f"{code}\n", timeout=30)[0]
check("device bootstraps with the code from a file", device.returncode == 0 and "PROVISIONED" in out, out)
check("the SMS file is private", oct(os.stat(work / "sms.txt").st_mode & 0o777) == "0o600")
check("no code in the server's journal", code and code not in (work / "serve.jsonl").read_text())
serve.send_signal(signal.SIGTERM)
check("serve ends orderly", serve.wait(timeout=10) == 0)
done()
