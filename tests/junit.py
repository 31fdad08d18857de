#!/usr/bin/python3
"""What a person wants to know of ctest's JUnit files. Usage: junit.py slowest FILE, or
junit.py failed FILE...: the ten slowest tests; all that failed, with the end of what they said."""
import os
import sys
import xml.etree.ElementTree as xml

SLOWEST = 10
LINES = 60


def tests(path):
    try:
        return list(xml.parse(path).getroot().iter("testcase"))
    except (OSError, xml.ParseError) as e:
        print(f"{path}: {e}")
        return []


def slowest(path):
    found = tests(path)
    print(f"The slowest of {sum(float(t.get('time')) for t in found):.0f} s of tests:")
    for t in sorted(found, key=lambda t: -float(t.get("time")))[:SLOWEST]:
        print(f"{float(t.get('time')):8.1f} s  {t.get('name')}")


def failed(paths):
    for path in paths:
        preset = os.path.basename(path).split(".")[0]
        for t in tests(path):
            reason = t.find("failure")
            if reason is None and t.get("status") != "fail":
                continue
            why = "" if reason is None else reason.get("message", "")
            print(f"\n== FAILED: {preset}: {t.get('name')} ({float(t.get('time')):.0f} s) {why}")
            print("\n".join((t.findtext("system-out") or "").rstrip().split("\n")[-LINES:]))


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("slowest", "failed"):
        sys.exit(__doc__)
    sys.stdout.reconfigure(errors="backslashreplace")
    if sys.argv[1] == "slowest":
        slowest(sys.argv[2])
    else:
        failed(sys.argv[2:])


main()
