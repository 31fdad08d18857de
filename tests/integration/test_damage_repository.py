#!/usr/bin/python3
"""Damage to a repository: all of it is found and named, and what is not lost is restored."""
import glob
import os
import shutil

import bake
import repolook
import repostore
from repodamage import Damaged

FLIPS = 600 if bake.LONG else 20
CUTS = 100 if bake.LONG else 5


class Packs(Damaged):
    def damage(self, name, change, where=None):
        """Changes a pack of the store; returns what it is like now."""
        path = repolook.pack_path(self.path("store"), name)
        what = change(path, where) if where else change(path)
        what = f"pack {name} (kind {self.look.packs[name].kind}): {what}"
        data = None
        if os.path.exists(path):
            with open(path, "rb") as f:
                data = f.read()
        return what, {name: data}

    def test_flipped_bits_in_segments(self):
        for i in range(FLIPS):
            self.fresh(cache=self.random.random() < 0.5)
            name = self.random.choice(sorted(self.look.packs))
            what, damaged = self.damage(name, self.flip, self.look.packs[name].ranges()["segment"])
            self.check(what, damaged)

    def test_flipped_bits_elsewhere(self):
        """All of it is found (but in the header's 16 random bytes, which mean nothing). A pack that
        says nothing of its transforms costs its own chunks; table and footer cost nothing, as the
        index knows what they say."""
        for i in range(FLIPS // 2):
            self.fresh(cache=self.random.random() < 0.5)
            name = self.random.choice(sorted(self.look.packs))
            part, (first, end) = self.random.choice(
                [(p, r) for p, r in self.look.packs[name].ranges().items() if p != "segment"])
            where = self.random.choice(((0, 20), (36, end))) if part == "header" else (first, end)
            what, _ = self.damage(name, self.flip, where)
            what = f"seed {self.seed}: {part} of {what}"
            lost, components = self.expect({name: None} if part == "header" else {})
            said = self.bake("verify", self.file, "--all", "--level", "read", "--json", code=None)
            if said.code != 4:
                self.fail(f"{what}: verify\n{said}")
            if name not in said.text:
                self.fail(f"{what}: the pack is not named\n{said}")
            for backup in self.look.backups:
                self.check_restore(backup, what, lost[backup], components[backup], at_most=True)

    def test_cut_packs(self):
        """Of a pack that has not its size nothing is relied upon."""
        for _ in range(CUTS):
            self.fresh(cache=self.random.random() < 0.5)
            name = self.random.choice(sorted(self.look.packs))
            what, _ = self.damage(name, self.cut)
            self.quick_finds(what, name)
            self.check(what, {name: None})

    def test_removed_packs(self):
        for name in self.look.packs:
            self.fresh(cache=self.random.random() < 0.5)
            what, damaged = self.damage(name, self.remove)
            self.quick_finds(what, name)
            self.check(what, damaged)

    def quick_finds(self, what, pack):
        said = self.bake("verify", self.file, "--all", "--level", "quick", "--json", code=4)
        results = {e["id"]: e["result"] for e in said.of("verified")}
        for backup in self.look.backups:
            needs = backup in self.look.needing(pack)
            if (results.get(backup) == "damaged") != needs:
                self.fail(f"{what}: quick: {backup} is {results.get(backup)}\n{said}")
            if needs and not any(pack in e["text"] for e in self.errors_of(said, backup)):
                self.fail(f"{what}: quick: {backup}: the pack is not named\n{said}")

    def test_swapped_packs(self):
        """Without any index that knows better each tells by its own table what is in it: then all
        comes back. Else nothing of the two is relied upon."""
        names = sorted(self.look.packs)
        for a, b in [(a, b) for a in names for b in names if a < b]:
            self.fresh(cache=self.random.random() < 0.5)
            one, two = (repolook.pack_path(self.path("store"), n) for n in (a, b))
            with open(one, "rb") as f, open(two, "rb") as g:
                x, y = f.read(), g.read()
            for path, data in ((one, y), (two, x)):
                with open(path, "wb") as f:
                    f.write(data)
            what, damaged = f"{a} and {b} swapped", {a: y, b: x}
            said = self.bake("verify", self.file, "--all", "--level", "read", code=(0, 4))
            if said.code == 0:
                damaged = {}
            self.check(what, damaged)

    def test_everything_is_gone(self):
        self.fresh()
        bake.forget(self.path("store/packs"))
        self.check("no packs", dict.fromkeys(self.look.packs))


class Documents(Damaged):
    """Manifests, lists of packs, bakengine.json."""

    def other_is_whole(self):
        self.bake("verify", self.file, "one", "--level", "read")
        self.check_restore("one", "the other backup", set(), set())

    def test_manifest(self):
        path = self.path("store/backups/two/manifest.json")
        for change in [self.flip] * (FLIPS // 4) + [self.cut] * 3 + [self.append]:
            self.fresh()
            what = f"seed {self.seed}: manifest: {change(path)}"
            said = self.bake("verify", self.file, "--all", "--level", "read", code=4)
            self.assertIn("two", said.text, what)
            self.assertIn("manifest", self.restore("two", code=1).text, what)
            self.assertEqual(len(self.backups(self.file)), 2, "both are still listed")
        self.other_is_whole()
        # Nothing is known of what the damaged one needs: a prune must not take any pack.
        before = repolook.pack_names(self.path("store"))
        self.bake("prune", self.pipeline(self.roots, store={"format": "repository"}, file="p.yaml",
                                         retention={"keep_last": 1}), code=None)
        self.assertEqual(repolook.pack_names(self.path("store")), before)

    def test_manifest_gone(self):
        self.fresh()
        os.unlink(self.path("store/backups/two/manifest.json"))
        self.assertEqual([b["id"] for b in self.backups(self.file)], ["one"])
        self.restore("two", code=10)
        self.bake("verify", self.file, "--all", "--level", "read")
        self.other_is_whole()

    def test_manifest_of_another(self):
        self.fresh()
        shutil.copy(self.path("store/backups/one/manifest.json"),
                    self.path("store/backups/two/manifest.json"))
        self.bake("verify", self.file, "--all", "--level", "read", code=4)
        self.assertEqual(self.restore("two").code, 1)
        self.other_is_whole()

    def test_list_of_packs(self):
        """The chunks are where they were: a restore brings all, or says why not."""
        path = self.path("store/backups/two/packs")
        changes = [self.flip] * (FLIPS // 4) + [self.cut] * 3 + [self.append, self.remove]
        swap = lambda p: str(shutil.copy(self.path("store/backups/one/packs"), p))
        for change in changes + [swap]:
            self.fresh(cache=self.random.random() < 0.5)
            what = f"seed {self.seed}: packs: {change(path)}"
            for level in ("quick", "read"):
                said = self.bake("verify", self.file, "--all", "--level", level, "--json", code=4)
                if not any("packs" in e["text"] for e in self.errors_of(said, "two")):
                    self.fail(f"{what}: {level}: not named\n{said}")
                if {e["id"]: e["result"] for e in said.of("verified")}["one"] != "ok":
                    self.fail(f"{what}: the other backup is damaged too\n{said}")
            said = self.restore("two")
            there = self.came_back("two", what, said)
            if said.code == 0 and there != self.all_of("two"):
                self.fail(f"{what}: not all is there\n{said}")
            if said.code != 0 and "packs" not in said.text:
                self.fail(f"{what}: not named\n{said}")
        self.other_is_whole()

    def test_store_info(self):
        """Damaged, nothing is read or written by guess."""
        path = self.path("store/bakengine.json")
        for change in [self.flip] * (FLIPS // 8) + [self.cut, self.cut, self.append]:
            self.fresh()
            what = f"seed {self.seed}: bakengine.json: {change(path)}"
            before = sorted(glob.glob(self.path("store/**"), recursive=True))
            for verb, *args in (("verify", "--all"), ("list",), ("run",), ("prune",)):
                said = self.bake(verb, self.file, *args, code=None)
                self.assertIn(said.code, (1, 2, 4, 10), f"{what}\n{said}")
                self.assertIn("bakengine.json", said.text, what)
            self.assertEqual(sorted(glob.glob(self.path("store/**"), recursive=True)), before)

    def test_another_chunker(self):
        """Whoever knows other parameters has damaged it: chunks would be cut otherwise."""
        for key, value in (("seed", "zz"), ("seed", None), ("algorithm", "rabin"), ("min", 0),
                           ("avg", 1), ("max", 1 << 40), ("max", "1"), (None, None)):
            self.fresh()

            def change(j, key=key, value=value):
                if key:
                    j["chunker"][key] = value
                else:
                    del j["chunker"]
            bake.edit_sealed(self.path("store/bakengine.json"), change)
            said = self.bake("run", self.file, code=None)
            self.assertIn(said.code, (1, 2, 4), f"{key}: {value}\n{said}")
            self.assertIn("bakengine.json", said.text)

    def test_streams_that_lie(self):
        """Sealed rightly, by somebody who means harm."""
        def stream(change):
            def edit(j):
                for c in j["components"]:
                    if c["name"] == "all":
                        change(c["stream"])
            return edit

        other = "0123456789abcdef" * 4
        for n, change in enumerate((stream(lambda s: s.update(levels=1)), stream(lambda s: s.update(levels=99)),
                       stream(lambda s: s.update(levels=-1)), stream(lambda s: s.update(length=1)),
                       stream(lambda s: s.update(length=1 << 62)),
                       stream(lambda s: s.update(chunks=[])), stream(lambda s: s.update(chunks=None)),
                       stream(lambda s: s["chunks"].reverse() or s["chunks"].pop()),
                       stream(lambda s: s.update(chunks=s["chunks"] * 40)),
                       stream(lambda s: s["chunks"][0].update(id=other)),
                       stream(lambda s: s["chunks"][0].update(id="xyz")),
                       stream(lambda s: s["chunks"][0].update(length=0)),
                       stream(lambda s: s["chunks"][0].update(length=1 << 63)),
                       lambda j: j.update(packs=None), lambda j: j["packs"].update(count=1),
                       lambda j: j["packs"].update(sha256=other),
                       lambda j: j["packs"].update(size=1 << 60))):
            self.fresh()
            bake.edit_sealed(self.path("store/backups/two/manifest.json"), change)
            found = self.bake("verify", self.file, "two", "--level", "read", code=None)
            self.assertIn(found.code, (1, 4), f"lie number {n}\n{found}")
            said = self.restore("two")
            self.assertIn(said.code, (0, 1, 3), str(said))
            there = self.came_back("two", "a manifest that lies", said)
            self.assertTrue(said.code != 0 or there == self.all_of("two"), str(said))


class Healing(Damaged):
    def test_damage_is_not_inherited(self):
        """What a verification found bad is stored again; what the source still has heals the old
        backups too."""
        for round_ in range(6 if bake.LONG else 3):
            self.fresh(cache=round_ % 2 == 0)
            hit = {}
            for name, pack in self.look.packs.items():
                if pack.kind == repostore.DATA:
                    for s in pack.segments:
                        self.flip(repolook.pack_path(self.path("store"), name),
                                  (s.at + (s.end - s.at) // 3, s.end))
                    with open(repolook.pack_path(self.path("store"), name), "rb") as f:
                        hit[name] = f.read()
            what = f"seed {self.seed}: every segment of data hit"
            lost, components = self.expect(hit)
            self.check_verify(what, lost, components)
            self.assertLessEqual(set(hit), set(os.listdir(self.path("store/bad"))), what)
            said = self.run_json(self.file, "--id", "three")
            self.assertGreater(said.summary["bytes_stored"], 4 << 20)
            self.bake("verify", self.file, "three", "--level", "read")
            with repolook.quiet():
                new = repolook.Backup(self.path("store"), "three")
            self.wanted["three"], self.look.backups["three"] = self.wanted["two"], new
            self.check_restore("three", what, set(), set())
            # Chunks that three has stored again serve the old ones.
            for backup in ("one", "two"):
                healed = set().union(*new.files.values())
                still = {f for f in lost[backup] if not self.look.backups[backup].files[f] <= healed}
                self.assertEqual(bool(still), backup == "one")
                self.check_restore(backup, what, still, set())
            del self.look.backups["three"]

    def test_a_pack_that_is_gone(self):
        for name, pack in self.look.packs.items():
            self.fresh(cache=self.random.random() < 0.5)
            os.unlink(repolook.pack_path(self.path("store"), name))
            what = f"pack {name} of kind {pack.kind} is gone"
            self.bake("run", self.file, "--id", "three")
            done = self.bake("verify", self.file, "three", "--level", "read", code=None)
            if done.code != 0:
                self.fail(f"{what}\n{done}")
            with repolook.quiet():
                new = repolook.Backup(self.path("store"), "three")
            self.wanted["three"], self.look.backups["three"] = self.wanted["two"], new
            self.check_restore("three", what, set(), set())
            del self.look.backups["three"]

    def test_silent_damage_is_found_by_full_reads(self):
        """Nobody verified: the parent's chunks are believed; a verification afterwards names all."""
        self.fresh()
        hit = {}
        name = max(self.look.packs, key=lambda n: self.look.packs[n].size)
        self.flip(repolook.pack_path(self.path("store"), name),
                  self.look.packs[name].ranges()["segment"])
        with open(repolook.pack_path(self.path("store"), name), "rb") as f:
            hit[name] = f.read()
        self.bake("run", self.file, "--id", "three")
        self.bake("verify", self.file, "--all", "--level", "read", code=4)
        self.bake("run", self.file, "--id", "four")
        self.bake("verify", self.file, "four", "--level", "read")
        self.wanted["four"] = self.wanted["two"]
        self.look.backups["four"] = self.look.backups["two"]
        self.check_restore("four", f"seed {self.seed}: flipped, then healed", set(), set())


if __name__ == "__main__":
    bake.main()
