#!/usr/bin/env python3
"""The emulator as a process: terminals, control socket, journal, and strangers that speak
to it unchanged (gammu, gammu-smsd). `test_emulator.py PROGRAM [part]`; part is `plain`
(no other program needed), `gammu` or `smsd`. Exits 77 where their program is missing."""
import fcntl
import hashlib
import hmac
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import termios
import time

program = sys.argv[1]
part = sys.argv[2] if len(sys.argv) > 2 else "plain"
KEY = bytes(range(32))
CODE_TEXT = ("Code AB12cd34EF56 for ee9f2110. Valid 5 min.\n"
             "@ee9f2110-5843-11e9-a9ba-139bd26c8b4b.quicrig #AB12cd34EF56 r=a1b2c3d4")
# "hello" to +34600000002
SUBMIT = b"0001000B914306000000F2000005E8329BFD06"
MODEMS = {"version": 1, "seed": 7, "carrier": "immediate", "modems": [
    {"name": "s1", "number": "+34600000001", "pin": None},
    {"name": "r1", "number": "+34600000002", "imei": "001017000000099", "storage": 3}]}


def fingerprint(text):
    return hmac.new(KEY, text.encode(), hashlib.sha256).digest()[:8].hex()


class Emulator:
    def __init__(self, folder):
        self.folder = folder
        self.control_path = f"{folder}/control"
        with open(f"{folder}/modems.json", "w", encoding="utf-8") as f:
            json.dump(MODEMS, f)
        journal_read, journal_write = os.pipe()
        key_read, key_write = os.pipe()
        os.write(key_write, KEY)
        os.close(key_write)
        self.process = subprocess.Popen(
            [program, "--modems", f"{folder}/modems.json", "--control", f"unix:{self.control_path}", "--journal-fd",
             str(journal_write), "--run-key-fd", str(key_read), "--link-dir", f"{folder}/tty"],
            stdout=subprocess.PIPE, pass_fds=(journal_write, key_read))
        os.close(journal_write)
        os.close(key_read)
        self.journal_fd = journal_read
        self.ready = json.loads(self.process.stdout.readline())["ready"]
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(self.control_path)
        self.lines = self.socket.makefile("r", encoding="utf-8")

    def order(self, **message):
        self.socket.sendall((json.dumps(message) + "\n").encode())
        return json.loads(self.lines.readline())

    def end(self):
        """Quits it and returns its journal."""
        assert self.order(do="quit")["ok"]
        with os.fdopen(self.journal_fd, encoding="utf-8") as f:
            events = [json.loads(line) for line in f]
        assert self.process.wait(5) == 0, self.process.returncode
        assert not os.path.exists(self.control_path)
        return events


class Terminal:
    """What any program does with a serial port."""
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        settings = termios.tcgetattr(self.fd)
        settings[0] = settings[1] = settings[3] = 0
        termios.tcsetattr(self.fd, termios.TCSANOW, settings)

    def say(self, text, until=b"OK\r\n", wait=3.0):
        os.write(self.fd, text if isinstance(text, bytes) else text.encode())
        return self.hear(until, wait)

    def hear(self, until, wait=3.0):
        got, end = b"", time.monotonic() + wait
        while until not in got and time.monotonic() < end:
            if select.select([self.fd], [], [], 0.05)[0]:
                got += os.read(self.fd, 4096)
        return got

    def close(self):
        os.close(self.fd)


