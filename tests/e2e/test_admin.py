#!/usr/bin/env python3
"""quicrig admin against a running server: what an operator sees and does, and every error."""
import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, str(__import__("pathlib").Path(__file__).parent))
from rig import QUICRIG, SRC, check, done, expect, run, work  # noqa: E402

A = "ee9f2110-5843-11e9-a9ba-139bd26c8b4b"
B = "f09bdb70-5843-11e9-a9ba-139bd26c8b4b"
NOBODY = "00000000-0000-0000-0000-000000000000"
registry = work / "devices.json"
socket = work / "control"
sms = work / "sms.txt"


def record(uuid, kind, n):
    return {"uuid": uuid, "deviceType": kind, "serialId": f"{n:010}", "networkType": "Mobile",
            "networkId": f"21407000000000{n}", "msisdn": f"+3460000000{n}", "methods": ["SMS"]}


def write_registry(*devices):
    registry.write_text(json.dumps({"version": 1, "devices": list(devices)}))


def serve():
    read_end, write_end = os.pipe()
    p = subprocess.Popen([QUICRIG, "serve", "--listen", "127.0.0.1:0", "--registry", str(registry), "--db", str(work / "server.db"),
                          "--pki", str(work / "keys"), "--lab", "--sms", f"file:{sms}", "--control", f"unix:{socket}",
                          "--set", "sms_interval=0s", "--journal-fd", str(write_end)], pass_fds=[write_end], stderr=subprocess.PIPE, text=True)
    os.close(write_end)
    journal = os.fdopen(read_end)
    line = journal.readline()
    if not line:
        sys.exit("the server does not start: " + p.stderr.read())
    return p, journal, json.loads(line)["port"]


def admin(*args):
    return run("admin", "--control", f"unix:{socket}", *args)


def answer(*args):
    code, text = admin("--json", *args)
    return json.loads(text) if code == 0 else {}


