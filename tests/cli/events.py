#!/usr/bin/python3
"""Checks what `--json` printed (on standard input): `document`, or `events VERB EXIT_CODE`."""
import json
import re
import sys

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
TIMES = {"start", "end", "time", "created", "mtime"}
WHOLE = re.compile(r"(bytes|size|entries|count|objects|kept|removed|failed|warnings|missing|damaged"
                   r"|exit_code|line|column)")
TYPES = {"status", "component", "group", "drill", "warning", "error", "verified", "retention", "plan", "logs", "summary"}


def unique(pairs):
    keys = [k for k, _ in pairs]
    assert len(keys) == len(set(keys)), f"a key twice: {keys}"
    return dict(pairs)


def look(value, key=""):
    """Sizes and counts are whole numbers, times RFC 3339 in UTC."""
    if isinstance(value, dict):
        for k, v in value.items():
            look(v, k)
    elif isinstance(value, list):
        for v in value:
            look(v, key)
    elif key in TIMES and isinstance(value, str):
        assert TIME.fullmatch(value), f"{key}: {value} is not a time"
    elif isinstance(value, float):
        assert not WHOLE.search(key), f"{key}: {value} is not a whole number"


def load(text):
    return json.loads(text, object_pairs_hook=unique)


def check_events(lines, verb, code):
    assert lines, "no line at all"
    for line in lines:
        event = load(line)
        assert next(iter(event)) == "message_type", f"message_type is not first: {line}"
        assert event["message_type"] in TYPES, f"what is {event['message_type']}?"
        look(event)
    kinds = [load(line)["message_type"] for line in lines]
    assert kinds.count("summary") == 1 and kinds[-1] == "summary", f"not one summary last: {kinds}"
    last = load(lines[-1])
    assert last["verb"] == verb, f"verb is {last['verb']}"
    assert last["exit_code"] == code, f"exit_code says {last['exit_code']}, it was {code}"
    good = last["status"] == "ok"
    assert good == (code == 0), f"status '{last['status']}' with exit code {code}"


def main():
    text = sys.stdin.read()
    if sys.argv[1] == "document":
        look(load(text))
    else:
        check_events(text.splitlines(), sys.argv[2], int(sys.argv[3]))


if __name__ == "__main__":
    try:
        main()
    except (AssertionError, ValueError, KeyError) as problem:
        print(f"not as promised: {problem}", file=sys.stderr)
        sys.exit(1)
