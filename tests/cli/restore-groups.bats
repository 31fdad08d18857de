# restore without --target of components that belong together: as a whole or not at all.
load helpers

# groups FILE NAME OPTIONS [LINE...]: shop/files (a tree), shop/db.sql (a blob, written last) and
# blog/files, of a source that logs what it is asked for. Their contents are live/<name>.
groups() {
    local file=$1 name=$2 options=${3-}
    shift $(($# < 3 ? $# : 3))
    mkdir -p live stage old
    {
        printf 'pipeline: %s\nsources: [{name: host, plugin: groups-back, dir: ., log: calls, ' "$name"
        printf 'trees: [shop/files, blog/files], blobs: [shop/db.sql], last: [shop/db.sql]%s}]\n' \
            "${options:+, $options}"
        printf 'sinks: [{plugin: local, path: store}]\nparallel: 2\n'
        printf '%s\n' "$@"
    } >"$file"
}

fill() { # WORD
    local name
    for name in shop+files shop+db.sql blog+files; do
        echo "$1 $name" >"live/$name"
    done
}

# Everything live is of WORD, or of the shop SHOP and of the blog BLOG; nothing is left in stage.
live() {
    local shop=$1 blog=${2:-$1}
    same files "$(cat live/shop+files)" "$shop shop+files"
    same dump "$(cat live/shop+db.sql)" "$shop shop+db.sql"
    same blog "$(cat live/blog+files)" "$blog blog+files"
    same stage "$(ls stage)" ""
}

# A backup `one` of what is "old", and what is live is "new" now.
made() {
    groups p.yaml demo
    fill old
    backup p.yaml one
    fill new
    rm -f calls
}

again() { # OPTIONS: the pipeline with others
    groups p.yaml demo "$@"
    rm -f calls
}

called() { same calls "$(grep -v '^  ' calls)" "$1"; }

@test "all of a group is staged, switched to, and taken into use" {
    made
    expect 0 restore p.yaml --stack shop
    live old new
    called "$(
        cat <<'EOF'
open
tidy
begin shop backup=one as= force=0 flags=0 facts={"colour":"green"}
commit shop/files
switch shop
commit shop/db.sql
end shop good=1 cancelled=0
close
EOF
    )"
    out_has "restored as a whole"
    out_has "started=2"
    out_has "restored one in place: ok, 2 entries"
}

@test "the source is opened once for all groups, each group begins and ends by itself" {
    made
    expect 0 restore p.yaml
    live old
    same opened "$(grep -c '^open$' calls)" 1
    same closed "$(grep -c '^close$' calls)" 1
    same begun "$(grep -c '^begin ' calls)" 2
    same ended "$(grep -c '^end .* good=1' calls)" 2
    # one after the other
    same order "$(grep -E '^(begin|end) ' calls | cut -d' ' -f1 | tr '\n' ' ')" "begin end begin end "
}

@test "the events: components and groups with what became of them" {
    made
    expect 0 restore p.yaml --json
    events restore
    event '.message_type == "group" and .name == "shop" and .source == "host" and .status == "ok"
        and .components == 2 and .facts.started == 2'
    event '.message_type == "component" and .name == "shop/db.sql" and .status == "ok"'
    same groups "$(summary .groups)" 2
    same entries "$(summary .entries)" 3
    same undone "$(summary .undone)" 0
}

@test "a component that cannot be written: all of its group stays as it was, the others go on" {
    made
    again "fail_write: [shop/db.sql]"
    expect 3 restore p.yaml
    live new old
    err_has "component 'shop/db.sql': the disk is broken"
    err_has "1 group could not be restored and is as before"
    out_has "not restored: all is as it was before"
    same ended "$(grep '^end shop' calls)" "end shop good=0 cancelled=0"
    expect 1 restore p.yaml --stack shop --json
    events restore
    event '.message_type == "group" and .name == "shop" and .status == "undone"'
    event '.message_type == "component" and .name == "shop/files" and .status == "undone"'
    same entries "$(summary .entries)" 0
    same undone "$(summary .undone)" 1
    live new old
}

@test "so it is when it cannot be committed" {
    made
    again "fail_commit: [shop/files]"
    expect 1 restore p.yaml --stack shop
    err_has "component 'shop/files': it does not come up"
    same switched "$(grep -c '^switch' calls)" 0
    same ended "$(grep '^end shop' calls)" "end shop good=0 cancelled=0"
    live new
}

@test "when the group cannot be switched" {
    made
    again "fail_switch: [shop]"
    expect 1 restore p.yaml --stack shop
    err_has "group 'shop': it does not stop"
    same ended "$(grep '^end shop' calls)" "end shop good=0 cancelled=0"
    live new
}

@test "when it is not well in the end, the source has put it back" {
    made
    again "fail_end: [shop]"
    expect 1 restore p.yaml --stack shop --json
    event '.message_type == "error" and (.text | contains("does not become healthy"))'
    event '.message_type == "group" and .status == "undone"'
    same ended "$(grep '^end shop' calls)" "end shop good=1 cancelled=0"
    live new
}

@test "a restore that cannot begin changes nothing, and is not ended" {
    made
    again "fail_begin: [shop]"
    expect 3 restore p.yaml
    err_has "group 'shop': it is of another architecture"
    same ended "$(grep -c '^end shop' calls || true)" 0
    live new old
}

@test "what cannot be put back is said, with what to do" {
    made
    again "fail_write: [shop/db.sql], fail_undo: [shop]"
    expect 1 restore p.yaml
    err_has "group 'shop': it cannot be undone"
    err_has "1 group could not be put back as it was before"
    err_has "HINT: 'bakengine doctor --redeem' tries again"
    out_has "could not be put back as it was"
    # what was promised is kept by the next verb that acts
    same promised "$(grep -c '^redeem shop' calls || true)" 1
}

@test "so it is when it was not well in the end" {
    made
    again "fail_end: [shop], fail_undo: [shop]"
    expect 1 restore p.yaml --json
    events restore
    event '.message_type == "warning" and .text == "group '"'shop'"': nor can that be undone"'
    event '.message_type == "group" and .name == "shop" and .status == "failed"'
    event '.message_type == "group" and .name == "blog" and .status == "ok"'
    same promised "$(grep -c '^redeem shop' calls || true)" 1
}

@test "what has no place any more does not undo the others" {
    made
    again "gone: [shop/files]"
    expect 3 restore p.yaml --stack shop --json
    events restore
    event '.message_type == "warning" and .component == "shop/files"
        and (.text | contains("its service is not there any more"))'
    event '.message_type == "component" and .name == "shop/files" and .status == "gone"'
    event '.message_type == "group" and .status == "partial"'
    same files "$(cat live/shop+files)" "new shop+files"
    same dump "$(cat live/shop+db.sql)" "old shop+db.sql"
}

@test "when all of it is gone there is nothing to take into use" {
    made
    again "gone: [shop/files, shop/db.sql]"
    expect 1 restore p.yaml --stack shop
    same ended "$(grep '^end shop' calls)" "end shop good=0 cancelled=0"
    live new
}

@test "what the source says is missing makes it partial" {
    made
    again "lacking: [shop/files]"
    expect 3 restore p.yaml --stack shop --json
    event '.message_type == "warning" and .severity == "partial" and (.text | contains("owner"))'
    event '.message_type == "component" and .name == "shop/files" and .status == "partial"'
    event '.message_type == "group" and .status == "partial"'
    live old new
}

@test "what is damaged in the store undoes its group; --force takes what can be had of trees" {
    made
    head -c 300000 /dev/urandom >live/shop+files
    backup p.yaml two
    fill new
    flip store/backups/two/shop/files.tar
    expect 1 restore p.yaml two --stack shop
    err_has "HINT: try another backup or sink; --force takes what can be had"
    live new
    expect 3 restore p.yaml two --stack shop --force --json
    event '.message_type == "component" and .name == "shop/files" and .status == "partial"'
    event '.message_type == "group" and .status == "partial"'
    same dump "$(cat live/shop+db.sql)" "new shop+db.sql"
}

@test "a damaged dump undoes its group, --force or not" {
    made
    head -c 300000 /dev/urandom >live/shop+db.sql
    backup p.yaml two
    fill new
    flip store/backups/two/shop/db.sql
    expect 1 restore p.yaml two --stack shop
    live new
    expect 1 restore p.yaml two --stack shop --force
    live new
}

@test "a component that had failed in the backup: the others only with --force" {
    groups p.yaml demo ""
    fill old
    rm live/shop+db.sql
    expect 3 run p.yaml --id one
    fill new
    rm calls
    expect 3 restore p.yaml
    err_has "group 'shop': component 'shop/db.sql' had failed in this backup"
    err_has "--force restores the group without it"
    same begun "$(grep '^begin' calls)" \
        'begin blog backup=one as= force=0 flags=0 facts={"colour":"green"}'
    live new old
    expect 3 restore p.yaml --stack shop --force
    same files "$(cat live/shop+files)" "old shop+files"
    same dump "$(cat live/shop+db.sql)" "new shop+db.sql"
    expect 0 restore p.yaml --component shop/files
}

@test "a stage that cannot be is the plugin's mistake, and undone" {
    made
    again "last_stage: 4000000000"
    expect 1 restore p.yaml --stack shop
    err_has "group 'shop': there is no stage 4000000000; this is a bug of plugin 'groups-back'"
    same ended "$(grep '^end shop' calls)" "end shop good=0 cancelled=0"
    live new
}

@test "stages without components are gone through, too" {
    made
    again "last_stage: 2"
    expect 0 restore p.yaml --stack shop
    same switched "$(grep -c '^switch shop' calls)" 2
    live old new
}

@test "the flags reach the source" {
    made
    expect 0 restore p.yaml --stack shop --skip-stop --skip-start --as-project try-out --force
    same begun "$(grep '^begin' calls)" \
        'begin shop backup=one as=try-out force=1 flags=3 facts={"colour":"green"}'
    rm calls
    expect 0 restore p.yaml --stack shop --skip-start
    same begun "$(grep -o 'flags=.' calls)" flags=2
}

@test "--dry-run shows groups and steps, and changes nothing" {
    made
    expect 0 restore p.yaml --dry-run
    out_has "group 'shop', all of it or nothing:"
    out_has "step 1: shop/files"
    out_has "step 2: shop/db.sql"
    expect 0 restore p.yaml --dry-run --json
    events restore
    event '.message_type == "plan" and any(.groups[]; .name == "shop" and .source == "host"
        and any(.components[]; .name == "shop/db.sql" and .stage == 1))'
    same begun "$(grep -c '^begin' calls || true)" 0
    same called "$(grep -v '^  ' calls | cut -d' ' -f1 | sort -u | tr '\n' ' ')" "close look open "
    live new
}

