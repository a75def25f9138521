#!/usr/bin/env python3
"""quicrig new: every case passes as it stands, on both built-in rigs; questions are asked at
a terminal only. quicrig config: who says so."""
import os
import pty
import subprocess

from rig import QUICRIG, check, done, expect, run, scenario, work

# ---- new ----
cases = [line.split()[0] for line in run("new", "--list")[1].splitlines()]
check("there are cases", len(cases) >= 10 and "unknown-uuid" in cases, cases)
(work / "mine").mkdir()
for case in cases:
    made = run("new", f"my-{case}", "--from", case, cwd=work / "mine")
    if made[0] or f"my-{case}.yaml is written" not in made[1]:
        check(f"new --from {case}", False, made)
text = (work / "mine" / "my-unknown-uuid.yaml").read_text()
check("a commented file", text.startswith("# a device that the server does not know goes IDLE.") and
      "suite: my-unknown-uuid" in text, text)
got = run("check", work / "mine")
check("all fit, without a warning", got[0] == 0 and "warning" not in got[1], got[1])
expect("all pass on the virtual rig", run("run", "--out", "out", work / "mine"), 0, "passed")
expect("and on loopback", run("run", "--rig", "loopback", "--filter", "not *many-runs*", "--out", "out", work / "mine"), 0,
       "passed")
expect("nothing is overwritten", run("new", "my-disabled", "--from", "disabled", cwd=work / "mine"), 2, "is there already")
expect("to another file", run("new", "x", "--from", "lost-sms", "-o", "elsewhere.yaml"), 0, "elsewhere.yaml is written")
expect("to the screen", run("new", "x", "--from", "lost-sms", "-o", "-"), 0, "suite: x", "code_wait")
expect("a slip", run("new", "x", "--from", "unknown-uid"), 2, "no case 'unknown-uid' (did you mean 'unknown-uuid'?)")
expect("no case at all", run("new", "x", "--from", "zzz"), 2, "'quicrig new --list' has them all")
expect("no name", run("new", "--from", "disabled", stdin=subprocess.DEVNULL), 2, "a NAME is missing")
expect("no case said", run("new", "x", stdin=subprocess.DEVNULL), 2, "--from CASE is missing")
expect("a bad name", run("new", "../x", "--from", "disabled"), 2, "'../x' is no name")
expect("two names", run("new", "x", "y", "--from", "disabled"), 2, "one NAME")
expect("nowhere to write", run("new", "x", "--from", "disabled", "-o", "no/such/x.yaml"), 3, "no/such/x.yaml")
ours, theirs = pty.openpty()
p = subprocess.Popen([QUICRIG, "new"], cwd=work, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True)
os.write(ours, b"asked\nwrong-code\n")
out = p.communicate(timeout=10)[0]
check("questions at a terminal", p.returncode == 0 and (work / "asked.yaml").exists(), out)
check("are about both", b"which case?" in os.read(ours, 10000))
p = subprocess.Popen([QUICRIG, "new", "--from", "wrong-code"], cwd=work, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True)
os.write(ours, b"a" * 70 + b"\n")
out = p.communicate(timeout=10)[0]
told = os.read(ours, 10000).decode(errors="replace")
check("a name that is too long is none, not its beginning", p.returncode == 2 and "…' is no name" in told, told)
p = subprocess.Popen([QUICRIG, "new", "--from", "wrong-code"], cwd=work, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True)
os.write(ours, b"a" * 64 + b"\n")
out = p.communicate(timeout=10)[0]
check("one of 64 is one", p.returncode == 0 and (work / ("a" * 64 + ".yaml")).exists(), out)
os.close(ours)
os.close(theirs)

# ---- config ----
own = scenario("own.yaml", """version: 1
suite: own
defaults: {settings: {code_wait: 9s}}
scenarios:
  - name: one
    seed: 0x77
    settings: {access_ttl: 3s, publish_interval: 1s}
    devices: {count: 1}
    expect: {final: PROVISIONED}
""")
bench = work / "bench.yaml"
bench.write_text("version: 1\nsettings: {code_wait: 99s, request_timeout: 20s, backoff_max: 30s}\n"
                 "modems: {m1: {device: /dev/null, number: \"+34600000001\"}}\n")


