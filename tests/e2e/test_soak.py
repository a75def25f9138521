#!/usr/bin/env python3
"""The soak as a nightly job sees it: exit codes, the canary, what is new, known, fixed or
regressed, cut short by a signal or the wall; and once on real sockets and modems."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from rig import BIN, QUICRIG, check, done, expect, gone, run, scenario, work

SMALL = ("--devices", "8", "--for", "1m", "--out", work / "out")


def report():
    return json.load(open(work / "out" / "soak-latest" / "soak.json"))


expect("a green soak", run("soak", *SMALL, "--seeds", 6, "--seed", 1), 0, "6 of 6 seeds", "6 passed",
       "canary: planted bug", "out/soak-latest/summary.md")
r = report()
check("its report", r["seeds"]["passed"] == 6 and r["findings"] == [] and r["rig"] == "virtual" and "canary" in r, r)
expect("a canary that is not found is no green", run("soak", *SMALL, "--seeds", 1, "--canary", 1), 1,
       "was not found within 1 seed", "would prove nothing")
expect("without a canary", run("soak", *SMALL, "--seeds", 1, "--canary", 0), 0, "1 passed")

# a library with a failure, one that is known, one that is fixed
LIBRARY = """version: 1
suite: r
scenarios:
  - name: good
    devices: {count: 1}
    expect: {final: PROVISIONED}
"""
BAD = """  - name: bad
    devices: {count: 1, known: false}
    expect: {final: PROVISIONED}
"""
KNOWN = BAD.replace("bad", "known") + "    xfail: {reason: \"#7\", until: 2999-01-01}\n"
FIXED = """  - name: fixed
    devices: {count: 1}
    xfail: {reason: "#8", until: 2999-01-01}
    expect: {final: PROVISIONED}
