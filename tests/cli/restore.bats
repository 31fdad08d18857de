# restore --target, choosing what, and the worst day.
load helpers

@test "everything, to a directory" {
    pipeline p.yaml demo "transforms: [{plugin: zstd}]"
    touch -d '2001-02-03 04:05:06.789' src/one
    chmod 640 src/one
    backup p.yaml one
    expect 0 restore p.yaml --target out
    same stderr "$stderr" ""
    out_has "restored one to $WORK/out: ok, 5 entries, 8 B"
    same_tree src "$(inside out)"
}

@test "without a name it is the latest, and 'latest' is a name" {
    pipeline p.yaml demo
    backup p.yaml one
    echo second >src/one
    backup p.yaml two
    expect 0 restore p.yaml --target a
    expect 0 restore p.yaml latest --target b
    same a "$(cat "$(inside a)/one")" second
    same b "$(cat "$(inside b)/one")" second
    expect 0 restore p.yaml one --target c
    same c "$(cat "$(inside c)/one")" one
}

@test "a unique beginning of an id is enough, any other is a mistake" {
    pipeline p.yaml demo
    backup p.yaml monday-1
    backup p.yaml monday-10
    backup p.yaml tuesday
    expect 0 restore p.yaml tue --target out --json
    same id "$(summary .id)" tuesday
    expect 2 restore p.yaml mon --target out2
    err_has "'mon' is the beginning of more than one backup's id"
    # a whole id is one, though another begins with it
    expect 0 restore p.yaml monday-1 --target out3 --json
    same id "$(summary .id)" monday-1
    absent out2
}

@test "--at takes the newest from then or before" {
    pipeline p.yaml demo
    local id times=()
    for id in a b c; do
        backup p.yaml $id
        sleep 1.1
    done
    mapfile -t times < <("$BAKENGINE" list p.yaml --json | jq -r '.backups[].start')
    expect 0 restore p.yaml --at "${times[1]}" --target out --json
    same id "$(summary .id)" b
    expect 0 restore p.yaml --at "$(date -u -d "${times[1]} + 1 second" +'%F %T')" --target out2 --json
    same id "$(summary .id)" b
    expect 0 restore p.yaml latest --at "${times[0]}" --target out3 --json
    same id "$(summary .id)" a
    expect 0 show p.yaml --at "${times[0]}" --json
    document '.id == "a"'
    expect 10 restore p.yaml --at 2001-01-01 --target none
    err_has "there is no backup from then or before"
    expect 0 restore p.yaml --at "$(date -u -d tomorrow +%F)" --target out4 --json
    same id "$(summary .id)" c
    absent none
}

names() { "$BAKENGINE" restore p.yaml --dry-run --json --target x "$@" |
    jq -r 'select(.message_type == "plan") | .components[].name'; }

@test "--component: globs, what lies beneath, 'config' and 'volume:NAME'" {
    staged p.yaml demo "trees: [app/config, app/web/volumes/uploads, app/web/volumes/cache, web/config]
        , blobs: [app/db/database/dump.sql, web/db/database/dump.sql]"
    backup p.yaml one
    same app "$(names --component app)" \
        $'app/config\napp/web/volumes/uploads\napp/web/volumes/cache\napp/db/database/dump.sql'
    same config "$(names --component config)" $'app/config\nweb/config'
    same volume "$(names --component volume:uploads)" app/web/volumes/uploads
    same volumes "$(names --component 'volume:*')" $'app/web/volumes/uploads\napp/web/volumes/cache'
    same glob "$(names --component '**/*.sql')" $'app/db/database/dump.sql\nweb/db/database/dump.sql'
    same two "$(names --component web/db --component app/config)" \
        $'app/config\nweb/db/database/dump.sql'
    expect 10 restore p.yaml --component volume:nothing --target out
    err_has "backup 'one' has no component 'volume:nothing'"
    err_has "HINT: 'bakengine ls' shows them"
    expect 0 restore p.yaml --component config --component '*/db' --target out
    same files "$(cd out && find . -type f | sort)" \
        $'./app/config/data\n./app/db/database/dump.sql\n./web/config/data\n./web/db/database/dump.sql'
}

@test "a blob becomes a file that others cannot read" {
    staged p.yaml demo "blobs: [db/dump.sql], size: 300 KiB"
    backup p.yaml one
    umask 0
    expect 0 restore p.yaml --target out
    same mode "$(stat -c %a out/db/dump.sql)" 600
    same size "$(stat -c %s out/db/dump.sql)" 307200
    same text "$(sort -u out/db/dump.sql | grep -c '^db/dump.sql$')" 1
}

@test "--path chooses within trees" {
    pipeline p.yaml demo
    backup p.yaml one
    expect 0 restore p.yaml --path "$WORK/src/sub" --target out
    same files "$(cd out && find . -type f)" "./files$WORK/src/sub/two"
    expect 0 restore p.yaml --path '**/one' --path '**/link' --target out2
    same files "$(cd out2 && find . ! -type d | sort)" \
        "./files$WORK/src/link"$'\n'"./files$WORK/src/one"
    expect 0 restore p.yaml --path '**/one' --dry-run --json --target x
    event '.message_type == "plan" and .components[0].entries == 1 and .components[0].bytes == 4'
}

