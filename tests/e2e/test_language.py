#!/usr/bin/env python3
"""The language as people use it: files that include others, quarantine, what a rig skips."""
import json
import os

from rig import SRC, check, done, expect, run, scenario, work

# ---- broken files: all of it is told, nothing of it is run ----
bad = sorted((SRC / "scenarios" / "bad").glob("*.yaml"))
wanted = "".join(p.with_suffix(".expected").read_text() for p in bad)
got = run("check", *[p.relative_to(SRC) for p in bad], cwd=SRC, timeout=30)
check("check tells all of the broken files", got[0] == 2 and len(bad) >= 40, got[1][-300:])
check("as each by itself does", got[1].startswith(wanted) or all(line in got[1] for line in wanted.splitlines()))
ran = [p.name for p in bad if "warnings" not in p.name and
       (r := run("run", "--out", work / "none", p, timeout=10)) and (r[0] != 2 or "nothing was run" not in r[1])]
check("none is half-run", not ran and not (work / "none").exists(), ran)

# ---- lines fit a screen of 80 columns ----
wide = scenario("a-long-name-of-a-file-for-a-scenario.yaml", """version: 1
suite: wide
scenarios:
  - name: a-scenario-whose-name-takes-half-of-the-line
    devices: {count: 3}
    expect: {path: [..., LOGGING_IN, PROVISIONED, REFRESHING, PROVISIONED, REFRESHING, IDLE]}
""")
got = run("run", "--out", "out", wide, env={**os.environ, "COLUMNS": "80"})
block = got[1].split("replay:")[0].splitlines()
expect("a failure on a narrow screen", got, 1, "FAIL  wide/", "expected", "REFRESHING")
check("no line of it is wider", len(block) > 5 and all(len(line) <= 80 for line in block), got[1])
check("nothing of it is lost", "".join(got[1].split()).startswith("".join(run("run", "--out", "out", wide)[1].split("*")[0].split())),
      got[1])

# ---- include ----
(work / "parts").mkdir()
(work / "parts" / "one.yaml").write_text("""version: 1
suite: parts
defaults: {timeout: 20s, tags: [inner], parameters: {n: 1, ttl: 2s}, settings: {access_ttl: 3s, code_wait: 9s}}
scenarios:
  - name: bootstrap
    devices: {count: $n}
    settings: {publish_interval: $ttl}
    expect: {final: PROVISIONED}
""")
outer = scenario("outer.yaml", """version: 1
suite: outer
include: parts/one.yaml
defaults: {tags: [outer], parameters: {n: 3}, settings: {access_ttl: 4s}}
scenarios:
  - name: own
    devices: {count: $n}
    expect: {final: PROVISIONED}
""")
expect("what one word is", run("list", "--vocabulary", "lose", "code_wait"), 0, "The SMS never arrives", "2m")
expect("a word that is none", run("list", "--vocabulary", "lsoe"), 2, "the language has no word 'lsoe' (did you mean 'lose'?)")
got = run("list", outer)
expect("an included file's scenarios belong to the suite", got, 0, "outer/own", "outer/bootstrap", "inner,outer")
check("the outer file's parameters go first", got[1].count("3 devices") == 2, got[1])
got = run("run", "--keep-all", "--out", "out", outer)
expect("they run", got, 0, "2 passed")
plan = json.loads((work / "out" / "latest" / "outer" / "bootstrap" / "plan.json").read_text())
check("defaults: the outer file's before the inner one's", plan["settings"] == {
    "access_ttl": 4000000000, "code_wait": 9000000000, "publish_interval": 2000000000}, plan["settings"])
check("what only the inner one says holds", plan["timeout_ns"] == 20000000000, plan["timeout_ns"])
check("a part's place is in its own file", plan["source"]["file"].endswith("parts/one.yaml"), plan["source"])
only = scenario("only.yaml", "version: 1\ninclude: parts/one.yaml\n")
expect("a file of includes alone", run("run", "--out", "out", only), 0, "only/bootstrap")

# ---- quarantine ----
shaky = """version: 1
suite: q
scenarios:
  - name: shaky
    quarantine: {reason: "#12", until: %s}
    devices: {count: 1}
    expect: {final: IDLE}
  - name: good
    devices: {count: 1}
    expect: {final: PROVISIONED}
"""
got = run("run", "--out", "out", scenario("shaky.yaml", shaky % "2099-01-31"))
expect("a failure in quarantine fails nothing", got, 0, "QUAR  q/shaky", "FAIL, not counted until 2099-01-31 (#12)",
       "1 passed, 1 in quarantine")
report = json.loads((work / "out" / "latest" / "report.json").read_text())
check("the report says so", [s["verdict"] for s in report["scenarios"]] == ["QUARANTINE", "PASS"], report["scenarios"])
check("its folder is kept", (work / "out" / "latest" / "q" / "shaky" / "plan.json").exists())
check("junit.xml: skipped", "not counted until" in (work / "out" / "latest" / "junit.xml").read_text())
expect("until it ends", run("run", "--out", "out", scenario("over.yaml", shaky % "2020-01-31")), 1, "FAIL  q/shaky",
       "note: its quarantine ended on 2020-01-31: #12")

