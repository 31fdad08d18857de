# wal-push, wal-fetch, wal-receive, and the logs under run, prune, verify and restore --at.
load helpers

SYSTEM=7301234567890123456
ONE=000000010000000000000001

# segment NAME [SEED]: in data/pg_wal.
segment() { python3 "$HERE/segment.py" data/pg_wal "$1" "$SYSTEM" "${2:-a}"; }

server() {
    pipeline p.yaml demo "transforms: [{plugin: zstd}]" "store: {format: repository}" "$@"
    python3 "$HERE/segment.py" data/global pg_control "$SYSTEM"
    segment $ONE
}

# in_data CODE ARGUMENT...: as PostgreSQL calls it.
in_data() {
    cd data || return 1
    expect "$@" || return 1
    cd .. || return 1
}

stored() { (cd store/wal && find . -type f | sed 's,^\./,,' | sort); }

# logging FILE FROM END [LINE...]: a base that needs logs from there on, and had ended by then.
logging() {
    local file=$1 from=$2 end=$3
    shift 3
    {
        printf 'pipeline: logged\n'
        printf 'sources: [{name: db, plugin: logging, stream: s, from: "%s", end: "%s"}]\n' "$from" "$end"
        printf 'sinks: [{plugin: local, path: store}]\n'
        printf '%s\n' "$@"
    } >"$file"
}

# kept NAME...: a log of the stream s, as a source would put it.
kept() {
    local name
    mkdir -p pulled
    for name in "$@"; do echo "$name" >"pulled/${name//\//+}"; done
    {
        printf 'pipeline: puller\nsources: [{name: db, plugin: logging, dir: pulled}]\n'
        printf 'sinks: [{plugin: local, path: store}]\n'
    } >puller.yaml
    "$BAKENGINE" run puller.yaml --quiet
    rm -r pulled
}

# aged HOURS PATH...
aged() {
    local hours=$1
    shift
    find "$@" -exec touch -h -d "$hours hours ago" {} +
}

@test "a segment goes in quietly and comes back the same" {
    server
    in_data 0 wal-push "$WORK/p.yaml" pg_wal/$ONE
    silent
    same stored "$(stored)" "$SYSTEM/00000001/$ONE"
    same magic "$(head -c 8 "store/wal/$SYSTEM/00000001/$ONE")" BAKEWAL1
    [ "$(stat -c %s "store/wal/$SYSTEM/00000001/$ONE")" -lt 100000 ]
    in_data 0 wal-fetch "$WORK/p.yaml" $ONE pg_wal/RECOVERYXLOG
    silent
    cmp data/pg_wal/$ONE data/pg_wal/RECOVERYXLOG
    same mode "$(stat -c %a data/pg_wal/RECOVERYXLOG)" 600
    same files "$(ls data/pg_wal)" "$ONE"$'\n'RECOVERYXLOG
    # By hand, as docs/format.md says.
    local object="store/wal/$SYSTEM/00000001/$ONE" head
    head=$(od -An -tu4 -j12 -N4 "$object" | tr -d ' ')
    tail -c +$((head + 1)) "$object" | zstd -dc | tail -c +41 | cmp - data/pg_wal/$ONE
    in_data 0 wal-push "$WORK/p.yaml" pg_wal/$ONE --json
    events wal-push
    same stream "$(summary .stream)" $SYSTEM
    # By absolute names, from elsewhere.
    expect 0 wal-push p.yaml "$WORK/data/pg_wal/$ONE"
    expect 0 wal-fetch p.yaml $ONE "$WORK/copy" --stream $SYSTEM
    cmp copy data/pg_wal/$ONE
    expect 0 wal-fetch store $ONE "$WORK/copy" --stream $SYSTEM
}

@test "the same twice is fine, other bytes never get in" {
    server
    expect 0 wal-push p.yaml data/pg_wal/$ONE
    before=$(sha256sum <"store/wal/$SYSTEM/00000001/$ONE")
    expect 0 wal-push p.yaml data/pg_wal/$ONE
    segment $ONE b
    expect 1 wal-push p.yaml data/pg_wal/$ONE
    err_has "with other bytes"
    same object "$(sha256sum <"store/wal/$SYSTEM/00000001/$ONE")" "$before"
}

@test "what is no segment, or another, is refused" {
    server
    cp data/pg_wal/$ONE data/pg_wal/000000010000000000000002
    expect 1 wal-push p.yaml data/pg_wal/000000010000000000000002
    err_has "another position"
    cp data/pg_wal/$ONE data/pg_wal/some
    expect 2 wal-push p.yaml data/pg_wal/some
    err_has "archive_command"
    truncate -s -1 data/pg_wal/$ONE
    expect 1 wal-push p.yaml data/pg_wal/$ONE
    expect 1 wal-push p.yaml data/pg_wal/000000010000000000000003
    expect 10 wal-push store data/pg_wal/$ONE
    mkdir store
    expect 2 wal-push store data/pg_wal/$ONE
    err_has "name its file"
    expect 2 wal-push p.yaml
    expect 2 wal-push p.yaml data/pg_wal/$ONE --source nobody
    expect 2 wal-push p.yaml data/pg_wal/$ONE --source files
    err_has "has no logs"
    absent store/wal
}

