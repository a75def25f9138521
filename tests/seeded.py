#!/usr/bin/env python3
"""Nothing that serves real devices can hold seeded key material: the symbols of the
simulation are in quicrig-virtual and in no other program (contracts.md, quicrig-virtual)."""
import pathlib
import subprocess
import sys

where = pathlib.Path(sys.argv[1])
seeded = {"virtual_rnd_seed", "virtual_pki", "world_virtual_secret", "world_virtual_new", "store_vfs_register"}
bad = []


def symbols(name):
    out = subprocess.run(["nm", where / name], text=True, stdout=subprocess.PIPE, check=True).stdout
    return {l.split()[-1]: l.split()[-2] for l in out.splitlines() if len(l.split()) >= 2}


inside = symbols("quicrig-virtual")
bad += [f"quicrig-virtual lacks {s}: this test looks for the wrong names" for s in sorted(seeded - inside.keys())]
if inside.get("gnutls_rnd") != "T":
    bad.append("quicrig-virtual does not define gnutls_rnd itself")
for name in ("quicrig", "quicrig-modem"):
    have = symbols(name)
    bad += [f"{name} holds {s}" for s in sorted((seeded - {"store_vfs_register"}) & have.keys())]
    if have.get("gnutls_rnd", "U").upper() not in ("U", "W"):
        bad.append(f"{name} defines gnutls_rnd")
print("\n".join(bad) if bad else "seeded secrets live in quicrig-virtual alone")
sys.exit(1 if bad else 0)
