#!/usr/bin/env python3
"""What was recorded, once more: from its seed, told, tampered with."""
import json
import os
import shutil
import signal
import subprocess
import threading
import time

from rig import QUICRIG, check, children, done, expect, run, scenario, work

OUT = work / "out" / "latest"
LOST = scenario("lost.yaml", """version: 1
suite: replay
scenarios:
  - name: lost
    settings: {code_wait: 3s}
    timeout: 8s
    devices: {count: 2}
    faults:
      - {on: sms.submitted, do: lose, each: true, who: "A[2]"}
    expect:
      final: PROVISIONED
  - name: good
    devices: {count: 1}
    expect: {final: PROVISIONED}
""")


def copy_of(name, folder=None):
    """A recording that may be changed."""
    to = work / "copies" / name
    shutil.copytree(folder or OUT / "replay" / "lost", to)
    return to


def lines(folder):
    return [json.loads(text) for text in (folder / "journal.jsonl").read_text().splitlines()]


def write_lines(folder, events):
    (folder / "journal.jsonl").write_text("".join(json.dumps(ev, separators=(",", ":")) + "\n" for ev in events))


# ---- again, from the seed ----
got = run("run", "--out", "out", LOST)
expect("a failure names its replay", got, 1, "   replay: quicrig replay out/latest/replay/lost\n")
check("what passed has no folder", not (OUT / "replay" / "good").exists())
facts = json.loads((OUT / "replay" / "lost" / "recorded.json").read_text())
check("the folder says what replay needs", facts["v"] == 1 and facts["rig"] == "virtual" and facts["seed"] == "0x5eed"
      and facts["verdict"] == "FAIL" and facts["build"].startswith("0."), facts)
expect("it fails again, event for event", run("replay", "out/latest/replay/lost"), 0,
       f"replay/lost: alike, {facts['events']} events, SHA-256 {facts['sha256']}, same verdict (FAIL)")

told = run("replay", "out/latest/replay/lost/", "--device", "A[2]")
expect("one device's life", told, 0, "replay/lost: A[2] (", "→ REGISTERING  (NP.backoff)", "asks registerDevice",
       "is lost (fault)", "decides 200 on registerDevice", "AWAITING_CODE → NOT_PROVISIONED  (AC.code_wait, waits ",
       "end: timeout", "alike")
check("of nobody else", "A[1]" not in told[1].split("\n", 1)[1].rsplit("\n", 2)[0], told[1])
uuid = next(ev["dev"] for ev in lines(OUT / "replay" / "lost") if ev["kind"] == "device.added" and ev["label"] == "A[2]")
expect("by its uuid", run("replay", "out/latest/replay/lost", "--device", uuid), 0, "replay/lost: A[2] (")

# one event changed, all that comes before it the same
changed = copy_of("tampered")
events = lines(changed)
at = next(i for i, ev in enumerate(events) if ev["kind"] == "device.state" and ev["row"] == "AC.code_wait")
events[at]["to"] = "IDLE"
write_lines(changed, events)
expect("a changed event is found", run("replay", changed), 1, f"different from event {at + 1} on",
       "recorded  +", "from=AWAITING_CODE to=IDLE", "from=AWAITING_CODE to=NOT_PROVISIONED", "they differ in: to\n",
       "verdict: FAIL, now FAIL", "build: the same (", "journal.jsonl was changed since it was written")
check("in its context", run("replay", changed)[1].count("  both ") == 4)

cut = copy_of("short")
write_lines(cut, lines(cut)[:20])
expect("a journal that ends early", run("replay", cut), 1, "recorded  ends: 20 events in all")
facts = json.loads((cut / "recorded.json").read_text())
(cut / "recorded.json").write_text(json.dumps({**facts, "harness": "over its wall-clock limit of 1 s"}))
expect("one that was cut short by the rig", run("replay", cut), 5, "alike as far as it was recorded, 20 events",
       "over its wall-clock limit")

built = copy_of("built")
(built / "recorded.json").write_text(json.dumps({**facts, "build": "0.0.1+feedfeedfeed"}))
write_lines(built, events)
expect("another build is named", run("replay", built), 1, "recorded by 0.0.1+feedfeedfeed, this is 0.")
judged = copy_of("judged")
(judged / "recorded.json").write_text(json.dumps({**facts, "verdict": "PASS"}))
expect("the same, judged otherwise", run("replay", judged), 1, "but judged otherwise", "verdict: PASS, now FAIL")

