# diff: in both formats, but for what an archive's listing does not say.
load helpers

# both FUNCTION: with a pipeline of each format; FUNCTION is called with its file.
both() {
    local format
    for format in archive repository; do
        rm -rf store src
        mkdir -p src/sub
        echo one >src/one
        echo two >src/sub/two
        ln -s one src/link
        pipeline p.yaml demo "store: {format: $format}" "transforms: [{plugin: zstd}]"
        echo "format: $format" # shown if it fails
        "$1" p.yaml $format    # without '||', which would let failures in it pass
    done
}

# Lines of differences, names below src alone: "M  one".
differences() { grep -E '^[-+MTU]  ' <<<"$output" | sed "s|files$WORK/src|src|"; }

keep_times() { # PATH...: what changes in a directory is not to show in it
    touch -h -d 2025-11-05T12:00:00Z "$@"
}

nothing_changed() {
    backup "$1" a
    expect 0 diff "$1" a a
    same stdout "$output" "a does not differ from a"
    sleep 0.01
    backup "$1" b
    expect 0 diff "$1" a b
    same stdout "$output" "b does not differ from a"
    expect 0 diff "$1" a latest --json
    document '.old.id == "a" and .new.id == "b" and .differences == [] and .left_out == [] and
        .summary.bytes_added == 0'
}

@test "two backups of the same" {
    both nothing_changed
}

every_kind() {
    echo gone >src/gone
    echo -n 12345 >src/grows
    echo plain >src/kind
    echo moded >src/moded
    echo timed >src/timed
    mkfifo src/pipe
    mkdir src/olddir
    echo x >src/olddir/x
    backup "$1" a
    rm -r src/gone src/olddir src/kind src/pipe
    echo -n 1234567890 >src/grows
    mkdir src/kind
    chmod 600 src/moded
    touch -d 2001-02-03 src/timed
    ln -sfn two src/link
    echo -n abc >src/sub/new
    touch -d 2002-02-03 src/sub
    keep_times src
    backup "$1" b
    expect 0 diff "$1" a b
    same lines "$(differences)" "U  src/
-  src/gone
M  src/grows
T  src/kind/
U  src/link
U  src/moded
-  src/olddir/
-  src/olddir/x
-  src/pipe
U  src/sub/
+  src/sub/new
U  src/timed"
}

holds() { # document, once that has been done
    jq -e "$1" >/dev/null <<<"$output" || { echo "not: $1" && show && return 1; }
}

