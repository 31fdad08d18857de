# prune: retention, then garbage.
load helpers

# aged HOURS PATH...: as if the store had not been touched for so long.
aged() {
    local hours=$1
    shift
    find "$@" -exec touch -h -d "$hours hours ago" {} +
}

three() {
    pipeline p.yaml demo "$@"
    local id
    for id in a b c; do backup p.yaml $id --no-verify; done
}

@test "the retention table says what is kept and why" {
    three
    echo "retention: {keep_last: 2}" >>p.yaml
    expect 0 prune p.yaml
    same table "$(awk '{print $1, $3, $4}' <<<"$output" | head -3)" $'remove a \nkeep b last\nkeep c last,'
    out_has "removed 1 backup and 0 objects of unfinished runs"
    same ids "$(ids p.yaml)" $'b\nc'
    absent store/backups/a store/gc/lease
    expect 0 verify p.yaml --all
    expect 0 prune p.yaml --json
    events prune
    event '.message_type == "retention" and .id == "b" and .action == "keep" and .reasons == "last"'
    same removed "$(summary .removed)" 0
    same kept "$(summary .kept)" 2
}

@test "without retention nothing is ever removed" {
    three
    expect 0 prune p.yaml
    out_has "no retention is configured"
    same ids "$(ids p.yaml)" $'a\nb\nc'
}

@test "--dry-run says the same and removes nothing" {
    three
    mkdir -p store/backups/dead
    echo x >store/backups/dead/files.tar
    aged 48 store/backups/dead
    echo "retention: {keep_last: 1}" >>p.yaml
    (cd store && find . -printf '%p %T@\n' | sort) >before
    expect 0 prune p.yaml --dry-run --json
    events prune
    same removed "$(summary .removed)" 2
    same garbage "$(summary .garbage_objects)" 1
    (cd store && find . -printf '%p %T@\n' | sort) | diff before -
    expect 0 prune p.yaml --dry-run
    out_has "would remove 2 backups and 1 object of unfinished runs"
    expect 0 prune p.yaml --json
    same removed "$(summary .removed)" 2
    same garbage "$(summary .garbage_objects)" 1
}

@test "every sink is pruned" {
    mirrored p.yaml demo other
    backup p.yaml a
    backup p.yaml b
    echo "retention: {keep_last: 1}" >>p.yaml
    expect 0 prune p.yaml
    absent store/backups/a other/backups/a
    expect 0 verify p.yaml --all
}

@test "other pipelines and other hosts are left alone" {
    three
    pipeline q.yaml other
    backup q.yaml x
    backup q.yaml y
    echo "retention: {keep_last: 1}" >>p.yaml
    expect 0 prune p.yaml
    same q "$(ids q.yaml)" $'x\ny'
    same p "$(ids p.yaml)" c
}

@test "the last good copy stays, though newer backups are partial" {
    staged p.yaml demo "blobs: [a, b]"
    backup p.yaml good
    staged p.yaml demo "blobs: [a, b], fail: [b]" "retention: {keep_last: 1}"
    expect 3 run p.yaml --id bad1
    expect 3 run p.yaml --id bad2
    expect 0 prune p.yaml
    same ids "$(ids p.yaml)" $'good\nbad1\nbad2'
}

@test "killed half way: the manifest goes first, the rest is garbage" {
    three "verify: {after_run: read}"
    # what a kill right after the first removal leaves
    rm store/backups/a/manifest.json
    same ids "$(ids p.yaml)" $'b\nc'
    expect 0 verify p.yaml --all
    expect 0 prune p.yaml --json
    same "too young" "$(summary .garbage_objects)" 0
    [ -f store/backups/a/files.tar ]
    aged 25 store/backups/a
    expect 0 prune p.yaml --json
    same objects "$(summary .garbage_objects)" 3
    absent store/backups/a
    expect 0 verify p.yaml --all
}

@test "garbage of a run that was killed is collected only after its grace" {
    staged p.yaml demo "blobs: [a], trees: [t], wait_for: ./go, size: 1 MiB" "parallel: 1"
    start run p.yaml --id dead
    wait_until 10 test -e go.reached
    kill -KILL "$PID"
    ended 137
    mkdir -p store/backups/dead
    echo x >store/backups/dead/a
    [ -f store/writers/dead ]
    touch go
    expect 0 run p.yaml --id next
    aged 23 store/backups/dead store/writers/dead
    expect 0 prune p.yaml --json
    same "too young" "$(summary .garbage_objects)" 0
    [ -f store/backups/dead/a ]
    aged 25 store/backups/dead store/writers/dead
    expect 0 prune p.yaml
    absent store/backups/dead/a store/writers/dead
    same ids "$(ids p.yaml)" next
}

