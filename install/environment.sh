# Sourced by `try` and `test`: makes .venv in the checkout and installs Underpaint into it.
# Usage: prepare_environment [EXTRA]
set -eu

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
python=$root/.venv/bin/python

find_python() {
    for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "Underpaint needs Python 3.11 or newer; install one, or name it: PYTHON=/path/to/python3" >&2
    exit 3
}

# pip's torch for Linux brings several gigabytes of CUDA libraries. Where they are of no use, name
# the index of PyTorch's CPU builds (pytorch.org tells it) in TORCH_INDEX_URL.
install_torch() {
    wanted=$(grep '^torch==' "$root/install/constraints.txt")
    if ! "$python" -c 'import torch' 2>/dev/null; then
        "$python" -m pip install --quiet ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} "$wanted"
    fi
}

prepare_environment() {
    if [ ! -x "$python" ]; then
        interpreter=$(find_python)
        "$interpreter" -m venv "$root/.venv" || {
            rm -rf "$root/.venv"
            echo "making .venv failed; on Debian and Ubuntu: apt install python3-venv" >&2
            exit 3
        }
    fi
    echo "installing Underpaint and what it needs into .venv (some minutes the first time)" >&2
    install_torch
    "$python" -m pip install --quiet --constraint "$root/install/constraints.txt" \
        --editable "$root${1:-}"
}
