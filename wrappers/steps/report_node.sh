# tell TEXT: one line of the pilot's log, whatever the text holds.
tell() {
    local LC_ALL=C line=$*
    TZ=UTC0 printf '%(%Y-%m-%dT%H:%M:%SZ)T %s\n' -1 "${line//[^[:print:]]/?}"
}

# batch_job: what the batch system calls this job, if it is one that says so.
batch_job() {
    local ad=${_CONDOR_JOB_AD:-}
    if [[ -r $ad ]]; then
        awk '$1 == "ClusterId" { c = $3 } $1 == "ProcId" { p = $3 }
            $1 == "GlobalJobId" { g = $3 } END { print c "." p, g }' "$ad"
    else
        printf '%s\n' "${SLURM_JOB_ID:-${PBS_JOBID:-${LSB_JOBID:-${JOB_ID:-unknown}}}}"
    fi
}

report_node() {
    local os cpu memory scratch hash
    os=$(sed -n 's/^PRETTY_NAME="\{0,1\}\([^"]*\).*/\1/p' /etc/os-release 2>/dev/null)
    cpu=$(sed -n '/^model name/ { s/^[^:]*: *//p; q; }' /proc/cpuinfo 2>/dev/null)
    memory=$(awk '/^MemTotal:/ { printf "%d MB", $2 / 1024 }' /proc/meminfo 2>/dev/null)
    scratch=$(df -Pk . 2>/dev/null | awk 'NR == 2 { printf "%d MB", $4 / 1024 }')
    hash=$(sha256sum <"$0" 2>/dev/null)
    tell "pilot: ${APF_PILOT:-by hand} of factory ${APFFID:-unknown}, queue ${FACTORYQUEUE:-unknown}"
    tell "wrapper: sha256 ${hash%% *}"
    tell "node: $(uname -n), $(uname -srm), ${os:-unknown}"
    tell "hardware: $(nproc) x ${cpu:-unknown}, ${memory:-unknown} memory, ${scratch:-unknown} free"
    tell "batch job: $(batch_job)"
}
