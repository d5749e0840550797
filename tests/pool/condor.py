"""A real HTCondor pool with two schedds, on loopback, for as long as a test run needs it.

The Debian system below it is shared and never written to: each pool is an overlay of its own
(configuration and a tmpfs on top), so any number of pools can run side by side, and each starts
with empty queues, logs and spools. See `sandbox` for why nothing is left behind.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .chroot import USER, cache_folder, cached_chroot, locked
from .sandbox import (
    Layout,
    PoolUnavailableError,
    Process,
    Sandbox,
    happens,
    require_privileges,
    started,
    until,
)

__all__ = ["CondorPool", "PoolUnavailableError"]

DOMAIN = "pool.test"
HOSTNAME = f"ce.{DOMAIN}"
SCHEDD_LOCAL_NAMES = (None, "SCHEDD2")
START_TIMEOUT = 60.0
TOOL_TIMEOUT = 60.0
LOG_FOLDER = "/var/log/condor"
SECOND_SPOOL = "/var/spool/condor2"

CONFIG = """
COLLECTOR_HOST = 127.0.0.1:{port}
SHARED_PORT_PORT = {port}
NETWORK_INTERFACE = 127.0.0.1
ENABLE_IPV6 = False
NETWORK_HOSTNAME = {hostname}
UID_DOMAIN = {domain}
FILESYSTEM_DOMAIN = {domain}
TRUST_DOMAIN = {domain}
SEC_DEFAULT_AUTHENTICATION_METHODS = IDTOKENS, FS

# A second schedd. Naming SHARED_PORT makes the master start it first.
SCHEDD2 = $(SCHEDD)
SCHEDD2_ARGS = -local-name SCHEDD2
SCHEDD2.SCHEDD_NAME = second
SCHEDD2.SCHEDD_LOG = $(LOG)/SchedLog.second
SCHEDD2.SPOOL = {second_spool}
SCHEDD2.HISTORY = {second_spool}/history
SCHEDD2.JOB_QUEUE_LOG = {second_spool}/job_queue.log
SCHEDD2.SCHEDD_ADDRESS_FILE = {second_spool}/.schedd_address
SCHEDD2.SCHEDD_DAEMON_AD_FILE = {second_spool}/.schedd_classad
DAEMON_LIST = MASTER SHARED_PORT COLLECTOR NEGOTIATOR SCHEDD SCHEDD2 STARTD
DC_DAEMON_LIST = + SCHEDD2

# What a chroot without systemd, cgroups and a session keyring can do.
DAEMON_SOCKET_DIR = /run/condor/sock
DISCARD_SESSION_KEYRING_ON_STARTUP = False
USE_PROCD = False
CGROUP_MEMORY_LIMIT_POLICY = none
MOUNT_UNDER_SCRATCH =
PER_JOB_NAMESPACES = False

# As at a site: the node's account is not the submitter's.
STARTER_ALLOW_RUNAS_OWNER = False

# The jobs only sleep: far more of them run than there are cores.
NUM_CPUS = 64
MEMORY = 64000
START = True
SUSPEND = False
PREEMPT = False
RUNBENCHMARKS = False
MAX_JOBS_PER_OWNER = 1000000
MAX_JOBS_PER_SUBMISSION = 1000000
MAX_JOBS_SUBMITTED = 1000000

