# Sourced by `test`: sets up the real editors that tests drive, where that can be done. Debian and
# Ubuntu, as root; elsewhere the editors that are there are used, and tests of others are skipped.
install_editors() {
    missing=
    for program in krita xvfb-run xdotool; do
        command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
    done
    if [ -z "$missing" ]; then
        return
    fi
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "not here, so that tests in Krita are skipped:$missing" >&2
        return
    fi
    echo "installing Krita and a screen for its tests" >&2
    log=$(mktemp)
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes \
        --no-install-recommends krita xvfb xauth xdotool python3-pyqt5; } >"$log" 2>&1; then
        tail -3 "$log" >&2
        echo "they cannot be installed; their tests are skipped" >&2
    fi
    rm -f "$log"
}
