#!/usr/bin/env python3
"""What `quicrig schema` prints is a JSON Schema (2020-12) that takes every scenario that
`quicrig check` takes, and refuses what a schema can see. The validator is python3-jsonschema;
nothing of quicrig's reads the files here."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import jsonschema
import yaml

quicrig, root = pathlib.Path(sys.argv[1]) / "quicrig", pathlib.Path(sys.argv[2])


class Core(yaml.BaseLoader):
    """YAML 1.2's core schema: `on` is a word, 0x5eed a number, 2027-01-31 a text."""


for tag, pattern, first in (("bool", r"true|false", "tf"), ("int", r"[0-9]+|0x[0-9a-fA-F]+", "0123456789"),
                            ("float", r"[0-9]+\.[0-9]+", "0123456789"), ("null", r"~|null|", ["~", "n", ""])):
    Core.add_implicit_resolver("tag:yaml.org,2002:" + tag, re.compile(f"^(?:{pattern})$"), list(first))
Core.add_constructor("tag:yaml.org,2002:bool", lambda _, n: n.value == "true")
Core.add_constructor("tag:yaml.org,2002:int", lambda _, n: int(n.value, 0 if n.value.startswith("0x") else 10))
Core.add_constructor("tag:yaml.org,2002:float", lambda _, n: float(n.value))
Core.add_constructor("tag:yaml.org,2002:null", lambda *_: None)
bad = []


def keys(value):
    """JSON's keys are texts: {403: 1} of YAML is {"403": 1}."""
    if isinstance(value, dict):
        return {str(k): keys(v) for k, v in value.items()}
    return [keys(v) for v in value] if isinstance(value, list) else value


def errors_of(text):
    return [f"/{'/'.join(map(str, e.absolute_path))}: {e.message[:150]}"
            for e in validator.iter_errors(keys(yaml.load(text, Core)))]


schema = json.loads(subprocess.run([quicrig, "schema"], stdout=subprocess.PIPE, check=True, text=True).stdout)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)

good = {str(p.relative_to(root)): p.read_text() for p in sorted((root / "scenarios").glob("*.yaml"))}
for page in sorted((root / "docs").glob("*.md")) + [root / "README.md"]:
    for n, block in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(), re.S)):
        if "scenarios:" in block:
            good[f"{page.name}, example {n + 1}"] = block
for name, text in good.items():
    bad += [f"{name}: {e}" for e in errors_of(text)]

# what the reader takes, though it is not how people write it: a number and a truth in quotes, words that YAML makes others of
LINE = "version: 1\nscenarios:\n  - name: %s\n    devices: {count: %s, known: %s}\n    tags: %s\n    %s\n"
odd = [LINE % case for case in (
    ("1.5", '"2"', '"true"', "[1, x, true]", "skip: null"), ("true", "2", "true", "2026", 'requires: {modems: "2"}'),
    ("null", "2", "true", "1.5", 'expect: {idle: {code: "403"}}'), ("a", "2", "false", "x", 'timeout: "40s"'),
    ("b", "2", "true", "x", "faults: [{at: 1s, do: clock_step, who: A, by: +1000000us}]"))]
for text in odd:
    bad += [f"{text}: {e}" for e in errors_of(text)]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
        f.write(text)
        f.flush()
        run = subprocess.run([quicrig, "check", f.name], text=True, capture_output=True)
        if run.returncode:
            bad.append(f"{text}: not taken by check: {run.stderr}")

# what has no need of a reader that knows what belongs together
refused = ["unknown-key", "no-unit", "wrong-kinds", "unknown-words", "no-scenarios", "bounds", "says-nothing"]
for name in refused:
    if not errors_of((root / "scenarios" / "bad" / f"{name}.yaml").read_text()):
        bad.append(f"bad/{name}.yaml: the schema takes it")
# every error of these few is found where it is
FAULT = "version: 1\nscenarios:\n  - name: a\n    devices: {count: 1}\n    faults: [{%s}]\n"
for fault, where in (("on: sms.submited, do: lose", "/scenarios/0/faults/0/on"), ("at: 3, do: kill", "/scenarios/0/faults/0/at"),
                     ("on: sms.submitted, do: loose", "/scenarios/0/faults/0/do"),
                     ("at: 3s, do: restart, after: 2", "/scenarios/0/faults/0/after"),
                     ("at: 3s", "/scenarios/0/faults/0: 'do' is a required property")):
    found = errors_of(FAULT % fault)
    if len(found) != 1 or not found[0].startswith(where):
        bad.append(f"{fault}: wanted one error at {where}, got {found}")
if len(good) < 12:
    bad.append("too few files were found: this test looks for the wrong things")
print("\n".join(bad) if bad else f"{len(good)} files fit the schema, {len(refused)} bad ones do not")
sys.exit(1 if bad else 0)