# Quick: a test waits for each of these.
NEGOTIATOR_INTERVAL = 2
NEGOTIATOR_MIN_INTERVAL = 1
NEGOTIATOR_CYCLE_DELAY = 1
SCHEDD_INTERVAL = 3
SCHEDD_MIN_INTERVAL = 1
PERIODIC_EXPR_INTERVAL = 5
UPDATE_INTERVAL = 5
CLAIM_WORKLIFE = -1
JOB_IS_FINISHED_COUNT = 1000
KILLING_TIMEOUT = 3
MachineMaxVacateTime = 3
MASTER_BACKOFF_CONSTANT = 1
MASTER_BACKOFF_FACTOR = 1
MASTER_BACKOFF_CEILING = 2
GRIDMANAGER_CONTACT_SCHEDD_DELAY = 1
C_GAHP_CONTACT_SCHEDD_DELAY = 1
GRIDMANAGER_JOB_PROBE_INTERVAL = 2
CONDOR_JOB_POLL_INTERVAL = 2
"""


@dataclass(frozen=True)
class Account:
    uid: int
    gid: int
    home: str


@dataclass(frozen=True)
class RunFolder:
    """What one pool has outside of its sandbox."""

    path: Path

    @property
    def layer(self) -> Path:
        """The files of this pool that lie over the shared system."""
        return self.path / "layer"

    @property
    def root(self) -> Path:
        """Where the sandbox sees the whole of it. Outside: an empty folder."""
        return self.path / "root"

    @property
    def memory(self) -> Path:
        return self.path / "memory"

    @property
    def logs(self) -> Path:
        return self.path / "log"

    @property
    def shared(self) -> Path:
        return self.path / "shared"

    @property
    def client(self) -> Path:
        return self.path / "client"

    # Who made this folder, and the first process of its sandbox: an id and a birth each.

    def record_owner(self) -> None:
        self._record("owner", os.getpid())

    def record_sandbox(self, init: int) -> None:
        self._record("sandbox", init)

    def has_owner(self) -> bool:
        return self._living("owner") is not None

    def remove_dead(self) -> None:
        """Remove what a killed test run left: its files, and a sandbox that has outlived it.

        The latter happens only if the run forked a process that lives on: that one holds the
        other end of the sandbox's stdin too.
        """
        if init := self._living("sandbox"):
            os.kill(init, signal.SIGKILL)
            until(lambda: self._living("sandbox") is None, "the end of an old pool", 10)
        shutil.rmtree(self.path)

    def _record(self, what: str, pid: int) -> None:
        (self.path / what).write_text(f"{pid} {started(pid)}")

    def _living(self, what: str) -> int | None:
        try:
            pid, birth = (self.path / what).read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if started(int(pid)) == birth else None


class CondorPool:
    """Start it with `CondorPool.start()`, end it with `down()`."""

    def __init__(self, folder: RunFolder, system: Path, port: int, config: str) -> None:
        self.collector = f"127.0.0.1:{port}"
        self.schedds: tuple[str, str] = (HOSTNAME, f"second@{HOSTNAME}")
        self.shared = folder.shared
        self.logs = folder.logs
        self.token_dir = folder.client / "tokens"
        self.condor_config = folder.client / "condor_config"
        self.client_params: dict[str, str] = {
            "COLLECTOR_HOST": self.collector,
            "SEC_CLIENT_AUTHENTICATION_METHODS": "IDTOKENS",
            "SEC_TOKEN_DIRECTORY": str(self.token_dir),
            "UID_DOMAIN": DOMAIN,
            "TRUST_DOMAIN": DOMAIN,
        }
        self._folder = folder
        self._accounts = _accounts(system)
        _lay_out(folder, self._accounts["condor"], _configuration(port, config))
        self._sandbox = self._launch(system)
        folder.record_sandbox(self._sandbox.init)

    @classmethod
    def start(cls, extra_packages: Sequence[str] = (), extra_config: str = "") -> CondorPool:
        """A pool that is ready: both schedds answer, the token works, slots are there.

        `extra_packages` are Debian packages to have in the root as well (their daemons are not
        started), `extra_config` is added to HTCondor's configuration.
        """
        require_privileges()
        system = cached_chroot(extra_packages)
        pool = cls(_new_run_folder(), system, _free_port(), extra_config)
        try:
            pool._wait_ready()
            pool._make_tokens()
        except BaseException:
            pool.down()
            raise
        return pool

    # Tools

    @property
    def root(self) -> Path:
        """The pool's root folder as this process can open it (not: a stable path)."""
        return self._sandbox.root

    def account(self, name: str) -> Account:
        """An account inside; the ids are the same outside, the name is not known there."""
        return self._accounts[name]

    def run(
        self,
        *argv: str,
        user: str = USER,
        check: bool = True,
        stdin: str | None = None,
        timeout: float = TOOL_TIMEOUT,
    ) -> str:
        """Run a command inside, and return what it printed on stdout."""
        done = self._run(argv, user, stdin, timeout)
        if check and done.returncode:
            said = (done.stderr.strip() or done.stdout.strip())[-2000:]
            raise RuntimeError(f"{' '.join(argv)}: exit code {done.returncode}: {said}")
        return done.stdout

    def _run(
        self, argv: Sequence[str], user: str, stdin: str | None = None, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        account = self._accounts[user]
        # The time limit stands inside: killing nsenter would leave its child running.
        limited = ["timeout", "--kill-after=1", f"{timeout:g}", *argv]
        command = self._sandbox.enter(limited, account.uid, account.gid, account.home)
        return subprocess.run(
            command, input=stdin or "", capture_output=True, text=True, check=False
        )

    def popen(self, *argv: str, user: str = "root") -> subprocess.Popen[bytes]:
        """Start a further server inside (it ends with the pool); its output goes to the logs."""
        account = self._accounts[user]
        command = self._sandbox.enter(argv, account.uid, account.gid, account.home)
        with (self.logs / f"{Path(argv[0]).name}.out").open("ab") as output:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def queue(
        self, schedd: str, constraint: str = "true", attrs: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """The jobs in a queue as HTCondor's own tool prints them; no `attrs`: all attributes."""
        return self._ads("condor_q", schedd, constraint, attrs, "-allusers")

    def history(
        self, schedd: str, constraint: str = "true", attrs: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """The jobs that left a queue, the latest first. `clear` does not empty it."""
        return self._ads("condor_history", schedd, constraint, attrs)

    def _ads(
        self, tool: str, schedd: str, constraint: str, attrs: Sequence[str], *more: str
    ) -> list[dict[str, Any]]:
        wanted = ["-attributes", ",".join(attrs)] if attrs else []
        where = ["-pool", self.collector, "-name", schedd, "-constraint", constraint]
        printed = self.run(tool, *where, "-json", *wanted, *more, user="root")
        ads: list[dict[str, Any]] = json.loads(printed) if printed.strip() else []
        return ads

    # Faults

    def pause_schedd(self, name: str) -> None:
        """SIGSTOP: connections are accepted (by the shared port), and nothing answers."""
        os.kill(self._schedd(name).pid, signal.SIGSTOP)

    def continue_schedd(self, name: str) -> None:
        os.kill(self._schedd(name).pid, signal.SIGCONT)

    def kill_schedd(self, name: str) -> None:
        """SIGKILL; returns when it is dead. The master starts another one in about 2 s."""
        process = self._schedd(name)
        birth = started(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        until(lambda: started(process.pid) != birth, f"death of {name}", 10)

    def wait_schedd(self, name: str, timeout: float = 30) -> None:
        """Wait until a schedd is found through the collector and answers a query."""
        until(lambda: self._answers(name), f"an answer of schedd {name}", timeout)

    def _answers(self, name: str) -> bool:
        argv = ["condor_q", "-pool", self.collector, "-name", name, "-totals"]
        return self._alive(name) and self._run(argv, USER, timeout=5).returncode == 0

    def _alive(self, name: str) -> bool:
        return self._find_schedd(name) is not None

    def _schedd(self, name: str) -> Process:
        if process := self._find_schedd(name):
            return process
        raise RuntimeError(f"schedd {name} is not running")

    def _find_schedd(self, name: str) -> Process | None:
        local_name = SCHEDD_LOCAL_NAMES[self.schedds.index(name)]
        inside = {process.pid: process for process in self._sandbox.processes()}
        for process in inside.values():
            # A schedd forks helpers that look like itself: the master's child is the one.
            master = inside.get(process.parent)
            if (
                master
                and _runs(process, "condor_schedd")
                and _runs(master, "condor_master")
                and (local_name in process.argv if local_name else len(process.argv) == 1)
            ):
                return process
        return None

    # Order

    def clear(self, timeout: float = 90) -> None:
        """Empty both queues, of whatever is in them, and let stopped schedds go on.

        Returns when no job runs any more either: a pilot of the test before would still take
        the work of the next one. The histories stay: let a test look there for its own names.
        """
        for name in self.schedds:
            if process := self._find_schedd(name):
                os.kill(process.pid, signal.SIGCONT)
        for name in self.schedds:
            self.wait_schedd(name, timeout)
        until(self._emptied, "queues without jobs", timeout)
        until(lambda: not self._jobs_run(), "the end of the last job", 20)

    def _emptied(self) -> bool:
        """One try to empty both queues; a very large one takes several."""
        full = self._full_queues()
        for name in full:
            self._remove_all(name, "-all")
        # Jobs whose removal is forced are not told to end: give them the chance before.
        if full:
            happens(lambda: not self._jobs_run(), within=2)
        for name in full:
            self._remove_all(name, "-forcex", "-all")  # what stays otherwise: leave_in_queue, grid
        return not full or happens(lambda: not self._full_queues(), within=5)

    def _full_queues(self) -> list[str]:
        return [name for name in self.schedds if self._has_jobs(name)]

    def _has_jobs(self, name: str) -> bool:
        argv = ["condor_q", "-pool", self.collector, "-name", name, "-allusers", "-limit", "1"]
        return bool(self.run(*argv, "-af", "ClusterId", user="root").strip())

    def _remove_all(self, name: str, *options: str) -> None:
        # An exit code tells only that there was nothing to remove: the queue is asked instead.
        self._run(["condor_rm", "-pool", self.collector, "-name", name, *options], "root")

    def _jobs_run(self) -> bool:
        return any(_runs(process, "condor_starter") for process in self._sandbox.processes())

    def down(self, keep_logs: bool = False) -> None:
        """End the pool and remove its folder; logs that are kept go at the next start."""
        self._sandbox.kill()
        if not keep_logs:
            shutil.rmtree(self._folder.path, ignore_errors=True)

    # Start

    def _launch(self, system: Path) -> Sandbox:
        folder = self._folder
        layout = Layout(folder.root, HOSTNAME)
        layout.mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", folder.memory)
        upper, work = folder.memory / "upper", folder.memory / "work"
        layout.setup.append(["mkdir", str(upper), str(work)])
        layers = f"lowerdir={folder.layer}:{system},upperdir={upper},workdir={work}"
        layout.mount("-t", "overlay", "-o", layers, "overlay", folder.root)
        layout.kernel_filesystems()
        layout.bind(folder.logs, LOG_FOLDER)
        # Made here, not in the layer: that would change the mode of /tmp or another known folder.
        layout.setup.append(["mkdir", "-p", f"{folder.root}{folder.shared}"])
        layout.bind(folder.shared, folder.shared)
        with (folder.logs / "start.out").open("w") as output:
            return Sandbox(layout, ["condor_master", "-f"], output)

    def _wait_ready(self) -> None:
        try:
            until(self._advertised, "all daemons in the collector", START_TIMEOUT, 0.1)
            for name in self.schedds:
                self.wait_schedd(name)
        except (TimeoutError, RuntimeError) as error:
            raise RuntimeError(f"the pool did not start: {error}\n{self._last_words()}") from None

    def _advertised(self) -> bool:
        if (code := self._sandbox.exit_code()) is not None:
            raise RuntimeError(f"condor_master ended with exit code {code}")
        argv = ["condor_status", "-any", "-af", "MyType", "Name"]
        ads = {line.partition(" ")[::2] for line in self._run(argv, USER).stdout.splitlines()}
        schedds = {("Scheduler", name) for name in self.schedds}
        return schedds <= ads and {"Negotiator", "Machine"} <= {kind for kind, _ in ads}

    def _last_words(self) -> str:
        """The ends of the logs: without them a failed start in CI cannot be understood."""
        tails = []
        for name in ("start.out", "MasterLog", "SchedLog", "SchedLog.second", "CollectorLog"):
            if (path := self.logs / name).exists():
                lines = path.read_text(errors="replace").splitlines()[-10:]
                tails.append("\n".join([f"--- {name}", *lines]))
        return "\n".join(tails)

    def _make_tokens(self) -> None:
        """One for the clients outside, the same for the grid manager, which runs as the user."""
        token = self.run("condor_token_create", "-identity", f"{USER}@{DOMAIN}", user="root")
        account = self._accounts[USER]
        # A client passes over every token that is not its own file: one for us, and one for a
        # factory that runs as the jobs' owner.
        _write(self.token_dir / "ours", token, 0o600)
        _write(self.token_dir / USER, token, 0o600)
        os.chown(self.token_dir / USER, account.uid, account.gid)
        self.token_dir.chmod(0o755)
        lines = [f"{name} = {value}\n" for name, value in self.client_params.items()]
        _write(self.condor_config, "".join(lines))
        inside = self.root / account.home.lstrip("/") / ".condor" / "tokens.d"
        inside.mkdir(parents=True, mode=0o700)
        _write(inside / USER, token, 0o600)
        for path in (inside.parent, inside, inside / USER):
            os.chown(path, account.uid, account.gid)


@contextmanager
def _usual_umask() -> Iterator[None]:
    """Daemons and jobs have other accounts than we: they read what is made here."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


@_usual_umask()
def _lay_out(folder: RunFolder, condor: Account, config: str) -> None:
    """Write what lies over the shared system; it must be whole before it is mounted."""
    for made in (folder.layer, folder.root, folder.memory, folder.logs, folder.client):
        made.mkdir()
    folder.shared.mkdir()
    folder.shared.chmod(0o777)  # jobs run as nobody, and take files that others put there
    layer = folder.layer
    _write(layer / "etc/condor/config.d/99-pool.config", config)
    _write(layer / "etc/hosts", f"127.0.0.1 {HOSTNAME} localhost {socket.gethostname()}\n")
    _write(layer / "etc/hostname", f"{HOSTNAME}\n")
    keys = layer / "etc/condor/passwords.d"
    keys.mkdir(mode=0o700)
    _write(keys / "POOL", secrets.token_hex(32), 0o600)
    os.chown(folder.logs, condor.uid, condor.gid)
    for name in (SECOND_SPOOL, "/run/condor", "/run/condor/sock", "/run/lock/condor"):
        _owned(layer / name.lstrip("/"), condor)


def _configuration(port: int, extra: str) -> str:
    text = CONFIG.format(port=port, hostname=HOSTNAME, domain=DOMAIN, second_spool=SECOND_SPOOL)
    return f"{text}{extra}\n"


def _new_run_folder() -> RunFolder:
    """A folder for this pool; on the way, those of test runs that died are removed."""
    runs = cache_folder() / "runs"
    runs.mkdir(exist_ok=True)
    with locked(runs / ".lock"):
        for old in runs.iterdir():
            if old.is_dir() and not RunFolder(old).has_owner():
                RunFolder(old).remove_dead()
        folder = RunFolder(runs / secrets.token_hex(4))
        folder.path.mkdir()
        folder.record_owner()
    return folder


def _free_port() -> int:
    """A port that nobody has; below the range from which clients' own ports are taken."""
    for port in random.sample(range(20000, 30000), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise PoolUnavailableError("no free port between 20000 and 30000")


def _accounts(system: Path) -> dict[str, Account]:
    accounts = {}
    for line in (system / "etc/passwd").read_text().splitlines():
        name, _, uid, gid, _, home, _ = line.split(":")
        accounts[name] = Account(int(uid), int(gid), home)
    return accounts


def _runs(process: Process, name: str) -> bool:
    return bool(process.argv) and Path(process.argv[0]).name == name


def _owned(folder: Path, account: Account) -> None:
    folder.mkdir(parents=True)
    os.chown(folder, account.uid, account.gid)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode)
    path.write_text(text)
    path.chmod(mode)