def send(terminal):
    assert terminal.say("AT+CMGS=18\r", b"> ").endswith(b"\r\n> ")
    return terminal.say(SUBMIT + b"\x1a", b"\r\nOK\r\n", 1.0)


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def plain(folder):
    emulator = Emulator(folder)
    expect(list(emulator.ready) == ["s1", "r1"], emulator.ready)
    expect(os.path.realpath(f"{folder}/tty/s1") == emulator.ready["s1"], "link")
    sender, receiver = Terminal(f"{folder}/tty/s1"), Terminal(f"{folder}/tty/r1")
    expect(sender.say("ATE0\r") == b"ATE0\r\r\nOK\r\n", "echo")
    expect(b"001017000000099" in receiver.say("AT+CGSN\n"), "IMEI")
    receiver.say("ATE0+CNMI=2,1\r")

    # a message, and one that is lost
    expect(b"+CMGS: 0" in send(sender), "send")
    expect(b'+CMTI: "SM",1' in receiver.hear(b"\n+CMTI: \"SM\",1\r\n"), "note")
    expect(emulator.order(do="fault", fault={"name": "f0", "on": "sms.submitted", "do": "lose"})["ok"], "fault")
    expect(b"+CMGS: 1" in send(sender), "send")
    expect(receiver.hear(b"+CMTI", 0.2) == b"", "lost")
    # refused orders
    # a fault says whose SMS it means: thousands of devices
    devices = [f"ee9f2110-5843-11e9-a9ba-{i:012x}" for i in range(4000)]
    expect(emulator.order(do="fault", fault={"name": "many", "on": "sms.submitted", "do": "lose", "dev": devices})["ok"], "many")
    expect(emulator.order(do="disarm", name="many")["ok"], "many")
    for order in ({"do": "fault", "fault": {"name": "x", "on": "sms.submitted", "do": "explode"}},
                  {"do": "fault", "fault": {"name": "x", "on": "token.issued", "do": "lose"}},
                  {"do": "fault"}, {"do": "dance"}, {"do": "unplug", "modem": "s9"}, {"do": "disarm", "name": "zz"},
                  {"do": "sms", "to": "s9", "text": "a"}, {"do": "sms", "to": "r1", "text": "a" * 200},
                  {"do": "mute", "modem": "s1", "for_ns": -1}, {}):
        answer = emulator.order(**order)
        expect(not answer["ok"] and answer["error"], order)
    emulator.socket.sendall(b"{nonsense\n")
    expect(not json.loads(emulator.lines.readline())["ok"], "nonsense")

    # exclusive use does not outlive its client
    sender.close()
    sender = Terminal(f"{folder}/tty/s1")
    fcntl.ioctl(sender.fd, termios.TIOCEXCL)
    sender.say("AT\r")
    answer = bytearray(4)
    fcntl.ioctl(sender.fd, 0x80045440, answer)  # TIOCGEXCL
    expect(answer == bytearray(4), "TIOCEXCL stays")

    # pulled out and put back: hang-up, the path vanishes and comes back, the SIM keeps its messages
    expect(emulator.order(do="unplug", modem="r1")["ok"], "unplug")
    expect(not os.path.lexists(f"{folder}/tty/r1") and not os.path.exists(emulator.ready["r1"]), "path")
    try:
        expect(os.read(receiver.fd, 10) == b"", "hang-up")
    except OSError:
        pass
    receiver.close()
    expect(b"+CMGS: 2" in send(sender), "send to one that is away")
    path = emulator.order(do="plug", modem="r1")["path"]
    expect(os.path.realpath(f"{folder}/tty/r1") == path, "link again")
    receiver = Terminal(path)
    expect(receiver.say("AT+CMGL=4\r").count(b"+CMGL: ") == 2, "store")

    # mute, and a text from outside
    expect(emulator.order(do="mute", modem="s1")["ok"], "mute")
    expect(sender.say("AT\r", wait=0.3) == b"", "mute")
    expect(emulator.order(do="mute", modem="s1", for_ns=0)["ok"], "mute ends")
    expect(b"OK" in sender.say("AT\r"), "speaks again")
    expect(emulator.order(do="sms", to="+34600000002", **{"from": "BANK"}, text="hi")["ok"], "sms")
    time.sleep(0.1)
    expect(b'"BANK"' in receiver.say("AT+CMGF=1;+CMGL=\"ALL\"\r"), "text from outside")
    # full: the fourth waits until there is room
    expect(b"+CMGS: 3" in send(sender), "send to a full SIM")
    expect(emulator.order(do="stats")["stats"]["waiting"] == 1, "held")
    receiver.say("AT+CMGD=2\r")
    expect(emulator.order(do="stats")["stats"]["waiting"] == 0, "room")
    # unplugged by a fault in the middle of a send, back by itself
    emulator.order(do="fault", fault={"name": "f1", "on": "modem.state", "do": "unplug", "args": {"for_ns": 200000000},
                                      "match": {"modem": "s1", "state": "sending"}})
    try:
        sender.say("AT+CMGS=18\r", b"> ", 0.4)
    except OSError:
        pass
    sender.close()
    time.sleep(0.3)
    sender = Terminal(f"{folder}/tty/s1")
    expect(b"OK" in sender.say("AT\r"), "plugged again")

    events = emulator.end()
    sender.close()
    receiver.close()
    kinds = [e["kind"] for e in events]
    expect(kinds.count("sms.submitted") == 4 and kinds.count("sms.lost") == 1, kinds)
    first = next(e for e in events if e["kind"] == "sms.submitted")
    expect(first["actor"] == "carrier" and first["id"] == "" and first["modem"] == "s1", first)
    expect(first["to_fp"] == fingerprint("+34600000002") and first["from_fp"] == fingerprint("+34600000001"), first)
    expect("code_fp" not in first, first)
    fired = [e["name"] for e in events if e["kind"] == "fault.fired"]
    expect(fired == ["f0", "f1"], fired)
    states = [e["state"] for e in events if e["kind"] == "modem.state" and e["modem"] == "r1"]
    # while it was out the network kept one for it
    expect(states[:5] == ["on", "received", "off", "held", "on"], states)
    expect("600000002" not in json.dumps(events), "a number in the journal")


