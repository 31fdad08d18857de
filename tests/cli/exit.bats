# Exit codes: one test at least for each, and which one is said when several apply. 130 and 143 are in
# signals.bats, 11 also in locks.bats. 12 (wrong key) needs a transform that encrypts.
load helpers

# A place that is no store of ours: the sink cannot be used.
spoil() {
    mkdir -p "$1"
    echo nonsense >"$1/bakengine.json"
}

@test "0: done" {
    pipeline p.yaml demo
    expect 0 run p.yaml
}

@test "1: failed: the only sink cannot be used" {
    pipeline p.yaml demo
    spoil store
    expect 1 run p.yaml --json
    events run
    err_has "sink 'local'"
    same stored "$(cat store/bakengine.json)" "nonsense"
}

@test "1: failed: nothing could be backed up" {
    staged p.yaml demo "blobs: [a], fail: [a]"
    expect 1 run p.yaml --json
    events run
    event '.message_type == "component" and (.error | contains("the connection broke off"))'
    err_has "nothing could be backed up"
    expect 0 list p.yaml --json
    document '.backups == []'
    same objects "$(objects store)" ./bakengine.json
}

@test "1: failed: every source failed" {
    staged p.yaml demo "closed: true"
    expect 1 run p.yaml --json
    events run
    err_has "there is nothing to back up: every source failed"
}

@test "1: failed: fewer sinks than 'require' asks for" {
    mirrored p.yaml demo other "require: all"
    spoil other
    expect 1 run p.yaml --json --id one
    events run
    event '.message_type == "error" and (.text | contains("sink '"'two'"'"))'
    err_has "backup 'one' is in 1 of 2 sinks"
    # what could be kept is kept all the same
    expect 0 verify p.yaml one
}

@test "2: an invalid pipeline" {
    pipeline p.yaml demo "retension: {keep_last: 3}"
    expect 2 run p.yaml
    err_has "p.yaml:4:1: unknown option 'retension' for a pipeline"
    err_has "did you mean 'retention'?"
    expect 2 validate p.yaml
    expect 2 prune p.yaml
    absent store
}

@test "2: a pipeline file that is not there" {
    expect 2 run nowhere.yaml --json
    events run
    err_has "cannot open 'nowhere.yaml': no such file or directory"
}

@test "2: a pipeline that does not fit the store" {
    mirrored p.yaml demo other
    backup p.yaml one
    rm -r other
    pipeline q.yaml demo
    sed -i 's/path: store/path: other/' q.yaml
    backup q.yaml two
    expect 2 run p.yaml
    err_has "holds another store"
}

@test "3: partial: a file that cannot be read" {
    echo secret >src/secret
    chmod 000 src/secret
    pipeline p.yaml demo
    mkdir store state
    give store state src
    expect_nobody 3 run p.yaml --json --id one
    events run
    event '.message_type == "warning" and .severity == "partial" and (.subject | contains("secret"))'
    event '.message_type == "component" and .status == "partial" and .missing == 1'
    err_has "backup 'one' is partial"
    expect_nobody 0 verify p.yaml one
    expect_nobody 0 list p.yaml
    out_has partial
}

@test "3: partial: a root that is not there" {
    pipeline p.yaml demo
    sed -i 's/paths: \[src\]/paths: [src, gone]/' p.yaml
    expect 3 run p.yaml --json --id one
    events run
    event '.message_type == "warning" and (.subject + .text | contains("gone"))'
    expect 0 verify p.yaml one
    expect 0 restore p.yaml one --target out
    # one that may be absent is fine
    sed -i 's/gone\]/{path: gone, optional: true}]/' p.yaml
    expect 0 run p.yaml
}

@test "3: partial: one source of two fails" {
    staged p.yaml demo "closed: true}, {name: files, plugin: files, paths: [src]"
    expect 3 run p.yaml --json --id one
    events run
    event '.message_type == "error" and (.text | contains("it is closed"))'
    err_has "backup 'one' is partial: 1 source failed"
}

@test "3: partial: one component of two fails" {
    staged p.yaml demo "blobs: [a, b], fail: [b]"
    expect 3 run p.yaml --json --id one
    events run
    event '.message_type == "component" and .name == "b" and .status == "failed"'
    event '.message_type == "component" and .name == "a" and .status == "ok"'
    # the one that failed left nothing, and the other one is whole
    same objects "$(ls store/backups/one)" $'SHA256SUMS\na\nmanifest.json'
    expect 0 cat p.yaml one a
    expect 10 cat p.yaml one b
    err_has "component 'b' had failed in backup 'one'"
    err_has "the connection broke off"
    expect 0 show p.yaml one
    out_has "b (blob, from 'stage'): failed"
}

