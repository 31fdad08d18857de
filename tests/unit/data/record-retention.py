#!/usr/bin/python3
"""Records what `restic forget --dry-run` decides on random histories, for test_retention.c.

Run by hand when a case is to be added (it takes a few minutes and needs restic):
    record-retention.py > retention.txt
The histories are the same in every run. All snapshots lie in one repository, told apart by a tag.
"""
import calendar
import datetime
import json
import os
import random
import subprocess
import sys
import tempfile
import zoneinfo

POLICIES = [
    {"last": 3},
    {"last": 1, "daily": 7},
    {"last": 3, "hourly": 48, "daily": 30, "weekly": 12, "monthly": 12, "yearly": 7},
    {"hourly": 4, "weekly": 3},
    {"daily": 5, "monthly": 2, "yearly": 10},
    {"weekly": 200},
    {"within": 240},
    {"within": 36, "yearly": 1, "hourly": 2},
    {"last": 100},
    {"monthly": 3, "daily": 1},
]


def utc(*args):
    return calendar.timegm(datetime.datetime(*args).timetuple())


def spread(rng, start, end, count):
    return sorted(rng.sample(range(start, end), count))


def histories():
    rng = random.Random(20240229)
    hour, day = 3600, 86400
    every = lambda start, step, count, jitter=0: [
        start + i * step + (rng.randrange(jitter) if jitter else 0) for i in range(count)]
    yield "Europe/Berlin", [utc(2024, 2, 29, 12, 0, 0)]
    yield "Europe/Berlin", every(utc(2023, 10, 28, 21, 30, 0), 1200, 18)  # the hour that comes twice
    yield "Europe/Berlin", every(utc(2024, 3, 30, 21, 30, 0), 1500, 14)  # the hour that is missing
    yield "Europe/Berlin", every(utc(2023, 10, 25, 21, 50, 0), 5 * hour, 16, 1200)
    yield "Europe/Berlin", every(utc(2024, 2, 24, 1, 0, 0), day, 12, hour)  # a leap day
    yield "Europe/Berlin", every(utc(2020, 12, 24, 22, 30, 0), day // 2, 16, hour)  # week 53
    yield "Europe/Berlin", every(utc(2018, 12, 27, 23, 30, 0), day, 10)
    yield "Europe/Berlin", spread(rng, utc(2015, 1, 1), utc(2024, 12, 31), 14)
    yield "Europe/Berlin", spread(rng, utc(2023, 1, 1), utc(2024, 12, 31), 20)
    yield "Europe/Berlin", spread(rng, utc(2024, 5, 1), utc(2024, 5, 12), 16)
    yield "Europe/Berlin", [utc(2000, 2, 28, 23, 30), utc(2000, 2, 29, 23, 30), utc(2000, 3, 1)]
    yield "Europe/Berlin", spread(rng, utc(2024, 3, 1), utc(2024, 4, 20), 12) + [
        utc(2099, 1, 1), utc(2099, 1, 3)]  # a clock that was wrong
    yield "America/New_York", every(utc(2024, 11, 3, 3, 30, 0), 1500, 14)
    yield "America/New_York", spread(rng, utc(2022, 11, 1), utc(2024, 3, 20), 14)
    yield "America/New_York", spread(rng, utc(2023, 12, 20), utc(2024, 1, 15), 14)
    yield "UTC", spread(rng, utc(2023, 12, 1), utc(2025, 1, 20), 16)
    yield "UTC", every(utc(2026, 1, 1), 90 * day, 3)
    yield "UTC", spread(rng, utc(2024, 6, 1), utc(2024, 6, 3), 14)
    yield "Europe/Berlin", every(utc(2009, 12, 20, 6, 0, 0), 7 * day, 14, day)
    yield "Europe/Berlin", every(utc(2019, 1, 1, 0, 0, 0), 31 * day, 14, 9 * day)


def restic(repo, args, tz):
    env = dict(os.environ, RESTIC_REPOSITORY=repo, RESTIC_PASSWORD="x", TZ=tz)
    done = subprocess.run(["restic", "--no-cache", "-q", *args], env=env, check=True,
                          stdout=subprocess.PIPE)
    return done.stdout


def backup(repo, path, tag, zone, when):
    local = datetime.datetime.fromtimestamp(when, zoneinfo.ZoneInfo(zone))
    hours = int(local.utcoffset().total_seconds()) // 3600
    fixed = "Etc/GMT%+d" % -hours if hours else "UTC"  # says which of two equal local times is meant
    restic(repo, ["backup", "--host", "h", "--tag", tag, "--time", f"{local:%Y-%m-%d %H:%M:%S}",
                  path], fixed)


def epoch(text):
    if text.endswith("Z"):
        text = text[:-1] + "+00:00"
    return int(datetime.datetime.fromisoformat(text).timestamp())


def forget(repo, tag, zone, policy):
    args = ["forget", "--dry-run", "--json", "--group-by", "", "--tag", tag]
    for key, value in policy.items():
        args += ["--keep-" + key, f"{value}h" if key == "within" else str(value)]
    group = json.loads(restic(repo, args, zone).splitlines()[0])[0]
    reasons = {}
    for item in group["reasons"]:
        words = [m.split()[0] if m.startswith("within") else m.replace(" snapshot", "")
                 for m in item["matches"]]
        reasons[epoch(item["snapshot"]["time"])] = words
    removed = {epoch(s["time"]) for s in group["remove"] or []}
    assert not removed & set(reasons)
    return reasons, removed


def main():
    print("# What restic 0.14 keeps; written by record-retention.py. now: when it was recorded.")
    print("now", int(datetime.datetime.now().timestamp()))
    with tempfile.TemporaryDirectory() as work:
        repo, path = work + "/repo", work + "/file"
        with open(path, "w") as f:
            f.write("x")
        restic(repo, ["init"], "UTC")
        for number, (zone, times) in enumerate(histories()):
            tag = f"h{number}"
            for when in times:
                backup(repo, path, tag, zone, when)
            print("history", zone, *times)
            for policy in POLICIES:
                reasons, removed = forget(repo, tag, zone, policy)
                assert set(reasons) | removed == set(times), (zone, times)
                print("policy", *(f"{k}={v}" for k, v in policy.items()))
                for when in times:
                    if when in reasons:
                        print("keep", when, ",".join(w.replace(" ", "-") for w in reasons[when]))
            print(f"history {number}", file=sys.stderr)


main()
