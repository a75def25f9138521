#!/usr/bin/env python3
"""Writes docs/journal.md from the tables of core/journal.h; with --check, fails where
the page is stale."""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
text = (root / "core" / "journal.h").read_text()
page = root / "docs" / "journal.md"


def table(name):
    body = re.search(r"#define " + name + r"\(X\)(.*?)\n\n", text, re.S).group(1)
    return re.findall(r'X\((\w+), "([^"]*)", ("?)([^")]*)\3\)\s*(?:/\*\s*(.*?)\s*\*/)?', body)


fields, kinds = table("JOURNAL_FIELDS"), table("JOURNAL_KINDS")
out = ["# The journal", "",
       "Everything observable is one line of JSON in a journal; oracle, reports and replay read nothing else.",
       "This page is written by `docs/journal.py` from core/journal.h.", "",
       "Each event has `v` (1), `t_ns` (the rig's clock, nanoseconds), `seq` (counted by its writer), `actor` (`A[3]`,",
       "`server`, `carrier`, `modem:s1`, `runner`), `kind`, and where they apply `scenario`, `dev` (uuid), `req` (first 8 hex",
       "digits of the request's nonce) and `reg` (of the registration). Codes and numbers stand as fingerprints",
       "(HMAC-SHA256 under the run's key, cut to 8 bytes), tokens by `jti` and `fam`: no secret is ever in it.", "",
       "| kind | fields | |", "|---|---|---|"]
out += [f"| `{json}` | {' '.join('`%s`' % f for f in rest.split())} | {note} |" for _, json, _, rest, note in kinds]
out += ["", "| field | type | |", "|---|---|---|"]
out += [f"| `{json}` | {'text' if kind == 'S' else 'integer'} | {note} |" for _, json, _, kind, note in fields]
result = "\n".join(out) + "\n"
if "--check" in sys.argv:
    ok = page.exists() and page.read_text() == result
    print("docs/journal.md is as core/journal.h has it" if ok else "docs/journal.md is stale: run docs/journal.py")
    sys.exit(0 if ok and len(kinds) > 30 else 1)
page.write_text(result)