@test "a killed put leaves a temporary file: it goes after its grace, and only it" {
    three
    local names
    staged q.yaml big "blobs: [a], size: 1 TiB" "transforms: [{plugin: zstd}]"
    start run q.yaml --id dead
    wait_until 10 bash -c '[ -n "$(find store/tmp store/backups/dead -type f 2>/dev/null)" ]'
    sleep 0.2
    kill -KILL "$PID"
    ended 137
    names=$(find store -type f -newer p.yaml ! -path 'store/backups/[abc]/*' ! -name bakengine.json)
    [ -n "$names" ]
    # shellcheck disable=SC2086 # names without blanks
    aged 25 $names
    expect 0 prune p.yaml
    # shellcheck disable=SC2086
    absent $names
    expect 0 verify p.yaml --all
    same ids "$(ids p.yaml)" $'a\nb\nc'
}

@test "a run that is under way keeps its objects, however old they are" {
    staged p.yaml demo "blobs: [a, b], wait_for: ./go" "parallel: 1"
    start run p.yaml --id slow
    wait_until 10 test -e go.reached
    mkdir -p store/backups/slow
    echo x >store/backups/slow/early
    aged 100 store/backups/slow/early
    expect 0 prune p.yaml
    [ -f store/backups/slow/early ]
    rm store/backups/slow/early
    touch go
    ended 0
    expect 0 verify p.yaml slow
}

lease() { # HOST
    mkdir -p store/gc
    python3 - "$1" >store/gc/lease <<'PY'
import hashlib, sys
text = '{\n  "host": "%s",\n  "process": 1,\n  "nonce": "00",\n  ' % sys.argv[1]
print(text + '"sha256": "%s"\n}' % hashlib.sha256(text.encode()).hexdigest())
PY
}

@test "a lease that another host holds: 11, and nothing is removed" {
    three
    echo "retention: {keep_last: 1}" >>p.yaml
    lease far-away
    expect 11 prune p.yaml --json
    events prune
    err_has "another prune is running on host 'far-away'"
    err_has "HINT: wait for it to end; if that host died, its lease ends by itself within 30 minutes"
    same ids "$(ids p.yaml)" $'a\nb\nc'
    [ -f store/gc/lease ]
    # reading and a dry run need no lease
    expect 0 prune p.yaml --dry-run
    expect 0 verify p.yaml
}

@test "a lease that was not renewed for half an hour is taken over" {
    three
    echo "retention: {keep_last: 1}" >>p.yaml
    lease far-away
    touch -d '29 minutes ago' store/gc/lease
    expect 11 prune p.yaml
    touch -d '31 minutes ago' store/gc/lease
    expect 0 prune p.yaml
    err_has "taking over the lease of a prune that died on host 'far-away'"
    same ids "$(ids p.yaml)" c
    absent store/gc/lease
}

@test "a lease that cannot be read is a lease" {
    three
    mkdir -p store/gc
    : >store/gc/lease
    expect 11 prune p.yaml
    err_has "on host 'unknown'"
}

# ---- a repository -----------------------------------------------------------

@test "a repository: packs go with their backups, and the summary says so" {
    pipeline p.yaml demo "store: {format: repository}"
    head -c 3000000 /dev/urandom >src/large
    backup p.yaml a --no-verify
    rm src/large
    backup p.yaml b --no-verify
    echo "retention: {keep_last: 1}" >>p.yaml
    (cd store && find . -printf '%p %T@\n' | sort) >before
    expect 0 prune p.yaml --dry-run
    out_has "would remove 1 backup and 0 objects of unfinished runs"
    out_has "would remove 1 pack, after rewriting what is still needed of 1 ("
    (cd store && find . -printf '%p %T@\n' | sort) | diff before -
    expect 0 prune p.yaml --json
    events prune
    same removed "$(summary .packs_removed)" 1
    same rewritten "$(summary .packs_rewritten)" 1
    same condemned "$(summary .packs_condemned)" 0
    [ "$(summary .bytes_freed)" -gt 2900000 ]
    absent store/gc/lease
    expect 0 verify p.yaml --all
    expect 0 prune p.yaml
    out_has "removed 0 packs"
    out_lacks "rewriting"
}

@test "a repository: packs wait for a run that is under way" {
    pipeline p.yaml demo "store: {format: repository}"
    backup p.yaml a --no-verify
    rm -r store/backups/a
    expect 0 prune p.yaml
    out_has "removed 0 packs; 2 ("
    out_has ") are kept until they are a day old"
    aged 25 store/packs
    mkdir -p store/writers
    echo x >store/writers/slow
    expect 0 prune p.yaml
    out_has "removed 0 packs; 2 ("
    out_has ") wait for runs that are under way"
    [ "$(find store/packs -type f | wc -l)" = 2 ]
    rm store/writers/slow
    expect 0 prune p.yaml
    out_has "removed 2 packs"
    same packs "$(find store/packs store/gc -type f)" ""
}

@test "a repository: what a damaged backup needs is not known, so no pack goes: 4" {
    pipeline p.yaml demo "store: {format: repository}"
    backup p.yaml a --no-verify
    echo new >src/one
    backup p.yaml b --no-verify
    rm -r store/backups/a store/backups/b/packs
    aged 25 store/packs
    find store/packs -type f | sort >before
    expect 4 prune p.yaml --json
    events prune
    err_has "no packs are removed, since it is not known what backup 'b' needs"
    err_has "HINT: restore what is needed"
    find store/packs -type f | sort | diff before -
}
