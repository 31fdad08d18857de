# schedule --cron. The user's own crontab is left alone: a stand-in for crontab(1) keeps it in a file.
load helpers

scheduled() {
    pipeline p.yaml demo \
        'schedule: {incremental: "0 2 * * 1-6", full: "0 2 * * 0", verify: "0 5 * * *", prune: "0 7 * * *"}'
}

fake_crontab() {
    mkdir bin
    cat >bin/crontab <<'SH'
#!/bin/sh
case $1 in
-l) [ -f "$CRONTAB" ] && exec cat "$CRONTAB"; echo "no crontab for you" >&2; exit 1 ;;
-) exec cat >"$CRONTAB" ;;
esac
SH
    chmod +x bin/crontab
    export CRONTAB=$WORK/crontab PATH=$WORK/bin:$PATH
}

@test "lines are printed, one for each entry, and nothing else happens" {
    scheduled
    expect 0 schedule p.yaml --cron
    same stderr "$stderr" ""
    out_has "0 2 * * 1-6 $BAKENGINE run $WORK/p.yaml --type incremental --quiet"
    out_has "0 2 * * 0 $BAKENGINE run $WORK/p.yaml --type full --quiet"
    out_has "0 5 * * * $BAKENGINE verify $WORK/p.yaml"
    out_has "0 7 * * * $BAKENGINE prune $WORK/p.yaml"
    same lines "$(grep -vc '^#' <<<"$output")" 4
    expect 0 schedule p.yaml --cron --json
    document '(.crontab | contains("--type full")) and .changed == false'
    absent store state
}

@test "what is printed can be run" {
    pipeline p.yaml demo 'schedule: "0 2 * * *"'
    expect 0 schedule p.yaml --cron
    local command
    command=$(grep -v '^#' <<<"$output" | cut -d' ' -f6-)
    run --separate-stderr env -i BAKENGINE_STATE_DIR="$WORK/state" sh -c "$command"
    same status "$status" 0
    silent
    same backups "$(ids p.yaml | wc -l)" 1
}

@test "several pipelines" {
    scheduled
    pipeline q.yaml other 'schedule: "30 3 * * *"'
    expect 0 schedule p.yaml q.yaml --cron
    same lines "$(grep -vc '^#' <<<"$output")" 5
}

@test "--output writes a file, twice is once, --remove takes it away" {
    scheduled
    printf '# my own\n1 1 * * * root /bin/true\n' >tab
    expect 0 schedule p.yaml --cron --output tab
    same stdout "$output" ""
    err_has "the schedule of 'demo' now is in 'tab'"
    same own "$(head -2 tab)" $'# my own\n1 1 * * * root /bin/true'
    same lines "$(grep -c "$WORK/p.yaml" <(grep -v '^#' tab))" 4
    cp tab before
    expect 0 schedule p.yaml --cron --output tab
    err_has "already was in 'tab'"
    cmp before tab
    expect 0 schedule p.yaml --cron --output tab --json
    document '.changed == false'
    sed -i 's/0 5 \* \* \*/15 5 * * */' p.yaml
    expect 0 schedule p.yaml --cron --output tab --json
    document '.changed == true'
    same lines "$(grep -c "$WORK/p.yaml" <(grep -v '^#' tab))" 4
    grep -q '^15 5 ' tab
    expect 0 schedule p.yaml --cron --output tab --remove
    err_has "the schedule of 'demo' was removed from 'tab'"
    same rest "$(cat tab)" $'# my own\n1 1 * * * root /bin/true'
    expect 0 schedule p.yaml --cron --output tab --remove
    err_has "the schedule of 'demo' was not in 'tab'"
}

@test "two pipelines in one file do not touch each other's lines" {
    scheduled
    pipeline q.yaml other 'schedule: "30 3 * * *"'
    expect 0 schedule p.yaml --cron --output tab
    cp tab before
    expect 0 schedule q.yaml --cron --output tab
    expect 0 schedule q.yaml --cron --output tab --remove
    cmp before tab
}

@test "--install and --remove go through crontab(1)" {
    fake_crontab
    echo '5 5 * * * /bin/true' >crontab
    scheduled
    expect 0 schedule p.yaml --cron --install
    err_has "the schedule of 'demo' now is in the crontab"
    same own "$(head -1 crontab)" '5 5 * * * /bin/true'
    same lines "$(grep -vc '^#' crontab)" 5
    cp crontab before
    expect 0 schedule p.yaml --cron --install
    err_has "already was in the crontab"
    cmp before crontab
    expect 0 schedule p.yaml --cron --remove
    same rest "$(cat crontab)" '5 5 * * * /bin/true'
}

@test "lines for system crontabs name a user" {
    scheduled
    expect 0 schedule p.yaml --cron --user backup
    out_has "0 5 * * * backup $BAKENGINE verify"
    expect 0 schedule p.yaml --cron --user backup --output tab
    grep -q '^0 5 \* \* \* backup ' tab
}

@test "combinations that cannot be" {
    fake_crontab
    scheduled
    expect 2 schedule p.yaml
    err_has "HINT: bakengine schedule PIPELINE --cron [--install]"
    expect 2 schedule p.yaml --cron --install --remove
    err_has "--install and --remove cannot both be given"
    expect 2 schedule p.yaml --cron --install --user backup
    err_has "--user is for system crontabs"
    expect 2 schedule p.yaml --cron --output /etc/cron.d/bake.engine
    err_has "cron ignores '/etc/cron.d/bake.engine'"
    pipeline q.yaml demo
    expect 2 schedule q.yaml --cron
    err_has "schedule"
    pipeline 'r%.yaml' demo 'schedule: "61 2 * * *"'
    expect 2 schedule 'r%.yaml' --cron
    err_has "r%.yaml:4:11: "
    absent crontab
}

@test "an output that cannot be written" {
    scheduled
    expect 1 schedule p.yaml --cron --output nowhere/tab
    err_has "nowhere"
    mkdir dir
    expect 1 schedule p.yaml --cron --output dir
}
