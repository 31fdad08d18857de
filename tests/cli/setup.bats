# plugins, init and doctor: what one meets first.
load helpers

@test "plugins: all of them, with what they are for" {
    expect 0 plugins
    out_has "source-files"
    out_has "transform-zstd"
    out_has "sink-local"
    out_has "source-staged      1.0"
    expect 0 plugins --json
    document '[.plugins[] | "\(.kind)-\(.name)"] | sort == ["sink-local", "source-below",
        "source-below-free", "source-docker", "source-files", "source-groups", "source-groups-back",
        "source-logging", "source-mariadb", "source-postgres", "source-staged", "transform-zstd"]'
}

@test "plugins NAME: its options" {
    local name
    for name in zstd transform-zstd; do
        expect 0 plugins $name
        out_has "level"
        out_has "default"
    done
    expect 0 plugins zstd --json
    document '[.options[].key] | contains(["level", "threads", "long"])'
    expect 0 plugins staged
    out_has "password"
}

@test "plugins NAME: one that is not there" {
    expect 2 plugins nothing
    same stdout "$output" ""
    err_has "there is no plugin 'nothing'"
    err_has "HINT: 'bakengine plugins' lists them"
    expect 2 plugins sink-zstd
    expect 2 plugins ../sink-local
}

@test "plugins: one that cannot be loaded does not hide the others" {
    mkdir plugins
    chmod 755 plugins
    echo "no library" >plugins/sink-broken.so
    BAKENGINE_PLUGIN_PATH=$WORK/plugins expect 2 plugins
    out_has "sink-local"
    err_has "sink-broken"
    BAKENGINE_PLUGIN_PATH=$WORK/plugins expect 2 plugins --json
    document '[.plugins[] | "\(.kind)-\(.name)"] | sort == ["sink-local", "source-docker", "source-files",
        "source-mariadb", "source-postgres", "transform-zstd"]'
    BAKENGINE_PLUGIN_PATH=$WORK/plugins expect 2 doctor
    out_has "FAILED  plugin 'sink-broken' loads: "
    out_has "ok      plugin 'sink-local' loads"
}

@test "init: what it writes is valid, and runs" {
    expect 0 init conf
    out_has "wrote conf/pipeline.yaml"
    [ -f conf/.env.example ]
    # every command that it names works
    local line
    while read -r line; do
        [ "${line%% *}" = bakengine ] && line="$BAKENGINE ${line#* }"
        sh -c "$line" >/dev/null 2>said || { echo "$line" >&2; cat said >&2; return 1; }
    done < <(sed -n 's/^  //p' <<<"$output")
    cp conf/.env.example conf/.env
    sed -i 's/^#env_file/env_file/' conf/pipeline.yaml
    sed -i "s|paths: \[/etc\]|paths: [$WORK/src]|" conf/pipeline.yaml
    echo "BACKUP_DIR=$WORK/elsewhere" >>conf/.env
    expect 0 run conf/pipeline.yaml
    [ -f elsewhere/bakengine.json ]
    expect 0 schedule conf/pipeline.yaml --cron
    expect 0 prune conf/pipeline.yaml
}

@test "init: in the working directory, and quietly" {
    mkdir here
    cd here
    expect 0 init
    expect 0 validate pipeline.yaml
    cd "$WORK"
    expect 0 init --quiet there
    silent
    expect 0 init --json third
    document '.pipeline | endswith("third/pipeline.yaml")'
}

@test "init: refuses to overwrite either of the two, and writes neither" {
    mkdir a b
    echo mine >a/pipeline.yaml
    expect 1 init a
    err_has "'a/pipeline.yaml' exists and is kept; nothing was written"
    err_has "HINT: use --force to replace it"
    same text "$(cat a/pipeline.yaml)" mine
    absent a/.env.example
    ln -s nowhere b/.env.example
    expect 1 init b
    err_has "'b/.env.example' exists and is kept"
    absent b/pipeline.yaml
    expect 0 init --force a
    expect 0 validate a/pipeline.yaml
}

@test "init: where nothing can be written" {
    echo x >file
    expect 1 init file/below
    same stdout "$output" ""
    expect 1 init file
}

@test "doctor: all is well, before and after the first run" {
    expect 0 doctor
    out_has "ok      the plugin path is sound"
    out_has "ok      the state directory can be written"
    out_lacks FAILED
    pipeline p.yaml demo
    expect 0 doctor p.yaml
    out_has "ok      its store can be read"
    absent store
    backup p.yaml one
    expect 0 doctor p.yaml --json
    document '.healthy == true and all(.checks[]; .result == "ok")'
    expect 0 doctor p.yaml --quiet
    silent
}

@test "doctor: a state directory that cannot be written" {
    mkdir state
    chmod 500 state
    expect_nobody 1 doctor
    out_has "FAILED  the state directory can be written: "
    out_has "permission denied"
    err_has "something needs attention"
    expect_nobody 1 doctor --json
    document '.healthy == false and any(.checks[]; .result == "failed" and (.error | length) > 0)'
    expect_nobody 1 doctor --quiet
    out_has FAILED
    out_lacks "  ok "
}

@test "doctor: an invalid pipeline, and one that cannot be used" {
    pipeline p.yaml demo "nonsense: 1"
    expect 2 doctor p.yaml
    err_has "p.yaml:4:1: "
    out_has "FAILED  the pipeline file is valid"
    staged p.yaml demo "closed: true"
    expect 1 doctor p.yaml
    out_has "FAILED  its sources and sinks can be used"
    err_has "it is closed"
}

@test "doctor: a plugin path that is not sound" {
    BAKENGINE_PLUGIN_PATH=relative expect 2 doctor
    out_has "FAILED  the plugin path is sound: BAKENGINE_PLUGIN_PATH has the relative path 'relative'"
    out_has "HINT: "
    BAKENGINE_PLUGIN_PATH=relative expect 2 doctor --json
    document '.healthy == false'
}

@test "doctor: a plugin file that others can write to" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    mkdir plugins
    chmod 755 plugins
    cp "$BAKE_TEST_PLUGINS/source-staged.so" plugins/
    chmod 666 plugins/source-staged.so
    export BAKENGINE_PLUGIN_PATH=$WORK/plugins
    run --separate-stderr "$BAKENGINE" doctor
    [ "$status" -ne 0 ]
    out_has "FAILED  plugin 'source-staged' loads: "
}

@test "doctor: a store that is damaged" {
    pipeline p.yaml demo
    backup p.yaml one
    flip store/bakengine.json
    expect 1 doctor p.yaml
    out_has "FAILED  its store can be read"
    out_has "bakengine.json"
}
