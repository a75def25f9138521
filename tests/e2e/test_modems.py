#!/usr/bin/env python3
"""Modems that never answer, that fall silent in the middle, that are not there; and
`quicrig modems emulate` as a modem for strangers."""
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import time
import tty

from rig import BIN, QUICRIG, check, done, expect, gone, scenario, work

TWO = scenario("two.yaml", """version: 1
suite: modems
defaults: {timeout: 12s}
scenarios:
  - name: before
    devices: {count: 1}
    expect: {final: PROVISIONED}
  - name: after
    devices: {count: 1, start: off}
    steps:
      - {sleep: 2s}
      - {power_on: A}
    expect: {final: PROVISIONED}
""")


def rig_file(name, *modems):
    lines = "".join(f'  {n}: {{device: {device}, connection: at115200, number: "{number}", role: {role}}}\n'
                    for n, device, number, role in modems)
    return scenario(name, "version: 1\nserver: ours\nsms: {senders: any}\nmodems:\n" + lines)


def start(rig):
    return subprocess.Popen([QUICRIG, "run", "-j", "1", "--rig", str(rig), "--out", "out", str(TWO)], cwd=work, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            env=dict(os.environ, XDG_STATE_HOME=f"{work}/state"))


class Emulator:
    def __init__(self, name):
        self.p = subprocess.Popen([QUICRIG, "modems", "emulate", "--count", "2", "--control", f"unix:{work}/{name}"], cwd=work,
                                  stdout=subprocess.PIPE, text=True)
        self.ttys = json.loads(self.p.stdout.readline())["ready"]
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(f"{work}/{name}")
        self.lines = self.socket.makefile("r", encoding="utf-8")

    def order(self, **message):
        self.socket.sendall((json.dumps(message) + "\n").encode())
        return json.loads(self.lines.readline())

    def end(self):
        self.p.send_signal(signal.SIGTERM)
        return self.p.wait(timeout=10)


# one that is silent from the start and one that is not there: the run says which, and gives up
# by itself; its minute passes while the rest goes on
master, slave = pty.openpty()
tty.setraw(slave)
deaf = os.ttyname(slave)
t_dead = time.monotonic()
dead = start(rig_file("dead.yaml", ("m1", deaf, "+34600000001", "sender"),
                      ("m2", f"{work}/ttyNONE", "+34600000002", "receiver")))

# the worker alone, on another silent one
master2, slave2 = pty.openpty()
tty.setraw(slave2)
worker = subprocess.Popen([BIN / "quicrig-modem", "--name", "w", "--device", os.ttyname(slave2), "--connection", "at115200"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
first = json.loads(worker.stdout.readline())
check("a worker says at once that it speaks to it", first.get("ev") == "state" and first["state"] == "INIT", first)

# silent in the middle: the SMS never leaves, the verdict says so, nothing hangs
emulator = Emulator("c1")
m1, m2 = emulator.ttys.values()
r = start(rig_file("quiet.yaml", ("m1", m1, "+34600000001", "sender, per_day: 50"), ("m2", m2, "+34600000002", "receiver")))
text = ""
for line in r.stdout:
    text += line
    if "modems/before" in line:
        check("mute is ordered", emulator.order(do="mute", modem="m1")["ok"])
        t = time.monotonic()
code = r.wait(timeout=30)
took = time.monotonic() - t
check("a modem falls silent: ends by itself, inconclusive", code == 5 and took < 25, (code, took, text))
check("a modem falls silent: is to blame", "a modem took its SMS and has been silent since" in text, text)
check("a modem falls silent: says what is missing", "PASS  modems/before" in text and "PASS  modems/after" not in text and
      "AWAITING_CODE" in text and "SMS submitted through libgammu 1 ≠" in text, text)
check("the emulator ends orderly", emulator.end() == 0)
with open(f"{work}/state/quicrig/sms-budget.json", encoding="utf-8") as f:
    spent = json.load(f)["sims"]
check("a SIM with a limit: its SMS are counted for the next run", spent["+34600000001"]["day_sent"] == 2 and
      list(spent) == ["+34600000001"], spent)

# strangers
if shutil.which("gammu"):
    emulator = Emulator("c2")
    rc = {}
    for name, device in emulator.ttys.items():
        rc[name] = scenario(f"{name}.rc", f"[gammu]\ndevice = {device}\nconnection = at115200\n")

    def gammu(name, *args):
        p = subprocess.run(["gammu", "-c", str(rc[name]), *args], text=True, timeout=60, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT)
        return p.returncode, p.stdout

    expect("gammu identify", gammu("m2", "identify"), 0, "Manufacturer", "IMEI")
    expect("gammu sendsms", gammu("m1", "sendsms", "TEXT", "+34600000002", "-text", "hello from a stranger"), 0,
           "OK, message reference=")
    check("the carrier took it", emulator.order(do="stats")["stats"]["submitted"] == 1, emulator.order(do="stats"))
    emulator.end()
else:
    print("skip gammu is not installed")

# the worker, told to go
t = time.monotonic()
worker.stdin.write('{"do":"send","id":"a","to":"+34600000002","text":"x"}\n{"do":"quit"}\n')
worker.stdin.close()
try:
    worker.wait(timeout=60)
except subprocess.TimeoutExpired:
    worker.kill()
said = worker.stdout.read()
check("a worker on a silent modem: failed, never sent", '"ev":"failed"' in said and '"ev":"sent"' not in said, said)
check("a worker on a silent modem ends", worker.returncode in (0, 3) and time.monotonic() - t < 55,
      (worker.returncode, time.monotonic() - t, said))

text = dead.communicate(timeout=90)[0]
expect("modems that never answer", (dead.returncode, text), 3, "0 of 2 modems were ready", f"m1 ({deaf}) is INIT",
       f"m2 ({work}/ttyNONE) is ABSENT: no device")
check("modems that never answer: within its limit", time.monotonic() - t_dead < 80, time.monotonic() - t_dead)
check("nothing is left behind", not gone(), gone())
done()
