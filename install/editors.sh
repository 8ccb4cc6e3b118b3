# Sourced by `test`: sets up the real editors that tests drive, where that can be done: on Debian
# and Ubuntu, as root. Elsewhere the editors that are there are used, and tests of others are
# skipped and say so.

# Debian 12 has no GIMP 3, so it gets a folder with a newer Debian of its own, in the user's cache.
# With UNDERPAINT_CACHE set to a folder, it is kept there as one file, for machines that start new.
gimp_folder="${XDG_CACHE_HOME:-$HOME/.cache}/underpaint/gimp"

install_editors() {
    log=$(mktemp)
    install_krita || say_why "Krita"
    install_gimp || say_why "GIMP 3"
    rm -f "$log"
}

say_why() {
    tail -3 "$log" >&2
    echo "$1 cannot be installed here; its tests are skipped" >&2
}

can_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && return
    echo "only root of a Debian or Ubuntu can" >"$log"
    false
}

has_all() {
    for program in "$@"; do
        command -v "$program" >/dev/null 2>&1 || return 1
    done
}

packages() {
    apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes \
        --no-install-recommends "$@"
}

install_krita() {
    has_all krita Xvfb xdotool && return
    can_install || return 1
    echo "installing Krita and a screen for its tests" >&2
    packages krita xvfb xdotool python3-pyqt5 >"$log" 2>&1
}

install_gimp() {
    has_all gimp-3.0 gimp-console-3.0 Xvfb xdotool openbox && return
    [ -e "$gimp_folder/complete" ] && has_all Xvfb && return
    can_install || return 1
    kept=${UNDERPAINT_CACHE:+"$UNDERPAINT_CACHE/gimp.tar.gz"}
    echo "installing GIMP 3 in a folder of its own" >&2
    {
        packages debootstrap xvfb &&
            rm -rf "$gimp_folder" && mkdir -p "$gimp_folder" &&
            if [ -n "$kept" ] && [ -e "$kept" ]; then
                tar -xzf "$kept" -C "$gimp_folder"
            else
                make_gimp_folder
            fi &&
            touch "$gimp_folder/complete"
    } >"$log" 2>&1 || return 1
    if [ -n "$kept" ] && [ ! -e "$kept" ]; then
        mkdir -p "$UNDERPAINT_CACHE" && tar -cf - -C "$gimp_folder" . | gzip -1 >"$kept.draft" &&
            mv "$kept.draft" "$kept" || echo "$kept could not be written" >&2
    fi
}

make_gimp_folder() {
    debootstrap --variant=minbase trixie "$gimp_folder" &&
        printf '%s\n' force-unsafe-io 'path-exclude=/usr/share/doc/*' \
            'path-exclude=/usr/share/man/*' 'path-exclude=/usr/share/help/*' \
            'path-exclude=/usr/share/locale/*' >"$gimp_folder/etc/dpkg/dpkg.cfg.d/small" &&
        printf '#!/bin/sh\nexit 101\n' >"$gimp_folder/usr/sbin/policy-rc.d" && # starts no service
        chmod +x "$gimp_folder/usr/sbin/policy-rc.d" &&
        chroot "$gimp_folder" env DEBIAN_FRONTEND=noninteractive apt-get install --yes \
            --no-install-recommends gimp fonts-dejavu-core openbox xdotool &&
        chroot "$gimp_folder" apt-get clean
}
