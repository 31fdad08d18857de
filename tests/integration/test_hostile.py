#!/usr/bin/python3
"""Archives made by somebody who means harm, in stores that are sealed rightly."""
import hashlib
import io
import os
import subprocess
import tarfile

import bake

BUDGET = 128 << 10  # KiB: what reading a small store may ever need


def escape(path):
    return "".join(f"\\{b:03o}" if not 33 <= b < 127 or chr(b) in '#\\*?[]="' else chr(b)
                   for b in os.fsencode(path))


class Maker:
    """A store with one backup, byte by byte, by docs/format.md alone."""

    def __init__(self, root, name="h-20250101T000000Z-abcdef"):
        self.folder, self.id = f"{root}/backups/{name}", name
        os.makedirs(self.folder)
        with open(f"{root}/bakengine.json", "wb") as f:
            f.write(bake.seal_object({"format_version": 1, "store_id": "0" * 32,
                                      "format": "archive", "digest": "sha256",
                                      "created": "2025-01-01T00:00:00Z"}))

    def compress(self, name, chunks):
        """Writes name.zst; returns its object and the digest of the plain bytes."""
        path, plain, size = f"{self.folder}/{name}.zst", hashlib.sha256(), 0
        with open(path, "wb") as out:
            zstd = subprocess.Popen(["zstd", "-q", "-1", "-c"], stdin=subprocess.PIPE, stdout=out)
            for chunk in chunks:
                plain.update(chunk)
                size += len(chunk)
                zstd.stdin.write(chunk)
            zstd.stdin.close()
            assert zstd.wait() == 0
        with open(path, "rb") as f:
            stored = hashlib.file_digest(f, "sha256").hexdigest()
        return {"name": f"{name}.zst", "size": os.path.getsize(path), "sha256": stored}, \
            plain.hexdigest(), size

    def finish(self, tar, listing, entries, kind="tree", size=None):
        data, digest, plain = self.compress("all.tar" if kind == "tree" else "all", tar)
        objects = [{**data, "role": "data"}]
        if kind == "tree":
            objects.append({**self.compress("all.mtree", listing)[0], "role": "listing"})
        component = {"name": "all", "kind": kind, "status": "ok", "source": "all",
                     "plugin": "files", "bytes_in": plain if size is None else size,
                     "bytes_stored": sum(o["size"] for o in objects), "entries": entries,
                     "warnings": 0, "missing": 0, "duration": 0.1, "sha256": digest,
                     "transforms": ["zstd"], "objects": objects}
        now = "2025-01-01T00:00:00.000000000Z"
        body = {"manifest_version": 1, "id": self.id, "pipeline": "h", "type": "full", "tags": [],
                "start": now, "end": now, "hostname": "h", "engine": "bakengine 0.1.0",
                "plugins": {}, "encrypted": False, "components": [component],
                "totals": {"components": 1, "bytes_in": 0, "bytes_stored": 0, "entries": 0,
                           "warnings": 0}}
        with open(f"{self.folder}/manifest.json", "wb") as f:
            f.write(bake.seal_object(body))


class Tar:
    """A tar with its listing."""

    def __init__(self):
        self.raw = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.raw, mode="w", format=tarfile.PAX_FORMAT)
        self.lines, self.n = ["#mtree\n"], 0

    def add(self, name, kind=tarfile.REGTYPE, data=b"", link="", mode=0o644):
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode, info.size = kind, link, mode, len(data)
        info.devmajor, info.devminor = 1, 3
        self.tar.addfile(info, io.BytesIO(data))
        word = {tarfile.REGTYPE: "file", tarfile.LNKTYPE: "file", tarfile.DIRTYPE: "dir",
                tarfile.SYMTYPE: "link", tarfile.CHRTYPE: "char", tarfile.FIFOTYPE: "fifo"}[kind]
        line = f"./{escape(name.removeprefix('./'))} type={word} mode=0{mode:o} uid=0 gid=0" \
               f" time=0.000000000 nlink=1"
        if kind == tarfile.REGTYPE:
            line += f" size={len(data)} tags=xxh128:{bake.xxh128(data)}"
        elif kind == tarfile.SYMTYPE:
            line += f" link={escape(link)}"
        elif kind == tarfile.CHRTYPE:
            line += " device=native,1,3"
        self.lines.append(line + "\n")
        self.n += 1
        return self

    def into(self, maker, **more):
        self.tar.close()
        maker.finish([self.raw.getvalue()], ["".join(self.lines).encode()], self.n, **more)


