#!/usr/bin/env python3
"""Bad input gets a clear error that says where and what to do, and the right exit code;
good input leaves whole reports. All on the virtual rig."""
import json
import os
import resource
import shutil
import socket
import subprocess

from rig import BIN, QUICRIG, SRC, check, done, expect, run, scenario, work

GOOD = """version: 1
suite: e2e
scenarios:
  - name: good
    devices: {count: 2}
    expect: {final: PROVISIONED}
"""

# ---- the command line ----
expect("no verb", run(), 2, "usage: quicrig VERB")
expect("unknown verb", run("rnu"), 2, "unknown verb 'rnu'", "did you mean 'run'")
for verb in ("run", "check", "list", "serve", "device", "pki", "modems", "doctor"):
    expect(f"{verb} --help", run(verb, "--help"), 0, "usage")
good = scenario("good.yaml", GOOD)
expect("unknown rig", run("run", "--rig", "vitrual", good), 2, "no rig 'vitrual'")
expect("missing rig file", run("run", "--rig", "./no-such.yaml", good), 2, "no-such.yaml")
expect("bad seed", run("run", "--seed", "banana", good), 2, "banana")
expect("bad jobs", run("run", "-j", "0", good), 2, "1…64")
expect("nothing selected", run("run", "--tag", "no-such-tag", good), 4, "nothing selected")
expect("no such file", run("run", "nowhere.yaml"), 2, "nowhere.yaml")
expect("bad filter", run("run", "--filter", "a and (", good), 2, "--filter")

# ---- scenario files ----
typo = scenario("typo.yaml", GOOD.replace("devices", "devcies"))
expect("unknown key", run("run", typo), 2, "typo.yaml:5:5: error:", "devcies", "devices", "nothing was run")
sleeps = scenario("sleeps.yaml", """version: 1
suite: e2e
scenarios:
  - name: sleeps
    timeout: 5s
    devices: {count: 1}
    steps:
      - {sleep: 4s}
      - {sleep: 3s}
    expect: {final: PROVISIONED}
""")
expect("timeout shorter than its sleeps", run("check", sleeps), 2, "sleeps.yaml:5:", "timeout")
expect("several files, all errors", run("check", typo, sleeps), 2, "typo.yaml:5:5", "sleeps.yaml:5:")

# ---- reports ----
got = run("run", "--out", work / "out", good)
expect("a good run", got, 0, "PASS", "1 passed")
latest = work / "out" / "latest"
report = json.loads((latest / "report.json").read_text())
check("report.json says it passed", report["scenarios"][0]["verdict"] == "PASS", report["scenarios"])
check("junit and summary are there", (latest / "junit.xml").stat().st_size > 100 and
      (latest / "summary.md").stat().st_size > 50)
check("the journal is there", sum(1 for _ in open(latest / "journal.jsonl")) > 50)
try:
    import jsonschema
    schema = json.loads((SRC / "reports" / "report.schema.json").read_text())
    jsonschema.validate(report, schema)
    check("report.json is valid against its schema", True)
except ImportError:
    print("skip jsonschema is not installed")
except Exception as e:  # the validator's own error is the message
    check("report.json is valid against its schema", False, e)
bad = scenario("fails.yaml", GOOD.replace("PROVISIONED", "IDLE").replace("good", "fails"))
got = run("run", "--out", work / "out", bad)
expect("a failing run", got, 1, "FAIL", "fails.yaml:6:", "IDLE")
folder = latest / "e2e" / "fails"
check("its folder holds plan and journal", (folder / "plan.json").exists() and (folder / "journal.jsonl").exists())
text = "".join(p.read_text(errors="replace") for p in latest.rglob("*") if p.is_file())
check("no secret in what was written", "eyJ" not in text and "PRIVATE KEY" not in text)

# ---- one seed, one journal ----
hashes = {run("run", "--hash", "--out", work / "out", good)[1].split("journal ")[1].split()[0] for _ in range(3)}
check("three runs, one hash", len(hashes) == 1, hashes)
other = run("run", "--hash", "--seed", "7", "--out", work / "out", good)[1].split("journal ")[1].split()[0]
check("another seed, another hash", other not in hashes)

# ---- environment ----
(work / "file").write_text("")
expect("--out is a file", run("run", "--out", work / "file" / "x", good), 3, "file")


def small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


expect("a disk that takes no more", run("run", "--out", work / "full", good, preexec_fn=small_files), 3,
       "not whole", "File too large")
lone = work / "lone"
lone.mkdir()
shutil.copy(QUICRIG, lone / "quicrig")
p = subprocess.run([lone / "quicrig", "run", "--out", work / "o2", good], text=True, stdout=subprocess.PIPE,
                   stderr=subprocess.STDOUT, timeout=30)
expect("without quicrig-virtual", (p.returncode, p.stdout), 3, "quicrig-virtual", "make build")
p = subprocess.run([lone / "quicrig", "run", "--rig", "loopback", "--out", work / "o2", good], text=True,
                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
expect("without quicrig-modem", (p.returncode, p.stdout), 3, "quicrig-modem", "make build")
p = subprocess.run([BIN / "quicrig-virtual"], input="{]", text=True, stdout=subprocess.PIPE,
                   stderr=subprocess.STDOUT, timeout=30)
expect("quicrig-virtual without a plan", (p.returncode, p.stdout), 2, "plan: line 1")

# ---- what a killed runner left, keys in it, goes with the next run; nothing else does ----
tmp = work / "tmp"
for name in ("quicrig-run-999999999-dead", f"quicrig-run-{os.getpid()}-alive", "quicrig-runaway"):
    (tmp / name).mkdir(parents=True)
    (tmp / name / "server-key.pem").write_text("secret")
run("run", "--out", work / "out", good, env={**os.environ, "TMPDIR": str(tmp)})
check("keys of a dead runner are swept", sorted(p.name for p in tmp.iterdir()) ==
      sorted([f"quicrig-run-{os.getpid()}-alive", "quicrig-runaway"]), list(tmp.iterdir()))

# ---- keys ----
expect("pki", run("pki", work / "keys", "--host", "localhost", "--host", "127.0.0.1"), 0, "keys")
expect("pki overwrites nothing", run("pki", work / "keys"), 2, "server-ca.pem")
expect("doctor", run("doctor"), 0, "fit to run")

# ---- a device without a server ----
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
expect("device, nobody answers",
       run("device", "--server", f"127.0.0.1:{s.getsockname()[1]}", "--pki", work / "keys", "--code-from", "none",
           "--until", "PROVISIONED", "--timeout", "2s"), 1)
s.close()
expect("device, unknown state", run("device", "--server", "127.0.0.1:1", "--pki", work / "keys", "--until", "PROVED"), 2,
       "PROVED")
done()
