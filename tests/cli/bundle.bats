# Bundles: the components of a group in one tar at the sink's root; and archives that other programs
# put there.
load helpers

# bundled FILE NAME OPTIONS [LINE...]: one source of groups, whose components stand in bundles.
bundled() {
    local file=$1 name=$2 options=$3
    shift 3
    {
        printf 'pipeline: %s\nsources: [{name: src, plugin: groups, log: log, %s}]\n' "$name" \
            "$options"
        printf 'store: {format: archive, bundle: stack}\ntransforms: [{plugin: zstd}]\n'
        printf 'sinks: [{plugin: local, path: store}]\n'
        printf '%s\n' "$@"
    } >"$file"
}

SHOP="size: 300 KB, trees: [shop/app/volumes/up, shop/app/volumes/conf],
  blobs: [shop/db/database/pg_dumpall.sql, shop/db/mariadb_dump/all_databases.sql, single]"

bundle() { (cd "${1:-store}" && ls backup-*.tar.zst); }

# foreign NAME: an archive of the folder 'theirs', as another program makes it.
foreign() { (cd theirs && tar -I zstd -cf "../bare/$1" -- *); }

their_folders() {
    mkdir -p bare theirs/web/volumes/up/sub theirs/db/database theirs/db/mariadb_dump theirs/web/logs
    echo hello >theirs/web/volumes/up/sub/hello
    ln theirs/web/volumes/up/sub/hello theirs/web/volumes/up/again
    ln -s sub/hello theirs/web/volumes/up/link
    echo 'select 1' >theirs/db/database/pg_dumpall.sql
    echo 'select 2' >theirs/db/mariadb_dump/all_databases.sql
    echo log >theirs/web/logs/today
}

@test "zstd and tar alone restore a bundle, as it should be called and filled" {
    bundled p.yaml demo "$SHOP"
    expect 0 run p.yaml --id one
    local name
    name=$(bundle)
    [[ $name =~ ^backup-shop-[0-9]{8}-[0-9]{6}-[0-9a-f]{8}\.tar\.zst$ ]]
    zstd -tq "store/$name"
    mkdir out
    tar -C out -I zstd -xpf "store/$name"
    same top "$(cd out && ls)" "app
db"
    same files "$(cd out && find . -type f | sort)" "./app/volumes/conf/data
./app/volumes/up/data
./db/database/pg_dumpall.sql
./db/mariadb_dump/all_databases.sql"
    same size "$(stat -c %s out/db/database/pg_dumpall.sql)" 300000
    same mode "$(stat -c %a out/db/database/pg_dumpall.sql)" 600
    same text "$(head -1 out/db/database/pg_dumpall.sql)" shop/db/database/pg_dumpall.sql
    (cd store/backups/one && sha256sum -c --strict --quiet SHA256SUMS)
    grep -q "  ../../$name\$" store/backups/one/SHA256SUMS
    [ -f store/backups/one/single.zst ]
}

@test "every reading verb reads components out of bundles" {
    bundled p.yaml demo "$SHOP"
    backup p.yaml one
    backup p.yaml two
    expect 0 list p.yaml
    same backups "$(ids p.yaml)" "one
two"
    expect 0 show p.yaml one
    out_has "data     app/volumes/up in backup-shop-"
    expect 0 ls p.yaml one shop/app/volumes/up
    out_has data
    expect 0 cat p.yaml one shop/app/volumes/up data
    same bytes "$(printf '%s\n' "$output" | head -1)" shop/app/volumes/up
    same tar "$("$BAKENGINE" cat p.yaml one shop/app/volumes/up | tar -t | tail -1)" data
    same blob "$("$BAKENGINE" cat p.yaml one shop/db/database/pg_dumpall.sql | wc -c)" 300000
    expect 0 diff p.yaml one two
    expect 0 verify p.yaml --all --level read
    expect 0 restore p.yaml one --target out
    cmp out/shop/db/database/pg_dumpall.sql <(yes shop/db/database/pg_dumpall.sql | head -c 300000)
    cmp out/shop/app/volumes/conf/data <(yes shop/app/volumes/conf | head -c 300000)
    expect 0 restore p.yaml one --target some --component shop/db
    same some "$(cd some && find . -type f | sort)" "./shop/db/database/pg_dumpall.sql
./shop/db/mariadb_dump/all_databases.sql"
}

@test "a component that breaks off is failed, and spoils no other" {
    bundled p.yaml demo "$SHOP, fail_read: [shop/app/volumes/up, shop/db/database/pg_dumpall.sql]"
    expect 3 run p.yaml --id one
    out_has "'shop/app/volumes/up' broke off"
    out_has "'shop/db/database/pg_dumpall.sql' broke off"
    expect 0 verify p.yaml --level read
    expect 0 restore p.yaml --target out --component shop/app/volumes/conf \
        --component shop/db/mariadb_dump
    cmp out/shop/app/volumes/conf/data <(yes shop/app/volumes/conf | head -c 300000)
    tar -I zstd -tf "store/$(bundle)" >names
    run ! grep pg_dumpall names
    expect 10 cat p.yaml one shop/app/volumes/up
}

