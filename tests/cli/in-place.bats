# restore without --target: back where it came from.
load helpers

@test "what is gone comes back" {
    pipeline p.yaml demo
    backup p.yaml one
    cp -a src before
    rm -r src
    expect 0 restore p.yaml
    out_has "restored one in place: ok"
    same_tree before src
}

@test "what is equal is not touched" {
    pipeline p.yaml demo
    backup p.yaml one
    local before
    before=$(find src -type f -printf '%p %i %C@\n' | sort)
    expect 0 restore p.yaml --json
    events restore
    same kept "$(summary .kept)" 0
    same inodes "$(find src -type f -printf '%p %i %C@\n' | sort)" "$before"
}

@test "what is different is kept and named, what is missing comes back" {
    pipeline p.yaml demo
    backup p.yaml one
    echo "my own" >src/one
    echo "new" >src/new
    rm src/sub/two
    expect 3 restore p.yaml
    err_has "src/one': exists, differs from the backup and is kept"
    err_lacks "src/new"
    err_lacks "src/link"
    same one "$(cat src/one)" "my own"
    same two "$(cat src/sub/two)" two
    same new "$(cat src/new)" new
}

@test "--force puts back what is different" {
    pipeline p.yaml demo
    backup p.yaml one
    echo "my own" >src/one
    echo "new" >src/new
    expect 0 restore p.yaml --force
    same one "$(cat src/one)" one
    same new "$(cat src/new)" new
}

@test "--path and --component count in place, too" {
    pipeline p.yaml demo
    backup p.yaml one
    rm src/one src/sub/two
    expect 0 restore p.yaml --path '**/one'
    same one "$(cat src/one)" one
    absent src/sub/two
    expect 0 restore p.yaml --component files
    same two "$(cat src/sub/two)" two
}

@test "--dry-run changes nothing" {
    pipeline p.yaml demo
    backup p.yaml one
    rm src/one
    expect 0 restore p.yaml --dry-run
    out_has "would restore one back in place"
    absent src/one
}

@test "a source that cannot put back says what to do" {
    staged p.yaml demo "blobs: [a]"
    backup p.yaml one
    expect 1 restore p.yaml
    err_has "source plugin 'staged' cannot put data back"
    err_has "HINT: restore to a directory with --target"
}

@test "a source that the pipeline does not have any more says what to do" {
    pipeline p.yaml demo
    backup p.yaml one
    sed -i 's/name: files/name: renamed/' p.yaml
    rm src/one
    expect 1 restore p.yaml
    err_has "component 'files' came from source 'files' (files), which the pipeline does not have"
    err_has "HINT: restore it to a directory with --target"
    absent src/one
}