"""
quick = (*SMALL, "--seeds", 1, "--canary", 0)
expect("regressions that pass", run("soak", *quick, scenario("a.yaml", LIBRARY)), 0, "regressions: 1 of 1 run")
expect("a known failure is no news", run("soak", *quick, scenario("b.yaml", LIBRARY + KNOWN)), 0, "KNOWN", "r/known", "#7",
       "2999-01-01")
expect("one in quarantine fails nothing",
       run("soak", *quick, scenario("q.yaml", LIBRARY + KNOWN.replace("xfail", "quarantine"))), 0, "KNOWN", "known: #7, until 2999")
expect("what is not for this rig is no regression",
       run("soak", *quick, scenario("g.yaml", LIBRARY + BAD + "    rigs: [loopback]\n" +
                                    BAD.replace("bad", "later") + "    skip: not yet\n")), 0, "regressions: 1 of 3 run",
       "not for this rig")
expect("a regression", run("soak", *quick, scenario("c.yaml", LIBRARY + BAD)), 1, "REGRESSED", "r/bad")
expect("a known one that is fixed", run("soak", *quick, scenario("d.yaml", LIBRARY + FIXED)), 1, "FIXED", "r/fixed",
       "take its xfail out")
expect("a known one past its day", run("soak", *quick, scenario("e.yaml", LIBRARY + KNOWN.replace("2999", "2020"))), 1,
       "REGRESSED")

# a product with a defect: what is left of the failure is fit to be committed
buggy = work / "buggy"
buggy.mkdir()
for name in ("quicrig", "quicrig-prove"):
    shutil.copy2(BIN / name, buggy / name)
(buggy / "quicrig-virtual").write_text(f"""#!{sys.executable}
import json, os, sys
plan = json.load(sys.stdin)
plan["plant"] = "refresh-not-rotated"
fd = os.memfd_create("plan", 0)
os.write(fd, json.dumps(plan).encode())
os.lseek(fd, 0, 0)
os.dup2(fd, 0)
os.execv("{buggy}/quicrig-prove", ["quicrig-prove"])
""")
(buggy / "quicrig-virtual").chmod(0o755)


def with_defect(*args):
    p = subprocess.run([buggy / "quicrig", *map(str, args)], cwd=work, text=True, timeout=100, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    return p.returncode, p.stdout


hour = ("--devices", "8", "--for", "20m", "--seeds", 1, "--seed", "0x77", "--canary", 0, "--out", work / "out")
expect("a defect of the product is new", with_defect("soak", *hour), 1, "NEW", "one-family: a refresh did not rotate",
       "shrunk to 1 device")
shrunk = (work / "out" / "soak-latest" / report()["findings"][0]["signature"] / "shrunk.yaml").read_text()
expect("its small scenario fails alike", with_defect("run", scenario("shrunk.yaml", shrunk)), 1, "did not rotate")
expect("and passes where the defect is mended", run("run", "shrunk.yaml"), 0, "1 passed")
line = re.search(r"^# To know it until it is mended: (xfail: .*)$", shrunk, re.M).group(1)
xfail = re.sub(r"(  - name: .*\n)", rf"\1    {line}\n", shrunk).replace("…", "#9").replace("YYYY-MM-DD", "2999-01-01")
expect("committed with an xfail it is known", with_defect("soak", *hour, scenario("known.yaml", xfail)), 0, "KNOWN", "#9",
       "1 of 1 seeds")
expect("and fixed once it is mended", run("soak", *hour, "known.yaml"), 1, "FIXED", "take its xfail out")

# input
for args, text in (
        (("--for", "59s"), "--for is a time of at least 1m"),
        (("--devices", "7"), "--devices is 8…100000, not '7'"),
        (("--seeds", "0"), "--seeds is 1…1000000, not '0'"),
        (("--seed", "x"), "--seed is a number"),
        (("--seed", " -1"), "--seed is a number"),
        (("--seed", "0x"), "--seed is a number"),
        (("--devices", "007"), "--devices is 8…100000, not '007'"),
        (("--canary", "-1"), "--canary is 0…1000"),
        (("--rig", "moon"), "--rig is virtual or loopback, not 'moon'"),
        (("--wall", "5"), "--wall is a time"),
        (("--jobs", "0"), "--jobs is 1…64")):
    expect("refused: " + " ".join(args), run("soak", *args), 2, text)
expect("a scenario that is not there", run("soak", *quick, "nowhere.yaml"), 2, "nowhere.yaml", "nothing was run")
expect("a broken scenario", run("soak", *quick, scenario("f.yaml", "version: 1\nscenarois: []\n")), 2, "scenarois")
(work / "file").write_text("")
expect("an out that is a file", run("soak", "--devices", 8, "--for", "1m", "--seeds", 1, "--canary", 0, "--out", work / "file"),
       3, "file")

# the file of a seed is a scenario like any other
code, text = run("soak", "--print", "0x5eed", "--devices", 20, "--for", "1h")
check("a seed's file is printed", code == 0 and "name: s-0x5eed" in text, text)
expect("and can be checked", run("check", scenario("p.yaml", text)), 0, "1 scenario")

# cut short
expect("over the wall", run("soak", "--devices", 500, "--for", "100d", "--seeds", 2, "--canary", 0, "--wall", "2s", "--out",
                            work / "out"), 5, "cut short: over its wall-clock limit", "0 of 2 seeds")
SLOW = """  - name: slow
    timeout: 30d
    wall: 1h
    settings: {publish_interval: 1s}
    devices: {count: 10}
    steps: [{sleep: 20d}]
    expect: {final: PROVISIONED}
"""
start = time.monotonic()
expect("over the wall among the regressions",
       run("soak", *SMALL, "--seeds", 2, "--canary", 0, "--wall", "2s", scenario("h.yaml", LIBRARY + SLOW)), 5, "cut short",
       "0 of 2 seeds")
expect("canary and all", run("soak", *SMALL, "--seeds", 2, "--wall", "2s", "h.yaml"), 5, "cut short")
check("and soon", time.monotonic() - start < 30, time.monotonic() - start)
for number, want in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
    p = subprocess.Popen([QUICRIG, "soak", "--devices", "500", "--for", "100d", "--seeds", "2", "--canary", "0", "--out",
                          work / "out"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    time.sleep(1.5)
    os.kill(p.pid, number)
    text = p.communicate(timeout=20)[0]
    check(f"signal {number}: reported, {want}", p.returncode == want and "cut short: interrupted" in text,
          f"{p.returncode}\n{text}")
check("nothing is left behind", not gone(), gone(0))

# the same kind of seed by real clocks, sockets, processes and modems
expect("live", run("soak", "--rig", "loopback", "--for", "1m", "--seed", 5, "--canary", 0, "--out", work / "live", timeout=170),
       0, "1 of 1 seeds", "1 passed", "SMS submitted through libgammu")
check("the live report", json.load(open(work / "live" / "soak-latest" / "soak.json"))["rig"] == "loopback")
done()
