# What the command-line tests share. Every test works in a directory of its own, with a state
# directory of its own; BAKENGINE is the program, BAKE_TEST_PLUGINS the folder of source-staged.
# shellcheck shell=bash
# shellcheck disable=SC2154 # bats sets output, stderr and status

bats_require_minimum_version 1.5.0

HERE=${BATS_TEST_FILENAME%/*}

setup() {
    : "${BAKENGINE:?is to name the program}" "${BAKE_TEST_PLUGINS:?is to name the test plugins}"
    unset "${!BAKENGINE_@}" "${!BACKUP_@}" XDG_STATE_HOME
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/bake-cli.XXXXXX")
    chmod 755 "$WORK" # others are to come in, for the tests that run as somebody else
    cd "$WORK" || return 1
    export BAKENGINE_STATE_DIR=$WORK/state BAKENGINE_CACHE_DIR=$WORK/cache
    export BAKENGINE_PLUGIN_PATH=$BAKE_TEST_PLUGINS
    export TZ=UTC LC_ALL=C.UTF-8
    mkdir -p src/sub
    echo one >src/one
    echo two >src/sub/two
    ln -s one src/link
    CHILDREN=()
}

teardown() {
    local child
    for child in "${CHILDREN[@]}"; do
        kill -9 "$child" 2>/dev/null || true
    done
    cd /
    if [ -n "$WORK" ]; then
        chmod -R u+rwX "$WORK"
        rm -rf "$WORK"
    fi
}

# ---- running ----------------------------------------------------------------

show() {
    printf -- '--- status %s\n--- stdout\n%s\n--- stderr\n%s\n' "$status" "$output" "$stderr" >&2
}

# expect CODE ARGUMENT...: runs bakengine; sets output, stderr and status.
expect() {
    local want=$1
    shift
    run --separate-stderr "$BAKENGINE" "$@"
    [ "$status" -eq "$want" ] && return 0
    echo "bakengine $*: exit code $status, not $want" >&2
    show
    return 1
}

has() { # WHERE TEXT WHAT
    case $2 in
    *"$3"*) return 0 ;;
    esac
    echo "$1 has no '$3'" >&2
    show
    return 1
}

lacks() { # WHERE TEXT WHAT
    case $2 in
    *"$3"*) ;;
    *) return 0 ;;
    esac
    echo "$1 has '$3'" >&2
    show
    return 1
}

out_has() { has stdout "$output" "$1"; }
err_has() { has stderr "$stderr" "$1"; }
out_lacks() { lacks stdout "$output" "$1"; }
err_lacks() { lacks stderr "$stderr" "$1"; }

same() { # WHAT HAS WANTED
    [ "$2" = "$3" ] && return 0
    printf '%s is\n%s\nand not\n%s\n' "$1" "$2" "$3" >&2
    return 1
}

silent() {
    same stdout "$output" "" && same stderr "$stderr" ""
}

absent() {
    local path
    for path in "$@"; do
        if [ -e "$path" ] || [ -L "$path" ]; then
            echo "'$path' is there" >&2
            return 1
        fi
    done
}

# The last run's standard output is one JSON document, of which $1 (jq) holds.
document() {
    printf '%s\n' "$output" | python3 "$HERE/events.py" document &&
        printf '%s\n' "$output" | jq -e "$1" >/dev/null && return 0
    echo "not a document with: $1" >&2
    show
    return 1
}

# It is lines of events that end in the one summary of VERB, whose exit code is the status.
events() {
    printf '%s\n' "$output" | python3 "$HERE/events.py" events "$1" "$status" && return 0
    show
    return 1
}

# There is an event of which $1 (jq) holds.
event() {
    printf '%s\n' "$output" | jq -se "any(.[]; $1)" >/dev/null && return 0
    echo "no event with: $1" >&2
    show
    return 1
}

no_event() {
    printf '%s\n' "$output" | jq -se "any(.[]; $1) | not" >/dev/null && return 0
    echo "there is an event with: $1" >&2
    show
    return 1
}

summary() { printf '%s\n' "$output" | jq -r "select(.message_type == \"summary\") | $1"; }

# ---- pipelines --------------------------------------------------------------

# pipeline FILE NAME [LINE...]: from src to store; the lines are added.
pipeline() {
    local file=$1 name=$2
    shift 2
    {
        printf 'pipeline: %s\nsources: [{name: files, plugin: files, paths: [src]}]\n' "$name"
        printf 'sinks: [{plugin: local, path: store}]\n'
        printf '%s\n' "$@"
    } >"$file"
}

# staged FILE NAME OPTIONS [LINE...]: one source of the test plugin, with these options.
staged() {
    local file=$1 name=$2 options=$3
    shift 3
    {
        printf 'pipeline: %s\nsources: [{name: stage, plugin: staged, %s}]\n' "$name" "$options"
        printf 'sinks: [{plugin: local, path: store}]\n'
        printf '%s\n' "$@"
    } >"$file"
}

# mirrored FILE NAME SECOND [LINE...]: from src to store and to SECOND.
mirrored() {
    local file=$1 name=$2 second=$3
    shift 3
    {
        printf 'pipeline: %s\nsources: [{name: files, plugin: files, paths: [src]}]\n' "$name"
        printf 'sinks: [{plugin: local, name: one, path: store},\n'
        printf '        {plugin: local, name: two, path: %s}]\n' "$second"
        printf '%s\n' "$@"
    } >"$file"
}

ids() { "$BAKENGINE" list "$@" --json | jq -r '.backups[].id'; }

# backup FILE ID [ARGUMENT...]: makes one quietly.
backup() {
    local file=$1 id=$2
    shift 2
    "$BAKENGINE" run "$file" --id "$id" --quiet "$@"
}

# Where the files of src stand below a target.
inside() { printf '%s/files%s/src' "$1" "$WORK"; }

same_tree() { rsync -nrlptgoDHAXi --checksum --delete "$1/" "$2/" | same_lines "$1 and $2 differ"; }

same_lines() {
    local lines
    lines=$(cat)
    [ -z "$lines" ] && return 0
    printf '%s:\n%s\n' "$1" "$lines" >&2
    return 1
}

# Every object of a store but those that come and go.
objects() { (cd "$1" && find . -type f ! -path './gc/*' ! -path './writers/*' | sort); }

# One bit, at a third of it.
flip() {
    python3 - "$1" <<'PY'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(0, 2)
    at = f.tell() // 3
    f.seek(at)
    byte = f.read(1)[0]
    f.seek(at)
    f.write(bytes([byte ^ 0x10]))
PY
}

# ---- in the background ------------------------------------------------------

# start ARGUMENT...: bakengine in the background, its output in start.out and start.err; sets PID.
start() {
    # Signals are to reach it as they do in a shell of one's own: in the background SIGINT is ignored.
    python3 -c '
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$BAKENGINE" "$@" >start.out 2>start.err 3>&- &
    PID=$!
    CHILDREN+=("$PID")
}

# wait_until SECONDS COMMAND...
wait_until() {
    local tries=$(($1 * 50))
    shift
    while ! "$@"; do
        tries=$((tries - 1))
        if [ "$tries" -le 0 ]; then
            echo "never came: $*" >&2
            cat start.out start.err >&2
            return 1
        fi
        sleep 0.02
    done
}

gone() { ! grep -q '^State:[[:space:]]*[^Z]' "/proc/$PID/status" 2>/dev/null; }

# ended CODE: the one that was started ends with this code.
ended() {
    local code=0
    wait_until 60 gone || kill -KILL "$PID"
    wait "$PID" || code=$?
    [ "$code" -eq "$1" ] && return 0
    echo "ended with $code, not $1" >&2
    cat start.out start.err >&2
    return 1
}

now_ms() { date +%s%3N; }

# ---- as somebody else -------------------------------------------------------

# For what root may do anyway: the program, installed where everybody can read it, as `nobody`.
as_nobody() {
    if [ "$(id -u)" -ne 0 ]; then
        "$BAKENGINE" "$@"
        return
    fi
    if [ ! -d prefix ]; then
        mkdir -p prefix/bin prefix/lib/bakengine
        cp "$BAKENGINE" prefix/bin/
        cp -r "${BAKENGINE%/bin/*}/lib/bakengine/plugins" prefix/lib/bakengine/
        chmod -R go+rX-w prefix
    fi
    BAKENGINE_PLUGIN_PATH='' setpriv --reuid=65534 --regid=65534 --clear-groups \
        env -u BAKENGINE_PLUGIN_PATH HOME="$WORK" "$WORK/prefix/bin/bakengine" "$@"
}

# expect, as nobody.
expect_nobody() {
    local want=$1
    shift
    run --separate-stderr as_nobody "$@"
    [ "$status" -eq "$want" ] && return 0
    echo "bakengine $* (as nobody): exit code $status, not $want" >&2
    show
    return 1
}

give() {
    [ "$(id -u)" -ne 0 ] || chown -R 65534:65534 "$@"
}

# ---- a source with names below its own --------------------------------------

# below FILE OPTIONS [LINE...]: the source "app", with shop.sql and blog.sql as blobs, and whatever
# the options say; what it was told is in the file calls.
below() {
    local file=$1 options=${2-}
    shift $(($# < 2 ? $# : 2))
    {
        printf 'pipeline: demo\nsources:\n'
        printf '  - {name: app, plugin: below, dir: ., log: calls, blobs: [shop.sql, blog.sql]%s}\n' \
            "${options:+, $options}"
        printf 'sinks: [{plugin: local, path: store}]\nparallel: 1\n'
        printf '%s\n' "$@"
    } >"$file"
    [ -e shop.sql ] || echo "sound shop" >shop.sql
    [ -e blog.sql ] || echo "sound blog" >blog.sql
}

called() { same calls "$(grep -v '^open' calls)" "$1"; }
