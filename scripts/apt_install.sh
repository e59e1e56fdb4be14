#!/bin/sh
# Install the named Debian packages, as root or through a sudo that asks nothing;
# where neither is possible, say what is to be installed and fail.
set -eu

if ! command -v apt-get >/dev/null 2>&1; then
    echo "Missing system packages (Debian's names): $*" >&2
    echo "Install what your system calls them, then run this again." >&2
    exit 1
fi

if [ "$(id -u)" -eq 0 ]; then
    sudo=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    echo "Missing system packages. Install them, then run this again:" >&2
    echo "    sudo apt-get install --no-install-recommends $*" >&2
    exit 1
fi

echo "Installing system packages: $*"
$sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
