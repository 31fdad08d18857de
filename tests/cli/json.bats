# --json: one document or lines of events on standard output, messages on standard error only.
load helpers

@test "verbs that answer print exactly one document" {
    pipeline p.yaml demo 'schedule: "0 2 * * *"'
    backup p.yaml one
    local args
    for args in "list p.yaml" "show p.yaml" "ls p.yaml one" "ls p.yaml one files" \
        "diff p.yaml one one" "plugins" \
        "plugins zstd" "schema" "validate p.yaml" "validate --probe p.yaml" "doctor" "doctor p.yaml" \
        "schedule p.yaml --cron" "schedule p.yaml --cron --output tab" "init fresh"; do
        # shellcheck disable=SC2086 # words
        expect 0 $args --json
        document 'type == "object"' || { echo "of: $args" >&2; return 1; }
    done
}

@test "verbs that work print lines that end in one summary" {
    pipeline p.yaml demo "retention: {keep_last: 2}" "verify: {after_run: read}"
    local verb
    for verb in run verify prune restore; do
        case $verb in
        restore) expect 0 restore p.yaml --target out --json ;;
        *) expect 0 $verb p.yaml --json ;;
        esac
        events $verb
        same stderr "$stderr" ""
    done
    for verb in run prune restore; do
        expect 0 $verb p.yaml --dry-run --json
        events $verb
    done
}

@test "one summary at the end on failure, too" {
    pipeline bad.yaml demo "nonsense: 1"
    local verb
    for verb in run verify prune restore; do
        expect 2 $verb gone.yaml --json
        events $verb
        expect 2 $verb /dev/null --json
        events $verb
    done
    for verb in run prune restore; do
        expect 2 $verb bad.yaml --json
        events $verb
        err_has "bad.yaml:4:1: "
    done
    pipeline p.yaml demo
    for verb in verify prune restore; do
        expect 10 $verb p.yaml --json
        events $verb
    done
}

@test "a document that could not be made is not there, and what failed is on standard error" {
    pipeline p.yaml demo
    local args
    for args in "list p.yaml" "show p.yaml" "ls p.yaml one" "diff p.yaml one two"; do
        # shellcheck disable=SC2086 # words
        expect 10 $args --json
        same stdout "$output" ""
        err_has "bakengine: error: "
    done
}

@test "what a document's verb meets on its way goes to standard error" {
    staged p.yaml demo "closed: true"
    expect 1 validate --probe p.yaml --json
    document '.valid == false'
    err_has "it is closed"
    expect 1 doctor p.yaml --json
    document '.healthy == false'
    err_has "it is closed"
}

@test "run: the summary's figures are the manifest's" {
    pipeline p.yaml demo "transforms: [{plugin: zstd}]"
    expect 0 run p.yaml --json --tag x
    events run
    local id in stored
    id=$(summary .id) in=$(summary .bytes_in) stored=$(summary .bytes_stored)
    event '.message_type == "component" and .name == "files" and .status == "ok" and .entries == 5'
    expect 0 show p.yaml "$id" --json
    document ".totals.bytes_in == $in and .totals.bytes_stored == $stored"
    same stored "$(cat "store/backups/$id"/files.* | wc -c)" "$stored"
}

@test "run: status events come while it works" {
    staged p.yaml demo "blobs: [a], wait_for: ./go"
    (sleep 2.5; touch go) 3>&- &
    CHILDREN+=("$!")
    expect 0 run p.yaml --json
    events run
    event '.message_type == "status" and .seconds_elapsed > 0 and .bytes_done == 0'
}

@test "names that are not UTF-8 do not break the JSON" {
    printf x >"$(printf 'src/latin\351')"
    chmod 000 src/latin*
    pipeline p.yaml demo
    mkdir store state
    give store state src
    expect_nobody 3 run p.yaml --json
    events run
    event '.message_type == "warning" and (.subject | contains("latin"))'
    expect_nobody 0 ls p.yaml latest files --json
    document '.entries | length >= 5'
}

@test "--quiet and --json together: the lines stay" {
    pipeline p.yaml demo
    expect 0 run p.yaml --json --quiet
    events run
}
