#!/usr/bin/python3
"""Makes what looks like a WAL segment of PostgreSQL 15 for the command-line tests.

segment.py FOLDER NAME [SYSTEM] [SEED]: NAME's own position in its header, 1 MiB, other bytes for
another seed. With a NAME of a control file ("pg_control") that instead."""
import pathlib
import struct
import sys

SIZE = 1 << 20


def segment(name, system, seed):
    timeline, log, number = (int(name[i:i + 8], 16) for i in (0, 8, 16))
    at = log * (1 << 32) + number * SIZE
    head = struct.pack("=HHIQI4xQII", 0xD110, 3, timeline, at, 0, system, SIZE, 8192)
    unit = f"{name} {seed}\n".encode()
    body = unit * (SIZE // len(unit) + 1)
    return head + body[:SIZE - len(head)]


def main():
    folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
    system = int(sys.argv[3]) if len(sys.argv) > 3 else 7301234567890123456
    seed = sys.argv[4] if len(sys.argv) > 4 else "a"
    folder.mkdir(parents=True, exist_ok=True)
    if name == "pg_control":
        data = struct.pack("=QII", system, 1300, 202209061)
    else:
        data = segment(name, system, seed)
    (folder / name).write_bytes(data)


main()
