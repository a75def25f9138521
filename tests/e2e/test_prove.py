#!/usr/bin/env python3
"""quicrig prove: a library that bites, one that does not, one that is red by itself."""
import re

from rig import SRC, check, done, expect, run, scenario

LAZY = """version: 1
suite: lazy
scenarios:
  - name: looks-at-nothing
    devices: {count: 1}
    expect: {tokens: {issued: "<= 100"}}
"""
BITES = """version: 1
suite: bites
scenarios:
  - name: a-code-is-needed
    devices: {count: 1}
    faults:
      - {on: sms.submitted, do: replace_code, with: "AAAAAAAAAAAA"}
    expect: {idle: {code: 401}}
"""
lazy, bites = scenario("lazy.yaml", LAZY), scenario("bites.yaml", BITES)
names = re.findall(r"^(\S+) +(?:server|device)", run("prove", "--list")[1], re.M)
check("ten bugs and more", len(names) >= 10, names)

got = run("prove", "--bug", "login-without-code", lazy, bites)
expect("caught by the scenario that bites", got, 0, " caught  login-without-code", "bites/a-code-is-needed", "blame right",
       "1 planted: 1 caught (1 blamed rightly), 0 missed", "nothing planted: 2 of 2 green")
got = run("prove", "--bug", "leaves-idle", "--bug", "login-without-code", lazy)
expect("missed by the one that looks at nothing", got, 1, " MISSED  login-without-code", "login does not look at the code",
       " MISSED  leaves-idle", "0 caught", "2 missed")
got = run("prove", "--bug", "leaves-idle", scenario("red.yaml", LAZY.replace("looks-at-nothing", "never-passes").replace(
    "tokens: {issued: \"<= 100\"}", "final: IDLE")))
expect("a library that is red without any bug proves nothing", got, 1, " RED ", "lazy/never-passes",
       "nothing planted: 0 of 1 green")
shaky = scenario("shaky.yaml", BITES + """  - name: nobody-relies-on-it
    devices: {count: 1}
    quarantine: {reason: "#7", until: 2999-01-01}
    expect: {final: IDLE}
""")
expect("what is in quarantine proves nothing, and is not red", run("prove", "--bug", "login-without-code", shaky), 0, "1 caught",
       "nothing planted: 1 of 1 green")
# it waits shorter than the device's own timer: nobody can say who let it down
impatient = scenario("impatient.yaml", """version: 1
suite: impatient
scenarios:
  - name: slow-link
    devices: {count: 1}
    network: {delay: 600ms}
    steps: [{wait: PROVISIONED, within: 8s}]
    expect: {final: PROVISIONED}
""")
expect("caught, and nobody rightly blamed, is no proof", run("prove", "--bug", "slow-reply-strands", impatient), 1,
       " caught  slow-reply-strands", "blame unknown", "1 caught (0 blamed rightly)", "nothing planted: 1 of 1 green")
expect("no such bug", run("prove", "--bug", "nonsense", lazy), 2, "no bug 'nonsense'", "--list")
expect("nothing selected", run("prove", "--filter", "elsewhere", lazy), 4, "no scenario")
expect("a broken file", run("prove", scenario("broken.yaml", "version: 1\nscenarios: 3\n")), 2, "broken.yaml:2")
expect("no file", run("prove"), 2, "usage")

# a part of this repository's library; `make prove` has the whole and every bug
some = ("login-without-code", "700-unreachable", "leaves-idle", "waits-for-code", "uuid-not-checked")
got = run("prove", *(a for n in some for a in ("--bug", n)), SRC / "scenarios" / "idle.yaml", SRC / "scenarios" / "sms.yaml",
          SRC / "scenarios" / "token.yaml", timeout=140)
expect("the library catches what a scenario can show", got, 0,
       "5 planted: 4 caught (4 blamed rightly), 0 missed, 1 beyond scenarios")
check("what it cannot show is said with its reason", all("tests/" in l for l in got[1].splitlines() if l.startswith(" beyond")),
      got[1])
# a place that no scenario comes to is not planted in vain: nothing but the product is run
expect("no scenario comes to its place", run("prove", "--bug", "pause-ignored", lazy), 1, " MISSED  pause-ignored",
       "0 caught", "nothing planted: 1 of 1 green")
done()
