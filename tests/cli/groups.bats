# Groups: held while they are read, released as soon as they are, whatever happens.
load helpers

# grouped FILE NAME OPTIONS [LINE...]: one source of groups, which writes to the file 'log'.
grouped() {
    local file=$1 name=$2 options=$3
    shift 3
    {
        printf 'pipeline: %s\nsources: [{name: src, plugin: groups, log: log, %s}]\n' "$name" \
            "$options"
        printf 'sinks: [{plugin: local, path: store}]\n'
        printf '%s\n' "$@"
    } >"$file"
}

# What the source was asked, in order, without the times.
asked() { cut -d' ' -f2- log | grep -Ev '^(open|tidy) *$' || true; }

# at LINE: when it was asked so, in ms.
at() { awk -v line="$1" '{t = $1; sub(/^[0-9]+ /, "")} $0 == line {print t; exit}' log; }

# order LINE LINE...: these were asked in this order.
order() {
    local last=0 line time
    for line in "$@"; do
        time=$(grep -nFx -- "$line" <(asked) | head -1 | cut -d: -f1)
        if [ -z "$time" ] || [ "$time" -le "$last" ]; then
            printf 'not in this order: %s\n' "$*" >&2
            asked >&2
            return 1
        fi
        last=$time
    done
}

# Every group that was held was released, once.
all_released() {
    same "released groups" "$(asked | sed -n 's/^release //p' | sort)" \
        "$(asked | sed -n 's/^hold \([^ ]*\).*/\1/p' | sort)"
    same "release that was cancelled" "$(asked | grep release-cancelled || true)" ""
}

manifest() { jq -e "$1" "store/backups/$2/manifest.json" >/dev/null; }

@test "a group is held, read and released, one component after another" {
    grouped p.yaml demo "blobs: [shop/web, shop/db]" "parallel: 1"
    expect 0 run p.yaml --id one
    same asked "$(asked)" "hold shop shop/web shop/db
held shop
read shop/web
read-end shop/web
read shop/db
read-end shop/db
release shop
released shop"
    err_has "holding 'shop' while 2 components of it are read"
    err_has "released 'shop' after 0."
    manifest '.groups | length == 1' one
    manifest '.groups[0].name == "shop" and .groups[0].source == "src"' one
    manifest '.groups[0].held_seconds >= 0 and (.groups[0] | has("error") | not)' one
    manifest '.groups[0].facts == {"stops":["web","db"],"keeps":[],"stopped_seconds":1.5,
        "stopped":{"web":1.5,"db":0.5}}' one
    expect 0 verify p.yaml one
    expect 0 show p.yaml one --json
    document '.groups[0].facts.stopped_seconds == 1.5'
}

@test "nothing is held where there is no group, and no group is in the manifest" {
    grouped p.yaml demo "blobs: [a, b]"
    expect 0 run p.yaml --id one
    same held "$(asked | grep -c hold)" 0
    manifest 'has("groups") | not' one
}

@test "components of a group are read side by side" {
    grouped p.yaml demo "blobs: [shop/a, shop/b, shop/c], read_time: 500ms" "parallel: 3"
    expect 0 run p.yaml
    order "read shop/a" "read-end shop/b"
    order "read shop/b" "read-end shop/a"
    order "read shop/c" "read-end shop/a"
    all_released
}

@test "as many lanes as it can use wait for a group to be held" {
    grouped p.yaml demo "blobs: [long, shop/a, shop/b], hold_time: 300ms, read_time: 1s" "parallel: 2"
    expect 0 run p.yaml
    order "held shop" "read shop/a" "read long"
    order "held shop" "read shop/b" "read long" # a lane is free again once its own is read
    order "read shop/a" "read-end shop/b" "release shop"
    order "read shop/b" "read-end shop/a" "release shop"
}

@test "what is in no group is read beside one" {
    grouped p.yaml demo "blobs: [x, shop/a, y], hold_time: 300ms, read_time: 1s" "parallel: 2"
    expect 0 run p.yaml
    order "hold shop shop/a" "read x" "held shop" "read shop/a" "release shop"
    order "read x" "release shop" "read-end y"
}

@test "groups are held one after another" {
    grouped p.yaml demo "blobs: [a/1, b/1, a/2, c/1, b/2, d/1], read_time: 50ms" "parallel: 4"
    expect 0 run p.yaml
    order "hold a a/1 a/2" "released a" "hold b b/1 b/2" "released b" "hold c c/1" "released c" \
        "hold d d/1" "released d"
    all_released
}

