#!/usr/bin/env python3
"""The house rules that a machine can keep (docs: architecture): who may include whom,
who may call the operating system, how long a file may be. Prints each breach as
file:line and exits 1."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()

# room: what it may include of ours (prefixes). The first room whose prefix fits counts.
MAY = [
    ("core/", ("core/",)),
    ("server/", ("server/", "core/")),
    ("sim/", ("sim/", "core/")),
    ("reports/", ("reports/", "core/")),
    ("hil/language/", ("hil/language/", "hil/modems/modem_spec.h", "core/")),
    ("hil/judge/", ("hil/judge/", "reports/", "core/")),
    ("hil/modems/", ("hil/modems/", "core/")),
    ("hil/", ("hil/", "server/", "sim/", "reports/", "core/")),
]
# these alone may touch the operating system's clock, sockets and randomness
WORLD = ("core/world_live", "server/serve", "sim/device_main", "sim/device_verb", "sim/virtual_rnd", "hil/")
# cores of hil: no clock, socket or randomness either
HIL_CORES = ("hil/language/", "hil/judge/", "hil/run/plan", "hil/modems/pdu", "hil/modems/gsm7", "hil/modems/at_",
             "hil/modems/modem_core", "hil/modems/carrier")
BANNED = re.compile(r"(?<![\w.>])(clock_gettime|gettimeofday|time|socket|rand|random|srand|getrandom|gnutls_rnd|"
                    r"ev_now|ev_time|sleep|usleep|nanosleep)\s*\(")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"", re.S)
LINES_MAX = 700

bad = []


def blank(m):
    return re.sub(r"[^\n]", " ", m.group(0))


def check(path):
    name = path.relative_to(root).as_posix()
    text = path.read_text(encoding="utf-8")
    may = next((rule for room, rule in MAY if name.startswith(room)), None)
    for n, line in enumerate(text.split("\n"), 1):
        m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if m and may and not m.group(1).startswith(may):
            bad.append(f"{name}:{n}: may not include {m.group(1)}")
        if m and "/" not in m.group(1):
            bad.append(f"{name}:{n}: include {m.group(1)} by its path from the root")
        if m and name.startswith("core/") and not name.startswith("core/world_live") and "world_live" in m.group(1):
            bad.append(f"{name}:{n}: cores do not know the live world")
    code = COMMENT.sub(blank, text)
    free = name.startswith(WORLD) and not name.startswith(HIL_CORES)
    if not free:
        for m in BANNED.finditer(code):
            bad.append(f"{name}:{code.count(chr(10), 0, m.start()) + 1}: {m.group(1)}() belongs to the world")
    for m in re.finditer(r"\bngtcp2_\w+\s*\(", code):
        if not name.startswith("core/quic"):
            bad.append(f"{name}:{code.count(chr(10), 0, m.start()) + 1}: ngtcp2 stays in core/quic")
            break
    if re.search(r"<gammu", text) and not name.startswith("hil/modems/worker"):
        bad.append(f"{name}: libgammu stays in quicrig-modem")
    if text.count("\n") > LINES_MAX:
        bad.append(f"{name}: {text.count(chr(10))} lines; a file is one concept (at most {LINES_MAX})")


files = [p for room in ("core", "server", "sim", "hil", "reports") for p in sorted((root / room).rglob("*.[ch]"))]
for p in files:
    check(p)
print("\n".join(bad) if bad else f"{len(files)} files keep the house rules")
sys.exit(1 if bad or len(files) < 10 else 0)