@test "a group of which nothing could be read leaves no bundle" {
    bundled p.yaml demo "trees: [shop/a], blobs: [shop/b, single], fail_read: [shop/a, shop/b]"
    expect 3 run p.yaml --id one
    absent store/backup-*
    absent store/backups/one/bundles
    expect 0 verify p.yaml --level read
}

@test "a run that fails takes its bundles along" {
    bundled p.yaml demo "blobs: [shop/a], wait_for: go"
    start run p.yaml --id one
    wait_until 30 test -e go.reached
    kill -TERM "$PID"
    ended 143
    absent store/backup-*
    absent store/backups/one
}

@test "damage in a bundle is found, and named with what stands in it" {
    bundled p.yaml demo "$SHOP"
    backup p.yaml one
    flip "store/$(bundle)"
    expect 4 verify p.yaml --level read
    err_has "$(bundle)"
    truncate -s -1 "store/$(bundle)"
    expect 4 verify p.yaml --level quick
    err_has "shop/app/volumes/conf: sink 'local': object '$(bundle)' has"
    err_has "shop/db/database/pg_dumpall.sql: sink 'local': object"
    rm "store/$(bundle)"
    expect 4 verify p.yaml --level quick
    err_has "is missing"
}

@test "mirrors get bundles too" {
    bundled p.yaml demo "$SHOP"
    sed -i 's/^sinks:.*/sinks: [{plugin: local, name: one, path: store}, {plugin: local, name: two, path: other}]/' \
        p.yaml
    expect 0 run p.yaml --id one
    cmp "store/$(bundle)" "other/$(bundle other)"
    expect 0 verify p.yaml --level read
    rm -r store
    expect 0 restore p.yaml --target out --from two
    [ -s out/shop/app/volumes/up/data ]
}

@test "prune removes bundles with their backups, and nothing else at the root" {
    bundled p.yaml demo "blobs: [shop/a]" "retention: {keep_last: 1}"
    local first
    mkdir store
    touch store/backup-shop-20200101-000000-abcd1234.tar.zst store/notes.txt store/backup-x.tar
    backup p.yaml one
    first=$(ls store/backup-shop-2*-????????.tar.zst | grep -v 20200101)
    sleep 1.1
    backup p.yaml two
    expect 0 prune p.yaml
    absent "$first" store/backups/one
    [ -e store/backup-shop-20200101-000000-abcd1234.tar.zst ]
    [ -e store/notes.txt ] && [ -e store/backup-x.tar ]
    same bundles "$(ls store/backup-shop-*.tar.zst | wc -l)" 2
    expect 0 verify p.yaml two --level read
}

@test "what a killed run left is swept after a day, its bundle with it" {
    local left
    bundled p.yaml demo "blobs: [shop/a, later/b], wait_for: go, waits: [later/b]" "parallel: 1" \
        "retention: {keep_last: 9}"
    start run p.yaml --id dead
    wait_until 30 test -e go.reached
    kill -KILL "$PID"
    ended 137
    left=$(bundle)
    same announced "$(cd store/backups/dead/bundles/* && ls)" "$left"
    expect 0 list p.yaml
    out_lacks foreign
    touch store/theirs-0badcafe.tar.zst go
    backup p.yaml one
    expect 0 prune p.yaml
    [ -e "store/$left" ] # not a day old
    find store/backups/dead store/writers -exec touch -d '2 days ago' {} +
    expect 0 prune p.yaml
    [ -e "store/$left" ] # what announces it is old, itself it is young
    touch -d '2 days ago' "store/$left" store/theirs-0badcafe.tar.zst
    expect 0 prune p.yaml
    absent "store/$left" store/backups/dead
    [ -e store/theirs-0badcafe.tar.zst ]
    expect 0 verify p.yaml one --level read
}

@test "a bundle whose manifest is lost is an archive like any other" {
    bundled p.yaml demo "$SHOP"
    backup p.yaml one
    rm store/backups/one/manifest.json
    expect 0 list p.yaml
    out_has foreign
    expect 0 restore p.yaml latest --target out
    cmp out/shop/db/database/pg_dumpall.sql <(yes shop/db/database/pg_dumpall.sql | head -c 300000)
    cmp out/shop/app/volumes/conf/data <(yes shop/app/volumes/conf | head -c 300000)
}

@test "no room for a spooled dump fails that dump alone" {
    bundled p.yaml demo "$SHOP"
    TMPDIR=$WORK/nowhere expect 3 run p.yaml --id one
    out_has "cannot make a file in '$WORK/nowhere'"
    expect 0 restore p.yaml --target out --component shop/app
    [ -s out/shop/app/volumes/up/data ]
}

# ---- archives of other programs ------------------------------------------------------------------