expect("all are kept", run("run", "--keep-all", "--out", "out", LOST), 1)
expect("so that what passed replays, too", run("replay", OUT / "replay" / "good"), 0, "same verdict (PASS)")

# ---- offline: what was received, to today's device ----
expect("offline: alike", run("replay", OUT / "replay" / "lost", "--offline"), 0,
       "replay/lost: offline: 2 of 2 devices alike, ", "that no journal holds (publish interval")
expect("offline: one device", run("replay", OUT / "replay" / "lost", "--offline", "--device", "A[2]"), 0,
       "offline: 1 of 1 device alike, 7 inputs, 7 transitions, 2 requests")
expect("offline: the recorded row was changed", run("replay", changed, "--offline"), 1,
       "replay/lost: A[2]: different at +3.", "before    +0.", "input     its deadline came", "to=IDLE",
       "now       +3.", "to=NOT_PROVISIONED", "offline: 1 of 2 devices alike")
other = copy_of("another-seed")
(other / "plan.json").write_text((other / "plan.json").read_text().replace("0x5eed", "0x5eee"))
expect("offline: a plan of another run", run("replay", other, "--offline"), 2, "do not belong together")

# ---- lift: a failure of a live rig, on the virtual one ----
LIVE = scenario("live.yaml", """version: 1
suite: live
scenarios:
  - name: lost
    settings: {code_wait: 20s}
    timeout: 5s
    tags: [mine]
    devices: {count: 2}
    faults:
      - {name: bad-luck, on: sms.submitted, who: "A[2]", each: true, chance: 99.9%, do: lose}
    expect:
      final: PROVISIONED
""")
LIVE_OUT = work / "live" / "latest" / "live" / "lost"
got = run("run", "--rig", "loopback", "--out", "live", LIVE)
expect("a loopback failure names its replay", got, 1, "   replay: quicrig replay --lift live/latest/live/lost\n")
expect("it cannot run again from its seed", run("replay", LIVE_OUT), 2, "was recorded on the live rig 'loopback'", "--lift",
       "--offline", "--against HOST:PORT", "--device WHO")
expect("its devices' lives can be told", run("replay", LIVE_OUT, "--device", "A[2]"), 0, "on the loopback rig, FAIL",
       "FAULT live/lost:bad-luck at sms.submitted")
expect("and asked again offline", run("replay", LIVE_OUT, "--offline"), 0, "offline: 2 of 2 devices alike")
expect("lifted, it fails alike", run("replay", LIVE_OUT, "--lift"), 0, "lifted into ", "0 faults of its own",
       "recorded  FAIL  final: expected PROVISIONED at the end, got ", "it fails alike: the same expectation, for the same reason")
text = (LIVE_OUT / "lifted.yaml").read_text()
check("the file is one that people read", "# Lifted from a run on the rig 'loopback'" in text and
      "# A[2]: 'bad-luck' fired by chance at SMS no. 1\n" in text and "tags: [mine, lifted]" in text and
      '      - {on: sms.submitted, who: "A[2]", do: lose}\n' in text, text)
expect("and that passes the check", run("check", LIVE_OUT / "lifted.yaml"), 0, "1 scenario fits")
expect("and runs by itself", run("run", "--out", "again", LIVE_OUT / "lifted.yaml"), 1, "FAIL  live/lost")
expect("-o says where", run("replay", "--lift", "-o", "mine.yaml", LIVE_OUT), 0, "lifted into mine.yaml")
check("there it is", (work / "mine.yaml").read_text() == text)
expect("where nobody may write", run("replay", "--lift", "-o", "/proc/none.yaml", LIVE_OUT), 3, "cannot write /proc/none.yaml")
tame = copy_of("tame", LIVE_OUT)
write_lines(tame, [ev for ev in lines(tame) if ev["kind"] not in ("fault.fired", "sms.lost")])
events = lines(tame)
plan = json.loads((tame / "plan.json").read_text())
(tame / "plan.json").write_text(json.dumps({**plan, "timeout_ns": 60 * 10**9}))
expect("with more time it heals there", run("replay", "--lift", tame), 1, "lifted    PASS", "it does not fail here")
check("what never arrived is lost, whoever lost it", "SMS no. 1 never arrived" in (tame / "lifted.yaml").read_text())
(tame / "plan.json").write_text(json.dumps({**plan, "moon": 3}))
expect("what the language cannot say", run("replay", "--lift", tame), 2, "the language cannot say this plan's 'moon'")
expect("nothing to lift", run("replay", "--lift", OUT / "replay" / "lost"), 2, "recorded on the virtual rig: there is nothing to lift")
expect("one mode at a time", run("replay", "--lift", "--offline", LIVE_OUT), 2, "one of --offline, --lift and --against at a time")