@test "--dry-run says what would come, and creates nothing" {
    pipeline p.yaml demo
    backup p.yaml one
    rm -r state
    expect 0 restore p.yaml --dry-run --target out
    out_has "would restore one to $WORK/out"
    out_has "files"
    expect 0 restore p.yaml --dry-run --json
    events restore
    event '.message_type == "plan" and .id == "one"'
    absent out state
    expect 10 restore p.yaml none --dry-run --json
    events restore
}

@test "existing files in the target are kept and named; --force replaces them" {
    pipeline p.yaml demo
    backup p.yaml one
    expect 0 restore p.yaml --target out
    echo "my own" >"$(inside out)/one"
    expect 3 restore p.yaml --target out --json
    events restore
    same kept "$(summary .kept)" 1
    event '.message_type == "warning" and .severity == "notice" and (.subject | endswith("src/one"))'
    err_has "1 existing file differs from the backup and was kept"
    err_has "HINT: use --force to replace"
    same text "$(cat "$(inside out)/one")" "my own"
    expect 0 restore p.yaml --target out --force
    same_tree src "$(inside out)"
}

@test "a second restore over the first finds all of it there" {
    pipeline p.yaml demo
    backup p.yaml one
    expect 0 restore p.yaml --target out
    expect 0 restore p.yaml --target out --json
    events restore
    same kept "$(summary .kept)" 0
}

@test "--from reads from the sink that is named" {
    mirrored p.yaml demo other
    backup p.yaml one
    rm store/backups/one/files.tar
    expect 1 restore p.yaml --target a
    expect 0 restore p.yaml --from two --target b
    same_tree src "$(inside b)"
    expect 2 restore p.yaml --from three --target c
    err_has "'three' is not the name of a sink of this pipeline"
    absent c
}

@test "a first sink that is gone: the mirror is read without being asked" {
    mirrored p.yaml demo other
    backup p.yaml one
    rm -r store
    expect 0 restore p.yaml --target out
    same_tree src "$(inside out)"
    err_has "sink 'one'"
}

@test "a store's address instead of the pipeline: relative, absolute, with blanks" {
    pipeline p.yaml demo "transforms: [{plugin: zstd}]"
    backup p.yaml one
    mkdir "a place"
    mv store "a place/the store"
    rm p.yaml
    cd "a place"
    expect 0 restore "the store" --target ../a
    same_tree ../src "$(inside ../a)"
    expect 0 restore "$PWD/the store" one --target ../b
    expect 0 restore "./the store/" --target ../c
    same_tree ../src "$(inside ../c)"
    expect 0 list "the store"
    out_has one
    expect 0 ls "the store" latest files "$WORK/src/one"
    out_has src/one
    expect 0 cat "the store" one files "$WORK/src/one"
    same text "$output" one
    expect 0 show "the store" one --json
    document '.id == "one"'
    expect 0 verify "the store" --all
    expect 2 restore "the store"
    err_has "not a pipeline file"
}

@test "a store's address needs no plugin but the sink's and the transforms'" {
    staged p.yaml demo "blobs: [a]"
    backup p.yaml one
    BAKENGINE_PLUGIN_PATH='' expect 2 restore store --target out
    unset BAKENGINE_PLUGIN_PATH
    expect 0 restore store --target out
    same text "$(head -1 out/a)" a
}

@test "the worst day: sources that are broken do not count" {
    pipeline p.yaml demo
    backup p.yaml one
    cat >p.yaml <<'Y'
pipeline: demo
env_file: gone.env
sources: [{name: x, plugin: no-such-plugin, nonsense: 1}, 7]
retention: {keep_last: many}
verify: sometimes
schedule: {full: "never"}
sinks: [{plugin: local, path: store}]
Y
    expect 2 run p.yaml
    expect 0 restore p.yaml --target out
    same_tree src "$(inside out)"
    expect 0 list p.yaml
    expect 0 show p.yaml one
    expect 0 ls p.yaml one files
    expect 0 cat p.yaml one files "$WORK/src/one"
    expect 0 verify p.yaml
    # back in place it needs the sources
    expect 2 restore p.yaml
}

@test "a damaged object: what can be had is there, what cannot is named" {
    pipeline p.yaml demo
    mkdir src/many
    local i
    for i in 1 2 3 4 5 6 7 8; do head -c 100000 /dev/urandom >src/many/$i; done
    backup p.yaml one
    flip store/backups/one/files.tar
    expect 3 restore p.yaml --target out --json
    events restore
    event '.message_type == "error" and (.text | contains("src/many/"))'
    [ "$(summary .failed)" -ge 1 ]
    local good=0
    for i in 1 2 3 4 5 6 7 8; do
        if [ -e "$(inside out)/many/$i" ]; then
            cmp "src/many/$i" "$(inside out)/many/$i"
            good=$((good + 1))
        fi
    done
    same good "$good" 7
    same temporary "$(find out -name '.bake*')" ""
}

@test "--host: another host's backups are not this one's" {
    pipeline p.yaml demo
    backup p.yaml one
    expect 10 restore p.yaml --host elsewhere --target out
    expect 0 restore p.yaml --host "$(uname -n)" --target out
    expect 0 restore p.yaml --host '*' --target out2
    expect 0 list p.yaml --host elsewhere --json
    document '.backups == []'
}

@test "an ordinary user restores what root backed up, as far as he may" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    pipeline p.yaml demo "store: {format: archive}"
    chown 12345:23456 src/one
    backup p.yaml one
    mkdir out
    give out store
    expect_nobody 0 restore store --target out
    same owner "$(stat -c %u:%g "$(inside out)/one")" 65534:65534
    err_has "owner"
}
