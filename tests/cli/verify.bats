# verify.
load helpers

@test "the latest by default, --all for each, a name for one" {
    pipeline p.yaml demo
    backup p.yaml a
    backup p.yaml b
    expect 0 verify p.yaml --json
    events verify
    same checked "$(jq -r 'select(.message_type == "verified") | .id' <<<"$output")" b
    expect 0 verify p.yaml --all --json
    same checked "$(jq -r 'select(.message_type == "verified") | .id' <<<"$output")" $'a\nb'
    same backups "$(summary .backups)" 2
    expect 0 verify p.yaml a
    out_has "a in 'local': read ok, 2 objects"
    out_has "verify: ok, 1 backup"
}

@test "--level quick looks at sizes, read at every byte" {
    pipeline p.yaml demo
    backup p.yaml one
    expect 0 verify p.yaml --level quick --json
    event '.message_type == "verified" and .level == "quick" and .bytes == 0 and .objects == 2'
    expect 0 verify p.yaml --level read --json
    event '.message_type == "verified" and .level == "read" and .bytes == 8'
    # a bit is not seen by its size, a byte is
    flip store/backups/one/files.tar
    expect 0 verify p.yaml --level quick
    expect 4 verify p.yaml --level read
    echo >>store/backups/one/files.tar
    expect 4 verify p.yaml --level quick
    err_has "object 'backups/one/files.tar' has "
    err_has "the manifest says "
}

@test "the newest record is what list shows" {
    pipeline p.yaml demo
    backup p.yaml one
    expect 0 list p.yaml --json
    document '.backups[0] | has("verified") | not'
    expect 0 show p.yaml
    out_has "verified    never"
    expect 0 verify p.yaml
    expect 0 list p.yaml
    out_has "read ok 20"
    cp store/backups/one/files.tar kept
    flip store/backups/one/files.tar
    expect 4 verify p.yaml
    expect 0 list p.yaml
    out_has "read damaged 20"
    cp kept store/backups/one/files.tar
    expect 0 verify p.yaml --level quick
    expect 0 list p.yaml
    out_has "quick ok 20"
    same records "$(find store/backups/one/records -name '*-verify.json' | wc -l)" 3
}

@test "each object is looked at: missing, cut, changed, wherever the bit is" {
    staged p.yaml demo "trees: [tree], blobs: [blob], size: 3000 B" "transforms: [{plugin: zstd}]"
    backup p.yaml one
    cp -a store whole
    local name
    for name in tree.tar.zst tree.mtree.zst blob.zst; do
        flip "store/backups/one/$name"
        expect 4 verify p.yaml --json
        events verify
        event '.message_type == "error"'
        truncate -s -1 "store/backups/one/$name"
        expect 4 verify p.yaml --level quick
        : >"store/backups/one/$name"
        expect 4 verify p.yaml
        rm "store/backups/one/$name"
        expect 4 verify p.yaml --level quick
        err_has "object 'backups/one/$name' is missing"
        cp "whole/backups/one/$name" store/backups/one/
    done
    expect 0 verify p.yaml
}

@test "a manifest with one bit flipped is damage, and does not hide the other backups" {
    pipeline p.yaml demo
    backup p.yaml demo-a
    backup p.yaml demo-b
    flip store/backups/demo-a/manifest.json
    expect 4 verify p.yaml --all --json
    events verify
    event '.message_type == "error" and (.text | contains("demo-a"))'
    event '.message_type == "verified" and .id == "demo-b" and .result == "ok"'
    expect 0 list p.yaml
    out_has damaged
    out_has "good"
    err_has "demo-a"
    expect 0 restore p.yaml --target out
    expect 1 restore p.yaml demo-a --target out2
    absent out2
}

@test "a damaged store does not speak for its mirror" {
    mirrored p.yaml demo other
    backup p.yaml one
    flip other/backups/one/files.tar
    expect 4 verify p.yaml --json
    event '.message_type == "verified" and .sink == "one" and .result == "ok"'
    event '.message_type == "verified" and .sink == "two" and .result == "damaged"'
    err_lacks "sink 'one'"
}

@test "a store that cannot be written to can be verified" {
    pipeline p.yaml demo
    backup p.yaml one
    chmod -R a+rX store
    expect_nobody 0 verify store
    out_has "read ok"
    err_has "cannot record the result beside the backup"
    same records "$(find store -path '*/records/*')" ""
}

@test "a backup of another store is not this one's: a manifest that was moved" {
    pipeline p.yaml demo
    backup p.yaml demo-a
    cp -a store/backups/demo-a store/backups/demo-b
    expect 4 verify p.yaml demo-b
    expect 4 verify p.yaml --all
    expect 0 verify p.yaml demo-a
}

@test "a store of a newer format is refused, and says what to do" {
    pipeline p.yaml demo
    backup p.yaml one
    python3 - store/bakengine.json <<'PY'
import hashlib, re, sys
text = open(sys.argv[1], "rb").read()
text = text.replace(b'"format_version": 1', b'"format_version": 2').replace(
    b'"format_version":1', b'"format_version":2')
at = text.rindex(b'"sha256"')
seal = hashlib.sha256(text[:at]).hexdigest().encode()
open(sys.argv[1], "wb").write(text[:at] + re.sub(rb"[0-9a-f]{64}", seal, text[at:]))
PY
    expect 1 list p.yaml
    err_has "format version 2"
    err_has "HINT: use the bakengine that wrote it, or a newer one"
    expect 1 run p.yaml
    expect 1 prune p.yaml
    expect 1 verify p.yaml
}
