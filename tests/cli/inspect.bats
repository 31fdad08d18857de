# verify --level read: what is read is shown to the source.
load helpers

made() { # OPTIONS [LINE...]
    below p.yaml "${1-}" "${@:2}"
    backup p.yaml one
    rm calls
}

@test "each component is shown to its source, which says whether it is sound" {
    made
    expect 0 verify p.yaml --json
    events verify
    event '.message_type == "verified" and .result == "ok" and .inspected == 2'
    called "$(
        cat <<'EOT'
writer shop.sql group=. inspect flags=0 facts={"colour":"green"}
commit shop.sql 11
writer blog.sql group=. inspect flags=0 facts={"colour":"green"}
commit blog.sql 11
EOT
    )"
    # by no more than its level
    rm calls
    expect 0 verify p.yaml --level quick
    absent calls
}

@test "what is not sound is damage, in either format" {
    local format
    for format in archive repository; do
        rm -rf store
        echo "rotten shop" >shop.sql
        made "" "store: {format: $format}"
        expect 4 verify p.yaml --json
        events verify
        event '.message_type == "error" and .id == "one" and .component == "app/shop.sql"
            and (.text | contains("the end mark of the dump is missing"))'
        event '.message_type == "verified" and .result == "damaged" and .damaged == 1
            and .inspected == 1'
        same blog "$(grep -c '^commit blog' calls)" 1
        expect 0 list p.yaml
        out_has "read damaged"
    done
}

@test "what cannot be looked at is a warning, and no damage" {
    made
    below p.yaml "fail_writer: [shop.sql], inspect_fails: blog.sql"
    expect 0 verify p.yaml --json
    events verify
    event '.message_type == "warning" and .component == "app/shop.sql"
        and (.text | contains("its inside could not be inspected"))
        and (.text | contains("there is no tool for this"))'
    event '.message_type == "warning" and .component == "app/blog.sql"
        and (.text | contains("the tool broke down"))'
    event '.message_type == "verified" and .result == "ok" and .inspected == 0'
}

@test "a source that cannot be opened is a warning" {
    made
    below p.yaml "fail_open: true"
    expect 0 verify p.yaml
    err_has "its inside could not be inspected: source 'app': the server is down"
}

@test "without a pipeline, or with one that cannot be loaded, the digests are checked" {
    echo "rotten shop" >shop.sql
    made
    expect 0 verify store
    absent calls
    sed -i 's/plugin: below/plugin: nowhere/' p.yaml
    expect 0 verify p.yaml
    err_has "digests alone are checked, since the sources cannot be loaded: p.yaml:3:"
    absent calls
}

@test "what the digests find is not shown as whole" {
    local format
    for format in archive repository; do
        rm -rf store calls
        head -c 3000000 /dev/urandom >shop.sql
        made "" "store: {format: $format}"
        flip "$(find store -type f -size +1M | head -n 1)"
        expect 4 verify p.yaml
        same commits "$(grep -c '^commit shop' calls || true)" 0
        same others "$(grep -c '^commit blog' calls)" 1
    done
}

@test "trees are shown in the order of the store; what is not wanted is read all the same" {
    local format
    for format in archive repository; do
        rm -rf store
        echo data >base
        made "trees: [base], skips: [m/b]" "store: {format: $format}"
        expect 0 verify p.yaml --json
        event '.message_type == "verified" and .inspected == 3 and .bytes == 42'
        same order "$(grep '^put' calls | tr '\n' ' ')" "put . put z put m put m/a put c "
        same commit "$(grep '^commit base' calls)" "commit base 15"
        echo rotten >base
        backup p.yaml two
        expect 4 verify p.yaml
        err_has "the end mark of the dump is missing"
    done
}

@test "a run that verifies itself asks, too" {
    echo "rotten shop" >shop.sql
    below p.yaml "" "verify: {after_run: read}"
    expect 4 run p.yaml --id one
    err_has "the end mark of the dump is missing"
    echo "sound shop" >shop.sql
    expect 0 run p.yaml --id two
}
