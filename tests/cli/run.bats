# run.
load helpers

@test "a run makes a backup and says which" {
    pipeline p.yaml demo
    expect 0 run p.yaml
    same stderr "$stderr" ""
    out_has "files"
    out_has "backup demo-"
    out_has ": ok, 1 component,"
    local id
    id=$(ids p.yaml)
    [[ $id =~ ^demo-[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}$ ]]
    [ -f "store/backups/$id/manifest.json" ]
    (cd "store/backups/$id" && sha256sum --strict --quiet -c SHA256SUMS)
    absent "store/writers/$id"
}

@test "--quiet prints nothing when all is well" {
    pipeline p.yaml demo
    expect 0 run p.yaml --quiet
    silent
}

@test "--dry-run says what would be done and creates nothing at all" {
    pipeline p.yaml demo "transforms: [{plugin: zstd, level: 7}]"
    local before
    before=$(find . | sort)
    expect 0 run p.yaml --dry-run
    out_has "would back up, as 'demo' (format archive):"
    out_has "files"
    out_has "zstd level=7"
    out_has "$WORK/store"
    out_has "memory    at most"
    expect 0 run p.yaml --dry-run --json
    events run
    event '.message_type == "plan" and .components[0].name == "files" and
        .components[0].entries == 5 and .components[0].bytes == 8 and .memory_budget > 0'
    same files "$(find . | sort)" "$before"
}

@test "--dry-run does not wait for a run that is under way" {
    staged p.yaml demo "blobs: [a], wait_for: ./go"
    start run p.yaml
    wait_until 10 test -e go.reached
    expect 0 run p.yaml --dry-run
    touch go
    ended 0
}

@test "--dry-run with a source that fails is partial" {
    staged p.yaml demo "closed: true"
    expect 3 run p.yaml --dry-run --json
    events run
    event '.message_type == "error" and (.text | contains("it is closed"))'
    absent store
}

@test "--only takes globs and what lies beneath them" {
    staged p.yaml demo "blobs: [app/db/a.sql, app/db/b.sql, web/x, y]"
    expect 0 run p.yaml --only app --id a
    expect 0 run p.yaml --only '**/b*' --only y --id b
    expect 0 run p.yaml --only 'app/db/a*' --id c
    expect 0 ls p.yaml a
    same stdout "$output" $'app/db/a.sql\napp/db/b.sql'
    expect 0 ls p.yaml b
    same stdout "$output" $'app/db/b.sql\ny'
    expect 0 ls p.yaml c
    same stdout "$output" app/db/a.sql
}

@test "--only that matches nothing is a mistake" {
    pipeline p.yaml demo
    expect 2 run p.yaml --only nothing
    err_has "no component matches --only 'nothing'"
    same ids "$(find store/backups -type f 2>/dev/null)" ""
}

@test "--tag stands in the manifest" {
    pipeline p.yaml demo
    expect 0 run p.yaml --tag before-upgrade --tag v2 --id one
    expect 0 show p.yaml one --json
    document '.tags == ["before-upgrade", "v2"]'
    expect 0 show p.yaml one
    out_has "tags        before-upgrade v2"
    expect 0 list p.yaml --json
    document '.backups[0].tags == ["before-upgrade", "v2"]'
}

@test "--id names the backup" {
    pipeline p.yaml demo
    expect 0 run p.yaml --id Monday_1.2
    same ids "$(ids p.yaml)" Monday_1.2
}

@test "ids that cannot be are refused" {
    pipeline p.yaml demo
    local id
    for id in "" . .. .hidden -x a/b ../x "a b" "ä" $'a\nb' "$(printf 'x%.0s' {1..112})"; do
        expect 2 run p.yaml --id="$id"
        err_has "cannot be a backup's id"
    done
    absent store
    expect 0 run p.yaml --id "$(printf 'x%.0s' {1..111})"
}