@test "--dry-run says what could not be restored" {
    made
    again "fail_begin: [shop]"
    expect 3 restore p.yaml --dry-run
    out_has "ERROR: group 'shop': it is of another architecture"
    err_has "1 group could not be restored as things are"
}

@test "--stack is the components beneath it, from the newest backup that has any" {
    made
    expect 0 run p.yaml --id later --only blog
    expect 0 restore p.yaml --stack shop --json
    same id "$(summary .id)" one
    same components "$(summary .components)" 2
    expect 0 restore p.yaml --stack blog --json
    same id "$(summary .id)" later
    expect 10 restore p.yaml later --stack shop
    err_has "backup 'later' has no component of 'shop'"
    expect 10 restore p.yaml --stack sho
    expect 10 restore p.yaml one --stack shop --component '**/nothing'
    err_has "backup 'one' has no component of 'shop' that matches '**/nothing'"
}

@test "--stack chooses for a directory, too" {
    made
    expect 0 restore p.yaml --stack shop --target out
    same files "$(cat out/shop/files/data)" "old shop+files"
    absent out/blog
    absent calls
}

@test "what is not in a group goes back by itself, beside groups" {
    groups p.yaml demo ""
    sed -i 's/blobs: \[/blobs: [alone, /' p.yaml
    fill old
    echo old >live/alone
    backup p.yaml one
    fill new
    echo new >live/alone
    expect 0 restore p.yaml
    live old
    same alone "$(cat live/alone)" old
    expect 2 restore p.yaml --as-project other --component alone --component shop
    err_has "'--as-project' takes one group and nothing beside it"
    expect 2 restore p.yaml --component alone --skip-stop
    err_has "'--skip-stop' is for components that are restored as a group, and none of these is"
}