@test "parallel_groups: so many at once" {
    grouped p.yaml demo "blobs: [a/1, b/1, c/1], read_time: 500ms" "parallel: 4" "parallel_groups: 2"
    expect 0 run p.yaml
    order "hold a a/1" "released b"
    order "hold b b/1" "released a"
    local first=$(at "released a") other
    other=$(at "released b")
    [ "$other" -ge "$first" ] || first=$other
    [ "$(at "hold c c/1")" -ge "$first" ]
    all_released
}

@test "many groups on few lanes, and few groups on many, all end" {
    local names lanes held
    names=$(for g in a b c d e f g h; do for c in 1 2 3; do printf '%s/%s, ' $g $c; done; done)
    for lanes in 1 2 3 16; do
        for held in 1 2 16; do
            rm -rf log store
            grouped p.yaml demo "blobs: [${names}one, two, three]" "parallel: $lanes" \
                "parallel_groups: $held"
            expect 0 run p.yaml
            same groups "$(asked | grep -c '^hold ')" 8
            same components "$(asked | grep -c '^read ')" 27
            all_released
        done
    done
}

@test "--only holds a group for what was chosen" {
    grouped p.yaml demo "blobs: [shop/web, shop/db, other/x]"
    expect 0 run p.yaml --only shop/db
    order "hold shop shop/db" "read shop/db" "release shop"
    same held "$(asked | grep -c '^hold ')" 1
}

@test "a group that cannot be held: released, its components fail, the others go on" {
    grouped p.yaml demo "blobs: [shop/a, shop/b, other/x, y], fail_hold: [shop]"
    expect 3 run p.yaml --id one --json
    events run
    event '.message_type == "component" and .name == "shop/b" and .status == "failed" and
        (.error | contains("group '"'shop'"' could not be held: source '"'src': 'shop'"' does not stop"))'
    same read "$(asked | grep '^read ' | sort)" $'read other/x\nread y'
    all_released
    manifest '[.components[] | select(.status == "failed") | .name] == ["shop/a", "shop/b"]' one
    manifest '.groups[] | select(.name == "shop") | .error | contains("does not stop")' one
    manifest '.groups[] | select(.name == "other") | has("error") | not' one
    expect 0 verify p.yaml one
}

@test "nothing but a group that cannot be held: no backup" {
    grouped p.yaml demo "blobs: [shop/a], fail_hold: [shop]"
    expect 1 run p.yaml
    err_has "every component failed"
    all_released
    same backups "$(find store/backups -type f)" ""
}

@test "a group whose facts are nonsense is not read" {
    grouped p.yaml demo "blobs: [shop/a, y], odd: [shop]"
    expect 3 run p.yaml
    out_has "its facts are not a JSON object"
    all_released
}

@test "a component that fails does not keep its group from being released" {
    grouped p.yaml demo "blobs: [shop/a, shop/b, shop/c], fail_read: [shop/b]"
    expect 3 run p.yaml --id one
    out_has "'shop/b' broke off"
    all_released
    manifest '[.components[].status] == ["ok", "failed", "ok"]' one
    # the only one
    rm log
    grouped p.yaml demo "blobs: [shop/a, y], fail_read: [shop/a]"
    expect 3 run p.yaml
    all_released
}

@test "a group that cannot be released is said, and the data are good" {
    grouped p.yaml demo "blobs: [shop/a, other/x], fail_release: [shop]" "retention: {keep_last: 1}"
    expect 3 run p.yaml --id one --json
    events run
    event '.message_type == "error" and
        (.text | contains("could not be put back as it was: source '"'src': 'shop'"' does not start"))'
    err_has "backup 'one' is partial: 1 group not put back as it was"
    manifest '[.components[].status] == ["ok", "ok"]' one
    manifest '.groups[] | select(.name == "shop") | .error | contains("does not start")' one
    expect 0 verify p.yaml one
}

@test "what a source says is torn makes all of the group partial" {
    grouped p.yaml demo "blobs: [shop/a, other/x], trees: [shop/t], torn: [shop]"
    expect 3 run p.yaml --id one
    err_has "a part of it does not stand still"
    manifest '[.components[] | select(.status == "partial") | .name] | sort == ["shop/a", "shop/t"]' one
}

