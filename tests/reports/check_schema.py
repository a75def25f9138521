#!/usr/bin/env python3
"""Writes a varied run's reports with WRITER into DIR and holds report.json against its
schema: check_schema.py WRITER DIR SCHEMA. Also shows that the schema refuses."""
import copy
import json
import subprocess
import sys

import jsonschema

writer, folder, schema_file = sys.argv[1:4]
subprocess.run([writer, folder], check=True)
with open(schema_file, encoding="utf-8") as f:
    schema = json.load(f)
with open(f"{folder}/report.json", encoding="utf-8") as f:
    report = json.load(f)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
errors = [f"{list(e.absolute_path)}: {e.message}" for e in validator.iter_errors(report)]
if errors:
    sys.exit("\n".join(errors))

for breakage in (
    lambda r: r.pop("run"),
    lambda r: r["scenarios"][0].update(verdict="MAYBE"),
    lambda r: r["scenarios"][0].update(devices=-1),
    lambda r: r["scenarios"][0]["coverage"].update({"XX.1": 1}),
    lambda r: r["scenarios"][2]["expectations"][0]["causes"][0].update(blame="cat"),
):
    broken = copy.deepcopy(report)
    breakage(broken)
    if validator.is_valid(broken):
        sys.exit("the schema accepts a broken report")