@test "histories, labels and partial segments" {
    server
    printf '1\t0/300028\tno recovery target specified\n' >data/pg_wal/00000002.history
    echo label >data/pg_wal/$ONE.00000028.backup
    cp data/pg_wal/$ONE data/pg_wal/$ONE.partial
    local name
    for name in 00000002.history $ONE.00000028.backup $ONE.partial; do
        in_data 0 wal-push "$WORK/p.yaml" "pg_wal/$name"
        in_data 0 wal-fetch "$WORK/p.yaml" "$name" copy
        cmp "data/pg_wal/$name" data/copy
    done
    same stored "$(stored)" "$SYSTEM/00000001/$ONE.00000028.backup
$SYSTEM/00000001/$ONE.partial
$SYSTEM/00000002/00000002.history"
    mv data/global data/gone
    in_data 1 wal-push "$WORK/p.yaml" pg_wal/00000002.history
    err_has "it cannot be told which cluster"
}

@test "PostgreSQL takes 1 for the end of the logs: nothing else ends so" {
    server
    in_data 0 wal-push "$WORK/p.yaml" pg_wal/$ONE
    in_data 1 wal-fetch "$WORK/p.yaml" 000000010000000000000002 copy
    err_has "bakengine: there is no log '$SYSTEM/00000001/000000010000000000000002'"
    in_data 1 wal-fetch "$WORK/p.yaml" 00000002.history copy --quiet
    silent
    in_data 1 wal-fetch "$WORK/p.yaml" 00000002.history copy --json
    same code "$(summary .exit_code)" 1
    same status "$(summary .status)" absent
    flip "store/wal/$SYSTEM/00000001/$ONE"
    in_data 201 wal-fetch "$WORK/p.yaml" $ONE copy
    in_data 201 wal-fetch "$WORK/p.yaml" $ONE copy --json
    same code "$(summary .exit_code)" 201
    flip "store/wal/$SYSTEM/00000001/$ONE"
    in_data 201 wal-fetch "$WORK/p.yaml" $ONE nowhere/copy
    in_data 202 wal-fetch "$WORK/p.yaml" $ONE
    in_data 202 wal-fetch "$WORK/p.yaml" $ONE copy --no-such
    in_data 202 wal-fetch "$WORK/p.yaml" something copy
    in_data 202 wal-fetch "$WORK/no.yaml" $ONE copy
    in_data 202 wal-fetch "$WORK/p.yaml" $ONE copy --from nowhere
    echo "nonsense: [" >bad.yaml
    in_data 202 wal-fetch "$WORK/bad.yaml" $ONE copy
    expect 201 wal-fetch p.yaml $ONE copy
    err_has "--stream"
    mv store away
    in_data 210 wal-fetch "$WORK/p.yaml" $ONE copy
    mv away store
    rm store/bakengine.json
    in_data 201 wal-fetch "$WORK/p.yaml" $ONE copy
    same files "$(ls data)" $'global\npg_wal'
}

@test "a mirror that lacks a segment, and one that is down" {
    mirrored p.yaml demo other
    python3 "$HERE/segment.py" data/global pg_control "$SYSTEM"
    segment $ONE
    segment 000000010000000000000002
    in_data 0 wal-push "$WORK/p.yaml" pg_wal/$ONE
    silent
    cmp "store/wal/$SYSTEM/00000001/$ONE" "other/wal/$SYSTEM/00000001/$ONE"
    chmod 555 other
    rm "store/wal/$SYSTEM/00000001/$ONE"
    in_data 0 wal-fetch "$WORK/p.yaml" $ONE copy
    cmp data/copy data/pg_wal/$ONE
    chmod 755 other
    mv other away
    touch other # no folder any more
    in_data 0 wal-push "$WORK/p.yaml" pg_wal/000000010000000000000002
    err_has "sink 'two' lacks log"
    # It may be in the other alone.
    in_data 202 wal-fetch "$WORK/p.yaml" 000000010000000000000003 copy
    err_has "may; to go by one sink alone say which with --from"
    in_data 1 wal-fetch "$WORK/p.yaml" 000000010000000000000003 copy --from one
    echo "require: all" >>p.yaml
    in_data 2 wal-push "$WORK/p.yaml" pg_wal/000000010000000000000002
    err_has "is in 1 of 2 sinks, 'require' asks for 2"
    # Every stored segment would be in the one that is left.
    in_data 1 wal-fetch "$WORK/p.yaml" 000000010000000000000003 copy
}