class Hostile(bake.Bench):
    def setUp(self):
        super().setUp()
        self.store, self.target = self.path("store"), self.path("out")
        self.canary = self.write("canary", b"untouched")
        os.mkdir(self.path("victim"))

    def restore(self, *args, code=(1, 3)):
        said = self.bake("restore", self.store, "--target", self.target, "--json", *args, code=code)
        with open(self.canary, "rb") as f:
            self.assertEqual(f.read(), b"untouched")
        self.assertEqual(os.listdir(self.path("victim")), [], str(said))
        allowed = {"store", "out", "canary", "victim", "state", "cache", "pipe"}
        self.assertLessEqual(set(os.listdir(self.work)), allowed, str(said))
        self.assertLess(said.rss, BUDGET, str(said))
        return said

    def got(self, name):
        return os.path.join(self.target, "all", name)

    def test_what_we_make_by_hand_is_taken(self):
        """The tests below would prove nothing with a store that is refused for another reason."""
        Tar().add("d", tarfile.DIRTYPE, mode=0o755).add("d/f", data=b"good").add(
            "link", tarfile.SYMTYPE, link="d/f").into(Maker(self.store))
        self.bake("verify", self.store, "--all", "--level", "read")
        self.restore(code=0)
        with open(self.got("link"), "rb") as f:
            self.assertEqual(f.read(), b"good")

    def bad(self, *entries, named=True):
        """Each bad entry is refused, by name; good ones before and after are restored."""
        tar = Tar().add("before", data=b"1")
        for e in entries:
            tar.add(**e)
        tar.add("zz-after", data=b"2").into(Maker(self.store))
        said = self.restore()
        for name in ("before", "zz-after"):
            self.assertTrue(os.path.isfile(self.got(name)), f"{name} is lost\n{said}")
        if named:
            self.assertTrue(said.of("error"), str(said))
        return said

    def test_absolute_paths(self):
        target = self.path("victim/absolute")
        said = self.bad({"name": target, "data": b"evil"})
        self.assertIn("victim/absolute", said.text)

    def test_dots(self):
        for i, name in enumerate(("../../victim/x", "a/../../../victim/x", "..", "a/..", "./../x",
                                  "a/./b/../../../../victim/y")):
            bake.forget(self.store), bake.forget(self.target)
            self.bad({"name": name, "data": b"evil"})

    def test_through_a_symlink(self):
        said = self.bad({"name": "link", "kind": tarfile.SYMTYPE, "link": self.path("victim")},
                        {"name": "link/evil", "data": b"evil"})
        self.assertIn("link/evil", said.text)

    def test_through_a_symlink_up(self):
        self.bad({"name": "a", "kind": tarfile.DIRTYPE, "mode": 0o755},
                 {"name": "a/up", "kind": tarfile.SYMTYPE, "link": "../../../victim"},
                 {"name": "a/up/evil", "data": b"evil"},
                 {"name": "a/up/dir", "kind": tarfile.DIRTYPE, "mode": 0o777})

    def test_over_a_symlink(self):
        """A file with the name of a link to a file: the link's end is not written to."""
        self.bad({"name": "link", "kind": tarfile.SYMTYPE, "link": self.canary},
                 {"name": "link", "data": b"evil"})
        bake.forget(self.store), bake.forget(self.target)
        Tar().add("link", tarfile.SYMTYPE, link=self.canary).add("link", data=b"evil").into(
            Maker(self.store))
        self.restore("--force", code=(0, 1, 3))

    def test_symlink_that_is_there(self):
        """One in the target, from somebody else: not followed either."""
        os.makedirs(f"{self.target}/all")
        os.symlink(self.path("victim"), self.got("d"))
        tar = Tar().add("d", tarfile.DIRTYPE, mode=0o777).add("d/evil", data=b"evil")
        tar.into(Maker(self.store))
        self.restore(code=(0, 1, 3))
        self.restore("--force", code=(0, 1, 3))

    def test_hard_links_out(self):
        for link in (self.canary, "../../canary", "/etc/passwd", "no-such-name", "link/x"):
            bake.forget(self.store), bake.forget(self.target)
            self.bad({"name": "link", "kind": tarfile.SYMTYPE, "link": self.work},
                     {"name": "hard", "kind": tarfile.LNKTYPE, "link": link})
            self.assertFalse(os.path.lexists(self.got("hard")))
        self.assertEqual(os.stat(self.canary).st_nlink, 1)

    def test_device_and_setuid(self):
        """They are what was backed up; to people who may not make them it is said."""
        Tar().add("null", tarfile.CHRTYPE, mode=0o666).add("suid", data=b"x", mode=0o4755).into(
            Maker(self.store))
        self.restore(code=(0, 3))
        if not bake.ROOT:
            self.assertFalse(os.path.lexists(self.got("null")))

    def test_names_too_long(self):
        said = self.bad({"name": "n" * 300, "data": b"1"}, {"name": "x/" + "m" * 120000, "data": b"2"})
        self.assertLess(len(said.out), 1 << 20)

    def test_many_levels(self):
        Tar().add("d/" * 20000 + "f", data=b"1").add("after", data=b"2").into(Maker(self.store))
        self.restore(code=(0, 1, 3))
        self.assertTrue(os.path.isfile(self.got("after")))

    def test_a_header_without_end(self):
        """A pax header that claims to be 8 GiB long is not read into memory."""
        head = tarfile.TarInfo("x")
        head.type, head.size = tarfile.XHDTYPE, 8 << 30
        block = head.tobuf(tarfile.GNU_FORMAT)
        zeros = bytes(1 << 20)
        Maker(self.store).finish((block, *[zeros] * 500), [b"#mtree\n"], 1)
        self.restore(code=(1, 3))

    def test_a_file_longer_than_the_manifest_says(self):
        """Sizes are hints. All the data are there and right, so they are restored."""
        Tar().add("f", data=b"x" * 100000).into(Maker(self.store), size=5)
        self.restore(code=(0, 1, 3))

    def test_a_listing_that_lies(self):
        """What it says of the content is held against the content."""
        for change in ((b"tags=xxh128:", b"tags=xxh128:0000"), (b"./f ", b"./g "),
                       (b" tags=", b" other="),
                       (b" type=file", b" type=file" + b"x" * 3000000), (b"./f", b"./../../victim/x")):
            bake.forget(self.store), bake.forget(self.target)
            tar = Tar().add("f", data=b"data")
            tar.lines = ["".join(tar.lines).encode().replace(*change).decode()]
            tar.into(Maker(self.store))
            with self.subTest(change[1][:40]):
                self.bake("verify", self.store, "--all", "--level", "read", code=4)
                self.restore()
                if b"tags=" in change[0]:
                    self.assertFalse(os.path.lexists(self.got("f")))

    def bomb(self, gib):
        """gib GiB of zeros as one file, a few hundred KiB as stored."""
        tar, zeros = Tar(), bytes(1 << 20)
        info = tarfile.TarInfo("bomb")
        info.size = gib << 30
        digest = bake.xxh128(zeros for _ in range(gib << 10))
        head = info.tobuf(tarfile.PAX_FORMAT if gib >= 8 else tarfile.USTAR_FORMAT)
        tar.add("small", data=b"small")
        tar.tar.close()
        small = tar.raw.getvalue()[:1024]
        tar.lines.insert(1, f"./bomb type=file mode=0644 uid=0 gid=0 time=0.0 nlink=1 "
                            f"size={gib << 30} tags=xxh128:{digest}\n")

        def stream():
            yield head
            for _ in range(gib << 10):
                yield zeros
            yield small
            yield bytes(10240)

        Maker(self.store).finish(stream(), ["".join(tar.lines).encode()], 2)

    def test_bomb(self):
        """Decoded as it goes by: what was not asked for takes neither memory nor room."""
        self.bomb(10 if bake.LONG else 1)
        said = self.restore("--path", "small", code=0)
        self.assertEqual(os.listdir(f"{self.target}/all"), ["small"])
        print(f"\nbomb: {said.rss} KiB at most")

    def test_bomb_that_does_not_fit(self):
        """What would fill the disk is known before it does."""
        self.bomb(1)
        where = self.path("out")
        self.mount(where, "-t", "tmpfs", "-o", "size=64m", "tmpfs")
        said = self.restore(code=1)
        self.assertIn("free", said.text)
        self.assertNotIn("bomb", os.listdir(f"{where}/all") if os.path.isdir(f"{where}/all") else [])


if __name__ == "__main__":
    bake.main()