json_of() {
    every_kind "$1"
    expect 0 diff "$1" a b --json
    document '.old.id == "a" and .new.id == "b" and (.old | has("start")) and .left_out == []'
    local src="${WORK#/}/src"
    holds "[.differences[] | select(.path == \"$src/grows\")] == [{change: \"content\",
        component: \"files\", path: \"$src/grows\", old_type: \"file\", type: \"file\", old_size: 5,
        size: 10, fields: [\"content\", \"mtime\"]}]"
    holds "[.differences[] | select(.path == \"$src/gone\")] == [{change: \"removed\",
        component: \"files\", path: \"$src/gone\", old_type: \"file\", old_size: 5}]"
    holds "[.differences[] | select(.path == \"$src/sub/new\")] == [{change: \"added\",
        component: \"files\", path: \"$src/sub/new\", type: \"file\", size: 3}]"
    holds ".differences | any(.path == \"$src/kind\" and .change == \"type\" and
        .old_type == \"file\" and .type == \"dir\" and .old_size == 6)"
    holds ".differences | any(.path == \"$src/moded\" and .fields == [\"mode\"])"
    holds ".differences | any(.path == \"$src/timed\" and .fields == [\"mtime\"])"
    holds ".differences | any(.path == \"$src/link\" and (.fields | index(\"link\")))"
    holds '.summary.files == {added: 1, removed: 2, content: 1, type: 0, metadata: 2}'
    holds '.summary.dirs == {added: 0, removed: 1, content: 0, type: 1, metadata: 2}'
    holds '.summary.others == {added: 0, removed: 1, content: 0, type: 0, metadata: 1}'
    # 10 + 3; 5 (gone) + 5 (grows) + 6 (kind) + 2 (olddir/x)
    holds '.summary.bytes_added == 13 and .summary.bytes_removed == 18'
}

@test "every kind of difference has its letter" {
    both every_kind
}

@test "the same as one JSON document" {
    both json_of
}

the_other_way_round() {
    backup "$1" a
    echo new >src/new
    keep_times src
    backup "$1" b
    expect 0 diff "$1" a b
    same lines "$(differences)" $'U  src/\n+  src/new'
    out_has "1 new, 0 removed, 0 changed"
    out_has "4 B added, 0 B removed"
    expect 0 diff "$1" b a
    same lines "$(differences)" $'U  src/\n-  src/new'
    out_has "0 new, 1 removed, 0 changed"
    out_has "0 B added, 4 B removed"
}

@test "the other way round" {
    both the_other_way_round
}

by_address() {
    backup "$1" a
    echo more >>src/one
    backup "$1" b
    rm "$1"
    expect 0 diff store a b
    same lines "$(differences)" "M  src/one"
}

@test "with the store's address: the pipeline file is gone" {
    both by_address
}

order_of_names() {
    mkdir src/a src/a-b src/zz
    touch src/a/1 src/a-b/1 src/a.txt src/a0 src/zz/last
    keep_times src/a src/a-b src
    backup "$1" a
    rm src/a/1 src/a-b/1
    touch src/a/2 src/a-b/2 "src/a!"
    keep_times src/a src/a-b src
    backup "$1" b
    expect 0 diff "$1" a b
    same lines "$(differences)" "-  src/a/1
+  src/a/2
+  src/a!
-  src/a-b/1
+  src/a-b/2"
}

@test "names around a directory's: '/' is not a byte like others" {
    both order_of_names
}

hard_links() {
    mkdir src/h
    echo shared >src/h/b
    ln src/h/b src/h/c
    echo alone >src/h/x
    cp -p src/h/x src/h/y
    echo again >src/h/m
    ln src/h/m src/h/n
    keep_times src/h
    backup "$1" a
    ln src/h/b src/h/a    # a new first name: the others are as they were
    echo changed >src/h/m # seen under both of its names
    ln -f src/h/x src/h/y # one file from now on, its bytes as they were
    keep_times src/h
    backup "$1" b
    expect 0 diff "$1" a b
}

@test "hard links: an archive's listing does not say of which file" {
    pipeline p.yaml demo "store: {format: archive}"
    hard_links p.yaml
    same lines "$(differences)" "+  src/h/a
T  src/h/b
M  src/h/m
U  src/h/n
T  src/h/y"
}

@test "hard links: a repository knows" {
    pipeline p.yaml demo "store: {format: repository}"
    hard_links p.yaml
    same lines "$(differences)" "+  src/h/a
M  src/h/m
M  src/h/n
U  src/h/y"
    expect 0 diff p.yaml a b --json
    document '.differences | any((.path | endswith("h/y")) and .fields == ["link"])'
    # a file's bytes count once, under its first name: 7 of a, 8 and 6 of m
    document '.summary.bytes_added == 15 and .summary.bytes_removed == 6'
    # fewer names again: the one that is left is as it was
    rm src/h/a src/h/b
    keep_times src/h
    backup p.yaml c
    expect 0 diff p.yaml b c
    same lines "$(differences)" $'-  src/h/a\n-  src/h/b'
}

@test "the same bytes at another place of a sparse file" {
    pipeline p.yaml demo "store: {format: repository}"
    truncate -s 1M src/sparse
    printf data | dd of=src/sparse bs=4096 seek=16 conv=notrunc status=none
    backup p.yaml a
    truncate -s 0 src/sparse
    truncate -s 1M src/sparse
    printf data | dd of=src/sparse bs=4096 seek=32 conv=notrunc status=none
    backup p.yaml b
    expect 0 diff p.yaml a b
    same lines "$(differences)" "M  src/sparse"
}

@test "what only a repository knows: extended attributes" {
    pipeline p.yaml demo "store: {format: repository}"
    setfattr -n user.color -v red src/one || skip "no extended attributes here"
    backup p.yaml a
    setfattr -n user.color -v blue src/one
    backup p.yaml b
    expect 0 diff p.yaml a b --json
    document '[.differences[] | [.change, .fields]] == [["metadata", ["xattrs"]]]'
}

components() {
    local format=$2
    staged "$1" demo "trees: [gone, tree], blobs: [blob, old]" "store: {format: $format}"
    backup "$1" a
    staged "$1" demo "trees: [new, tree, old], blobs: [blob], size: 70" "store: {format: $format}"
    backup "$1" b
    expect 0 diff "$1" a b
    same lines "$(grep -E '^[-+MTU]  ' <<<"$output")" "M  blob
-  gone/
-  gone/data
+  new/
+  new/data
T  old/
+  old/data
M  tree/data"
    out_has "components  1 new, 1 removed, 2 changed"
    expect 0 diff "$1" a b --json
    document '.differences[0] == {change: "content", component: "blob", old_type: "blob",
        type: "blob", old_size: 64, size: 70, fields: ["content"]}'
    document '.differences | any(.component == "gone" and .change == "removed" and
        .old_type == "tree" and (has("path") | not))'
    document '.summary.components == {added: 1, removed: 1, content: 1, type: 1, metadata: 0}'
    expect 0 diff "$1" a b --component blob --component 'n*'
    same lines "$(grep -E '^[-+MTU]  ' <<<"$output")" $'M  blob\n+  new/\n+  new/data'
    expect 10 diff "$1" a b --component nonsense
    same stdout "$output" ""
    err_has "neither backup has a component 'nonsense'"
}