def device(port, until, *more, seconds=20):
    """A device until a state, its code read from the server's SMS file as the guide says."""
    tail = subprocess.Popen(["tail", "-n", "0", "-F", str(sms)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        return subprocess.run([QUICRIG, "device", "--server", f"127.0.0.1:{port}", "--pki", str(work / "keys"), "--until", until,
                               "--timeout", f"{seconds}s", "--state-dir", str(work / "state"), "--set", "backoff_max=1s", *more],
                              stdin=tail.stdout, text=True, timeout=seconds + 20, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    finally:
        tail.kill()
        tail.wait()


(work / "state").mkdir()
sms.touch(mode=0o600)
write_registry(record(A, "thermometer", 1), record(B, "lightSensor", 2))
expect("keys are made", run("pki", work / "keys"), 0)

# a registry with TOTP secrets that others may read: no start
secret = record(B, "lightSensor", 2) | {"methods": ["TOTP"], "totpSecret": "JBSWY3DPEHPK3PXP"}
write_registry(record(A, "thermometer", 1), secret)
registry.chmod(0o644)
got = run("serve", "--listen", "127.0.0.1:0", "--registry", registry, "--db", work / "no.db", "--pki", work / "keys", "--lab",
          "--sms", f"file:{sms}")
expect("a registry with secrets that others may read is refused", got, 3, "chmod 600")
check("and its secret is not told", "JBSWY3" not in got[1])
registry.chmod(0o600)
write_registry(record(A, "thermometer", 1), record(B, "lightSensor", 2))

server, journal, port = serve()

# devices
expect("devices are listed", admin("devices", "list"), 0, "device", "quarantined", A, B)
check("as JSON, too", [d["uuid"] for d in answer("devices", "list").get("devices", [])] == [A, B])
got = admin("devices", "show", A)
expect("one is shown", got, 0, "thermometer", "SMS")
check("without number and IMSI", "+346" not in got[1] and "21407" not in got[1], got[1])
expect("nobody is not", admin("devices", "show", NOBODY), 1, "no such device")
p = device(port, "PROVISIONED")
check("a device bootstraps", p.returncode == 0, p.stdout)
expect("its tokens are seen", admin("devices", "show", A), 0, "refreshUntil", "20")
expect("its SMS stands in the ledger", admin("ledger"), 0, "handed over", A, "all")
check("by day and device", [(r["uuid"], r["handed"], r["returned"]) for r in answer("ledger", A, "--days", "1").get("ledger", [])] == [(A, 1, 0)])
expect("and nobody else's", admin("ledger", B), 0, "no SMS")

# commands
expect("no command waits", admin("commands", "list"), 0, "no command waits")
expect("a command is queued", admin("commands", "queue", A, "PAUSE", "seconds=60"), 0, "id")
got = answer("commands", "list", A).get("commands", [])
check("and listed", len(got) == 1 and got[0]["command"] == {"name": "PAUSE", "seconds": 60} and got[0]["sentMs"] is None, got)
expect("in a table", admin("commands", "list"), 0, "PAUSE", A)
p = device(port, "PAUSED")
check("the device pauses", p.returncode == 0, p.stdout)
check("and the server knows that it was sent", answer("commands", "list", A)["commands"][0]["sentMs"] is not None)
expect("a command is taken back", admin("commands", "cancel", A, got[0]["id"]), 0, "cancelled", "1")
expect("once", admin("commands", "cancel", A, got[0]["id"]), 1, "no command of this id")
expect("more are queued", admin("commands", "queue", A, "CONFIG", "publishInterval=30"), 0)
expect("and all taken back", admin("commands", "cancel", A), 0, "cancelled")
expect("a command that there is none of", admin("commands", "queue", A, "EXPLODE"), 1, "no command 'EXPLODE'")
expect("one without its argument", admin("commands", "queue", A, "PAUSE"), 1, "seconds")
expect("an argument that is no number", admin("commands", "queue", A, "PAUSE", "seconds=x"), 2, "KEY=NUMBER")
for n in range(8):
    admin("commands", "queue", B, "KEYS")
expect("eight wait at most", admin("commands", "queue", B, "KEYS"), 1, "8 commands wait")

# in and out of service
expect("out of service", admin("devices", "decommission", A), 0, "done")
check("it is seen", answer("devices", "show", A)["disabled"] is True)
p = device(port, "NOT_PROVISIONED", seconds=15)
check("and refused: IDLE", p.returncode == 1 and "IDLE" in p.stdout, p.stdout)
expect("in again", admin("devices", "readmit", A), 0, "done")
check("that is seen, too", answer("devices", "show", A)["disabled"] is False)
expect("disabled", admin("devices", "disable", B), 0, "done")
expect("it stands in the list", admin("devices", "list"), 0, "yes")
expect("enabled", admin("devices", "enable", B), 0, "done")
expect("no quarantine to lift", admin("devices", "lift", B), 0, "wasQuarantined", "no")

# keys
first = answer("keys", "list")["keys"]
check("one key at first", len(first) == 1 and first[0]["newest"] and first[0]["retiresMs"] is None, first)
p = device(port, "PROVISIONED")
check("re-admitted it bootstraps anew", p.returncode == 0 and "LOGGING_IN" in p.stdout, p.stdout)
expect("a fresh one", admin("keys", "rotate"), 0, "kid")
expect("both are listed", admin("keys", "list"), 0, first[0]["kid"], "retires (UTC)", "every device that asked")
expect("the newest is not retired", admin("keys", "retire", [k for k in answer("keys", "list")["keys"] if k["newest"]][0]["kid"]), 1, "rotate first")
expect("nor one that there is none of", admin("keys", "retire", "0123456789abcdef"), 1, "no token key")
admin("commands", "queue", A, "PAUSE", "seconds=1")
p = device(port, "PAUSED")
check("a device goes on, with tokens of the old one", p.returncode == 0, p.stdout)
expect("the old one is retired", admin("keys", "retire", first[0]["kid"]), 0, "done")
device(port, "NOT_PROVISIONED", seconds=3)
expect("whoever knows only that one is named", admin("keys", "list"), 0, "must be reconfigured", A)
check("and gone", len(answer("keys", "list")["keys"]) == 1)
key = work / "mine.pem"
key.write_text((work / "keys" / "token-key.pem").read_text())
key.chmod(0o600)
expect("it does not come back", admin("keys", "rotate", "--key", key), 1, "is or was one of ours")
key.chmod(0o644)
expect("a key file that others may read", admin("keys", "rotate", "--key", key), 2, "chmod 600")
expect("a key file that is none", admin("keys", "rotate", "--key", work / "none.pem"), 2, "cannot be read")
key.chmod(0o600)
key.write_text("no key\n")
expect("a key that is none", admin("keys", "rotate", "--key", key), 1, "private key in PEM")

# clock, stats, registry
expect("the clock is right", admin("clock"), 0, "refusing", "no", "lastIssueMs")
expect("and accepted", admin("clock", "accept"), 0, "done")
expect("counters", admin("stats"), 0, "requests", "logins", "noCommonKey")
write_registry(record(B, "lightSensor", 2))
expect("the registry is read again", admin("reload"), 0, "done")
expect("who is gone is gone", admin("devices", "show", A), 1, "no such device")
registry.write_text("{}")
expect("a bad one is refused", admin("reload"), 1)
expect("and the old one stays", admin("devices", "show", B), 0)

# the guide's own lines, in their order
write_registry(record(A, "thermometer", 1), record(B, "lightSensor", 2))
admin("reload")
lines = [line.split("#")[0].split() for block in re.findall(r"```sh\n(.*?)```", (SRC / "docs" / "operator.md").read_text(), re.S)
         for line in block.splitlines() if line.startswith("quicrig ")]
check("the guide has examples", len(lines) > 12)
for words in lines:
    got = subprocess.run([QUICRIG, *words[1:]], env=os.environ | {"QUICRIG_CONTROL": f"unix:{socket}"}, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check("the guide: " + " ".join(words), got.returncode == 0, got.stdout)

# what was asked for outlives a kill
known = answer("keys", "list")["keys"]
server.kill()
server.wait()
journal.close()
write_registry(record(A, "thermometer", 1), record(B, "lightSensor", 2))
server, journal, port = serve()
check("commands are still there", len(answer("commands", "list").get("commands", [])) == 8)
check("and keys", len(known) == 2 and answer("keys", "list")["keys"] == known, known)

# bad input
for args in (["devices"], ["devices", "explode", A], ["devices", "show", "x"], ["devices", "list", "more"], ["commands", "list", "x"],
             ["commands", "queue", A], ["commands", "queue", "x", "RESET"], ["commands", "cancel"], ["keys"], ["keys", "retire"],
             ["ledger", "x"], ["ledger", A, B], ["ledger", "--days", "0"], ["stats", "--days", "3"], ["stats", "more"],
             ["clock", "reject"], ["stats", "--key", "x"], ["explode"], [], ["--frobnicate"]):
    expect("bad input: admin " + " ".join(args), admin(*args), 2)
expect("no control", run("admin", "stats"), 2, "--control")
expect("a control that is no socket", run("admin", "--control", str(socket), "stats"), 2, "unix:PATH")
expect("nobody there", run("admin", "--control", f"unix:{work}/nobody", "stats"), 3, "no server answers")
expect("a path that is too long", run("admin", "--control", "unix:/" + "x" * 200, "stats"), 2, "too long")
got = subprocess.run([QUICRIG, "admin", "stats"], env=os.environ | {"QUICRIG_CONTROL": f"unix:{socket}"}, text=True,
                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
check("the environment names the server, too", got.returncode == 0 and "requests" in got.stdout, got.stdout)
expect("help", run("admin", "--help"), 0, "--control", "--json", "--key", "--days", "QUICRIG_CONTROL")

server.terminate()
check("the server ends in order", server.wait(10) == 0)
done()
