#!/usr/bin/env python3
"""Writes the reference part of docs/scenarios.md from what `quicrig list --reference`
prints; with --check, fails where the page is stale. First argument: the folder of quicrig."""
import pathlib
import subprocess
import sys

MARK = "<!-- reference -->\n"
page = pathlib.Path(__file__).resolve().parent / "scenarios.md"
made = subprocess.run([pathlib.Path(sys.argv[1]) / "quicrig", "list", "--reference"], text=True, check=True,
                      stdout=subprocess.PIPE).stdout
text = page.read_text()
if text.count(MARK) != 1 or made.count("\n| `") < 200:
    print("no mark in docs/scenarios.md, or no reference to put there")
    sys.exit(1)
result = text.split(MARK)[0] + MARK + "\n" + made
if "--check" in sys.argv:
    print("docs/scenarios.md is as the vocabulary has it" if text == result else
          "docs/scenarios.md is stale: run docs/scenarios.py build")
    sys.exit(0 if text == result else 1)
page.write_text(result)