@test "hold: {max}: what is not read by then fails, the group is released, the rest goes on" {
    grouped p.yaml demo "blobs: [shop/a, shop/b, other/x], read_time: 2s" "hold: {max: 3s}" \
        "parallel: 1"
    expect 3 run p.yaml --id one
    out_has "group 'shop' was held for 3.0s, as long as 'hold: {max}' allows, and then released"
    manifest '[.components[].status] == ["ok", "failed", "ok"]' one
    order "read shop/b" "read-end shop/b" "release shop" "hold other other/x"
    all_released
    expect 0 verify p.yaml one
}

@test "hold: {max}: what had not begun is not begun" {
    grouped p.yaml demo "blobs: [shop/a, shop/b, shop/c, y], wait_for: ./never" "hold: {max: 500ms}" \
        "parallel: 1"
    sed -i 's/, y\]/]/' p.yaml
    expect 1 run p.yaml
    same read "$(asked | grep -c '^read ')" 1
    all_released
}

@test "hold: {max} ends a hold that takes too long as well" {
    grouped p.yaml demo "blobs: [shop/a, y], hold_time: 20s" "hold: {max: 300ms}"
    expect 3 run p.yaml --id one
    manifest '[.components[].status] == ["failed", "ok"]' one
    manifest '.groups[0].error | contains("as long as")' one
    same read "$(asked | grep '^read ')" "read y"
    [ $(($(at "release shop") - $(at "hold shop shop/a"))) -lt 15000 ] # not the 20 s that it would have taken
    all_released
}

@test "hold: {max: 0} is no limit" {
    grouped p.yaml demo "blobs: [shop/a], read_time: 300ms" "hold: {max: 0}"
    expect 0 run p.yaml
    all_released
}

@test "SIGINT and SIGTERM while a group is read: released, 130 and 143" {
    local signal
    for signal in INT:130 TERM:143; do
        rm -rf log go.reached
        grouped p.yaml demo "blobs: [shop/a, shop/b, shop/c, other/x], wait_for: ./go, release_time: 300ms"
        start run p.yaml
        wait_until 10 test -e go.reached
        kill "-${signal%:*}" "$PID"
        ended "${signal#*:}"
        order "release shop" "released shop"
        all_released
        same backups "$(find store/backups -type f)" ""
    done
}

@test "SIGTERM while a group is being held, or being released" {
    grouped p.yaml demo "blobs: [shop/a, shop/b], hold_time: 20s"
    start run p.yaml
    wait_until 10 grep -q ' hold ' log
    kill -TERM "$PID"
    ended 143
    order "hold shop shop/a shop/b" "released shop"
    all_released
    rm log
    grouped p.yaml demo "blobs: [shop/a, shop/b], release_time: 1s"
    start run p.yaml
    wait_until 10 grep -q ' release ' log
    kill -TERM "$PID"
    ended 143
    order "release shop" "released shop"
    all_released
}

# rest FILE: what of a repository's group is unchanged.
rest() {
    grouped "$1" demo "blobs: [shop/a, shop/b, other/x], fingerprint: same, changed: [$2]" \
        "store: {format: repository}" "parallel: 1"
}

@test "what is unchanged needs no holding" {
    rest p.yaml ""
    backup p.yaml one
    rm log
    expect 0 run p.yaml --id two
    same asked "$(asked)" ""
    manifest 'has("groups") | not' two
    manifest '[.components[].status] == ["ok", "ok", "ok"]' two
    expect 0 verify p.yaml two
    rm log
    rest p.yaml shop/b
    expect 0 run p.yaml --id three
    same asked "$(asked)" "hold shop shop/b
held shop
read shop/b
read-end shop/b
release shop
released shop"
    expect 0 verify p.yaml three
    expect 0 cat p.yaml three shop/a
    same bytes "${#output}" 64
}

@test "--dry-run previews groups and holds nothing" {
    grouped p.yaml demo "blobs: [shop/a, y], trees: [shop/t]"
    expect 0 run p.yaml --dry-run
    out_has "holds     shop: stops web, db"
    out_lacks "the last time"
    same asked "$(asked | grep -v read)" "preview shop shop/t shop/a"
    absent store state/demo.lock
    expect 0 run p.yaml --id one
    rm log
    expect 0 run p.yaml --dry-run
    out_has "holds     shop: stops web, db (stopped for 1.5s the last time)"
    expect 0 run p.yaml --dry-run --json
    events run
    event '.message_type == "plan" and .groups[0].name == "shop" and .groups[0].source == "src" and
        .groups[0].components == ["shop/t", "shop/a"] and .groups[0].facts.stops == ["web", "db"] and
        .groups[0].last_stopped_seconds == 1.5 and .groups[0].last_backup == "one"'
    same tidied "$(grep -c tidy log)" 0
    pipeline q.yaml plain
    expect 0 run q.yaml --dry-run --json
    event '.message_type == "plan" and .groups == []'
}