# what nobody asked for: the server dies in the middle of a run
CRASH = scenario("crash.yaml", """version: 1
suite: live
scenarios:
  - name: crash
    timeout: 9s
    settings: {publish_interval: 1s, request_timeout: 1s}
    devices: {count: 2}
    steps: [{wait: PROVISIONED}, {sleep: 4s}]
    expect:
      final: REFRESHING
""")
p = subprocess.Popen([QUICRIG, "run", "--rig", "loopback", "--out", "crash", str(CRASH)], cwd=work, text=True,
                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
server, end = [], time.monotonic() + 20
while not server and time.monotonic() < end:
    time.sleep(0.05)
    server = [pid for pid, args in children().items() if " serve --listen" in args]
time.sleep(2.5)
os.kill(server[0], signal.SIGKILL)
got = (p.wait(timeout=30), p.stdout.read())
expect("a server that dies fails the run", got, 1, "the server is down at the end: signal 9")
DIED = work / "crash" / "latest" / "live" / "crash"
expect("its end is lifted, too", run("replay", "--lift", DIED), 0, "0 faults of its own, 1 added", "it fails alike")
text = (DIED / "lifted.yaml").read_text()
check("as a kill at its time", "# the server went down by itself (signal 9)\n" in text and
      ", who: server, do: kill}\n" in text and "      - {at: " in text, text)
expect("told of a device on modems", run("replay", DIED, "--device", "A[1]"), 0, "SMS with code ", "server.state down signal 9")

# ---- against: the same asked again of a live server, with fresh codes ----
SERVED = scenario("served.yaml", """version: 1
suite: served
scenarios:
  - name: life
    settings: {access_ttl: 5s, publish_interval: 3s}
    devices: {count: 1}
    steps: [{wait: PROVISIONED}, {sleep: 7s}]
    expect: {path: [..., PROVISIONED, REFRESHING, PROVISIONED, ...]}
  - name: wrong-code
    devices: {count: 1}
    faults:
      - {on: sms.submitted, do: replace_code, with: "AAAAAAAAAAAA"}
    expect: {final: IDLE}
  - name: stranger
    devices: {S: {count: 1, known: false}, K: {count: 1, connection: hold}}
    expect: {final: {S: IDLE, K: PROVISIONED}}
  - name: dropped
    settings: {request_timeout: 1s}
    devices: {count: 1}
    faults:
      - {on: server.reply, match: {resource: login}, do: drop_reply}
    expect: {final: PROVISIONED}
""")
DROPPED = scenario("dropped.yaml", """version: 1
suite: served
scenarios:
  - name: all-dropped
    settings: {request_timeout: 1s}
    timeout: 5s
    devices: {count: 1}
    faults:
      - {on: server.reply, each: true, do: drop_reply}
    expect: {final: PROVISIONED}
""")
expect("recorded to be asked again", run("run", "--keep-all", "--out", "served", SERVED), 0)
SCENES = work / "served" / "latest" / "served"
expect("keys", run("pki", "keys", "--host", "localhost"), 0)


class Server:
    """`quicrig serve` and whoever carries its SMS to a replay's standard input."""
    def __init__(self, folder, *more):
        self.folder = folder
        expect(f"{folder.name}: a registry of its devices", run("replay", folder, "--registry", "devices.json"), 0,
               "quicrig serve --registry devices.json")
        for name in ("server.db", "server.db-wal", "server.db-shm", "sms.txt"):
            (work / name).unlink(missing_ok=True)
        self.p = subprocess.Popen([QUICRIG, "serve", "--listen", "127.0.0.1:0", "--registry", "devices.json", "--db",
                                   "server.db", "--pki", "keys", "--lab", "--sms", "file:sms.txt", "--journal-fd", "1",
                                   "--set", "sms_interval=off", "--set", "sms_per_10min=off", "--set", "sms_per_day=off", *more], cwd=work, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
        self.port = next(json.loads(line)["port"] for line in self.p.stdout if '"ready"' in line)
        threading.Thread(target=lambda: [None for _ in self.p.stdout], daemon=True).start()

    def ask(self, *more, codes=True, timeout=40, interrupt=None):
        """Replays against it; the lines of its SMS are typed in as they come."""
        p = subprocess.Popen([QUICRIG, "replay", str(self.folder), "--against", f"localhost:{self.port}", "--pki", "keys",
                              *more], cwd=work, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
        stop = threading.Event()

        def type_in():
            seen = 0
            while not stop.is_set():
                path = work / "sms.txt"
                new = path.read_text().splitlines()[seen:] if codes and path.exists() else []
                for line in new:
                    try:
                        p.stdin.write(json.loads(line)["text"] + "\n")
                        p.stdin.flush()
                    except (ValueError, OSError):
                        break
                    seen += 1
                stop.wait(0.05)
        typist = threading.Thread(target=type_in)
        typist.start()
        if interrupt:
            threading.Timer(interrupt, lambda: p.send_signal(signal.SIGINT)).start()
        try:
            text = p.stdout.read()
            p.wait(timeout=timeout)
        finally:
            stop.set()
            typist.join()
        return p.returncode, text

    def end(self):
        self.p.terminate()
        check("the server ends well", self.p.wait(timeout=10) == 0, self.p.returncode)


# lives are whole seconds: whenever it is issued, the measure 3 s on is in time and the one 6 s on is not
s = Server(SCENES / "life", "--set", "access_ttl=5s")
expect("against: alike, at its pace", s.ask(), 0, "registerDevice  recorded 200, now 200", "refreshToken    recorded 200, now 200",
       "publishMeasure  recorded 401, now 401", "served/life: A[1] against localhost:", "alike, ")
expect("against: ten times as fast no token expires", s.ask("--speed", "10"), 1, "publishMeasure  recorded 401, now 200  DIFFERENT",
       "different, ")
expect("against: no code comes", s.ask("--set", "code_wait=1s", codes=False), 1, "login: no code came", "were not asked")
expect("against: a code that is fixed", s.ask("--code-from", "fixed:AAAABBBBCCCC"), 1, "login           recorded 200, now 401")
expect("against: somebody whom it does not know", s.ask("--uuid", "00000000-0000-4000-8000-000000000001"), 1,
       "registerDevice  recorded 200, now 403  DIFFERENT", "no code will come, the server did not register it")
expect("other keys", run("pki", "foreign", "--host", "localhost"), 0)
expect("against: a key that is not pinned", s.ask("--server-key", "foreign/token-public.pem", "--set", "code_wait=1s"), 1,
       "registerDevice  recorded 200, now 200 (key_not_pinned)  DIFFERENT")
expect("against: tokens of another key", s.ask("--server-key", "foreign/token-public.pem", "--accept-unsigned"), 1,
       "login           recorded 200, now 200 (token_signature)  DIFFERENT", "publishMeasure: no token to ask with")
expect("against: a certificate of somebody else", s.ask("--ca", "foreign/server-ca.pem"), 3, "no server answers at localhost:",
       "handshake")
expect("against: Ctrl-C", s.ask(codes=False, interrupt=1.5), 130)
s.end()
expect("against: nobody is there", s.ask("--set", "handshake_timeout=1s", "--set", "request_timeout=1s"), 3,
       "no server answers at localhost:")
s = Server(SCENES / "wrong-code")
expect("against: a wrong code stays one", s.ask(), 0, "login           recorded 401, now 401", "alike, 2 requests compared")
s.end()
s = Server(SCENES / "stranger")
expect("against: refused as recorded", s.ask(), 0, "registerDevice  recorded 403, now 403", "alike, 1 request compared")
expect("against: a refusal that another key signed", s.ask("--server-key", "foreign/token-public.pem"), 1,
       "registerDevice  recorded 403, now 403 (signature)  DIFFERENT")
expect("against: whoever signed it", s.ask("--server-key", "foreign/token-public.pem", "--accept-unsigned"), 0, "recorded 403, now 403\n")
expect("against: the other device, on one connection", s.ask("--device", "K[1]"), 0, "served/stranger: K[1] against ", "alike, 3 requests")
s.end()
s = Server(SCENES / "dropped")
expect("against: what a fault made is not compared", s.ask("--speed", "3"), 0,
       "login           recorded no answer, now 200  (not compared: the doing of served/dropped:f1)",
       "alike, ", "1 shaped by faults of the recording")
s.end()
expect("every reply was dropped", run("run", "--out", "dropped", DROPPED), 1)
s = Server(work / "dropped" / "latest" / "served" / "all-dropped")
expect("against: nothing to compare is not alike", s.ask("--speed", "5"), 5, "nothing could be compared", "shaped by faults")
s.end()
expect("a registry and a mode", run("replay", SCENES / "life", "--registry", "x.json", "--offline"), 2, "--registry goes alone")
expect("against: where", run("replay", SCENES / "life", "--against", "localhost:notaport", "--pki", "keys"), 2, "--against 'localhost:notaport'")
expect("against: no keys", run("replay", SCENES / "life", "--against", "localhost:1"), 2, "--pki, or --cert, --key and --ca, are needed")
expect("against: a bad source", run("replay", SCENES / "life", "--against", "localhost:1", "--code-from", "moon"), 2,
       "quicrig replay: error: --code-from 'moon'")
expect("against: a bad speed", run("replay", SCENES / "life", "--against", "localhost:1", "--speed", "0"), 2, "--speed is 0.01 to 1000")
expect("a speed of nothing", run("replay", SCENES / "life", "--speed", "2"), 2, "go with --against")
expect("a file of nothing", run("replay", SCENES / "life", "-o", "x.yaml"), 2, "-o goes with --lift")
expect("a registry where nobody may write", run("replay", SCENES / "life", "--registry", "/proc/none.json"), 3, "cannot write /proc/none.json")

# ---- bad input ----
expect("no folder", run("replay", "nowhere"), 2, "nowhere: No such file or directory")
expect("none named", run("replay"), 2, "which folder?")
expect("two", run("replay", "a", "b"), 2, "one folder at a time, not also 'b'")
expect("a file", run("replay", LOST), 2, "lost.yaml is no folder")
bare = copy_of("bare")
for name in ("recorded.json", "journal.jsonl"):
    (bare / name).unlink()
shutil.copy(LOST, bare / "scenario.yaml")
expect("what a soak could not record", run("replay", bare), 2, "was not recorded", f"quicrig run {bare}/scenario.yaml")
expect("a whole run", run("replay", OUT), 2, "holds a whole run: name one of its scenarios", "--keep-all")
expect("a folder of something else", run("replay", work / "tmp"), 2, "no plan.json in it")
expect("no such device", run("replay", OUT / "replay" / "lost", "--device", "B[1]"), 2,
       "no device 'B[1]'; of 2 there are A[1], A[2]")
expect("no such option", run("replay", "--nix", OUT), 2, "'quicrig replay --help' lists the options")

for name, file, text, message in [
        ("torn", "journal.jsonl", lambda s: s[:-20], "journal.jsonl:{n}: torn: the line does not end"),
        ("garbled", "journal.jsonl", lambda s: s.replace("{", "", 1), "journal.jsonl:1: journal: "),
        ("newer event", "journal.jsonl", lambda s: s.replace('{"v":1,', '{"v":2,', 1),
         "journal.jsonl:1: journal: not an event of version 1"),
        ("unknown kind", "journal.jsonl", lambda s: s.replace("device.added", "device.eaten", 1),
         "journal.jsonl:2: journal: unknown kind 'device.eaten'"),
        ("empty journal", "journal.jsonl", lambda s: "", "journal.jsonl: empty: nothing was recorded"),
        ("no journal", "journal.jsonl", None, "journal.jsonl: No such file or directory"),
        ("plan of another version", "plan.json", lambda s: s.replace('"v": 1', '"v": 9'),
         "plan.json: of version 9; this quicrig knows version 1"),
        ("plan that is none", "plan.json", lambda s: s.replace('"id"', '"ide"', 1), "no id or seed: not a resolved plan"),
        ("torn plan", "plan.json", lambda s: s[:100], "plan.json:"),
        ("no record", "recorded.json", None, "recorded.json:"),
        ("record of another version", "recorded.json", lambda s: s.replace('"v": 1', '"v": 2'),
         "recorded.json: of version 2; this quicrig replays version 1"),
        ("record without its rig", "recorded.json", lambda s: s.replace('"rig"', '"rag"'), "recorded.json: no text 'rig'"),
        ("unknown verdict", "recorded.json", lambda s: s.replace('"FAIL"', '"FINE"'), "no verdict is called 'FINE'")]:
    bad = copy_of(name.replace(" ", "-"))
    before = (bad / file).read_text()
    if text:
        (bad / file).write_text(text(before))
    else:
        (bad / file).unlink()
    expect(name, run("replay", bad), 2, message.format(n=before.count("\n")))

done()
