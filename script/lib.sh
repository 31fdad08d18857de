# Shared by the scripts in this folder: sourced, POSIX sh. Leaves the caller in the top directory.
# shellcheck shell=sh disable=SC2034 # the package lists are used by the callers

# Debian's own tools come first: a python3 of pyenv or conda lacks Debian's modules.
PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH
LC_ALL=C.UTF-8
export PATH LC_ALL
unset PYTHONHOME PYTHONPATH CDPATH 2>/dev/null || true

# What it takes to build and run.
BUILD_PACKAGES="
    cmake g++ gcc libarchive-dev libc6-dev libcurl4-openssl-dev libjansson-dev
    libmariadb-dev libpq-dev libssl-dev libxxhash-dev libyaml-dev libzstd-dev ninja-build pkg-config"

# What the tests need on top of that.
TEST_PACKAGES="
    acl attr bats borgbackup clang-format-14 clang-tidy-14 cron curl docker-compose docker.io git
    iproute2 iptables jq libcap2-bin libcmocka-dev mariadb-backup mariadb-server mount
    postgresql-15 procps python3 python3-jsonschema
    python3-yaml restic rsync shellcheck tar time tzdata util-linux zstd"

say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $*"
    exit 1
}

is_root() { [ "$(id -u)" -eq 0 ]; }

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# missing_packages NAME...: those that are not installed, in one line.
missing_packages() {
    missing=
    for package in "$@"; do
        is_installed "$package" || missing="$missing $package"
    done
    printf '%s\n' "${missing# }"
}

# The network may fail for a moment: three tries, a little longer apart each time.
apt_get() {
    try=1
    while ! DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 \
        -o DPkg::Lock::Timeout=300 "$@" >&2; do
        [ "$try" -lt 3 ] || return 1
        say "apt-get $1 failed; trying again in $((try * 5)) s"
        sleep $((try * 5))
        try=$((try + 1))
    done
}

# need_packages NAME...: installs what is missing as root; others are told what to do.
need_packages() {
    command -v dpkg-query >/dev/null 2>&1 ||
        die "this is no Debian system; install the equivalents of: $*"
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    if ! is_root; then
        say "These Debian packages are missing: $missing"
        say "Install them as root:"
        say "    apt-get update && apt-get install -y --no-install-recommends $missing"
        return 1
    fi
    say "installing: $missing"
    apt_get update || die "apt-get update failed"
    # shellcheck disable=SC2086 # a list of names
    apt_get install --no-install-recommends $missing || die "apt-get install failed"
    still=$(missing_packages "$@")
    [ -z "$still" ] || die "these packages are still missing: $still"
}

cpus() { nproc 2>/dev/null || echo 2; }

# build_preset PRESET ON|OFF: configures and builds; the second word says whether with tests.
build_preset() {
    cmake --preset "$1" -D BUILD_TESTING="$2" >"build/$1.configure.log" 2>&1 || {
        cat "build/$1.configure.log" >&2
        return 1
    }
    cmake --build --preset "$1" -j "$(cpus)"
}

cd "$(dirname "$0")/.." || exit 1
mkdir -p build