@test "sources tidy up before they are asked what there is" {
    grouped p.yaml demo "blobs: [shop/a]"
    expect 0 run p.yaml
    same tidied "$(grep -c tidy log)" 1
    grouped p.yaml demo "blobs: [shop/a], fail_tidy: true"
    expect 0 run p.yaml
    err_has "what an earlier run left could not be tidied up: source 'src': too much dust"
}

# mirrors OPTIONS [LINE...]: to store and mirror.
mirrors() {
    local options=$1
    shift
    grouped p.yaml demo "$options" "$@"
    sed -i 's|^sinks:.*|sinks: [{plugin: local, name: one, path: store}, {plugin: local, name: two, path: mirror}]|' p.yaml
}

@test "a held group feeds the first sink, and the others have it all in the end" {
    mirrors "blobs: [shop/a, shop/b], trees: [shop/t], wait_for: ./go, waits: [shop/b]" \
        "parallel: 4"
    start run p.yaml --id one
    wait_until 10 test -e store/backups/one/shop/a -a -e store/backups/one/shop/t.mtree
    same "in the mirror" "$(find mirror/backups -type f)" ""
    touch go
    ended 0
    same objects "$(objects mirror)" "$(objects store)"
    diff -r store/backups mirror/backups
    expect 0 verify p.yaml one # in both
}

@test "so it is in a repository" {
    mirrors "blobs: [shop/a, shop/b, y], trees: [shop/t], size: 3 MiB" \
        "store: {format: repository}" "parallel: 4"
    expect 0 run p.yaml --id one
    same objects "$(objects mirror)" "$(objects store)"
    expect 0 verify p.yaml one
}

@test "a second sink that fails while a group is held is left out, and that is said" {
    mirrors "blobs: [shop/a, shop/b], wait_for: ./go" "parallel: 2"
    start run p.yaml --id one
    wait_until 10 test -e go.reached
    rm -rf mirror
    echo "in the way" >mirror
    touch go
    ended 3
    has stderr "$(cat start.err)" "backup 'one' is in 1 of 2 sinks"
    all_released
    expect 0 cat p.yaml one shop/a
}

@test "in a bundle a group is read by one lane, in order" {
    grouped p.yaml demo "blobs: [shop/a, shop/b, shop/c, other/x], read_time: 50ms" \
        "store: {format: archive, bundle: stack}" "parallel: 4"
    expect 0 run p.yaml --id one
    order "hold shop shop/a shop/b shop/c" "read shop/a" "read-end shop/a" "read shop/b" \
        "read-end shop/b" "read shop/c" "read-end shop/c" "release shop" "hold other other/x"
    all_released
    expect 0 verify p.yaml one
}

@test "a bundled group that cannot be held, or is held too long, is released as any other" {
    grouped p.yaml demo "blobs: [shop/a, shop/b, other/x], fail_hold: [shop]" \
        "store: {format: archive, bundle: stack}" "parallel: 2"
    expect 3 run p.yaml --id one
    all_released
    manifest '[.components[].status] == ["failed", "failed", "ok"]' one
    rm log
    grouped p.yaml demo "blobs: [shop/a, shop/b, other/x], wait_for: ./never, waits: [shop/b]" \
        "store: {format: archive, bundle: stack}" "parallel: 2" "hold: {max: 500ms}"
    expect 3 run p.yaml --id two
    all_released
    manifest '[.components[].status] == ["ok", "failed", "ok"]' two
    expect 0 verify p.yaml --all
    rm log never.reached
    grouped p.yaml demo "blobs: [shop/a, shop/b, other/x], wait_for: ./never, waits: [shop/b]" \
        "store: {format: archive, bundle: stack}" "parallel: 2"
    start run p.yaml --id three
    wait_until 10 test -e never.reached
    kill -TERM "$PID"
    ended 143
    all_released
    absent store/backups/three
}

@test "a component of a held group that fails leaves nothing behind in any sink" {
    mirrors "blobs: [shop/a, shop/b], fail_read: [shop/b], size: 1 MiB"
    expect 3 run p.yaml --id one
    same objects "$(objects mirror)" "$(objects store)"
    absent store/backups/one/shop/b mirror/backups/one/shop/b
    expect 0 verify p.yaml one
}