@test "choices that do not go together are refused before anything is done" {
    made
    expect 2 restore p.yaml --as-project other
    err_has "'--as-project' takes one group, and these are of"
    expect 2 restore p.yaml --stack shop --path data
    err_has "'--path' cannot be used with component 'shop/files'"
    expect 2 restore p.yaml --stack shop --as-project a/b
    err_has "'--as-project' takes the name of a stack, not 'a/b'"
    expect 2 restore p.yaml --stack ''
    err_has "'--stack' takes the name of a stack, not ''"
    local flag
    for flag in "--as-project x" --skip-stop --skip-start; do
        # shellcheck disable=SC2086 # two words
        expect 2 restore p.yaml --target out $flag
        err_has "cannot be given with '--target'"
    done
    absent calls out
    live new
}

@test "--undo puts back what the last restore replaced, without the store" {
    made
    expect 0 restore p.yaml --stack shop
    live old new
    mv store elsewhere
    rm calls
    expect 0 restore p.yaml --undo --stack shop
    out_has "group 'shop' is as it was before its last restore"
    live new
    same undone "$(grep '^undo' calls)" "undo shop"
    expect 1 restore p.yaml --undo --stack shop
    err_has "nothing is kept of 'shop'"
    expect 1 restore p.yaml --undo --stack shop --json
    events restore
    absent store
}

