#!/usr/bin/env python3
"""Each verdict in every report; disks that are full; a device's ends against a real
server. No loopback rig here: quick."""
import json
import os
import re
import resource
import signal
import subprocess
import time
import xml.etree.ElementTree

from rig import QUICRIG, check, done, expect, gone, run, scenario, work

UUID = "ee9f2110-5843-11e9-a9ba-139bd26c8b4b"
IDENTITY = ["--uuid", UUID, "--type", "thermometer", "--serial", "0000000001", "--imsi", "214010000000001"]

# ---- one of each ----
mixed = scenario("mixed.yaml", """version: 1
suite: mixed
scenarios:
  - name: passes
    devices: {count: 2}
    expect: {final: {all: PROVISIONED}}
  - name: fails
    devices: {count: 1}
    expect:
      path: [NOT_PROVISIONED, REGISTERING, IDLE]
  - name: known
    devices: {count: 1}
    xfail: {reason: "ticket 12", until: 2099-01-31}
    expect: {final: IDLE}
  - name: cured
    devices: {count: 1}
    xfail: {reason: "ticket 13", until: 2099-01-31}
    expect: {final: PROVISIONED}
  - name: skipped
    devices: {count: 1}
    skip: needs a SIM with a PIN
    expect: {final: PROVISIONED}
""")
# ---- what might still have come ----
early = scenario("early.yaml", """version: 1
suite: early
defaults: {settings: {publish_interval: 1s, access_ttl: 2s}}
scenarios:
  - name: counts
    devices: {count: 1}
    expect: {requests: {publishMeasure: ">= 5"}}
  - name: paths
    devices: {count: 1}
    expect: {path: [..., REFRESHING, PROVISIONED]}
  - name: too-many
    devices: {count: 1}
    expect: {requests: {publishMeasure: 0}}
  - name: nothing-comes-of-idle
    devices: {count: 1, known: false}
    expect: {path: [..., AWAITING_CODE, ...]}
""")
_, text = run("run", "--out", "out-early", early)
told = [s["id"] for s in json.loads((work / "out-early" / "latest" / "report.json").read_text())["scenarios"]
        if any("when every device had settled" in n for n in s["notes"])]
check("who asks for more than was waited for is told", told == ["early/counts", "early/paths"], text)
check("on the console, too", text.count("a step as {sleep: 10s} makes it last") == 2, text)

# ---- a state that nobody settles in ----
moving = """  - name: NAME
    timeout: 5s
    devices: {count: 2}
    settings: {code_wait: 60s}
    faults: [{on: sms.submitted, who: "A[2]", do: lose}]
    expect: EXPECT
"""
stays = scenario("stays.yaml", "version: 1\nsuite: stays\nscenarios:\n" + "".join(
    moving.replace("NAME", name).replace("EXPECT", want) for name, want in (
        ("as-wanted", '{final: {"A[1]": PROVISIONED, "A[2]": AWAITING_CODE}}'),
        ("elsewhere", '{final: {"A[1]": PROVISIONED, "A[2]": LOGGING_IN}}'),
        ("another-one", '{final: {"A[1]": PROVISIONED}}'))))
expect("who is wanted in AWAITING_CODE need not settle", run("run", "--out", "out-stays", stays), 1, "PASS  stays/as-wanted",
       "FAIL  stays/elsewhere", "FAIL  stays/another-one", "every device settled in time")

got = run("run", "--out", "out", mixed)
expect("one of each", got, 1, "PASS  mixed/passes", "FAIL  mixed/fails", "mixed.yaml:10:13", "XFAIL mixed/known", "ticket 12",
       "XPASS mixed/cured", "ticket 13", "out/latest/mixed/fails", "1 skipped")
latest = work / "out" / "latest"
check("latest is a relative link", latest.is_symlink() and "/" not in os.readlink(latest), os.readlink(latest))
report = json.loads((latest / "report.json").read_text())
verdicts = {s["id"].split("/")[1]: s["verdict"] for s in report["scenarios"]}
check("report.json has each verdict", verdicts == {"passes": "PASS", "fails": "FAIL", "known": "XFAIL", "cured": "XPASS",
                                                  "skipped": "SKIP"}, verdicts)
suite = xml.etree.ElementTree.parse(latest / "junit.xml").getroot().find("testsuite")
check("junit.xml counts the same", (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "2", "2"),
      suite.attrib)
check("only what failed has a folder", sorted(p.name for p in (latest / "mixed").iterdir()) == ["cured", "fails"])
before = os.readlink(latest)
run("run", "--out", "out", mixed)
check("the next run has its own folder", os.readlink(latest) != before and (work / "out" / before / "report.json").exists())
expect("a scenario for another rig only is not green",
       run("run", "--out", "out", scenario("skip.yaml", mixed.read_text().split("  - name: passes")[0] + """\
  - name: elsewhere
    rigs: [loopback]
    devices: {count: 1}
    expect: {final: PROVISIONED}
""")), 4, "1 skipped")
expect("coverage below the gate", run("run", "--out", "out", "--require-coverage", "99%", "--filter", "passes", mixed),
       1, "coverage", "99.0%")

# ---- full disks ----
def limit(size):
    def set_it():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return set_it