@test "other programs' archives are listed, shown, read, verified and restored" {
    their_folders
    foreign backup_shop_20231105-120000_550e8400-e29b-41d4-a716-446655440000.tar.zst
    local id=backup_shop_20231105-120000_550e8400-e29b-41d4-a716-446655440000
    expect 0 list bare
    out_has "$id  2023-11-05T12:00:00Z  foreign"
    out_has "stack shop"
    expect 0 list bare --json
    document '.backups[0].stack == "shop" and .backups[0].status == "foreign"'
    document '.backups[0].pipeline == "-" and .backups[0].start == "2023-11-05T12:00:00Z"'
    expect 0 show bare latest
    out_has "shop/web/volumes/up (tree)"
    err_has "no digests"
    expect 0 show bare "$id.tar.zst" --json
    document '[.components[] | select(.kind == "blob") | .name] | sort ==
        ["shop/db/database/pg_dumpall.sql", "shop/db/mariadb_dump/all_databases.sql"]'
    document '.components[0] | .plugin == "docker" and .group == "shop" and (has("source") | not)'
    expect 0 ls bare latest
    out_has "shop/web/logs/"
    expect 0 ls bare latest shop/web/volumes/up
    out_has "sub/hello"
    expect 0 cat bare latest shop/web/volumes/up again
    same file "$output" hello
    expect 0 cat bare latest shop/db/database/pg_dumpall.sql
    same dump "$output" "select 1"
    expect 0 verify bare latest --level read
    expect 0 restore bare --target out
    same_tree theirs/web/volumes/up out/shop/web/volumes/up
    same sums "$(cat out/shop/db/mariadb_dump/all_databases.sql)" "select 2"
    [ "$(stat -c %h out/shop/web/volumes/up/again)" -eq 2 ]
    same bare "$(ls -A bare)" "$id.tar.zst" # nothing was put beside it
}

@test "a project's name is read from the right" {
    their_folders
    foreign backup_app_20231105-120000_abc123.tar.zst
    foreign backup_app_prod_20231106-120000_abc123.tar.zst
    foreign backup-app-20231104-120000-abc123.tar.zst
    expect 0 list bare --json
    document '[.backups[].stack] == ["app", "app", "app_prod"]'
    expect 0 restore bare --stack app --target out
    out_has backup_app_20231105-120000_abc123
    absent out/app_prod
    [ -s out/app/db/database/pg_dumpall.sql ]
    expect 10 restore bare --stack ap --target none
}

@test "own backups come before foreign ones, but for a stack the newest counts" {
    their_folders
    bundled p.yaml demo "blobs: [shop/a]"
    backup p.yaml one
    rmdir bare
    mv store bare
    sed -i 's/path: store/path: bare/' p.yaml
    foreign "backup_shop_$(date -ud '1 hour' +%Y%m%d-%H%M%S)_abc123.tar.zst"
    expect 0 show p.yaml latest
    out_has "backup      one"
    expect 0 restore p.yaml --stack shop --target out
    [ -s out/shop/db/database/pg_dumpall.sql ]
    expect 0 prune p.yaml
    same theirs "$(ls bare/backup_shop_* | wc -l)" 1
}

@test "hostile and damaged archives" {
    mkdir -p bare theirs
    python3 - <<'PY'
import io
import tarfile


def add(tar, name, kind=tarfile.REGTYPE, link="", data=b""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data)
    tar.addfile(info, io.BytesIO(data))


with tarfile.open("evil.tar", "w") as tar:
    add(tar, "/abs/volumes/x/file", data=b"evil")
    add(tar, "../up/volumes/x", data=b"evil")
    add(tar, "web/volumes/a/../../../../escaped", data=b"evil")
    add(tar, "web/volumes/a/good", data=b"good")
    add(tar, "web/volumes/a/out", tarfile.SYMTYPE, "/tmp")
    add(tar, "web/volumes/a/out/through", data=b"evil")
    add(tar, "web/volumes/a/stolen", tarfile.LNKTYPE, "db/database/x.sql")
    add(tar, "db/database/x.sql", data=b"select 1")
    add(tar, "db/database/x.sql", data=b"second")
    add(tar, "db/database/link.sql", tarfile.SYMTYPE, "/etc/passwd")
PY
    zstd -q evil.tar -o bare/backup-evil-20231105-120000-abc.tar.zst
    expect 0 show bare latest
    err_has "cannot be restored, and are left out: '/abs/volumes/x/file' and more"
    out_lacks abs
    out_lacks link.sql
    expect 3 restore bare --target out
    same good "$(cat out/evil/web/volumes/a/good)" good
    same dump "$(cat out/evil/db/database/x.sql)" "select 1"
    absent escaped out/escaped /tmp/through out/evil/web/volumes/a/stolen out/abs
    # cut in the middle: what is before it can be had, and the rest is said to be lost
    their_folders
    head -c 3000000 /dev/urandom >theirs/web/volumes/up/zz
    (cd theirs && tar -I zstd -cf ../cut.tar.zst db web)
    rm bare/*
    head -c 2000000 cut.tar.zst >bare/backup-cut-20231105-120000-abc.tar.zst
    expect 4 verify bare latest --level read
    expect 3 restore bare --target out2
    err_has "is damaged"
    same dump "$(cat out2/cut/db/database/pg_dumpall.sql)" "select 1"
    head -c 100 /dev/urandom >bare/backup-cut-20231105-120000-abc.tar.zst
    expect 4 verify bare latest --level read
    expect 1 restore bare --target out3
}
