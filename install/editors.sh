# Sourced by `test`: sets up the real editors that tests drive, where that can be done: on Debian
# and Ubuntu, as root. Elsewhere the editors that are there are used, and tests of others are
# skipped and say so.
#
# Editors that this system does not have get a folder with another Debian each, in the user's cache.
# With UNDERPAINT_CACHE set to a folder, each is kept there as one file, for machines that start new.
editors_folder="${XDG_CACHE_HOME:-$HOME/.cache}/underpaint"

# Beside Krita of the system and GIMP 3.0. The tests of one are run by naming its version, as in
# UNDERPAINT_KRITA=5.2 or UNDERPAINT_GIMP=3.2.
other_editors="krita-5.2 krita-5.3 krita-6.0 gimp-3.2"

# Usage: install_editors default|all
install_editors() {
    case $1 in
    default) others= ;;
    all) others=$other_editors ;;
    *)
        echo "--editors $1: there is only 'default' and 'all'" >&2
        exit 2
        ;;
    esac
    log=$(mktemp)
    install_krita || say_why "Krita"
    install_gimp || say_why "GIMP 3"
    for editor in $others; do
        install_folder "$editor" || say_why "$editor"
    done
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
    has_all gimp-3 gimp-console-3 Xvfb xdotool openbox || install_folder gimp
}

# Usage: install_folder NAME. Why it failed is left beside the folder, for the tests to say.
install_folder() {
    folder=$editors_folder/$1
    failed=$editors_folder/$1.failed
    [ -e "$folder/complete" ] && has_all Xvfb && return
    can_install || return 1
    kept=${UNDERPAINT_CACHE:+"$UNDERPAINT_CACHE/$1.tar.gz"}
    echo "installing $1 in a folder of its own" >&2
    {
        { has_all debootstrap Xvfb || packages debootstrap xvfb; } &&
            rm -rf "$folder" "$failed" && mkdir -p "$folder" &&
            if [ -n "$kept" ] && [ -e "$kept" ]; then
                tar -xzf "$kept" -C "$folder"
            else
                make_folder "$1"
            fi &&
            touch "$folder/complete"
    } >"$log" 2>&1 || {
        tail -3 "$log" >"$failed"
        return 1
    }
    if [ -n "$kept" ] && [ ! -e "$kept" ]; then
        mkdir -p "$UNDERPAINT_CACHE" && tar -cf - -C "$folder" . | gzip -1 >"$kept.draft" &&
            mv "$kept.draft" "$kept" || echo "$kept could not be written" >&2
    fi
}

make_folder() {
    case $1 in
    gimp) debian trixie trixie gimp openbox ;;
    gimp-3.2) debian forky sid gimp openbox ;;
    krita-5.2) debian trixie trixie krita python3-pyqt5 ;;
    krita-5.3) debian forky sid krita python3-pyqt5 ;;
    krita-6.0) # without the plug-ins for SVG, Krita 6 has no icons
        debian experimental sid krita/experimental krita-data/experimental python3-pyqt6 \
            qt6-svg-plugins
        ;;
    esac && check_version "$1"
}

# Usage: debian SUITE SCRIPT PACKAGE... The script is debootstrap's: an older one knows no newer
# suite's name. Experimental is not whole: it goes on top of sid.
debian() {
    suite=$1 script=$2
    shift 2
    base=$suite
    [ "$suite" = experimental ] && base=sid
    mirror=http://deb.debian.org/debian
    debootstrap --variant=minbase "$base" "$folder" "$mirror" "$script" &&
        printf '%s\n' force-unsafe-io 'path-exclude=/usr/share/doc/*' \
            'path-exclude=/usr/share/man/*' 'path-exclude=/usr/share/help/*' \
            'path-exclude=/usr/share/locale/*' >"$folder/etc/dpkg/dpkg.cfg.d/small" &&
        printf '#!/bin/sh\nexit 101\n' >"$folder/usr/sbin/policy-rc.d" && # starts no service
        chmod +x "$folder/usr/sbin/policy-rc.d" &&
        if [ "$base" != "$suite" ]; then
            echo "deb $mirror $suite main" >"$folder/etc/apt/sources.list.d/$suite.list" &&
                chroot "$folder" apt-get -o Acquire::Check-Valid-Until=false update # of old mirrors
        fi &&
        chroot "$folder" env DEBIAN_FRONTEND=noninteractive apt-get install --yes \
            --no-install-recommends "$@" fonts-dejavu-core xdotool &&
        chroot "$folder" apt-get clean
}

# Debian goes on: the folder of a version must not come to hold the next one.
check_version() {
    editor=${1%-*} series=${1#*-}
    [ "$1" = gimp ] && series=3.0
    version=$(chroot "$folder" dpkg-query --show --showformat '${source:Upstream-Version}' "$editor")
    printf '%s\n' "${version%%+dfsg*}" >"$folder/version"
    case $version in
    "$series".*) ;;
    *)
        echo "Debian's $suite has $editor $version now, not $series"
        false
        ;;
    esac
}