# the older report must not pass for the one that could not be written
got = run("run", "--out", "out", mixed, preexec_fn=limit(4000))
expect("a full disk", got, 3, "not whole", "File too large", "FAIL  mixed/fails")
check("latest is not an older run's report", not (latest / "report.json").exists())
check("no half of a report", not [p for p in latest.iterdir() if "report" in p.name and p.stat().st_size])
tiny = work / "tiny"
tiny.mkdir()
if os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "none", str(tiny)],
                                        stderr=subprocess.DEVNULL).returncode == 0:
    try:
        expect("a disk without space", run("run", "--out", tiny, mixed), 3, "not whole", str(tiny), "No space left")
    finally:
        subprocess.run(["umount", "-l", str(tiny)], check=True)
else:
    print("skip a disk without space: no mount allowed here")

# ---- a server and its devices ----
for keys in ("keys", "foreign"):
    subprocess.run([QUICRIG, "pki", str(work / keys)], check=True, stdout=subprocess.DEVNULL)
(work / "devices.json").write_text(json.dumps({"version": 1, "devices": [{
    "uuid": UUID, "deviceType": "thermometer", "serialId": "0000000001", "networkType": "Mobile",
    "networkId": "214010000000001", "msisdn": "+34690000001", "methods": ["SMS"]}]}))


def serve(name, **more):
    journal = open(work / f"{name}.jsonl", "w")
    p = subprocess.Popen([QUICRIG, "serve", "--listen", "127.0.0.1:0", "--registry", "devices.json", "--db", f"{name}.db",
                          "--pki", "keys", "--lab", "--sms", f"file:{name}.txt", "--set", "sms_interval=1s",
                          "--journal-fd", str(journal.fileno())], cwd=work, pass_fds=[journal.fileno()],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    journal.close()
    for _ in range(200):
        ready = re.search(r'"kind":"ready".*"port":(\d+)', (work / f"{name}.jsonl").read_text())
        if ready or p.poll() is not None:
            break
        time.sleep(0.05)
    return p, f"127.0.0.1:{ready.group(1)}" if ready else None


def device(address, *args, **more):
    return run("device", "--server", address, *IDENTITY, "--timeout", "10s", *args, **more)


def code(name):
    for _ in range(200):
        path = work / f"{name}.txt"
        found = re.findall(r"#(\w{12})", path.read_text()) if path.exists() else []
        if found:
            return found[-1]
        time.sleep(0.05)
    return None


server, address = serve("good")
check("serve is ready", address is not None)
KEYS = ["--pki", "keys"]
expect("the server's CA is another's",
       device(address, *KEYS, "--ca", "foreign/server-ca.pem", "--timeout", "2s", "--until", "PROVISIONED"), 1, "handshake.failed")
expect("a certificate of a foreign fleet",
       device(address, *KEYS, "--cert", "foreign/fleet.pem", "--key", "foreign/fleet-key.pem", "--timeout", "2s", "--until",
              "PROVISIONED"), 1, "still")
expect("certificate and key of two sets",
       device(address, *KEYS, "--key", "foreign/fleet-key.pem", "--until", "PROVISIONED"), 2, "error:")
expect("a name that the certificate does not bear",
       device(address, *KEYS, "--server-name", "other.example", "--timeout", "2s", "--until", "PROVISIONED"), 1,
       "handshake.failed", "certificate for 'other.example'", "--server-name")
got = device(address, *KEYS, "--until", "PROVISIONED", "--timeout", "2s", stdin=subprocess.DEVNULL)
check("whoever is to type the code is asked, once", got[0] == 1 and got[1].count("waits for the code on standard input: the 12 "
                                                                              "characters behind the SMS's '#'") == 1, got)
time.sleep(1.5)  # sms_interval
expect("a wrong code", device(address, *KEYS, "--code-from", "fixed:AAAAAAAAAAAA", "--until", "PROVISIONED"), 1, "IDLE", "401")
p = subprocess.Popen([QUICRIG, "device", "--server", address, *KEYS, *IDENTITY, "--timeout", "20s", "--until", "PROVISIONED",
                      "--code-from", f"unix:{work}/code"], cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
time.sleep(1.5)  # sms_interval: the code of this registration is a new one
word = code("good")
told = subprocess.run(["python3", "-c", "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
                       "s.sendall((sys.argv[2]+'\\n').encode()); s.close()", f"{work}/code", str(word)], timeout=10)
out = p.communicate(timeout=30)[0]
check("a code over a Unix socket", told.returncode == 0 and p.returncode == 0 and "-> PROVISIONED" in out, out)
server.send_signal(signal.SIGTERM)
server.wait(timeout=10)
check("no word in anger", "Sanitizer" not in server.stdout.read())

# the database grows into its limit: nobody is told of a success that was not kept, and after
# ten seconds of it the server gives up
server, address = serve("full", preexec_fn=limit(95_000))
check("serve starts with little space", address is not None)
got = device(address, *KEYS, "--code-from", "none", "--until", "PROVISIONED", "--timeout", "13s", "--set", "backoff_max=1s")
check("a full disk under the database: 503", got[0] == 1 and "is answered 503" in got[1] and "-> AWAITING" not in got[1], got)
words = server.communicate(timeout=15)[0]
check("a full disk under the database: a clean end that names it", server.returncode == 3 and "full.db" in words,
      (server.returncode, words))
check("nothing is left behind", not gone(), gone())
check("no private folder is left", not any((work / "tmp").iterdir()), list((work / "tmp").iterdir()))
done()