@test "3: partial: the second sink fails, and one is enough" {
    mirrored p.yaml demo other "require: any"
    spoil other
    expect 3 run p.yaml --json --id one
    events run
    event '.message_type == "error" and (.text | contains("sink '"'two'"'"))'
    err_has "backup 'one' is in 1 of 2 sinks"
    expect 0 verify p.yaml one
}

@test "3: partial: restored, but for what was kept" {
    pipeline p.yaml demo
    backup p.yaml one
    echo changed >src/one
    expect 3 restore p.yaml one --json
    events restore
}

@test "4: verification failed: a flipped bit" {
    pipeline p.yaml demo
    backup p.yaml one
    flip store/backups/one/files.tar
    expect 4 verify p.yaml one --json
    events verify
    event '.message_type == "verified" and .result == "damaged"'
    event '.message_type == "error" and .component == "files"'
    err_has "verification failed"
    expect 0 list p.yaml
    out_has "read damaged"
    expect 0 verify p.yaml one --level quick
}

@test "4: verification failed: what after_run finds" {
    staged p.yaml demo "blobs: [a, b], wait_for: ./go" "verify: {after_run: quick}" "parallel: 1"
    start run p.yaml --id one
    wait_until 10 test -e go.reached
    touch go
    ended 0
    rm store/backups/one/a
    expect 4 verify p.yaml --level quick
    err_has "object 'backups/one/a' is missing"
}

@test "10: no store, no backup, no component, no file" {
    pipeline p.yaml demo
    expect 10 list p.yaml --json
    same stdout "$output" ""
    err_has "there is no store"
    expect 10 restore p.yaml --target out --json
    events restore
    expect 10 verify p.yaml --json
    events verify
    expect 10 prune p.yaml --json
    events prune
    absent store out
    mkdir empty
    expect 10 list empty
    backup p.yaml one
    local verb
    for verb in show ls verify; do
        expect 10 $verb p.yaml nothing
        err_has "there is no backup 'nothing'"
        err_has "HINT: 'bakengine list' shows which there are"
    done
    expect 10 restore p.yaml nothing --target out
    expect 10 cat p.yaml one nothing
    err_has "backup 'one' has no component 'nothing'"
    err_has "HINT: it has: files"
    expect 10 cat p.yaml one files nothing
    expect 10 ls p.yaml one files nothing
    expect 10 restore p.yaml one --component nothing --target out
    expect 10 restore p.yaml one --path nothing --target out
    err_has "nothing in backup 'one' matches --path 'nothing'"
}

@test "11: locked" {
    staged p.yaml demo "blobs: [a], wait_for: ./go"
    start run p.yaml
    wait_until 10 test -e go.reached
    expect 11 run p.yaml --json
    events run
    err_has "pipeline 'demo' is already running on this host (process $PID)"
    touch go
    ended 0
}

@test "11 comes before 10 and 2" {
    staged p.yaml demo "blobs: [a], wait_for: ./go"
    start run p.yaml --id one
    wait_until 10 test -e go.reached
    expect 11 run p.yaml --id one
    touch go
    ended 0
}

@test "2 comes before 1: of several files to validate, one invalid and one unusable" {
    pipeline p.yaml demo "nonsense: 1"
    staged q.yaml other "closed: true"
    expect 2 validate --probe q.yaml p.yaml
    expect 2 validate --probe p.yaml q.yaml
    expect 1 validate --probe q.yaml
}

@test "1: failed: a state directory that cannot be, for run and doctor" {
    pipeline p.yaml demo
    expect 0 doctor p.yaml
    rm -r state
    echo "not a directory" >state
    expect 1 doctor p.yaml
    expect 1 run p.yaml
    err_has "$WORK/state"
    absent store
}

@test "4 comes before 3: partial, and damaged at once" {
    staged p.yaml demo "blobs: [a, b], fail: [b]"
    expect 3 run p.yaml --id one
    flip store/backups/one/a
    expect 4 verify p.yaml one
    expect 1 restore p.yaml one --target out
    absent out/a
}

@test "1 comes before 3: a sink too few, and a component that failed" {
    staged p.yaml demo "blobs: [a, b], fail: [b]"
    sed -i 's/^sinks:.*/sinks: [{plugin: local, path: store}, {plugin: local, name: two, path: other}]/' p.yaml
    spoil other
    expect 3 run p.yaml --id one --json
    echo 'require: all' >>p.yaml
    expect 1 run p.yaml --id two --json
    events run
}

@test "11 comes before 4: a prune lease held elsewhere does not fail the run" {
    pipeline p.yaml demo "retention: {keep_last: 1}"
    backup p.yaml one
    mkdir -p store/gc
    echo "somebody" >store/gc/lease
    expect 0 run p.yaml --id two
    err_has "retention is left to another prune that is running"
    same ids "$(ids p.yaml)" $'one\ntwo'
    expect 11 prune p.yaml
}
