#!/usr/bin/env python3
"""The n-th allocation of a virtual run fails (E2): the run passes, or says that it found no memory;
it neither crashes nor hangs. argv: folder of quicrig, source folder, the library that is preloaded."""
import os
import pathlib
import subprocess
import sys

from rig import BIN, check, done, run, scenario, work

SHIM = str(pathlib.Path(sys.argv[3]).resolve())
VIRTUAL = str(BIN / "quicrig-virtual")
STEPS = 48

if "libasan" in subprocess.run(["ldd", VIRTUAL], text=True, stdout=subprocess.PIPE).stdout:
    print("SKIP: a sanitizer has the allocator")
    sys.exit(77)
# a bootstrap, a refused publish, a refresh and a command; a second device for the others' sake
life = scenario("life.yaml", """version: 1
suite: alloc
scenarios:
  - name: life
    devices: {count: 2}
    server: scripted
    answers:
      - {to: publishMeasure, each: true, until: 500ms, code: 401}
      - {to: refreshToken, tokens: swapped}
    steps:
      - {wait: PROVISIONED}
      - {sleep: 1s}
    expect: {final: PROVISIONED}
""")
code, text = run("run", "--keep-all", "--out", "out", life)
check("the life passes where there is memory", code == 0, text)
plan = (work / "out" / "latest" / "alloc" / "life" / "plan.json").read_bytes()


nowhere = os.open(os.devnull, os.O_WRONLY)


def live(fail_at):
    """(exit code or signal, the last words) of a run whose `fail_at`-th allocation fails."""
    try:
        # the journal leaves on descriptor 3
        p = subprocess.run([VIRTUAL], input=plan, timeout=30, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           env={**os.environ, "LD_PRELOAD": SHIM, "FAIL_AT": str(fail_at)}, close_fds=False,
                           preexec_fn=lambda: (os.dup2(nowhere, 3), os.set_inheritable(3, True)))
        return p.returncode, p.stdout.decode(errors="replace").strip()[-300:]
    except subprocess.TimeoutExpired:
        return None, "hangs"


passed = told = 0
# early on, where one allocation is like the next, as late as where the run is over
at = 40
for _ in range(STEPS):
    code, text = live(at)
    passed += code == 0
    told += code in (2, 3)
    check(f"allocation {at}", code == 0 or (code in (2, 3) and "error:" in text), f"{code} {text}")
    at += at * 15 // 100
check("some failures are survived, some are told of", passed > 5 and told > 3, f"{passed} passed, {told} told of it")
done()