@test "--undo that fails is said" {
    made
    expect 0 restore p.yaml --stack shop
    again "fail_undo: [shop]"
    expect 1 restore p.yaml --undo --stack shop --json
    events restore
    event '.message_type == "group" and .name == "shop" and .status == "failed" and .undo'
}

@test "--undo goes with --stack alone" {
    made
    expect 2 restore p.yaml --undo
    err_has "'--undo' needs '--stack NAME'"
    expect 2 restore p.yaml one --undo --stack shop
    err_has "a backup cannot be given with '--undo'"
    local flag
    for flag in --force --dry-run --skip-stop --skip-start "--at 2025-01-01" "--component x" \
        "--path x" "--target x" "--from x" "--host x" "--as-project x"; do
        # shellcheck disable=SC2086 # two words
        expect 2 restore p.yaml --undo --stack shop $flag
        err_has "cannot be given with '--undo'"
    done
    absent calls
}

@test "--undo where nothing is ever kept" {
    pipeline p.yaml demo
    expect 1 restore p.yaml --undo --stack shop
    err_has "no source of this pipeline keeps what a restore replaces"
}

@test "ctrl-C: all is put back, by a context that is not cancelled" {
    made
    again "wait_for: ./go"
    start restore p.yaml --json
    wait_until 10 test -e go.reached
    kill -INT "$PID"
    ended 130
    output=$(cat start.out)
    status=130
    events restore
    live new
    same ended "$(grep '^end ' calls | sort -u | cut -d' ' -f3-)" "good=0 cancelled=0"
    # the other group was not begun any more
    same begun "$(grep -c '^begin ' calls)" 1
}

@test "ctrl-C while all is put back does not break that off" {
    made
    again "fail_write: [shop/db.sql], wait_end: ./go"
    start restore p.yaml --stack shop
    begun() { grep -q '^end shop good=0' calls; }
    wait_until 10 begun
    kill -INT "$PID"
    sleep 0.5
    same calls "$(grep -c '^interrupt' calls || true)" 0
    touch go
    ended 130
    live new
    same calls "$(tail -n 2 calls)" $'interrupt\nclose'
}

@test "killed: what was promised is redeemed" {
    made
    again "wait_for: ./go"
    start restore p.yaml --stack shop
    wait_until 10 test -e go.reached
    kill -KILL "$PID"
    ended 137
    wait_until 10 grep -q '^redeem shop' calls
    live new
    again ""
    expect 0 restore p.yaml --stack shop
    live old new
}

@test "a restore of groups waits for no run, and no run for it: one at a time" {
    made
    again "wait_for: ./go"
    start restore p.yaml --stack shop
    wait_until 10 test -e go.reached
    expect 11 run p.yaml
    expect 11 restore p.yaml
    expect 0 restore p.yaml --dry-run
    touch go
    ended 0
    live old new
}

@test "several groups at once, if the pipeline says so" {
    made
    groups p.yaml demo "wait_for: ./go" "parallel_groups: 2"
    rm -f calls
    start restore p.yaml
    wait_until 10 test -e calls
    both() { [ "$(grep -c '^begin' calls)" = 2 ]; }
    wait_until 10 both
    touch go
    ended 0
    live old
}
