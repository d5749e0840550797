"""The first process of a sandbox. Run by path, as process 1 of new namespaces, never imported.

It makes the mounts, changes root, starts one command and collects every orphan. The kernel kills
all processes of a process namespace with its process 1, and drops a mount namespace with its last
process, so whatever happens in here ends completely when this process does. Hence its one rule:
it lives no longer than the command, and no longer than whoever holds the other end of its stdin.
"""

import json
import os
import socket
import subprocess
import sys
import threading


def die_with_parent() -> None:
    """Wait for the end of stdin, which comes even if the test run is killed with SIGKILL."""
    sys.stdin.read()
    os._exit(0)


def reap_until(pid: int) -> int:
    """Collect the dead, whoever they are, until `pid` is among them; its exit code."""
    while True:
        dead, status = os.wait()
        if dead == pid:
            return os.waitstatus_to_exitcode(status)


def main() -> int:
    os.umask(0o022)
    spec = json.loads(sys.stdin.readline())
    threading.Thread(target=die_with_parent, daemon=True).start()
    socket.sethostname(spec["hostname"])
    for argv in spec["setup"]:
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    os.chroot(spec["root"])
    os.chdir("/")
    command = subprocess.Popen(spec["argv"], stdin=subprocess.DEVNULL)
    return reap_until(command.pid)


if __name__ == "__main__":
    # Not sys.exit: it would wait for the lock of stdin, which the thread holds for good.
    code = main()
    sys.stdout.flush()
    os._exit(code if code >= 0 else 128 - code)
