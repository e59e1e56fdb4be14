#!/bin/sh
# Make the virtual environment named by the first argument and install the project for
# development in it. PYTHON names the interpreter, TORCH_INDEX an index of CPU-only torch.
set -eu
venv=$1
here=$(dirname "$0")

new_enough() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

python=
for candidate in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
    if new_enough "$candidate"; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "Python 3.11 or newer is needed; ${PYTHON:-python3} is missing or older." >&2
    echo "Install one, then: make PYTHON=/path/to/python3.11" >&2
    exit 1
fi

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    # Debian keeps ensurepip, without which a new environment has no pip, in a package of its own.
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        "$here/apt_install.sh" "python$version-venv"
    fi
    "$python" -m venv --clear "$venv"
fi

pip="$venv/bin/python -m pip --disable-pip-version-check"
$pip install --quiet --upgrade "pip>=25.1" # the first that knows --group

# On Linux the usual index has torch with CUDA. The index of CPU builds is asked for torch
# alone, and only where it answers: pip's own configuration may know a nearer one.
if [ "$(uname -s)" = Linux ] && [ -n "${TORCH_INDEX:-}" ] && "$venv/bin/python" - <<END
import sys, urllib.request
try:
    urllib.request.urlopen("$TORCH_INDEX/torch/", timeout=10).close()
except OSError:
    sys.exit(1)
END
then
    $pip install --constraint constraints.txt --extra-index-url "$TORCH_INDEX" torch
else
    $pip install --constraint constraints.txt torch
fi
$pip install --constraint constraints.txt --group dev --editable .
