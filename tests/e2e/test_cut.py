#!/usr/bin/env python3
"""A loopback run that is cut short, by a person, a limit, a crash: what was seen until
then is reported, nothing passes for green, and no process or private file stays."""
import json
import os
import signal
import subprocess
import threading
import time

from rig import QUICRIG, check, children, done, expect, gone, scenario, work

LONG = scenario("long.yaml", """version: 1
suite: cut
scenarios:
  - name: quick
    devices: {count: 1}
    expect: {final: PROVISIONED}
  - name: long
    timeout: 100s
    devices: {count: 2}
    steps:
      - {wait: PROVISIONED, within: 20s}
      - {sleep: 60s}
    expect: {final: {all: PROVISIONED}}
  - name: never
    devices: {count: 1}
    expect: {final: PROVISIONED}
""")


class Run:
    """`quicrig run` in a session of its own, as a terminal has it."""
    def __init__(self, *args, rig="loopback", path=LONG):
        self.p = subprocess.Popen([QUICRIG, "run", "--rig", rig, "-j", "1", "--out", "out", *args, str(path)], cwd=work,
                                  text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self.text = ""
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.p.stdout:
            self.text += line

    def until(self, what, seconds=40):
        end = time.monotonic() + seconds
        while what not in self.text and self.p.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        return what in self.text

    def end(self, seconds=20):
        t = time.monotonic()
        try:
            self.p.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.p.pid, signal.SIGKILL)
            self.text += "\nthe test killed it\n"
        self.reader.join()
        return time.monotonic() - t


def verdicts():
    report = json.loads((work / "out" / "latest" / "report.json").read_text())
    return {s["id"]: (s["verdict"], s["reason"]) for s in report["scenarios"]}, report["run"]["interrupted"]


def nothing_left(name, private=True):
    left = gone()
    check(f"{name}: no process is left", not left, left)
    files = list((work / "tmp").iterdir())
    check(f"{name}: no private file is left", not private or not files, files)
    check(f"{name}: no sanitizer spoke", "Sanitizer" not in r.text, r.text)


# Ctrl-C at a terminal: the whole foreground group gets it
r = Run()
check("the first scenario passes", r.until("PASS  cut/quick"), r.text)
time.sleep(2.5)
r.p.send_signal(signal.SIGUSR1)
check("SIGUSR1 says where it stands", r.until("cut/long: ") and "1 running" in r.text, r.text)
os.killpg(r.p.pid, signal.SIGINT)
took = r.end()
expect("Ctrl-C", (r.p.returncode, r.text), 130, "once more to stop at once", "interrupted at +", "· interrupted")
check("Ctrl-C: reported within 5 s", took < 5, took)
seen, interrupted = verdicts()
check("Ctrl-C: the report tells all three", interrupted and seen["cut/quick"][0] == "PASS" and
      seen["cut/long"][0] == "INCONCLUSIVE" and "interrupted" in seen["cut/long"][1] and
      seen["cut/never"] == ("SKIP", "not begun: interrupted"), seen)
journal = (work / "out" / "latest" / "cut" / "long" / "journal.jsonl").read_text()
check("Ctrl-C: the journal until then is kept", '"to":"PROVISIONED"' in journal or '"to":"PV"' in journal, journal[-500:])
nothing_left("Ctrl-C")

# before the modems are up
r = Run()
time.sleep(1.5)
r.p.send_signal(signal.SIGTERM)
took = r.end()
expect("SIGTERM while it comes up", (r.p.returncode, r.text), 143, "0 run: 3 skipped")
check("SIGTERM: within 5 s", took < 5, took)
nothing_left("SIGTERM")

# a limit of real time is no success
r = Run("--wall", "9s")
r.end(40)
expect("--wall", (r.p.returncode, r.text), 5, "wall-clock limit", "INC?  cut/long", "1 skipped")
check("--wall: no green report", verdicts()[0]["cut/long"][0] == "INCONCLUSIVE", verdicts())
nothing_left("--wall")

# the modems' process dies
r = Run()
r.until("PASS  cut/quick")
time.sleep(0.5)
for pid, args in children().items():
    if "modems emulate" in args:
        os.kill(pid, signal.SIGKILL)
took = r.end()
expect("the emulator dies", (r.p.returncode, r.text), 5, "the modem emulator ended (signal 9)", "blame: harness",
       "INC?  cut/never")
check("the emulator dies: it does not wait", took < 8, took)
nothing_left("the emulator dies")

# the server hangs when it is told to end: everything else was well, and that is no success
r = Run(path=scenario("hung.yaml", """version: 1
suite: hung
scenarios:
  - name: server
    devices: {count: 1}
    timeout: 30s
    steps: [{wait: PROVISIONED, within: 20s}, {sleep: 5s}]
    expect: {final: PROVISIONED}
"""))
end = time.monotonic() + 40
serves = []
while not serves and time.monotonic() < end:
    time.sleep(0.1)
    serves = [pid for pid, args in children().items() if "quicrig serve" in args]
time.sleep(4)
os.kill(serves[0], signal.SIGSTOP)
r.end(40)
expect("a server that hangs at its end", (r.p.returncode, r.text), 1, "FAIL  hung/server", "not at SIGTERM", "blame: server")
nothing_left("a server that hangs")

# a second Ctrl-C that comes before the first one's end: what ran is in the report all the same
r = Run(rig="virtual", path=scenario("weeks.yaml", """version: 1
suite: weeks
scenarios:
  - name: long
    rigs: [virtual]
    devices: {count: 20}
    timeout: 2000000s
    settings: {publish_interval: 1s}
    steps: [{wait: PROVISIONED, within: 100s}, {sleep: 1000000s}]
    expect: {final: PROVISIONED}
"""))
time.sleep(1.5)
for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
    r.p.send_signal(number)
r.end()
expect("Ctrl-C twice", (r.p.returncode, r.text), 130, "interrupted", "INC?  weeks/long")
check("Ctrl-C twice: the report tells", verdicts()[0]["weeks/long"][0] == "INCONCLUSIVE", verdicts())
nothing_left("Ctrl-C twice")

# the runner dies
r = Run()
r.until("PASS  cut/quick")
time.sleep(0.5)
check("children while it runs", len(children()) > 3, children())
r.p.kill()
r.end()
nothing_left("kill -9", private=False)
done()
