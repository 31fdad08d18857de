#!/usr/bin/env bash
# Plugins of one's own: installs the engine, builds examples/ against what was installed and nothing
# else, with CMake and with make, and backs up and restores with them.
# Usage: examples.sh BUILD_DIR [WORK_DIR]   (exit 77: something that is needed is not here)
set -euo pipefail

build=$(cd "${1:?usage: examples.sh BUILD_DIR [WORK_DIR]}" && pwd)
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
if [ $# -ge 2 ]; then
    mkdir -p "$2"
    work=$(cd "$2" && pwd)/examples
    rm -rf "$work"
    mkdir "$work"
else
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
fi

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

for tool in cmake make pkg-config cc; do
    if ! command -v "$tool" >/dev/null; then
        echo "SKIPPED: no $tool"
        exit 77
    fi
done

umask 022
prefix=$work/prefix
export BAKENGINE_STATE_DIR=$work/state BAKENGINE_CACHE_DIR=$work/cache
unset BAKENGINE_PLUGIN_PATH

echo "== install"
cmake --install "$build" --prefix "$prefix" >"$work/install.log" || fail "see $work/install.log"
pc=$(find "$prefix" -name bakengine.pc)
[ -n "$pc" ] || fail "no bakengine.pc was installed"
export PKG_CONFIG_PATH=${pc%/*}
bakengine=$prefix/bin/bakengine
[ -x "$bakengine" ] || fail "no bakengine was installed"

# Moved, to show that nothing remembers where it was installed.
mv "$prefix" "$work/moved"
prefix=$work/moved
bakengine=$prefix/bin/bakengine
PKG_CONFIG_PATH=$work/moved${PKG_CONFIG_PATH#"$work/prefix"}
[ "$(pkg-config --variable=abi_major bakengine)" = 1 ] || fail "abi_major is not 1"
[ -z "$(pkg-config --libs bakengine)" ] || fail "a plugin must not link with the engine"
[ -d "$(pkg-config --variable=plugindir bakengine)" ] || fail "plugindir does not exist"

echo "== build, out of tree"
cp -r "$source_dir/examples" "$work/src"
make -s -C "$work/src" BUILD="$work/plugins" >"$work/make.log" || fail "see $work/make.log"
{
    cmake -S "$work/src" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" &&
        cmake --build "$work/cmake" && cmake --install "$work/cmake"
} >"$work/cmake.log" 2>&1 || fail "see $work/cmake.log"
for plugin in source-hostfacts sink-flat; do
    [ -f "$work/plugins/$plugin.so" ] || fail "make built no $plugin.so"
    [ -f "$(pkg-config --variable=plugindir bakengine)/$plugin.so" ] ||
        fail "cmake installed no $plugin.so where the engine looks"
done

# One round: everything with the plugins that the environment of the caller leads to.
round() {
    local dir=$work/$1
    mkdir "$dir"
    cp "$work/src/pipeline.yaml" "$dir/"
    cd "$dir"
    export FLAT_DIR=$dir/store

    "$bakengine" plugins >plugins.txt
    grep -q 'source-hostfacts' plugins.txt || fail "plugins does not name source-hostfacts"
    "$bakengine" plugins sink-flat >flat.txt
    grep -q 'path  (path, required)' flat.txt || fail "plugins sink-flat does not say its options"
    "$bakengine" validate pipeline.yaml
    "$bakengine" run pipeline.yaml
    [ "$("$bakengine" list pipeline.yaml --json | grep -c 'hostfacts-')" -ge 1 ] ||
        fail "list does not name the backup"
    "$bakengine" verify pipeline.yaml --level read
    "$bakengine" restore pipeline.yaml --target "$dir/out"

    find "$dir/out" -type f -exec cat {} + >restored.txt
    grep -q '^=== /proc/meminfo ===$' restored.txt || fail "the blob did not come back"
    grep -q '^MemTotal:' restored.txt || fail "the blob has no content"
    [ -z "$(find "$dir/store" -mindepth 1 -type d)" ] || fail "sink-flat made directories"
    find "$dir/store" -name '*%2F*manifest.json' | grep -q . || fail "there is no escaped name"
    cd "$work"
}

echo "== with BAKENGINE_PLUGIN_PATH"
rm "$(pkg-config --variable=plugindir bakengine)"/{source-hostfacts,sink-flat}.so
BAKENGINE_PLUGIN_PATH=$work/plugins round environment

echo "== installed beside the others"
cmake --install "$work/cmake" >>"$work/cmake.log"
round installed

echo "== what is not to be trusted is not loaded"
chmod g+w "$work/plugins/sink-flat.so"
status=0
FLAT_DIR=$work/never BAKENGINE_PLUGIN_PATH=$work/plugins "$bakengine" validate \
    "$work/src/pipeline.yaml" 2>"$work/refused.txt" || status=$?
[ "$status" = 2 ] || fail "exit status $status instead of 2"
grep -q 'can be written to by others' "$work/refused.txt" || fail "the reason is not said"
chmod g-w "$work/plugins/sink-flat.so"
status=0
BAKENGINE_PLUGIN_PATH=plugins "$bakengine" plugins 2>"$work/refused.txt" || status=$?
[ "$status" = 2 ] || fail "a relative plugin path: exit status $status instead of 2"

echo "== the header alone"
for standard in c99 c11; do
    echo '#include <bakengine/plugin.h>' | cc -std="$standard" -pedantic-errors -Wall -Wextra -Werror \
        -fsyntax-only -x c "-I$prefix/include" - || fail "the header is not $standard"
done
echo "passed"
