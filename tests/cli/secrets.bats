# A secret from K_file is in no output, no manifest, no state and no argument list, whatever a plugin
# does with it.
load helpers

SECRET='c0rrect-h0rse"battery\staple&more'

secretive() { # OPTIONS
    printf '%s\n' "$SECRET" >password
    chmod 600 password
    staged p.yaml demo "password_file: ./password, $1"
}

nowhere() {
    out_lacks "c0rrect"
    err_lacks "c0rrect"
    if grep -rl c0rrect store state 2>/dev/null; then
        echo "the secret is in a file" >&2
        return 1
    fi
}

@test "what a plugin says of it is masked: log, warning, error, hint" {
    secretive "closed: true, leak: true"
    local args
    for args in "run p.yaml" "run p.yaml --json" "run p.yaml --verbose" "run p.yaml --dry-run" \
        "run p.yaml --dry-run --json"; do
        # shellcheck disable=SC2086 # words
        run --separate-stderr "$BAKENGINE" $args
        [ "$status" -ne 0 ]
        nowhere
        has "it all" "$output$stderr" "the server refused '***'"
    done
}

@test "what a component fails with is masked, in the manifest too" {
    secretive "blobs: [a, b], fail: [b], leak: true"
    expect 3 run p.yaml --json --verbose --id one
    events run
    nowhere
    event '.message_type == "component" and .name == "b" and (.error | contains("***"))'
    expect 0 show p.yaml one
    nowhere
    out_has "***"
    expect 0 show p.yaml one --json
    nowhere
    document '.pipeline_file.sources[0].password == "***"'
    expect 10 cat p.yaml one b
    nowhere
}

@test "good runs and every other verb" {
    secretive "blobs: [a]"
    local args
    for args in "validate p.yaml" "validate p.yaml --json" "run p.yaml --id one --verbose" \
        "run p.yaml --json" "run p.yaml --dry-run" "show p.yaml one --json" "list p.yaml --json" \
        "doctor p.yaml --json --verbose" "verify p.yaml --verbose" "prune p.yaml --json"; do
        # shellcheck disable=SC2086 # words
        expect 0 $args
        nowhere
    done
}

@test "it is not among the arguments or the names of the process" {
    secretive "blobs: [a], wait_for: ./go"
    start run p.yaml
    wait_until 10 test -e go.reached
    ps -ww -eo args >processes
    tr '\0' '\n' <"/proc/$PID/environ" >>processes
    cat "/proc/$PID/task"/*/comm >>processes
    touch go
    ended 0
    grep -q 'run p.yaml' processes
    same hits "$(grep -c c0rrect processes)" 0
    same hits "$(cat start.out start.err | grep -c c0rrect)" 0
}

@test "a file of secrets that others can read is refused" {
    secretive "blobs: [a]"
    chmod 644 password
    expect 2 run p.yaml
    err_has "p.yaml:2:"
    err_has "password"
    nowhere
    absent store
}

@test "a secret that stands in the pipeline itself is not shown either" {
    staged p.yaml demo "password: c0rrect-pony, blobs: [a, b], fail: [b], leak: true"
    chmod 600 p.yaml
    expect 3 run p.yaml --id one --json
    nowhere
    expect 0 show p.yaml one --json
    nowhere
    chmod 644 p.yaml
    expect 2 run p.yaml
    nowhere
}

@test "no core file, even when the program is killed with one in mind" {
    secretive "blobs: [a], wait_for: ./go"
    ulimit -c unlimited || true
    start run p.yaml
    wait_until 10 test -e go.reached
    same limit "$(awk '/Max core file size/ {print $5, $6}' "/proc/$PID/limits")" "0 0"
    kill -KILL "$PID"
    ended 137
}
