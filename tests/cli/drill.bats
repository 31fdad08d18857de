# verify --level restore: drills.
load helpers

made() { # OPTIONS [LINE...]
    below p.yaml "${1-}" "${@:2}"
    backup p.yaml one
    rm calls
}

record() { find store/backups/"$1"/records -name '*-drill.json' | sort | tail -n 1; }

@test "what a source can try out is restored into something thrown away" {
    made
    expect 0 verify p.yaml --level restore --json
    events verify
    event '.message_type == "drill" and .id == "one" and .name == "app" and .source == "app"
        and .result == "ok" and .facts.rows == 8 and .components == ["app/shop.sql", "app/blog.sql"]'
    event '.message_type == "verified" and .level == "restore" and .result == "ok" and .bytes == 22'
    called "$(
        cat <<'EOT'
begin . drill backup=one as= at=0 pipeline=p.yaml program=bakengine parts=
  shop.sql
  blog.sql
writer shop.sql group=. drill flags=0 facts={"colour":"green"}
commit shop.sql 11
writer blog.sql group=. drill flags=0 facts={"colour":"green"}
commit blog.sql 11
end . good=1
EOT
    )"
    absent shop.sql.back
    jq -e '.kind == "drill" and .result == "ok" and .groups[0].facts.tables == 2
        and .groups[0].result == "ok" and (.groups[0].duration | type) == "number"
        and .components[0] == {"name": "app/shop.sql", "how": "restore", "result": "ok"}' \
        "$(record one)"
}

@test "list and show know the newest drill of each backup" {
    made
    backup p.yaml two
    expect 0 list p.yaml
    out_lacks DRILL
    expect 0 verify p.yaml one --level restore
    out_has "drill    ok in "
    out_has "rows=8"
    expect 0 list p.yaml
    out_has DRILL
    printf '%s\n' "$output" | grep -q '^one .* restore ok 20[^ ]* *ok 20'
    expect 0 list p.yaml --json
    document '.backups[0].drill.result == "ok" and (.backups[0].drill.time | startswith("20"))
        and .backups[0].verified and (.backups[1] | has("drill") | not)'
    below p.yaml "fail_end: [.]"
    expect 4 verify p.yaml one --level restore
    expect 0 list p.yaml --json
    document '.backups[0].drill.result == "failed"'
    expect 0 show p.yaml one
    out_has "drill       failed 20"
    out_has "table 'orders' has 7 rows and not 8"
    expect 0 show p.yaml one --json
    document '.drill.result == "failed" and .drill.groups[0].name == "app"'
}

@test "a drill that fails: exit 4, said, and recorded" {
    made
    below p.yaml "fail_end: [.]"
    expect 4 verify p.yaml --level restore --json
    events verify
    event '.message_type == "error" and .id == "one" and (.text | contains("7 rows and not 8"))'
    event '.message_type == "drill" and .result == "failed" and (.error | contains("7 rows and not 8"))'
    event '.message_type == "verified" and .result == "damaged"'
    jq -e '.result == "failed" and (.error | contains("7 rows and not 8"))
        and (.components | all(.how == "restore" and .result == "failed"))' "$(record one)"
}

@test "a drill that cannot begin: nothing is damaged, and the exit code is another one" {
    made
    below p.yaml "fail_begin: true"
    expect 1 verify p.yaml --level restore --json
    events verify
    event '.message_type == "error" and (.text | contains("no server to be had"))'
    event '.message_type == "verified" and .result == "ok"'
    jq -e '.result == "failed" and (.error | contains("no server to be had"))' "$(record one)"
}

@test "a component that is not sound fails it, and all of it is taken down" {
    echo "rotten shop" >shop.sql
    made
    expect 4 verify p.yaml --level restore
    same ended "$(grep '^end' calls)" "end . good=0"
    jq -e '.result == "failed" and (.error | contains("the end mark of the dump is missing"))' \
        "$(record one)"
}

@test "what is damaged in the store fails it" {
    local format
    for format in archive repository; do
        rm -rf store calls
        head -c 3000000 /dev/urandom >shop.sql
        made "" "store: {format: $format}"
        flip "$(find store -type f -size +1M | head -n 1)"
        expect 4 verify p.yaml --level restore
        same ended "$(grep '^end' calls || true)" "end . good=0"
        jq -e '.result == "failed"' "$(record one)"
    done
}