@test "a mirror that was down gets the logs that its backups need" {
    logging p.yaml x.000002 2025-11-05T12:00:00Z
    sed -i 's/^sinks:.*/sinks: [{plugin: local, name: one, path: store}, {plugin: local, name: two, path: other}]/' p.yaml
    backup p.yaml a
    kept x.000001 x.000002 x.000003 y.000001 # into the first alone
    flip store/wal/s/x.000003
    expect 0 run p.yaml
    err_has "it lacks logs that others have"
    err_has "x.000003"
    flip store/wal/s/x.000003
    absent other/wal/s/x.000003
    expect 0 run p.yaml
    err_lacks "lacks"
    same logs "$(cd other/wal/s && echo *)" "x.000002 x.000003 y.000001"
    cmp store/wal/s/x.000003 other/wal/s/x.000003
    expect 0 verify p.yaml --all
}

@test "what is said of sources and secrets is not read, and no state is needed" {
    pipeline p.yaml demo "schedule: nonsense"
    sed -i 's,paths: .src.,paths: [src]\, no_such_option: 1,' p.yaml
    python3 "$HERE/segment.py" data/global pg_control "$SYSTEM"
    segment $ONE
    mkdir state
    chmod 000 state
    chmod -R go+rwX .
    mkdir store
    give store
    expect_nobody 0 wal-push "$WORK/p.yaml" "$WORK/data/pg_wal/$ONE"
    silent
    chmod 755 state
}

@test "two at once, while a backup runs" {
    staged p.yaml demo 'blobs: [slow], wait_for: go' "transforms: [{plugin: zstd}]"
    python3 "$HERE/segment.py" data/global pg_control "$SYSTEM"
    segment $ONE
    start run p.yaml
    wait_until 20 test -e go.reached
    local pids=() i
    for i in 1 2 3 4; do
        "$BAKENGINE" wal-push p.yaml data/pg_wal/$ONE 3>&- &
        pids+=($!)
    done
    for i in "${pids[@]}"; do wait "$i"; done
    touch go
    ended 0
    same stored "$(stored)" "$SYSTEM/00000001/$ONE"
}

@test "killed while it writes: nothing is to be seen" {
    server
    local i
    for i in 1 2 3 4 5 6 7 8; do
        start wal-push p.yaml data/pg_wal/$ONE
        sleep "0.00$i"
        kill -KILL "$PID" 2>/dev/null || true
        wait "$PID" || true
        expect 0 wal-push p.yaml data/pg_wal/$ONE
        expect 0 wal-fetch p.yaml $ONE copy --stream $SYSTEM
        cmp copy data/pg_wal/$ONE
        rm "store/wal/$SYSTEM/00000001/$ONE"
    done
}

@test "a run pulls the logs of its sources, whatever becomes of them" {
    mkdir logs back
    echo one >logs/x.000001
    echo two >logs/x.000002
    {
        printf 'pipeline: demo\nsources: [{name: db, plugin: logging, dir: logs, back: back}]\n'
        printf 'sinks: [{plugin: local, path: store}]\n'
    } >p.yaml
    expect 0 run p.yaml
    same stored "$(stored)" $'s/x.000001\ns/x.000002'
    diff -r logs back
    echo "two changed" >logs/x.000002
    expect 3 run p.yaml --json
    events run
    event '.message_type == "error" and (.text | contains("its logs could not be stored"))'
    same backups "$(ids p.yaml | wc -l)" 2
    rm logs/x.000002
    # A segment that is another's, from a source.
    segment $ONE
    mv "data/pg_wal/$ONE" "logs/00000001+000000010000000000000002"
    expect 3 run p.yaml
    err_has "another position"
    mv "logs/00000001+000000010000000000000002" "logs/00000001+$ONE"
    expect 3 run p.yaml
    err_has "is of cluster $SYSTEM, not of s"
}

@test "wal-receive stores what comes until it is told to end" {
    mkdir logs
    {
        printf 'pipeline: demo\n'
        printf 'sources: [{name: db, plugin: logging, dir: logs}, {name: db2, plugin: logging}]\n'
        printf 'sinks: [{plugin: local, path: store}]\n'
    } >p.yaml
    expect 2 wal-receive p.yaml
    err_has "say which with --source"
    expect 2 wal-receive p.yaml --source nobody
    start wal-receive p.yaml --source db --json
    wait_until 20 test -e state/wal/demo/db/began
    expect 11 wal-receive p.yaml --source db
    err_has "already being received"
    echo one >logs/.x
    mv logs/.x logs/x.000001
    wait_until 20 test ! -e logs/x.000001
    expect 0 wal-fetch p.yaml x.000001 copy --stream s
    same copy "$(cat copy)" one
    # The store goes and comes back.
    mv store away
    touch store
    echo two >logs/.x
    mv logs/.x logs/x.000002
    wait_until 20 grep -q "trying again" start.err
    rm store
    mv away store
    wait_until 20 test ! -e logs/x.000002
    expect 0 run p.yaml --only db # the pipeline itself is not locked
    kill -TERM "$PID"
    ended 0
    same code "$(jq -r .exit_code start.out)" 0
    start wal-receive p.yaml --source db2
    ended 1
}