@test "components: new, gone, of another kind; some of them" {
    both components
}

@test "a component that had failed is named, the others are compared, exit code 3" {
    staged p.yaml demo "blobs: [a, b]"
    backup p.yaml one
    staged p.yaml demo "blobs: [a, b], size: 65, fail: [b]"
    run -3 backup p.yaml two
    expect 3 diff p.yaml one two
    same lines "$(grep -E '^[-+MTU]  ' <<<"$output")" "M  a"
    err_has "component 'b' had failed in backup 'two': "
    err_has "1 component could not be compared, as named above"
    expect 3 diff p.yaml one two --json
    document '.left_out == ["b"] and (.differences | length) == 1'
    expect 3 diff p.yaml one two --component b
    same stdout "$output" ""
}

@test "a damaged listing is an error; what else there is is compared" {
    staged p.yaml demo "trees: [t], blobs: [a]" "store: {format: archive}"
    backup p.yaml one
    staged p.yaml demo "trees: [t], blobs: [a], size: 65" "store: {format: archive}"
    backup p.yaml two
    flip store/backups/two/t.mtree
    expect 1 diff p.yaml one two
    err_has "component 't' of backup 'two': "
    err_has "1 component could not be compared"
    out_has "M  a"
    out_lacks "does not differ"
    expect 1 diff p.yaml one two --json
    document '.left_out == ["t"] and any(.differences[]; .component == "a")'
    rm store/backups/two/t.mtree
    expect 1 diff p.yaml one two
    err_has "component 't' of backup 'two': "
}

@test "damaged metadata in a repository are an error, too" {
    staged p.yaml demo "trees: [t], blobs: [a]" "store: {format: repository}"
    backup p.yaml one
    objects store >before
    staged p.yaml demo "trees: [t], blobs: [a], size: 65" "store: {format: repository}"
    backup p.yaml two
    local pack
    for pack in $(objects store | comm -13 before - | grep ^./packs/); do
        flip "store/$pack"
    done
    expect 1 diff p.yaml one two
    err_has "backup 'two': component 't': "
    err_has "1 component could not be compared"
    same lines "$(grep -E '^[-+MTU]  ' <<<"$output")" "M  a"
    expect 1 diff p.yaml one two --json
    document '.left_out == ["t"] and any(.differences[]; .component == "a")'
}

@test "unknown backups: 10, and nothing on standard output" {
    pipeline p.yaml demo
    expect 10 diff p.yaml a b
    backup p.yaml one
    local args
    for args in "one two" "two one" "one two --json" "two one --json"; do
        # shellcheck disable=SC2086 # words
        expect 10 diff p.yaml $args
        same stdout "$output" ""
        err_has "there is no backup 'two'"
    done
    expect 2 diff p.yaml one
    err_has "bakengine diff PIPELINE BACKUP BACKUP"
    mkdir empty
    expect 10 diff empty one two
}

names() {
    backup "$1" a
    printf x >"$(printf 'src/evil\033[2J\nname')"
    printf x >"$(printf 'src/latin\351')"
    keep_times src
    backup "$1" b
    expect 0 diff "$1" a b
    same escapes "$(grep -c $'\033' <<<"$output")" 0
    out_has '\x1b[2J\x0aname'
    out_has 'latin\xe9'
    same lines "$(differences | wc -l)" 3
    expect 0 diff "$1" a b --json
    document '.differences | length == 3'
}

@test "names that would garble a terminal are escaped" {
    both names
}

many() {
    backup "$1" a
    mkdir src/many
    (cd src/many && seq -f 'a-rather-long-name-of-a-file-%.0f' 3000 | xargs touch)
    backup "$1" b
    "$BAKENGINE" diff "$1" a b --json >out.json
    same entries "$(jq '.differences | length' out.json)" 3002
    "$BAKENGINE" diff "$1" a b >out
    same lines "$(grep -c '^+  ' out)" 3001
    grep -q 'files *3,000 new' out
    # whoever has seen enough: neither an endless loop nor a crash
    run --separate-stderr bash -c '"$BAKENGINE" diff p.yaml a b | head -1'
    same lines "${#lines[@]}" 1
    run --separate-stderr bash -c '"$BAKENGINE" diff p.yaml a b --json >/dev/full'
    same status "$status" 1
    err_has "cannot write to standard output"
}

@test "many differences; an output that takes no more" {
    both many
}
