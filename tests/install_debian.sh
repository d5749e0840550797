#!/usr/bin/env bash
# Installs the Debian packages that the tests need and that are missing. Without root it names
# them and goes on: the tests that need them are skipped with their reason.
set -euo pipefail

missing=()
need() { # need PACKAGE COMMAND
    command -v "$2" >/dev/null 2>&1 || missing+=("$1")
}
PATH=$PATH:/usr/sbin:/sbin
need tmux tmux               # the console, end to end
need debootstrap debootstrap # the pool's root folder
need mount mount             # its /proc and /dev
need util-linux unshare
need faketime faketime       # a clock that goes back
need git git
need openssl openssl         # a certificate that nobody trusts
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql) # below PanDA
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing+=(debian-archive-keyring)
# Another interpreter than the system's own has its own way to be installed: make names it.
if [ "${PYTHON:-python3}" = python3 ]; then
    python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || missing+=(python3-venv)
fi
# PanDA's server does not run as root, whose own Python may be out of others' reach.
if [ "$(id -u)" -eq 0 ] && ! /usr/bin/python3 -c 'import venv, ensurepip' >/dev/null 2>&1; then
    missing+=(python3 python3-venv)
fi

[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing: ${missing[*]} (this is no Debian; tests that need them are skipped)" >&2
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "missing: ${missing[*]}; tests that need them are skipped. To install them, type:" >&2
    echo "    sudo apt-get install ${missing[*]}" >&2
    exit 0
fi
echo "installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq -o Acquire::Retries=3
apt-get install -y -qq -o Acquire::Retries=3 --no-install-recommends "${missing[@]}" >/dev/null