@test "what cannot be tried out is read, and fails no drill" {
    made "alone: [blog.sql]" "store: {format: repository}"
    sed -i 's/^  - {name: app.*/&\n  - {name: files, plugin: files, paths: [src]}/' p.yaml
    backup p.yaml two
    rm calls
    expect 0 verify p.yaml two --level restore --json
    events verify
    event '.message_type == "drill" and .components == ["app/shop.sql"]'
    jq -e '[.components[] | [.name, .how, .result] | join(" ")] | sort ==
        ["app/blog.sql read ok", "app/shop.sql restore ok", "files read ok"]' "$(record two)"
    grep -q '^writer blog.sql group= inspect' calls
}

@test "nothing to try out: as level read, without a record of a drill" {
    pipeline p.yaml demo
    backup p.yaml one
    expect 0 verify p.yaml --level restore --json
    event '.message_type == "verified" and .level == "restore" and .bytes == 8'
    same records "$(find store -name '*-drill.json' | wc -l)" 0
    flip store/backups/one/files.tar
    expect 4 verify p.yaml --level restore
}

@test "a component that had failed in the backup is left out" {
    below p.yaml
    rm blog.sql
    expect 3 run p.yaml --id one
    rm calls
    expect 0 verify p.yaml --level restore
    jq -e '.result == "ok" and .components[1] ==
        {"name": "app/blog.sql", "how": "none", "result": "missing"}' "$(record one)"
}

@test "--all drills each, in every sink" {
    made
    sed -i 's/^sinks:.*/sinks: [{plugin: local, name: a, path: store}, {plugin: local, name: b, path: other}]/' p.yaml
    backup p.yaml two
    rm calls
    expect 0 verify p.yaml --all --level restore --json
    same drills "$(jq -r 'select(.message_type == "drill") | .id + " " + .sink' <<<"$output")" \
        $'one a\ntwo a\ntwo b'
}

@test "a run can end with a drill" {
    below p.yaml "" "verify: {after_run: restore}"
    expect 0 run p.yaml --id one --json
    events run
    event '.message_type == "drill" and .result == "ok"'
    jq -e '.result == "ok"' "$(record one)"
    below p.yaml "fail_end: [.]" "verify: {after_run: restore}"
    expect 4 run p.yaml --id two
    expect 0 run p.yaml --id three --no-verify
    same records "$(find store -name '*-drill.json' | wc -l)" 2
}

@test "a source that owes nothing drills, too: by itself and at the end of a run" {
    below p.yaml "" "verify: {after_run: restore}"
    sed -i 's/plugin: below/plugin: below-free/' p.yaml
    expect 0 run p.yaml --id one --json
    event '.message_type == "drill" and .result == "ok"'
    expect 0 verify p.yaml --level restore
    expect 0 restore p.yaml
    same shop "$(cat shop.sql.back)" "sound shop"
}

@test "a drill is owed: one at a time, and what a killed one left is redeemed" {
    made
    below p.yaml "wait_for: ./go"
    start verify p.yaml --level restore
    wait_until 10 test -e go.reached
    expect 11 run p.yaml
    expect 11 verify p.yaml --level restore
    expect 0 verify p.yaml --level read
    kill -KILL "$PID"
    ended 137
    wait_until 10 grep -q '^redeem {"kind":"half"} port=1' calls
}

@test "ctrl-C: the drill is taken down" {
    made
    below p.yaml "wait_for: ./go"
    start verify p.yaml --level restore
    wait_until 10 test -e go.reached
    kill -INT "$PID"
    ended 130
    same ended "$(grep '^end' calls)" "end . good=0"
    same records "$(find store -name '*-drill.json' | wc -l)" 0
}

@test "--set goes with a drill, which needs the pipeline" {
    made
    expect 0 verify p.yaml --level restore --set app.port=7
    grep -q '^open port=7 ' calls
    expect 2 verify p.yaml --set app.port=7
    err_has "'--set' goes with '--level restore' alone"
    expect 2 verify store --level restore
    err_has "'store' is a store's address, not a pipeline file"
    expect 2 verify p.yaml --level drill
    err_has "'drill' is not a level of verification: quick, read, restore"
}
