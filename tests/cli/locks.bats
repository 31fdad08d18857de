# One run of a pipeline at a time on this host.
load helpers

hold() {
    staged p.yaml demo "blobs: [a], wait_for: ./go"
    start run p.yaml --id first
    wait_until 10 test -e go.reached
}

@test "a second run of the same pipeline is refused and changes nothing" {
    hold
    local before
    before=$(objects store)
    expect 11 run p.yaml --id second
    err_has "pipeline 'demo' is already running on this host (process $PID)"
    err_has "HINT: wait for it to end; nothing was done"
    same objects "$(objects store)" "$before"
    touch go
    ended 0
    same ids "$(ids p.yaml)" first
    expect 0 run p.yaml --id third
}

@test "the lock is the pipeline's: another one runs beside it, and so do readers" {
    hold
    pipeline q.yaml other
    expect 0 run q.yaml
    expect 0 list p.yaml
    expect 0 verify q.yaml
    expect 0 validate --probe p.yaml
    touch go
    ended 0
}

@test "the lock goes with the process, however it dies" {
    hold
    kill -KILL "$PID"
    ended 137
    touch go
    expect 0 run p.yaml --id second
}

@test "doctor names the run that is under way" {
    hold
    expect 11 doctor p.yaml
    out_has "FAILED  no run of it is under way: pipeline 'demo' is already running"
    touch go
    ended 0
    expect 0 doctor p.yaml
}

@test "locks are nobody else's to see" {
    pipeline p.yaml demo
    umask 0
    backup p.yaml one
    same modes "$(stat -c '%a %n' state state/locks state/locks/*)" \
        $'700 state\n700 state/locks\n600 state/locks/demo.lock'
}

@test "without BAKENGINE_STATE_DIR an ordinary user's state is in his home" {
    pipeline p.yaml demo
    mkdir store .local
    give store .local
    unset BAKENGINE_STATE_DIR
    HOME=$WORK expect_nobody 0 run p.yaml
    [ -f .local/state/bakengine/locks/demo.lock ]
    export BAKENGINE_STATE_DIR=relative
    expect 2 run p.yaml
    err_has "BAKENGINE_STATE_DIR must be an absolute path, not 'relative'"
}
