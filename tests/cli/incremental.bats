# run in a repository: types, parents, components that are not read.
load helpers

# repo FINGERPRINT [MORE]: a pipeline of a blob and a tree, in a repository.
repo() {
    staged p.yaml demo "blobs: [b], trees: [t], size: 100 KiB, fingerprint: $1${2:+, $2}" \
        "store: {format: repository}"
}

@test "a component whose source calls it equal is not read" {
    repo v1
    expect 0 run p.yaml
    # Reading would fail now: only what is not read can succeed.
    repo v1 "fail: [b, t]"
    expect 0 run p.yaml --json
    event '.message_type == "component" and .name == "b" and .bytes_in == 102400 and .bytes_new == 0'
    event '.message_type == "component" and .name == "t" and .entries == 2 and .unchanged == 2'
    expect 0 cat p.yaml latest b
    same length "${#output}" 102399 # run takes the last newline
    expect 0 restore p.yaml latest --target out
    same tree "$(stat -c %s out/t/data)" 102400
    expect 0 verify p.yaml --all --level read
}

@test "another fingerprint, or --type full, has it read" {
    repo v1
    expect 0 run p.yaml
    repo v2 "fail: [b]"
    expect 3 run p.yaml
    out_has "the connection broke off"
    repo v1 "fail: [b]"
    expect 3 run p.yaml --type full
}

@test "what failed in the parent is read" {
    repo v1 "fail: [b]"
    expect 3 run p.yaml
    repo v1
    expect 0 run p.yaml --json
    event '.message_type == "component" and .name == "b" and .bytes_in == 102400'
    expect 0 verify p.yaml latest --level read
}

@test "the dry run states a budget that counts the packs" {
    repo v1
    expect 0 run p.yaml --dry-run --json
    event '.message_type == "plan" and .format == "repository" and .memory_budget > 67108864'
    absent store
}

@test "a store of one format is not taken for the other" {
    repo v1
    expect 0 run p.yaml
    sed -i 's/format: repository/format: archive/' p.yaml
    expect 2 run p.yaml
    err_has "holds a store of format 'repository', but the pipeline says 'archive'"
    err_has "HINT: set 'store: {format: repository}'"
    expect 0 list "$WORK/store"
    out_has "demo-"
    expect 0 restore "$WORK/store" latest --target back
    [ -f back/t/data ]
}