# ---- repeat ----
many = scenario("many.yaml", """version: 1
suite: many
scenarios:
  - name: enough
    devices: {count: 1}
    settings: {code_wait: 3s}
    repeat: {runs: 24, pass: ">= 50%"}
    faults: [{on: sms.submitted, chance: 20%, do: lose}]
    expect: {codes: {issued: 1}}
  - name: too-few
    devices: {count: 1}
    settings: {code_wait: 3s}
    repeat: {runs: 24, pass: ">= 80%", confidence: 99%}
    faults: [{on: sms.submitted, chance: 20%, do: lose}]
    expect: {codes: {issued: 1}}
  - name: known
    devices: {count: 1}
    repeat: {runs: 10, pass: ">= 50%"}
    xfail: {reason: "#9", until: 2099-01-31}
    expect: {final: IDLE}
""")
got = run("run", "--hash", "--out", "out", many)
expect("a share of many runs", got, 1, "PASS  many/enough", "of 24 runs passed: at least", "FAIL  many/too-few",
       "many.yaml:13:13", "at least 80% of runs pass, with 99% confidence", "out/latest/many/too-few.run", "XFAIL many/known",
       "3 run: 1 passed, 1 failed, 1 failed as expected")
report = json.loads((work / "out" / "latest" / "report.json").read_text())
check("one result a scenario, in the files' order", [s["id"] for s in report["scenarios"]] ==
      ["many/enough", "many/too-few", "many/known"], [s["id"] for s in report["scenarios"]])
check("all runs' devices are counted", [s["devices"] for s in report["scenarios"]] == [24, 24, 10])
hashes = [line for line in got[1].splitlines() if line.startswith("journal ")]
other = run("run", "--hash", "--seed", "7", "--filter", "*known", "--out", "out", many)[1]
check("another seed, other runs", "many/known" in other and not any(h in other for h in hashes), other)
again = run("run", "--hash", "--out", "out", many)
check("the same seed, the same runs", hashes == [line for line in again[1].splitlines() if line.startswith("journal ")])
one = next((work / "out" / "latest" / "many").glob("too-few.run*"))
expect("one run of them replays", run("replay", one), 0, "alike", "same verdict (FAIL)")

# ---- control ----
control = scenario("control.yaml", """version: 1
suite: control
scenarios:
  - name: alone
    devices: {A: {count: 3}, B: {count: 2}}
    faults: [{on: tokens.written, who: "A[3]", do: power_cut, then: {after: 5s, do: power_on}}]
    expect: {final: PROVISIONED, others: {same_as: control}}
  - name: everybody
    devices: {A: {count: 3}, B: {count: 2}}
    faults: [{on: server.reply, match: {resource: registerDevice}, nth: 2, do: restart, after: 3s}]
    expect: {final: PROVISIONED, others: {same_as: control}}
  - name: sms
    devices: {A: {count: 3}}
    settings: {code_wait: 3s}
    faults: [{on: sms.submitted, nth: 2, do: lose}]
    expect: {final: PROVISIONED, others: {same_as: control}}
""")
got = run("run", "--out", "out", control)
expect("a fault that others do not notice, and some that they do", got, 1, "PASS  control/alone", "FAIL  control/everybody",
       "control.yaml:11:42", "as in the control run", "in the control NP RG AC LI PV", "FAIL  control/sms")
folder = work / "out" / "latest" / "control" / "everybody"
plan = json.loads((folder / "plan.json").read_text())
check("what the control showed is recorded", len(plan["control"]["lives"]) == 5, plan.get("control"))
expect("and replays", run("replay", folder), 0, "alike", "same verdict (FAIL)")
expect("shrink runs a control for each try", run("shrink", folder, "--wall", "60s", timeout=120), 0, "others")
expect("a live rig has a control, too",
       run("run", "--rig", "loopback", "--filter", "*alone", "--out", "out", control), 0, "PASS  control/alone")

# ---- what a live rig cannot do ----
live = scenario("live.yaml", """version: 1
suite: live
scenarios:
  - name: clock
    start: "01:00"
    devices: {count: 1}
    expect: {final: PROVISIONED}
  - name: elsewhere
    devices: {count: 1}
    timeout: 200s
    faults: [{on: sms.submitted, do: lose, while: {is: AWAITING_CODE}}]
    expect: {final: PROVISIONED}
""")
expect("a live rig says what it leaves out", run("check", "--rig", "loopback", live), 0,
       "live/clock", "'start' sets clocks", "live/elsewhere", "'while' asks for device states", "serves 0 of them")
expect("the virtual one does it", run("run", "--out", "out", live), 0, "2 passed")
done()
