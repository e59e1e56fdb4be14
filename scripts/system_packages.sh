#!/bin/sh
# Install what Qt and OpenGL need to draw without a screen, where Debian or Ubuntu lacks it.
set -eu

[ "$(uname -s)" = Linux ] || exit 0
if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "Not Debian or Ubuntu: the viewer's tests need Xvfb, OpenGL and Qt's xcb libraries." >&2
    exit 0
fi

wanted="libgl1 libegl1 libglib2.0-0 libdbus-1-3 libfontconfig1 libxkbcommon0 fonts-dejavu-core
xvfb xauth libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxkbcommon-x11-0 libxcb-shape0"

# A package counts as present under every name it provides: Ubuntu renamed libglib2.0-0.
installed=$(dpkg-query -W -f='${db:Status-Abbrev}|${Package}, ${Provides}\n' |
    sed -n 's/^ii *|//p' | tr ',' '\n' | sed 's/^ *//; s/ .*//')
missing=
for package in $wanted; do
    printf '%s\n' "$installed" | grep -qxF "$package" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
# shellcheck disable=SC2086  # one argument a package
exec "$(dirname "$0")/apt_install.sh" $missing
