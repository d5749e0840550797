#!/bin/bash
# A pilot of the factory apftui, wrapper "directory". It prints a few lines on the node, takes
# payload jobs (executable files) from a shared folder and runs each in a scratch folder of its own.
# Signals go on to the payload, and to all that it started. It needs bash, coreutils, sed, awk and
# flock. Exit codes: that of the last payload that failed, else 0, also if there was no payload;
#   66  the shared folder is not there or cannot be written
#   69  files cannot be locked on this node
#   73  no scratch folder can be made
# The queue's settings:
path=@{ path }@
queue=@{ queue }@
max_payloads=@{ max_payloads }@
max_seconds=@{ max_seconds }@
grace=@{ grace }@

set -u
#% include "steps/report_node.sh"
#% include "steps/run_payload.sh"

# fail CODE TEXT: ends the pilot.
fail() {
    tell "pilot failed: $2" >&2
    exit "$1"
}

# pilot_id: the id that the factory gave, else one that nobody else has.
pilot_id() {
    local LC_ALL=C id=${APF_PILOT:-}
    if [[ ! $id =~ ^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$ ]]; then
        id=${HOSTNAME//[^A-Za-z0-9-]/_}
        id=by-hand-${id:0:30}-$$-$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')
    fi
    printf '%s\n' "$id"
}

folder=$path/$queue
pilot=$(pilot_id)
scratch=
payloads=0
result=0

check_folders() {
    local each
    command -v flock >/dev/null || fail 69 "there is no flock on this node (package util-linux)"
    [[ $queue != */* && $queue != .* && -n $queue ]] || fail 66 "$queue is no folder's name"
    for each in new running 'done' failed; do
        [[ -d $folder/$each && -w $folder/$each ]] || fail 66 "cannot use $folder/$each"
    done
}

# Runs one payload; fails if there is none.
run_next() {
    local file claimed
    mkdir -p -- "$scratch/$((payloads + 1))" || fail 73 "cannot make a folder in $scratch"
    for file in "$folder/new"/*; do
        [[ -z $stopped_by ]] || return 1
        # Neither symbolic links nor pipes, nor what is still being written.
        [[ -f $file && ! -L $file && -x $file ]] || continue
        fits "${file##*/}" || continue
        if ! { exec 9<"$file"; } 2>/dev/null; then
            [[ ! -e $file ]] || tell "cannot read $file: left alone"
            continue
        fi
        claimed=$folder/running/$pilot,${file##*/}
        if claim "$file" "$claimed"; then
            run_claimed "${file##*/}" "$claimed"
            exec 9<&-
            return 0
        fi
        exec 9<&-
    done
    return 1
}

# fits NAME: our id fits before it.
fits() {
    local LC_ALL=C name=${1#again,}
    ((${#name} <= 180))
}

# claim FILE CLAIMED: locks what is open as 9, then moves it. In this order a payload in running/
# without a lock is one whose pilot is gone; the factory gives it to another pilot.
claim() {
    local code=0
    flock -n 9 || code=$?
    ((code != 1)) || return 1 # another pilot has it
    ((code == 0)) || fail 69 "cannot lock $1"
    if ! mv -fT -- "$1" "$2" 2>/dev/null; then
        [[ ! -e $1 ]] || tell "cannot move $1: left alone"
        return 1
    fi
    [[ $2 -ef /proc/self/fd/9 ]] && return 0
    # Another file has got the name since it was opened, and is not the one that is locked. If that
    # name is taken once more, the factory finds this one without a pilot.
    mv -nT -- "$2" "$1"
    return 1
}

# run_claimed NAME CLAIMED: the lock goes on to the payload, so it lasts while one of us lives.
run_claimed() {
    local code started=$SECONDS
    payloads=$((payloads + 1))
    tell "payload $1: started"
    run_payload in_folder "$scratch/$payloads" "$2"
    code=$?
    rm -rf -- "${scratch:?}/$payloads"
    ((code == 0)) || result=$code
    tell "payload $1: exit code $code after $((SECONDS - started)) s"
    if ((code == 0)); then
        mv -fT -- "$2" "$folder/done/${2##*/}"
    elif [[ -z $stopped_by ]]; then
        mv -fT -- "$2" "$folder/failed/${2##*/}"
    else
        tell "payload $1: this pilot was stopped by SIG$stopped_by, another one may try"
    fi
}

# make_scratch: the batch system's scratch folder, the current one, or what the node has.
make_scratch() {
    local parent
    for parent in "${_CONDOR_SCRATCH_DIR:-}" "$PWD" "${TMPDIR:-}" /tmp; do
        [[ -n $parent && -w $parent ]] || continue
        mktemp -d -- "$parent/payloads.XXXXXXXX" 2>/dev/null && return 0
    done
    return 1
}

# shellcheck disable=SC2329 # run_payload calls it
in_folder() {
    cd -- "$1" && exec "$2"
}

more() {
    [[ -z $stopped_by ]] || return 1
    ((max_payloads <= 0 || payloads < max_payloads)) || return 1
    ((max_seconds <= 0 || SECONDS < max_seconds))
}

report_node
check_folders
scratch=$(make_scratch) || fail 73 "cannot make a scratch folder"
trap 'rm -rf -- "$scratch"' EXIT
while more && run_next; do :; done
if [[ -n $stopped_by ]] && ((payloads == 0)); then
    result=$((128 + $(kill -l "$stopped_by")))
fi
if ((payloads == 0)); then
    tell "no payload"
else
    tell "payloads run: $payloads, exit code $result"
fi
exit "$result"
