#!/usr/bin/python3
"""Tries the JSON Schema on the cases: it must take every valid one and refuse every invalid one,
but for those listed below, which no schema can see.

  check_schema.py COMMAND FOLDER          COMMAND schema prints the schema; FOLDER holds the cases
"""
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

import jsonschema
import yaml

import run

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the other one is slow

BEYOND = {
    # what stands in the environment or in other files
    "env-file-blank-before-equals", "env-file-directory", "env-file-missing",
    "env-file-no-equals", "env-file-no-name", "env-file-not-utf8", "env-file-nul",
    "env-file-public-secret", "env-file-unclosed-quote", "env-file-unset-name",
    "env-file-without-variable", "secret-file-directory", "secret-file-dangling",
    "secret-file-empty", "secret-file-fifo", "secret-file-missing", "secret-file-nul",
    "secret-file-too-large", "secret-file-world-readable", "secret-in-public-file",
    "variable-bad-name", "variable-empty-name", "variable-empty-required",
    "variable-no-injection", "variable-other-operator", "variable-unclosed", "variable-unset",
    "variable-unset-in-list", "variable-unset-number", "variable-wrong-type",
    # what the loader of YAML takes away or lets pass: keys given twice, tags, characters
    "key-duplicate", "key-duplicate-option", "yaml-nul-escape", "yaml-utf16",
    # one value against another
    "require-too-many", "sinks-duplicate-name", "sinks-of-one-name", "source-duplicate-name",
    "transform-after-encryption", "transform-twice", "store-bundle-name-alone",
    "store-bundle-repository",
    # what only a plugin's own check, a calendar or arithmetic can tell, or words within a text
    "store-bundle-name-dot", "store-bundle-name-slash", "store-bundle-name-unknown-word",
    "store-bundle-name-without-uuid",
    "schedule-never", "schedule-range-backwards",
    "sink-bad-mode", "source-validate-refuses", "type-duration-too-long",
    "type-duration-too-short", "type-size-above", "type-size-below",
}


def load(case):
    """What stands in the case's pipeline.yaml; an exception when it is no YAML."""
    with tempfile.TemporaryDirectory(prefix="config-schema-") as temporary:
        folder = pathlib.Path(temporary)
        run.prepare(case, folder)
        file = folder / "pipeline.yaml"
        if file.stat().st_size > 1 << 22:
            raise ValueError("too large")
        return yaml.load(file.read_bytes(), LOADER)


def mistake(validator, case):
    """Why the case is refused, or None."""
    try:
        for error in validator.iter_errors(load(case)):
            return f"{error.json_path}: {error.message[:200]}"
    except (yaml.YAMLError, ValueError, OSError, TypeError) as why:
        return f"cannot be loaded: {why}"  # a TypeError is a key that is no text
    return None


def open_objects(schema, path="$"):
    """Every place in the schema that describes an object's keys and yet lets others pass."""
    if isinstance(schema, list):
        for i, item in enumerate(schema):
            yield from open_objects(item, f"{path}[{i}]")
    if isinstance(schema, dict):
        by_plugin = any("then" in rule for rule in schema.get("allOf", []))
        if schema.get("type") == "object" and not by_plugin \
                and schema.get("additionalProperties") is not False:
            yield path
        for key, value in schema.items():
            yield from open_objects(value, f"{path}.{key}")


def main(command, folder):
    text = subprocess.run(shlex.split(command) + ["schema"], check=True, timeout=60,
                          stdout=subprocess.PIPE).stdout
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    wrong = [f"{path}: further keys pass" for path in open_objects(schema)]
    seen = {"valid": 0, "invalid": 0}
    for case in sorted(pathlib.Path(folder).glob("*/*/pipeline.yaml")):
        case = case.parent
        kind, why = case.parent.name, mistake(validator, case)
        seen[kind] += 1
        if kind == "valid" and why:
            wrong.append(f"valid/{case.name} is refused: {why}")
        if kind == "invalid" and not why and case.name not in BEYOND:
            wrong.append(f"invalid/{case.name} is accepted")
        if kind == "invalid" and why and case.name in BEYOND:
            wrong.append(f"invalid/{case.name} is refused after all, take it off the list: {why}")
    for name in sorted(BEYOND):
        if not (pathlib.Path(folder) / "invalid" / name).is_dir():
            wrong.append(f"invalid/{name} is listed and not there")
    if not seen["valid"] or not seen["invalid"]:
        wrong.append("there are no cases")
    print("\n".join(wrong) or f"{seen['valid']} valid and {seen['invalid']} invalid cases: as wanted")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
