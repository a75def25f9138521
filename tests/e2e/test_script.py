#!/usr/bin/env python3
"""quicrig serve --script: a device alone against a server that answers as a file says."""
import json
import os
import subprocess
import threading
import time

from rig import QUICRIG, check, done, expect, run, scenario, work

UUID = "ee9f2110-5843-11e9-a9ba-139bd26c8b4b"
(work / "devices.json").write_text(json.dumps({"version": 1, "devices": [
    {"uuid": UUID, "deviceType": "thermometer", "serialId": "0000000001", "networkType": "Mobile",
     "networkId": "214070000000001", "msisdn": "+34600000001", "methods": ["SMS"]}]}))
run("pki", "keys")
SERVE = ["serve", "--listen", "127.0.0.1:0", "--registry", "devices.json", "--pki", "keys", "--sms", "file:sms.txt",
         "--set", "sms_interval=100ms"]

good = scenario("good.yaml", f"""version: 1
answers:
  - {{to: registerDevice, code: 403, signature: none}}
  - {{to: login, uuid: {UUID}, tokens: other_device}}
  - {{to: publishMeasure, uuid: {UUID.replace("ee", "ff")}, code: 700}}
  - {{to: publishMeasure, code: 700}}
  - {{to: registerDevice, nth: 3, code: 412}}
""")

# ---- what is refused ----
expect("no script without --lab", run(*SERVE, "--db", "a.db", "--script", good), 2, "needs --lab")
expect("no such script", run(*SERVE, "--db", "a.db", "--lab", "--script", "nowhere.yaml"), 2, "nowhere.yaml")
bad = scenario("bad.yaml", """version: 1
answers:
  - {to: login, who: A, code: 404}
  - {to: login, uuid: nobody, code: 404}
  - {to: login}
  - {to: publishMeasure, nth: 2, each: true, code: 404}
""")
expect("all that is wrong with a script at once", run(*SERVE, "--db", "a.db", "--lab", "--script", bad), 2,
       "bad.yaml:3:17: error: unknown key 'who'", "bad.yaml:4:23: error: 'nobody' is no uuid",
       "bad.yaml:5:5: error: what is different", "bad.yaml:6:31: error: 'nth' and 'each'")
for name, text, what in (("empty.yaml", "version: 1\nanswers: []\n", "no answer in it"),
                         ("none.yaml", "version: 1\n", "'answers' is missing"),
                         ("word.yaml", "version: 1\nanswers: 404\n", "'answers' wants a list"),
                         ("old.yaml", "version: 2\nanswers: [{code: 404}]\n", "'version'")):
    expect(f"a script that is {what}", run(*SERVE, "--db", "a.db", "--lab", "--script", scenario(name, text)), 2, name, what)

# ---- a device's life under it ----
journal = work / "journal.jsonl"
with journal.open("w") as out:
    server = subprocess.Popen([QUICRIG, *SERVE, "--db", "b.db", "--lab", "--script", str(good), "--journal-fd", "1"],
                              cwd=work, stdout=out, stderr=subprocess.DEVNULL)


def lines():
    return [json.loads(line) for line in journal.read_text().splitlines()]


for _ in range(100):
    if journal.read_text():
        break
    time.sleep(0.05)
device = subprocess.Popen([QUICRIG, "device", "--server", f"127.0.0.1:{lines()[0]['port']}", "--pki", "keys", "--until", "IDLE",
                           "--timeout", "40s", "--code-from", "stdin"], cwd=work, text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
ended = threading.Event()


def postman():
    """Hands each SMS to the device, as a gateway's receiver would."""
    seen = 0
    while not ended.is_set():
        texts = (work / "sms.txt").read_text().splitlines() if (work / "sms.txt").exists() else []
        for line in texts[seen:]:
            try:
                device.stdin.write(json.loads(line)["text"].splitlines()[-1] + "\n")
                device.stdin.flush()
            except (OSError, ValueError):
                return
        seen = len(texts)
        ended.wait(0.05)


hand = threading.Thread(target=postman)
hand.start()
# `communicate` would close stdin: the postman needs it
text = device.stdout.read()
device.wait(timeout=60)
ended.set()
hand.join()
server.terminate()
server.wait(timeout=20)
check("the unsigned refusal is not believed", "RG.unknown, 403" in text, text)
check("nor are another device's tokens", "is answered 200: token_owner" in text, text)
check("700 wipes", "PV.700" in text, text)
check("the fourth register is refused for good", "RG.412" in text and device.returncode == 0, f"{device.returncode} {text}")
fired = [e["name"] for e in lines() if e["kind"] == "fault.fired"]
check("the journal tells which answers were given", fired == ["answer-1", "answer-2", "answer-4", "answer-5"], fired)
asked = [e["resource"] for e in lines() if e["kind"] == "server.decision"]
check("and what the device asked", asked == ["registerDevice", "registerDevice", "login", "registerDevice", "login",
                                             "publishMeasure", "registerDevice"], asked)
done()
