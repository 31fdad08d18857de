#!/usr/bin/env python3
"""The way back of dumps into real servers: the same comes back, or what was there stays."""
import json
import os
import random
import re
import signal
import subprocess
import time

import server
from server import OWNER, tool

ODD = ['"; drop table x; --', "a=b", "postgres://nobody@nowhere/x", "it's", "new\nline", "with space",
       "ключ", "back\\slash", "%L and %I", "x" * 63, "x" * 62 + "y", "ж" * 31]


class Back(server.PostgresBench):
    """What the tests of both files share."""

    def plain(self, db, at=None):
        """A dump by the tool itself, without what differs from one to the next."""
        at = at or self.server
        done = subprocess.run([tool("pg_dump"), "--create", "-d", at.dbname(db)], env=at.env(),
                              capture_output=True, check=True)
        return re.sub(rb"(?m)^\\(un)?restrict .*$", b"", done.stdout)

    def edit(self, pipeline, **options):
        with open(pipeline, encoding="utf-8") as f:
            body = json.load(f)
        body["sources"][0].update(options)
        with open(pipeline, "w", encoding="utf-8") as f:
            json.dump(body, f)

    def names(self, at=None):
        return set(json.loads((at or self.server).sql("select json_agg(datname) from pg_database")))

    def ours(self, at=None):
        """What a restore leaves if it leaves anything."""
        return [n for n in self.names(at) if "_bakengine_" in n]

    def run_all(self, *names, **options):
        p = self.pg_pipeline(databases=list(names), **options)
        self.run_json(p)
        return p

    def drop(self, *names, at=None):
        for name in names:
            quoted = '"' + name.replace('"', '""') + '"'
            (at or self.server).sql(f"drop database if exists {quoted} with (force)")


class Restores(Back):

    def test_hard_things_come_back(self):
        self.database("hard")
        self.server.script("hard.sql", "hard")
        wanted = self.plain("hard")
        for format in ("plain", "custom"):
            with self.subTest(format):
                p = self.pg_pipeline(name=format, databases=["hard"], globals=False)
                self.edit(p, format=format)
                self.run_json(p)
                self.server.sql("drop table kinds cascade; drop table hen cascade;"
                                "select lo_unlink(4711)", "hard")
                self.bake("restore", p, "--force")
                self.assertEqual(self.plain("hard"), wanted)
                self.drop("hard")
                self.bake("restore", p)
                self.assertEqual(self.plain("hard"), wanted)
                self.assertEqual(self.ours(), [])


if __name__ == "__main__":
    server.main()
