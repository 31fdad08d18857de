# What a terminal sees, and what a file or a pipe gets instead.
load helpers

# on_terminal ARGUMENT...: as on a terminal; what it showed goes to the file `shown`.
on_terminal() {
    local line
    printf -v line '%q ' "$BAKENGINE" "$@"
    script -qec "$line" shown >/dev/null </dev/null
}

slow() { # long enough for a few ticks
    staged p.yaml demo "blobs: [a], wait_for: ./go"
    (
        while [ ! -e go.reached ]; do sleep 0.05; done
        sleep 0.7
        touch go
    ) 3>&- &
    CHILDREN+=("$!")
}

@test "a run on a terminal shows a progress line and takes it away again" {
    slow
    on_terminal run p.yaml
    grep -q '0 entries' shown
    grep -q $'\r' shown
    # the summary stands on a line of its own, without a rest of the progress line
    grep -q '^backup demo-.*: ok' shown
    same after "$(sed -n '/^backup demo-/,$p' shown | grep -c entries)" 0
}

@test "--quiet shows no progress on a terminal" {
    slow
    on_terminal run p.yaml --quiet
    same shown "$(grep -v '^Script ' shown | tr -d '\r')" ""
}

@test "--json shows no progress line on a terminal, but status events" {
    staged p.yaml demo "blobs: [a], wait_for: ./go"
    (sleep 1.6; touch go) 3>&- &
    CHILDREN+=("$!")
    on_terminal run p.yaml --json
    grep -q '"message_type":"status"' shown
    same escapes "$(grep -c $'\033' shown)" 0
}

@test "a file gets plain lines: no progress, no control characters" {
    slow
    expect 0 run p.yaml
    same stderr "$stderr" ""
    same control "$(grep -c $'[\033\r]' <<<"$output")" 0
}

@test "standard output in a file, messages on a terminal: progress stays on the terminal" {
    slow
    local line
    printf -v line '%q run p.yaml >out.txt' "$BAKENGINE"
    script -qec "$line" shown >/dev/null </dev/null
    grep -q '0 entries' shown
    same control "$(grep -c $'[\033\r]' out.txt)" 0
    grep -q 'backup demo-' out.txt
}

@test "the second run has a bar and a percentage" {
    staged p.yaml demo "blobs: [a]"
    backup p.yaml one
    slow
    on_terminal run p.yaml
    grep -q '%' shown
}

@test "a terminal's size does not matter: 20 columns" {
    slow
    local line
    printf -v line 'stty cols 20 rows 5; %q run p.yaml' "$BAKENGINE"
    script -qec "$line" shown >/dev/null </dev/null
    grep -q '^backup demo-.*: ok' shown
    same "longest progress line" "$(tr '\r' '\n' <shown | sed 's/.*\x1b\[K//' | grep entries |
        awk 'length > 20' | grep -vc '  a ')" 0
}

@test "a warning does not get mixed up with the progress line" {
    slow
    ln -s /nowhere src/dangling
    sed -i 's/^sources: \[/&{name: files, plugin: files, paths: [src, gone]}, /' p.yaml
    on_terminal run p.yaml || true
    grep -aq 'bakengine: .*gone' shown
}
