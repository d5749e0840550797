# Every process started in the background gets a process group of its own: a signal reaches all
# that it started.
set -m

payload=    # process group of what runs
pending=    # a signal that came while it was being started
stopped_by= # the first signal that ends the pilot
watchdog=
interrupted=

trap 'forward TERM' TERM
trap 'forward INT' INT
trap 'forward HUP' HUP
trap 'forward QUIT' QUIT
trap 'forward XCPU' XCPU
trap 'forward USR1' USR1
trap 'forward USR2' USR2

# shellcheck disable=SC2329 # the traps call it
forward() {
    interrupted=yes
    [[ $1 == USR? || -n $stopped_by ]] || stopped_by=$1
    if [[ -z $payload ]]; then
        pending=$1
    else
        hand_on "$1"
    fi
}

hand_on() {
    kill -s "$1" -- "-$payload" 2>/dev/null
    [[ $1 != USR? && -z $watchdog ]] || return
    tell "SIG$1: payload asked to end, $grace seconds left"
    (
        sleep "$grace"
        kill -s KILL -- "-$payload"
    ) >/dev/null 2>&1 9<&- &
    watchdog=$!
    disown "$watchdog"
}

# run_payload COMMAND ARG...: returns its exit code, 128 + n if signal n killed it.
run_payload() {
    local code
    if [[ -n $stopped_by ]]; then
        return $((128 + $(kill -l "$stopped_by")))
    fi
    "$@" </dev/null &
    payload=$!
    if [[ -n $pending ]]; then
        hand_on "$pending"
        pending=
    fi
    # A signal also ends `wait`, with a code that is not the payload's.
    while interrupted=; wait "$payload"; code=$?; [[ -n $interrupted ]]; do :; done
    kill -s KILL -- "-$payload" 2>/dev/null # what it left behind
    payload=
    if [[ -n $watchdog ]]; then
        kill -s KILL -- "-$watchdog" 2>/dev/null
        watchdog=
    fi
    return "$code"
}
