# validate: every mistake at once, where it stands.
load helpers

@test "a valid file" {
    pipeline p.yaml demo
    expect 0 validate p.yaml
    same stdout "$output" "p.yaml: pipeline 'demo' is valid: 1 source, 0 transforms, 1 sink"
    expect 0 validate --quiet p.yaml
    silent
    expect 0 validate p.yaml --json
    document '.valid == true and .messages == []'
    absent store state
}

@test "a plugin path that is none" {
    pipeline p.yaml demo
    BAKENGINE_PLUGIN_PATH='' expect 2 validate p.yaml
    err_has "BAKENGINE_PLUGIN_PATH has an empty item"
    BAKENGINE_PLUGIN_PATH=relative expect 2 validate p.yaml --json
    document '.valid == false and .messages == []'
    err_has "has the relative path 'relative'"
}

@test "mistakes are FILE:LINE:COLUMN, all at once, on standard error" {
    mkdir conf
    cat >conf/p.yaml <<'Y'
pipeline: Demo!
sources:
  - name: a
    plugin: file
retention: {keep_lst: 3}
sinks:
  - plugin: local
Y
    expect 2 validate conf/p.yaml
    same stdout "$output" ""
    err_has "conf/p.yaml:1:11: "
    err_has "conf/p.yaml:4:13: "
    err_has "did you mean 'files'?"
    err_has "conf/p.yaml:5:13: unknown option 'keep_lst'"
    err_has "did you mean 'keep_last'?"
    err_has "conf/p.yaml:7:5: "
    same "every line has its place" "$(grep -cvE '^conf/p.yaml:[0-9]+:[0-9]+: |^HINT: ' <<<"$stderr")" 0
    expect 2 validate conf/p.yaml --json
    document '.valid == false and (.messages | length) >= 4 and
        all(.messages[]; .file == "conf/p.yaml" and .line > 0 and .column > 0 and .severity == "error")'
    same stderr "$stderr" ""
    expect 2 validate conf/p.yaml --quiet
    err_has "conf/p.yaml:1:11: "
}

@test "several files: each is looked at" {
    pipeline a.yaml a
    pipeline b.yaml b "nonsense: 1"
    pipeline c.yaml c
    expect 2 validate a.yaml b.yaml gone.yaml c.yaml
    out_has "a.yaml: pipeline 'a' is valid"
    out_has "c.yaml: pipeline 'c' is valid"
    out_lacks b.yaml
    err_has "b.yaml:4:1: unknown option 'nonsense'"
    expect 2 validate a.yaml b.yaml c.yaml --json
    document '.valid == false and ([.messages[].file] | unique) == ["b.yaml"]'
    expect 2 validate gone.yaml --json
    document '.valid == false and .messages[0].file == "gone.yaml"'
}

@test "a file that is a directory, and one that cannot be read" {
    mkdir d.yaml
    expect 2 validate d.yaml
    err_has "d.yaml"
    pipeline p.yaml demo
    chmod 000 p.yaml
    expect_nobody 2 validate p.yaml
    err_has "p.yaml"
    err_has "permission denied"
}

@test "--probe looks at what is there" {
    pipeline p.yaml demo
    expect 0 validate --probe p.yaml
    absent store
    staged p.yaml demo "closed: true"
    expect 0 validate p.yaml
    expect 1 validate --probe p.yaml
    err_has "source 'stage': it is closed"
    err_has "not everything that the pipeline names can be used"
    staged p.yaml demo "closed: true, optional: true"
    expect 0 validate --probe p.yaml
    err_has "it is closed"
}

@test "what validate accepts of the schema, the schema accepts" {
    expect 0 schema
    document '."$schema" | contains("2020-12")'
    expect 0 schema --json
    document '.type == "object"'
}
