# SIGINT, SIGTERM and SIGKILL in the middle: the end comes in under two seconds, and what is left is
# as if nothing had been begun.
load helpers

# busy FILE: a pipeline with more to write than any test has time for, though it packs small.
busy() {
    staged "$1" demo "blobs: [big/a, big/b], size: 1 TiB" "transforms: [{plugin: zstd}]" "parallel: 2"
}

underway() { [ -n "$(find store/writers -type f 2>/dev/null)" ]; }

# send SIGNAL CODE: the one that was started ends with CODE, in a second or so; on a busy machine in
# some, but not when its work would have ended.
send() {
    local before after
    before=$(now_ms)
    kill "-$1" "$PID"
    ended "$2"
    after=$(now_ms)
    [ $((after - before)) -lt 8000 ] || { echo "it took $((after - before)) ms" >&2; return 1; }
}

unchanged() {
    same list "$(ids p.yaml)" "$1"
    same manifests "$(find store -name manifest.json | wc -l)" "$(wc -w <<<"$1")"
    same "other files" "$(find store -type f ! -path 'store/backups/good/*' ! -name bakengine.json)" ""
    expect 0 verify p.yaml good
}

setup_good() {
    pipeline p.yaml demo
    backup p.yaml good
    busy p.yaml
}

@test "SIGINT while a run reads and writes: 130" {
    setup_good
    start run p.yaml --id bad
    wait_until 20 underway
    sleep 0.3
    send INT 130
    unchanged good
}

@test "SIGTERM while a run reads and writes: 143" {
    setup_good
    start run p.yaml --id bad --json
    wait_until 20 underway
    sleep 0.3
    send TERM 143
    unchanged good
    status=143 output=$(cat start.out)
    events run
    same id "$(summary .id)" null
}

@test "SIGHUP ends a run too: 129" {
    setup_good
    start run p.yaml
    wait_until 20 underway
    send HUP 129
    unchanged good
}

@test "SIGINT while a run waits for its source: 130" {
    setup_good
    staged p.yaml demo "blobs: [a, b], wait_for: ./never"
    start run p.yaml --json
    wait_until 10 test -e never.reached
    send INT 130
    unchanged good
    status=130 output=$(cat start.out)
    events run
}

@test "after a signal the next run works at once" {
    setup_good
    start run p.yaml
    wait_until 20 underway
    send TERM 143
    pipeline p.yaml demo
    expect 0 run p.yaml --id next
    expect 0 verify p.yaml --all
}

@test "a second signal does not wait: 143" {
    setup_good
    start run p.yaml
    wait_until 20 underway
    kill -INT "$PID"
    kill -TERM "$PID" 2>/dev/null || true
    local code=0
    wait "$PID" || code=$?
    [ "$code" -eq 130 ] || [ "$code" -eq 143 ]
    expect 0 verify p.yaml good
}

@test "SIGKILL leaves nothing that counts" {
    setup_good
    start run p.yaml --id bad
    wait_until 20 underway
    sleep 0.2
    send KILL 137
    same list "$(ids p.yaml)" good
    absent store/backups/bad/manifest.json
    expect 0 verify p.yaml --all
    pipeline p.yaml demo
    expect 0 run p.yaml --id next
    same list "$(ids p.yaml)" $'good\nnext'
}

# big_backup: one with enough to read that a signal finds it busy.
big_backup() {
    staged p.yaml demo "blobs: [blob], trees: [tree], size: 1 GiB" \
        "transforms: [{plugin: zstd, level: 1}]"
    backup p.yaml big
}

room() { [ "$(df --output=avail -k "$WORK" | tail -1)" -gt 3000000 ] || skip "needs 3 GB of space"; }

moving() { [ -n "$(find out -type f -size +64k 2>/dev/null)" ]; }

# The one that was started has begun: its stages run.
at_work() { [ "$(find "/proc/$PID/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)" -gt 3 ]; }

@test "signals in the middle of a restore: no half file, no temporary one" {
    room
    big_backup
    local signal
    for signal in INT:130 TERM:143; do
        rm -rf out
        start restore p.yaml big --target out --json
        wait_until 20 moving
        send "${signal%:*}" "${signal#*:}"
        same files "$(find out -type f)" ""
        status=${signal#*:} output=$(cat start.out)
        events restore
    done
    expect 0 verify p.yaml big --level quick
}

@test "SIGTERM in the middle of a restore keeps what was there before" {
    room
    big_backup
    mkdir -p out/tree
    echo mine >out/tree/data
    echo mine >out/blob
    start restore p.yaml big --target out --force
    wait_until 20 moving
    send TERM 143
    same files "$(find out -type f | sort)" $'out/blob\nout/tree/data'
    same kept "$(cat out/blob out/tree/data)" $'mine\nmine'
}

@test "SIGTERM in the middle of a verification: 143, and no record" {
    big_backup
    start verify p.yaml big --json
    wait_until 20 at_work
    send TERM 143
    status=143 output=$(cat start.out)
    events verify
    same records "$(find store -path '*/records/*')" ""
}

@test "a signal while verifying after the run: the backup stands" {
    staged p.yaml demo "blobs: [blob], size: 1 GiB" "transforms: [{plugin: zstd, level: 1}]" \
        "verify: {after_run: read}"
    start run p.yaml --id one
    wait_until 60 test -e store/backups/one/manifest.json
    send TERM 143
    same list "$(ids p.yaml)" one
    same writers "$(find store/writers -type f)" ""
}

@test "a reader that goes away is an error, not a death by signal" {
    pipeline p.yaml demo
    mkdir src/many
    (cd src/many && seq -f 'file-with-a-rather-long-name-%g' 3000 | xargs touch)
    backup p.yaml one
    run --separate-stderr bash -c '"$BAKENGINE" ls p.yaml one files | head -1; exit "${PIPESTATUS[0]}"'
    same status "$status" 1
    err_has "cannot write to standard output: broken pipe"
}
