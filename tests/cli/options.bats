# restore: under another name, parts of dumps, and options in place of the file's.
load helpers

made() { # OPTIONS [LINE...]
    below p.yaml "${1-}" "${@:2}"
    backup p.yaml one
    rm calls
}

begun() { grep '^begin' calls | sed 's/ pipeline=.* parts=/ parts=/'; }

@test "--as-database reaches the source" {
    made
    expect 0 restore p.yaml --component app/shop.sql --as-database trial
    same begun "$(begun)" "begin . restore backup=one as=trial at=0 parts="
    expect 1 restore p.yaml --as-database trial
    err_has "'trial' can only be the name of one database"
}

@test "--as-database goes with one group of a source that gives names" {
    made "odd: [blog.sql]"
    expect 2 restore p.yaml --as-database trial
    err_has "'--as-database' takes one group, and these are of 'app' and 'app/odd'"
    expect 2 restore p.yaml --as-database trial --target out
    err_has "'--as-database' cannot be given with '--target'"
    expect 2 restore p.yaml --as-database trial --undo --stack app
    err_has "'--as-database' cannot be given with '--undo'"
    expect 2 restore p.yaml --as-database ''
    err_has "'--as-database' needs a name"
    absent out
    pipeline q.yaml files
    backup q.yaml two
    expect 2 restore q.yaml --as-database trial
    err_has "'--as-database' is for components that are restored as a group, and none of these is"
    mkdir -p live stage old
    echo x >live/shop+db
    printf 'pipeline: g\nsources: [{name: host, plugin: groups-back, dir: ., blobs: [shop/db]}]\nsinks: [{plugin: local, path: store}]\n' >g.yaml
    backup g.yaml three
    expect 2 restore g.yaml --as-database trial
    err_has "'--as-database' is not for what source 'host' (groups-back) restores"
}

@test "--path names the parts of dumps, where the source has some" {
    made
    expect 0 restore p.yaml --component app/shop.sql --path 'public.*' --path orders
    same begun "$(begun)" "begin . restore backup=one as= at=0 parts=public.*;orders;"
    same all "$(cat shop.sql.back)" "sound shop"
    expect 0 restore p.yaml --dry-run --json --path orders
    event '.message_type == "plan" and .paths == ["orders"]
        and any(.components[]; .name == "app/shop.sql" and .bytes == 11)'
    echo data >base
    below p.yaml "trees: [base]"
    backup p.yaml two
    expect 2 restore p.yaml --path c
    err_has "'--path' cannot be used with component 'app/base', since group 'app' is restored as a whole"
    expect 0 restore p.yaml --path m/a --component app/base --target out
    same files "$(find out -type f)" out/app/base/m/a
}

@test "--at reaches the sources that have logs" {
    made
    local now
    now=$(date -u -d '+1 minute' +%Y-%m-%dT%H:%M:%SZ)
    expect 0 restore p.yaml --at "$now" --component app/shop.sql
    same begun "$(begun)" \
        "begin . restore backup=one as= at=$(date -d "$now" +%s)000000000 parts="
}

@test "--set counts in place of the file's option, for this restore" {
    made "port: 5, hosts: [one, two]"
    expect 0 restore p.yaml --set app.port=7 --set app.hosts=three
    grep -q '^open port=7 hosts=three password=$' calls
    rm calls
    expect 0 restore p.yaml --set 'app.hosts=[four, five]'
    grep -q '^open port=5 hosts=four password=$' calls
    rm calls
    # one that the file does not have
    expect 0 restore p.yaml --set app.skips=x --component app/shop.sql
    grep -q '^open port=5 hosts=one' calls
}

@test "--set: a mistake is said as in the file, with where it stands" {
    made
    expect 2 restore p.yaml --set app.port=many
    err_has "in '--set app.port': 'port' must be a whole number, got 'many'"
    expect 2 restore p.yaml --set app.port=70000
    err_has "in '--set app.port': 'port' must be between 1 and 65535, got 70000"
    expect 2 restore p.yaml --set app.prt=1
    err_has "in '--set app.prt': unknown option 'prt' for source-below; did you mean 'port'? valid"
    expect 2 restore p.yaml --set ap.port=1
    err_has "in '--set ap.port': the pipeline has no source 'ap'"
    expect 2 restore p.yaml --set app.port=
    err_has "in '--set app.port': there is no value"
    expect 2 restore p.yaml --set 'app.hosts=[a'
    err_has "in '--set app.hosts': "
    local wrong
    for wrong in port app.=1 .port=1 app.port app=1 ''; do
        expect 2 restore p.yaml --set "$wrong"
        err_has "'--set' takes SOURCE.OPTION=VALUE, not '${wrong%=1}'"
    done
    absent calls
}

@test "--set: secrets come from files alone" {
    made
    expect 2 restore p.yaml --set app.password=hunter2
    err_has "in '--set app.password': a secret does not belong on a command line"
    err_has "use 'password_file'"
    err_lacks hunter2
    (umask 077 && echo hunter2 >word)
    expect 0 restore p.yaml --set app.password_file=word
    grep -q '^open .* password=given$' calls
    expect 2 restore p.yaml --set app.password_file=nowhere
    err_has "in '--set app.password_file': 'password_file': "
    absent nowhere
}

@test "--set in place of a secret that the file has" {
    (umask 077 && echo hunter2 >word && echo other >word2)
    made "password_file: word"
    expect 0 restore p.yaml --set app.password_file=word2
    grep -q '^open .* password=given$' calls
}

@test "--set does not go where there are no sources" {
    made
    expect 2 restore p.yaml --target out --set app.port=7
    err_has "'--set' cannot be given with '--target'"
    expect 2 restore p.yaml --undo --stack app --set app.port=7
    err_has "'--set' cannot be given with '--undo'"
    expect 2 run p.yaml --set app.port=7
    err_has "unknown option '--set' for 'run'"
}

@test "--dry-run says what would be done, and changes nothing" {
    made
    expect 0 restore p.yaml --dry-run --component app/shop.sql --as-database trial --path orders \
        --set app.port=7
    out_has "  as        trial"
    out_has "  only      orders"
    out_has "  set       app.port=7"
    same begun "$(begun)" "begin . inspect backup=one as=trial at=0 parts=orders;"
    rm calls
    expect 0 restore p.yaml --dry-run --component app/shop.sql --as-database trial --set app.port=7 --json
    events restore
    event '.message_type == "plan" and .as_database == "trial" and .set == ["app.port=7"]'
    expect 3 restore p.yaml --dry-run --as-database trial
    out_has "ERROR: group 'app': 'trial' can only be the name of one database"
    absent shop.sql.back
}

@test "killed: what is owed is redeemed with the options that were set" {
    made
    below p.yaml "wait_for: ./go"
    start verify p.yaml --level restore --set app.port=9
    wait_until 10 test -e go.reached
    kill -KILL "$PID"
    ended 137
    wait_until 10 grep -q '^redeem {"kind":"half"} port=9' calls
}