@test "an id that exists is refused and the backup stays as it was" {
    pipeline p.yaml demo
    backup p.yaml one
    (cd store && find . -type f -exec sha256sum {} + | sort) >before
    echo changed >src/one
    expect 1 run p.yaml --id one
    err_has "the id 'one' is taken"
    (cd store && find . -type f -exec sha256sum {} + | sort) | diff before -
    expect 0 verify p.yaml one
}

@test "an id that exists only in the mirror is refused as well" {
    mirrored p.yaml demo other
    backup p.yaml one
    rm -r store/backups/one
    (cd other && find . -type f -exec sha256sum {} + | sort) >before
    expect 1 run p.yaml --id one
    err_has "the id 'one' is taken"
    (cd other && find . -type f -exec sha256sum {} + | sort) | diff before -
}

@test "--type: archives are full, and say so" {
    pipeline p.yaml demo
    local type
    for type in incremental differential; do
        expect 0 run p.yaml --type $type --id $type
        err_has "format 'archive' writes full backups only: --type $type makes a full one"
        expect 0 show p.yaml $type --json
        document '.type == "full"'
    done
    expect 0 run p.yaml --type full
    same stderr "$stderr" ""
}

@test "--parent does not fit the archive format" {
    pipeline p.yaml demo
    expect 2 run p.yaml --parent one
    err_has "format 'archive' has no parents"
    absent store
}

@test "verify: after_run quick and read leave a record, --no-verify leaves it out" {
    local level
    for level in quick read; do
        pipeline $level.yaml demo "verify: {after_run: $level}"
        expect 0 run $level.yaml --id $level
        out_has "$level ok"
        expect 0 list $level.yaml --json
        document ".backups[-1].verified | startswith(\"$level ok \")"
    done
    expect 0 run read.yaml --id not --no-verify
    expect 0 list read.yaml --json
    document '[.backups[] | select(.id == "not")] | .[0] | has("verified") | not'
}

@test "retention is applied after a good run" {
    pipeline p.yaml demo "retention: {keep_last: 2}"
    backup p.yaml a
    backup p.yaml b
    expect 0 run p.yaml --id c
    out_has "retention removed 1 backup"
    same ids "$(ids p.yaml)" $'b\nc'
    absent store/backups/a store/gc/lease
}

@test "retention is not applied after a run that is not good" {
    staged p.yaml demo "blobs: [a, b]" "retention: {keep_last: 1}"
    backup p.yaml one
    staged p.yaml demo "blobs: [a, b], fail: [b]" "retention: {keep_last: 1}"
    expect 3 run p.yaml --id two
    same ids "$(ids p.yaml)" $'one\ntwo'
    # a component that was there and is not there now: no failure, but not good either
    staged p.yaml demo "blobs: [a]" "retention: {keep_last: 1}"
    expect 0 run p.yaml --id three
    err_has "b: was in the last good backup and is missing in this one"
    same ids "$(ids p.yaml)" $'one\ntwo\nthree'
    expect 0 list p.yaml --json
    document '[.backups[].status] == ["good", "partial", "incomplete"]'
}

@test "a source that is optional and not there is a notice" {
    staged p.yaml demo "closed: true, optional: true}, {name: files, plugin: files, paths: [src]"
    expect 0 run p.yaml
    err_has "it is closed"
}

@test "two components of one name are refused" {
    staged p.yaml demo "blobs: [a]}, {name: other, plugin: staged, blobs: [a]"
    expect 2 run p.yaml
    err_has "sources 'stage' and 'other' both yield a component 'a'"
    same backups "$(find store/backups -type f 2>/dev/null)" ""
}

@test "all paths are those of the pipeline file, not of the working directory" {
    pipeline p.yaml demo
    mkdir elsewhere
    cd elsewhere
    expect 0 run ../p.yaml --id one
    [ -f "$WORK/store/backups/one/manifest.json" ]
    absent store
}
