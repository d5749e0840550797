#!/bin/bash
# A pilot of the factory apftui, wrapper "generic". It prints a few lines on the node, runs one
# command and ends with its exit code. Signals go on to the command, and to all that it started.
# It needs bash, coreutils, sed and awk. The queue's settings:
command=(@{ command }@)
grace=@{ grace }@

set -u
#% include "steps/report_node.sh"
#% include "steps/run_payload.sh"

report_node
run_payload "${command[@]}"
code=$?
tell "command ended: exit code $code"
exit "$code"