def bad_input(folder):
    def refused(code, *args):
        r = subprocess.run([program, *args], capture_output=True, text=True, check=False, timeout=5)
        expect(r.returncode == code and "error: " in r.stderr and not r.stdout, (args, r))

    with open(f"{folder}/bad.json", "w", encoding="utf-8") as f:
        f.write('{"version": 1,\n "modems": [}')
    refused(2, "--modems", f"{folder}/bad.json")
    refused(2, "--modems", f"{folder}/none.json")
    for modems in ([], [{"name": "a b", "number": "+341"}], [{"name": "a", "number": "x"}], [{"name": "a"}],
                   [{"name": "a", "number": "+34111", "imei": "1"}], [{"name": "a", "number": "+34111", "size": 3}],
                   [{"name": "a", "number": "+34111", "personality": "nokia"}],
                   [{"name": "a", "number": "+34111"}, {"name": "a", "number": "+34112"}],
                   [{"name": "a", "number": "+34111"}, {"name": "b", "number": "34111"}]):
        with open(f"{folder}/bad.json", "w", encoding="utf-8") as f:
            json.dump({"version": 1, "modems": modems}, f)
        refused(2, "--modems", f"{folder}/bad.json")
    refused(2, "--count", "0")
    refused(2, "--count", "9999")
    refused(2, "--wrong")
    refused(2, "--control", "/no/prefix")
    refused(2, "--carrier", "pigeon")
    refused(2, "--journal-fd", "77")
    refused(3, "--control", f"unix:{folder}/no/such/folder")
    refused(3, "--link-dir", f"{folder}/bad.json/x")


def others_files_stay(folder):
    """A socket or a link is made where a file stands: that is an error, not its end."""
    os.mkdir(f"{folder}/links")
    for path, args in ((f"{folder}/notes", ("--control", f"unix:{folder}/notes")),
                       (f"{folder}/links/m1", ("--link-dir", f"{folder}/links"))):
        with open(path, "w", encoding="utf-8") as f:
            f.write("mine")
        r = subprocess.run([program, "--count", "1", *args], capture_output=True, text=True, check=False, timeout=5)
        expect(r.returncode == 3 and "error: " in r.stderr, r)
        with open(path, encoding="utf-8") as f:
            expect(f.read() == "mine", path)


def need(name):
    if not shutil.which(name):
        print(f"SKIP: {name} is not installed (apt-get install {name})")
        sys.exit(77)


def judge_code(events):
    submitted = [e for e in events if e["kind"] == "sms.submitted"]
    expect(len(submitted) == 1 and submitted[0]["code_fp"] == fingerprint("AB12cd34EF56"), submitted)
    expect(submitted[0]["dev"] == "ee9f2110-5843-11e9-a9ba-139bd26c8b4b" and submitted[0]["reg"] == "a1b2c3d4", submitted)


def gammu(folder):
    need("gammu")
    emulator = Emulator(folder)
    for name in ("s1", "r1"):
        with open(f"{folder}/{name}.rc", "w", encoding="utf-8") as f:
            f.write(f"[gammu]\ndevice = {folder}/tty/{name}\nconnection = at115200\n")

    def run(name, *args):
        r = subprocess.run(["gammu", "-c", f"{folder}/{name}.rc", *args], capture_output=True, text=True, check=False,
                           timeout=60)
        expect(r.returncode == 0, (args, r.stdout, r.stderr))
        return r.stdout

    out = run("r1", "identify")
    expect("001017000000099" in out and "quicrig" in out, out)
    out = run("s1", "sendsms", "TEXT", "+34600000002", "-text", CODE_TEXT)
    expect("OK, message reference=0" in out, out)
    out = run("r1", "getallsms")
    expect(CODE_TEXT in out and "+34600000001" in out, out)
    judge_code(emulator.end())


def smsd(folder):
    """The daemon takes what is there, then what comes."""
    need("gammu-smsd")
    emulator = Emulator(folder)
    emulator.order(do="sms", to="r1", text=CODE_TEXT)
    inbox = f"{folder}/inbox/"
    os.mkdir(inbox)
    with open(f"{folder}/smsd.rc", "w", encoding="utf-8") as f:
        f.write(f"[gammu]\ndevice = {folder}/tty/r1\nconnection = at115200\n[smsd]\nservice = files\nlogfile = "
                f"{folder}/smsd.log\ninboxpath = {inbox}\noutboxpath = {inbox}\nsentsmspath = {inbox}\n"
                f"errorsmspath = {inbox}\nloopsleep = 1\ncheckbattery = 0\n")
    daemon = subprocess.Popen(["gammu-smsd", "-c", f"{folder}/smsd.rc"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 30
        while not os.listdir(inbox) and time.monotonic() < end:
            time.sleep(0.1)
        emulator.order(do="sms", to="r1", text="second", **{"from": "+34699"})
        while len(os.listdir(inbox)) < 2 and time.monotonic() < end:
            time.sleep(0.1)
    finally:
        daemon.terminate()
        daemon.wait()
    names = sorted(os.listdir(inbox))
    if len(names) != 2:
        with open(f"{folder}/smsd.log", encoding="utf-8", errors="replace") as f:
            print(f.read()[-4000:])
    texts = [open(inbox + n, encoding="utf-8").read() for n in names]
    expect(CODE_TEXT in texts and "second" in texts, (names, texts))

    expect(emulator.order(do="stats")["stats"]["delivered"] == 2, "delivered")
    emulator.end()


with tempfile.TemporaryDirectory(prefix="quicrig-emu-") as where:
    if part == "plain":
        plain(where)
        bad_input(where)
        others_files_stay(where)
    else:
        {"gammu": gammu, "smsd": smsd}[part](where)
print("ok")
