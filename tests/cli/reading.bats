# list, show, ls and cat.
load helpers

@test "list: one line for each backup, oldest first" {
    pipeline p.yaml demo
    backup p.yaml b
    sleep 1.1
    backup p.yaml a
    expect 0 list p.yaml
    same ids "$(awk 'NR > 1 {print $1}' <<<"$output")" $'b\na'
    out_has "ID "
    out_has "good"
    expect 0 list p.yaml --json
    document '[.backups[].id] == ["b", "a"] and (.backups[0] | .pipeline == "demo" and
        .status == "good" and .bytes_in == 8 and .entries == 5 and .components == ["files"])'
}

@test "list: a store without a backup is no error" {
    staged p.yaml demo "blobs: [a], fail: [a]"
    expect 1 run p.yaml
    expect 0 list p.yaml
    same stdout "$output" ""
    err_has "there is no backup yet"
    expect 0 list p.yaml --json
    document '.backups == []'
}

@test "list: of this pipeline alone, of all with the store's address" {
    pipeline p.yaml demo
    pipeline q.yaml other
    backup p.yaml one
    backup q.yaml two
    same p "$(ids p.yaml)" one
    same q "$(ids q.yaml)" two
    same both "$(ids store | sort)" $'one\ntwo'
}

@test "show: all of it, for people and as JSON" {
    pipeline p.yaml demo "transforms: [{plugin: zstd, level: 5}]"
    backup p.yaml one --tag x
    expect 0 show p.yaml one
    out_has "backup      one"
    out_has "pipeline    demo on host $(uname -n)"
    out_has "compression level 5"
    out_has "files.tar.zst"
    out_has "5 entries"
    expect 0 show p.yaml --json
    document '.id == "one" and .good == true and .compression_level == 5 and .encrypted == false and
        (.components[0].objects | map(.role) | sort) == ["data", "listing"]'
}

@test "ls: components, then entries, then below a path" {
    staged p.yaml demo "trees: [app/web], blobs: [app/db.sql]"
    backup p.yaml one
    expect 0 ls p.yaml one
    same stdout "$output" $'app/web/\napp/db.sql'
    expect 0 ls p.yaml one --json
    document '[.components[] | [.name, .kind]] == [["app/web", "tree"], ["app/db.sql", "blob"]]'
    expect 0 ls p.yaml latest app/web
    out_has "drwxr-xr-x"
    out_has "-rw-r--r--"
    expect 0 ls p.yaml one app/web data
    same lines "${#lines[@]}" 1
    out_has " 64 "
    expect 0 ls p.yaml one app/web data --json
    document '.entries == [{path: "data", type: "file", size: 64, mode: 420,
        mtime: .entries[0].mtime}] + [] or (.entries | length) == 1'
    expect 2 ls p.yaml one app/db.sql
    err_has "component 'app/db.sql' is one stream"
}

@test "ls: names that would garble a terminal are escaped" {
    printf x >"$(printf 'src/evil\033[2Jname\n')"
    printf x >"$(printf 'src/latin\351')"
    pipeline p.yaml demo
    backup p.yaml one
    expect 0 ls p.yaml one files
    same escapes "$(grep -c $'\033' <<<"$output")" 0
    out_has 'evil'
    same entries "${#lines[@]}" 7
    expect 0 ls p.yaml one files --json
    document '.entries | length == 7'
}

@test "cat: a file, a blob, a tree as tar" {
    staged p.yaml demo "trees: [tree], blobs: [blob], size: 100 KiB" "transforms: [{plugin: zstd}]"
    backup p.yaml one
    "$BAKENGINE" cat p.yaml one blob >blob
    same size "$(stat -c %s blob)" 102400
    same text "$(head -1 blob)" blob
    "$BAKENGINE" cat p.yaml one tree data >data
    same size "$(stat -c %s data)" 102400
    "$BAKENGINE" cat p.yaml one tree | tar -tf - >names
    same names "$(cat names)" $'./\ndata'
    expect 2 cat p.yaml one blob data
    err_has "component 'blob' is one stream: it has no paths"
    expect 2 cat p.yaml one tree .
    err_has "is not a file"
}

@test "cat: a hard link's bytes are those of its first name" {
    ln src/one src/two
    pipeline p.yaml demo
    backup p.yaml one
    expect 0 cat p.yaml one files "$WORK/src/two"
    same text "$output" one
}

@test "cat: a damaged file is an error" {
    pipeline p.yaml demo
    head -c 1000000 /dev/urandom >src/big
    backup p.yaml one
    flip store/backups/one/files.tar
    run bash -c '"$BAKENGINE" cat p.yaml one files "$1" >out 2>err' - "$WORK/src/big"
    same status "$status" 1
    has err "$(cat err)" "src/big' of component 'files' does not match its digest"
}

@test "names are as people find them: with or without a slash in front" {
    pipeline p.yaml demo
    backup p.yaml one
    expect 0 cat p.yaml one files "${WORK#/}/src/one"
    expect 0 cat p.yaml one files "$WORK/src/one"
    expect 0 ls p.yaml one files "$WORK/src"
    same entries "${#lines[@]}" 5
}
