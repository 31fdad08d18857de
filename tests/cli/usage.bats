# What is typed wrong: exit code 2, nothing on standard output, a way out on standard error.
load helpers

VERBS="run validate list show ls cat diff restore verify prune schedule plugins schema init doctor"

wrong() {
    expect 2 "$@"
    same stdout "$output" ""
}

@test "no command at all" {
    wrong
    err_has "no command is given"
    err_has "HINT: 'bakengine --help' lists the commands"
}

@test "an unknown command, with and without a suggestion" {
    wrong restor p.yaml
    err_has "unknown command 'restor'; did you mean 'restore'?"
    wrong frobnicate
    err_has "unknown command 'frobnicate'"
    err_lacks "did you mean"
    wrong --frobnicate
    err_has "unknown option '--frobnicate'"
}

@test "an unknown option, with and without a suggestion" {
    pipeline p.yaml demo
    wrong run p.yaml --dryrun
    err_has "unknown option '--dryrun' for 'run'; did you mean '--dry-run'?"
    err_has "HINT: 'bakengine run --help' lists the options"
    wrong run p.yaml --frobnicate
    err_lacks "did you mean"
    wrong run p.yaml -n
    err_has "unknown option '-n' for 'run'"
    absent store state
}

@test "an option of another command" {
    pipeline p.yaml demo
    wrong list p.yaml --force
    err_has "unknown option '--force' for 'list'"
    wrong prune p.yaml --target out
    err_has "unknown option '--target' for 'prune'"
}

@test "a value is missing, is not wanted, or stands twice" {
    pipeline p.yaml demo
    wrong run p.yaml --id
    err_has "option '--id' needs a value (ID)"
    wrong run p.yaml --dry-run=yes
    err_has "option '--dry-run' takes no value"
    wrong run p.yaml --id a --id b
    err_has "option '--id' is given twice"
    absent store
}

@test "a value may stand behind a blank or an equals sign, and options anywhere" {
    pipeline p.yaml demo
    expect 0 run --id=one p.yaml --tag a --tag=b=c
    expect 0 show p.yaml one --json
    document '.tags == ["a", "b=c"]'
}

@test "too few and too many arguments" {
    pipeline p.yaml demo
    wrong run
    err_has "'run' needs more arguments: bakengine run PIPELINE"
    wrong run p.yaml q.yaml
    err_has "'run' got too many arguments"
    wrong cat p.yaml latest
    err_has "bakengine cat PIPELINE BACKUP COMPONENT [PATH]"
    # shellcheck disable=SC2046 # many words are wanted
    wrong validate $(seq 100)
    err_has "too many arguments"
    absent store
}

@test "after -- everything is an argument" {
    pipeline --json demo
    expect 0 validate -- --json
    out_has "--json: pipeline 'demo' is valid"
    wrong list -- -x --json
    err_has "too many arguments"
}

@test "a lone dash is an argument, not an option" {
    expect 2 validate -
    err_has "'-'"
    err_lacks "unknown option"
}

@test "--help of each command names its options on standard output" {
    expect 0 --help
    local verb
    for verb in $VERBS; do
        out_has "  $verb "
    done
    out_has "exit codes:"
    for verb in $VERBS; do
        expect 0 "$verb" --help
        same stderr "$stderr" ""
        out_has "usage: bakengine $verb"
        out_has "--json"
        expect 0 "$verb" -h
        out_has "usage: bakengine $verb"
    done
    expect 0 restore --help
    out_has "--target DIR"
    out_has "--component GLOB"
    expect 0 help
    out_has "usage: bakengine COMMAND"
    expect 0 -h
    out_has "usage: bakengine COMMAND"
}

@test "--help wins over missing arguments, and nothing is done" {
    pipeline p.yaml demo
    expect 0 run p.yaml --help
    absent store state
}

@test "--version" {
    expect 0 --version
    same stdout "${output%%[0-9]*}" "bakengine "
    same stderr "$stderr" ""
    expect 0 version
    has stdout "$output" "bakengine "
}

@test "values that cannot be are refused before anything is done" {
    pipeline p.yaml demo
    wrong run p.yaml --type sometimes
    err_has "'sometimes' is not a type of backup: full, incremental, differential"
    wrong verify p.yaml --level deep
    err_has "'deep' is not a level of verification: quick, read"
    wrong list p.yaml --json=1
    wrong restore p.yaml --at yesterday-ish --target out
    err_has "'yesterday-ish' is not a time"
    err_has "HINT: for example 2025-11-05"
    wrong restore p.yaml some-id --at 2025-11-05 --target out
    err_has "a backup and --at cannot both be given"
    wrong verify p.yaml some-id --all
    err_has "a backup and --all cannot both be given"
    wrong cat p.yaml latest files --json
    err_has "--json does not fit"
    absent store out
}

@test "where a pipeline file is needed, a store's address is refused" {
    mkdir place
    wrong run place
    err_has "'place' is a store's address, not a pipeline file"
    wrong prune place
    err_has "not a pipeline file"
    wrong restore place
    err_has "not a pipeline file"
    wrong schedule place --cron
}

@test "standard output that is full is an error" {
    pipeline p.yaml demo
    backup p.yaml one
    local args
    for args in "--help" "--version" "run --help" "list p.yaml" "list p.yaml --json" "schema" \
        "show p.yaml" "ls p.yaml one files" "plugins" "validate p.yaml" "cat p.yaml one files" \
        "diff p.yaml one one" "diff p.yaml one one --json" \
        "doctor p.yaml" "verify p.yaml" "verify p.yaml --json"; do
        # shellcheck disable=SC2086 # words
        run --separate-stderr bash -c '"$BAKENGINE" "$@" >/dev/full' - $args
        [ "$status" -eq 1 ] || { echo "$args: $status, not 1" >&2; show; return 1; }
        err_has "cannot write to standard output"
    done
}

@test "a full standard output does not keep a backup from being made" {
    pipeline p.yaml demo
    run --separate-stderr bash -c '"$BAKENGINE" run p.yaml --id one --json >/dev/full'
    same status "$status" 1
    err_has "cannot write to standard output"
    expect 0 verify p.yaml one
}