@test "prune: logs go once no backup needs them" {
    logging p.yaml x.000003 2025-11-05T12:00:00Z
    kept x.000001 x.000002 x.000003 x.000004 y.000001
    backup p.yaml a
    expect 0 prune p.yaml
    out_lacks "log"
    aged 48 store/wal
    expect 0 prune p.yaml --dry-run
    out_has "would remove 2 logs"
    same stored "$(stored | wc -l)" 5
    # Of another pipeline, in the same store: it needs more.
    logging q.yaml x.000002 2025-11-05T12:00:00Z
    sed -i 's/pipeline: logged/pipeline: other/' q.yaml
    backup q.yaml b
    expect 0 prune p.yaml --json
    events prune
    same logs "$(summary .logs_removed)" 1
    same stored "$(stored)" $'s/x.000002\ns/x.000003\ns/x.000004\ns/y.000001'
    # Retention takes a backup, and with it what only that one needed.
    logging p.yaml x.000004 2025-11-05T12:00:00Z "retention: {keep_last: 1}"
    backup p.yaml c --no-verify
    logging q.yaml x.000004 2025-11-05T12:00:00Z "retention: {keep_last: 1}"
    sed -i 's/pipeline: logged/pipeline: other/' q.yaml
    backup q.yaml d
    expect 0 prune p.yaml
    same stored "$(stored)" $'s/x.000004\ns/y.000001'
}

@test "prune: logs of nobody stay and are named, all stay beside a damaged manifest" {
    logging p.yaml x.000003 2025-11-05T12:00:00Z
    kept x.000001
    segment $ONE
    expect 0 wal-push p.yaml data/pg_wal/$ONE
    aged 48 store/wal
    expect 0 prune p.yaml
    err_has "'wal/$SYSTEM': no backup in this sink needs these logs; they stay"
    err_has "'wal/s': no backup"
    same stored "$(stored | wc -l)" 2
    logging q.yaml x.000003 2025-11-05T12:00:00Z
    backup q.yaml a
    backup q.yaml b
    flip store/backups/a/manifest.json
    expect 0 prune q.yaml
    err_has "no logs are removed"
    same stored "$(stored | wc -l)" 2
    rm -r store/backups/a
    expect 0 prune q.yaml
    same stored "$(stored)" "$SYSTEM/00000001/$ONE"
}

@test "verify: gaps and damage among the logs" {
    logging p.yaml x.000003 2025-11-05T12:00:00Z
    kept x.000003 x.000004 x.000005
    backup p.yaml a
    expect 0 verify p.yaml
    out_has "logs s: 3, of which backups need 3, none missing"
    expect 0 verify p.yaml --level quick
    touch -d 2025-11-06T10:00:00Z store/wal/s/x.000003
    rm store/wal/s/x.000004
    for level in quick read; do
        expect 4 verify p.yaml --level $level --json
        events verify
        event '.message_type == "error" and (.text | contains("wal/s/x.000004"))'
        event '.message_type == "logs" and .missing == 1 and .result == "damaged"'
        event '.message_type == "error" and (.text | contains("after 2025-11-06T10:00:00Z"))'
    done
    logging p.yaml x.000005 2025-11-07T12:00:00Z
    backup p.yaml b
    expect 4 verify p.yaml --all
    err_has "no time after 2025-11-06T10:00:00Z and before 2025-11-07T12:00:00Z can be reached"
    kept x.000004
    expect 0 verify p.yaml --all
    flip store/wal/s/x.000004
    expect 0 verify p.yaml --all --level quick
    expect 4 verify p.yaml --all
    err_has "wal/s/x.000004"
    expect 0 verify p.yaml # what the newest needs is whole
    expect 4 verify store a
}

@test "restore --at takes the newest good backup that had ended by then" {
    logging p.yaml x.000001 2025-11-05T12:00:00Z
    backup p.yaml a
    logging p.yaml x.000002 2037-11-05T12:00:00Z
    backup p.yaml b
    expect 0 restore p.yaml --at 2036-01-01T00:00:00Z --target out --json
    same id "$(summary .id)" a
    expect 0 restore p.yaml --at 2037-11-05T12:00:00Z --target out2 --json
    same id "$(summary .id)" b
    expect 10 restore p.yaml --at 2025-11-05T11:59:59Z --target out3
    expect 0 restore p.yaml --target out4 --json
    same id "$(summary .id)" b
}
