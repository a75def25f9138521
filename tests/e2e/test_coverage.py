#!/usr/bin/env python3
"""Coverage: rows and cells in the console, the reports and the gate; and a scenario for
each that nothing exercised, which exercises it."""
import json

from rig import check, done, expect, run, scenario, work

few = scenario("few.yaml", """version: 1
suite: few
scenarios:
  - {name: stranger, devices: {count: 1, known: false}, expect: {final: IDLE}}
  - {name: plain, devices: {count: 2}, expect: {final: PROVISIONED}}
""")
out, missing = ["--out", work / "out"], work / "missing.yaml"
latest = work / "out" / "latest"

expect("no gate, no complaint", run("run", *out, few), 0, "transitions 8 of ", "cells 4 of ")
got = run("run", *out, "--require-coverage", "100%", few)
expect("the gate names rows and cells", got, 1, "below the required 100.0%", "rows that nothing exercised: OFF.on_tokens",
       "cells that nothing exercised: RG x 400", "IDLE x late reply", "--suggest-missing")
check("what was exercised is not named", " RG.403 " not in got[1] and "RG x 200" not in got[1], got[1])
expect("a gate that is met", run("run", *out, "--require-coverage", "5%", few), 0)
# 8 of 98 rows, 4 of 60 cells: both must reach it
expect("cells count as rows do", run("run", *out, "--require-coverage", "7%", few), 1, "of rows 8.2%, of cells 6.7%")
expect("not a share", run("run", *out, "--require-coverage", "101%", few), 2, "--require-coverage")

got = run("run", *out, "--coverage", few)
expect("who took which row", got, 0, " few/plain", "rows  7, cells  3", "RG.403                1  few/stranger",
       "OFF.on                3  few/stranger, few/plain", "RG x 200                    2", "RG x 401                    0  never")
report = json.loads((latest / "report.json").read_text())
totals, by = report["totals"], {s["id"]: s for s in report["scenarios"]}
check("report.json has cells, in total and each scenario's", totals["cells"]["RG x 200"] == 2 and totals["cells_hit"] == 4
      and by["few/stranger"]["cells"] == {"RG x 403": 1} and "RG x 400" in totals["never"]["cells"]
      and "RG.400" in totals["never"]["rows"] and "RG.403" not in totals["never"]["rows"], totals)
check("totals add up", totals["rows_hit"] + len(totals["never"]["rows"]) == totals["rows_total"]
      and totals["cells_hit"] + len(totals["never"]["cells"]) == totals["cells_total"], totals)
text = (latest / "summary.md").read_text()
check("summary.md has them, too", all(t in text for t in ("State × reply cells 4 of", "`RG x 400`", "| few/plain | 7 | 3 |",
      "| `RG.403` | 1 | few/stranger |", "| `RG x 403` | 1 |")), text)

# ---- what is missing, ready to save: each exercises what it is for ----
expect("suggestions", run("run", *out, "--suggest-missing", missing, few), 0, f"{missing}: {len(totals['never']['rows'])} scenarios")
expect("they are fit to be run", run("check", missing), 0, f"{len(totals['never']['rows'])} scenarios fit")
expect("with them every row and cell is exercised", run("run", *out, "--require-coverage", "100%", few, missing), 0,
       f"transitions {totals['rows_total']} of {totals['rows_total']}", f"cells {totals['cells_total']} of {totals['cells_total']}")
report = json.loads((latest / "report.json").read_text())
named = {s["id"]: s["coverage"] for s in report["scenarios"] if s["id"].startswith("missing/")}
wrong = [r for r in totals["never"]["rows"] if r not in named.get("missing/" + r.lower().replace(".", "-").replace("_", "-"), {})]
check("each takes its own row", not wrong, wrong)
expect("nothing is missing, nothing is written", run("run", *out, "--suggest-missing", work / "none.yaml", few, missing), 0,
       "every row was exercised")
check("no file without a suggestion", not (work / "none.yaml").exists())
expect("a place that cannot be written", run("run", *out, "--suggest-missing", work / "nowhere" / "x.yaml", few), 3,
       "cannot write", "No such file")
done()
