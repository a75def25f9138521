#!/usr/bin/env python3
"""Descriptors run out (E2): whoever finds none says so and ends in good order, or goes on; nobody
crashes, hangs, or leaves anybody behind."""
import json
import resource
import signal
import subprocess
import time

from rig import QUICRIG, check, done, expect, gone, run, scenario, work

UUID = "ee9f2110-5843-11e9-a9ba-139bd26c8b4b"
(work / "devices.json").write_text(json.dumps({"version": 1, "devices": [
    {"uuid": UUID, "deviceType": "thermometer", "serialId": "0000000001", "networkType": "Mobile",
     "networkId": "214070000000001", "msisdn": "+34600000001", "methods": ["SMS"]}]}))
run("pki", "keys")
one = scenario("one.yaml", """version: 1
suite: limits
scenarios:
  - name: one
    devices: {count: 1}
    expect: {final: PROVISIONED}
""")


def limited(n, *args):
    """Starts quicrig with at most n descriptors; its output goes to a file."""
    out = work / "said.txt"
    with out.open("w") as f:
        p = subprocess.Popen([QUICRIG, *map(str, args)], cwd=work, stdout=f, stderr=subprocess.STDOUT,
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n)))
    return p, out


# ---- the server; with fewer not even its libraries are found ----
up = 0
for n in (5, 6, 7, 8, 9, 11, 15):
    p, said = limited(n, "serve", "--listen", "127.0.0.1:0", "--registry", "devices.json", "--pki", "keys", "--db", f"{n}.db",
                      "--lab", "--sms", "file:sms.txt", "--control", f"unix:{work}/{n}.sock")
    end = time.monotonic() + 20
    while p.poll() is None and "listening on" not in said.read_text() and time.monotonic() < end:
        time.sleep(0.02)
    if p.poll() is None:
        up += 1
        p.send_signal(signal.SIGTERM)
        check(f"serve with {n} descriptors is up, and ends when it is told to", p.wait(20) == 0, said.read_text())
    else:
        check(f"serve with {n} descriptors says what is wrong", p.returncode in (2, 3) and "error:" in said.read_text(),
              f"{p.returncode} {said.read_text()}")
check("some of them are enough", up > 0)

# ---- the runner and its virtual world ----
good = 0
for n in (5, 7, 9, 16, 40, 64, 256):
    p, said = limited(n, "run", "--out", "out", one)
    code, text = p.wait(30), said.read_text()
    good += code == 0
    check(f"run with {n} descriptors passes, or says what is wrong", code == 0 or (code in (2, 3, 5) and (
        "Too many open files" in text or "error:" in text)), f"{code} {text}")
check("some of them are enough for a run", good > 0)
check("nobody is left behind", not gone(), "")
done()