def lines(*args, **env):
    code, text = run("config", *args, env={**os.environ, **env})
    return code, {" ".join(line.split()) for line in text.splitlines()}, text


code, found, text = lines("--show-origin")
check("defaults", code == 0 and {"rig virtual default", "seed each scenario's default", "jobs the rig's default",
                                 "access_ttl 15m default"} <= found, text)
code, found, text = lines()
check("without their origin", {"rig virtual", "access_ttl 15m"} <= found and "default" not in text, text)
code, found, text = lines("--show-origin", "--set", "access_ttl=7s", "-j", "3", QUICRIG_ACCESS_TTL="8s", QUICRIG_CODE_TTL="1m",
                          QUICRIG_JOBS="5", QUICRIG_SEED="0x9", QUICRIG_KEEP_ALL="true")
check("a flag goes before the environment", {"access_ttl 7s flag --set", "jobs 3 flag", "code_ttl 1m environment QUICRIG_CODE_TTL",
                                             "seed 0x9 environment QUICRIG_SEED",
                                             "keep_all true environment QUICRIG_KEEP_ALL"} <= found, text)
code, found, text = lines("--show-origin", "--rig", bench)
check("a rig file before the default", {f"code_wait 99s rig file {bench}", "access_ttl 15m default"} <= found or
      {f"code_wait 1m39s rig file {bench}", "access_ttl 15m default"} <= found, text)
code, found, text = lines("--show-origin", "--rig", bench, own, QUICRIG_PUBLISH_INTERVAL="4s")
place = f"scenario {own}:5"
check("a scenario before the rig file, the environment before it",
      {"own/one", f"seed 0x77 {place}", f"access_ttl 3s {place}", f"code_wait 9s {place}", f"request_timeout 20s rig file {bench}",
       "publish_interval 4s environment QUICRIG_PUBLISH_INTERVAL"} <= found, text)
expect("a run goes by it", run("run", "--keep-all", "--out", "out", own, env={**os.environ, "QUICRIG_ACCESS_TTL": "5s",
                                                                            "QUICRIG_SEED": "0x1234"}), 0, "seed 0x1234")
plan = (work / "out" / "latest" / "own" / "one" / "plan.json").read_text()
check("as its plan says", '"access_ttl":5000000000' in plan.replace(" ", "") and "0x1234" in plan, plan[:300])
expect("--set at a run", run("run", "--set", "code_wait=4s", "--set", "access_ttl=6s", "--keep-all", "--out", "out", own), 0, "1 passed")
plan = (work / "out" / "latest" / "own" / "one" / "plan.json").read_text().replace(" ", "")
check("several of them", '"code_wait":4000000000' in plan and '"access_ttl":6000000000' in plan, plan[:300])
expect("an unknown setting", run("run", "--set", "acces_ttl=2s", own), 2, "unknown setting 'acces_ttl'")
expect("no value", run("config", "--set", "access_ttl"), 2, "as in access_ttl=2s")
expect("no unit", run("config", "--set", "access_ttl=2"), 2, "has no unit")
expect("a bad variable", run("config", env={**os.environ, "QUICRIG_ACCESS_TTL": "soon"}), 2, "QUICRIG_ACCESS_TTL of the environment",
       "soon")
expect("a bad option's variable", run("run", own, env={**os.environ, "QUICRIG_JOBS": "many"}), 2, "--jobs", "QUICRIG_JOBS")
expect("neither true nor false", run("config", env={**os.environ, "QUICRIG_KEEP_ALL": "yes"}), 2, "true or false")
expect("connections are a scenario's", run("config", "--set", "connection=hold"), 2, "groups may differ")
expect("what does not fit together", run("run", "--set", "backoff_min=2m", own), 2, "own/one", "longer than 'backoff_max'")
expect("config's help", run("config", "--help"), 0, "--show-origin", "flag, QUICRIG_*")
expect("is not run's", run("run", "--show-origin", own), 2, "quicrig config")
done()
