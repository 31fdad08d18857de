# Names below a source's own, and trees whose entries come in no order.
load helpers

components() { jq -r '.components[].name' store/backups/"$1"/manifest.json | tr '\n' ' '; }

@test "components and groups stand below the source's name, and the plugin does not know" {
    below p.yaml "odd: [blog.sql]"
    expect 0 run p.yaml --id one --json
    events run
    event '.message_type == "component" and .name == "app/shop.sql"'
    same names "$(components one)" "app/shop.sql app/blog.sql "
    same groups "$(jq -r '.components[].group' store/backups/one/manifest.json | tr '\n' ' ')" \
        "app app/odd "
    called $'read shop.sql\nread blog.sql'
    expect 0 ls p.yaml one
    out_has app/shop.sql
    expect 0 cat p.yaml one app/shop.sql
    same dump "$output" "sound shop"
}

@test "only, dry runs and bundles know them by the same names" {
    below p.yaml
    expect 0 run p.yaml --dry-run --json
    event '.message_type == "plan" and any(.components[]; .name == "app/blog.sql" and .group == "app")'
    expect 0 run p.yaml --id one --only 'app/shop*'
    same names "$(components one)" "app/shop.sql "
    below q.yaml "" "store: {bundle: stack}"
    sed -i 's/store}/other}/' q.yaml
    expect 0 run q.yaml --id two
    expect 0 cat q.yaml two app/blog.sql
    same dump "$output" "sound blog"
}

@test "a restore gives the plugin its own names back" {
    below p.yaml "odd: [blog.sql]"
    backup p.yaml one
    rm calls
    expect 0 restore p.yaml --json
    events restore
    event '.message_type == "group" and .name == "app" and .source == "app" and .status == "ok"'
    event '.message_type == "group" and .name == "app/odd"'
    called "$(
        cat <<'EOT'
begin . restore backup=one as= at=0 pipeline=p.yaml program=bakengine parts=
  shop.sql
writer shop.sql group=. restore flags=0 facts={"colour":"green"}
commit shop.sql 11
end . good=1
begin odd restore backup=one as= at=0 pipeline=p.yaml program=bakengine parts=
  blog.sql
writer blog.sql group=odd restore flags=0 facts={"colour":"green"}
commit blog.sql 11
end odd good=1
EOT
    )"
    same shop "$(cat shop.sql.back)" "sound shop"
    rm calls
    expect 0 restore p.yaml --stack app --component '**/shop.sql'
    same begun "$(grep -c '^begin' calls)" 1
    expect 0 restore p.yaml --undo --stack app
    same undone "$(grep '^undo' calls)" "undo ."
    expect 1 restore p.yaml --undo --stack other
    err_has "no source has a group 'other'"
}

@test "the source is called something else now: what it had is not its own" {
    below p.yaml
    backup p.yaml one
    sed -i 's/name: app/name: web/' p.yaml
    expect 1 restore p.yaml
    err_has "component 'app/shop.sql' came from source 'app' (below), which the pipeline does not have"
    expect 0 restore p.yaml --target out
    same shop "$(cat out/app/shop.sql)" "sound shop"
}

tree() { # OPTIONS [LINE...]
    echo data >base
    below p.yaml "trees: [base]${1:+, $1}" "${@:2}"
}

each_format() { # FUNCTION: with a store of either format
    local format
    for format in archive repository; do
        rm -rf store p.yaml calls out base.back
        tree "" "store: {format: $format}"
        "$1"
    done
}

@test "a tree in no order: all is read, each time, and restored as it came" {
    check() {
        backup p.yaml one
        same marked "$(jq '.components[0].unordered' store/backups/one/manifest.json)" true
        same blob "$(jq '.components[1] | has("unordered")' store/backups/one/manifest.json)" false
        rm calls
        expect 0 run p.yaml --id two --json
        event '.message_type == "component" and .name == "app/base" and .entries == 6
            and .unchanged == 0'
        same entries "$(grep '^entry' calls | tr '\n' ' ')" \
            "entry z entry m/b entry m/a entry c "
        rm calls
        expect 0 restore p.yaml --component app/base
        same order "$(grep '^put' calls | tr '\n' ' ')" "put . put z put m put m/b put m/a put c "
        grep -q '^writer base group=. restore flags=1' calls
        expect 0 restore p.yaml --target out --component app/base
        same files "$(cd out/app/base && find . -type f | sort | tr '\n' ' ')" "./c ./m/a ./m/b ./z "
        same file "$(cat out/app/base/m/b)" data
        expect 0 ls p.yaml two app/base
        out_has m/b
        expect 0 cat p.yaml two app/base m/a
        same file "$output" data
        expect 0 verify p.yaml --all
    }
    each_format check
}

@test "a tree in no order: diff says that it cannot compare two" {
    check() {
        backup p.yaml one
        backup p.yaml two
        expect 0 diff p.yaml one two
        echo other >base
        backup p.yaml three
        expect 3 diff p.yaml one three
        err_has "component 'app/base' differs: its entries were stored as they came, in no order"
    }
    each_format check
}

@test "a damaged tree in no order: what is whole is restored" {
    head -c 3000000 /dev/urandom >base
    below p.yaml "trees: [base]" "store: {format: repository}"
    backup p.yaml one
    local pack
    pack=$(find store/packs -type f -size +1M | head -n 1)
    flip "$pack"
    expect 4 verify p.yaml
    expect 3 restore p.yaml --target out --component app/base
    [ -e out/app/base/m ]
}
