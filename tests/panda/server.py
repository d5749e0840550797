"""A real PanDA server with its database, on loopback, for as long as a test run needs it.

    server = PandaServer.start()
    server.queue("BNL", status="online")
    server.jobs("BNL", activated=40)
    ...
    server.down()

Both processes die with this one, whatever ends it.
"""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.pool.condor import _free_port as free_port
from tests.pool.sandbox import until

from .install import Account, PandaUnavailableError, environment, installed

HERE = Path(__file__).parent
START_TIMEOUT = 60.0
ALIVE = "/api/v1/system/is_alive"


class PandaServer:
    """Tables are filled by SQL, as PanDA's own cron jobs and configurator fill them."""

    def __init__(self, base: Path, account: Account, venv: Path, postgres: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.base = base
        self._account = account
        self._venv = venv
        self._postgres = postgres
        self._database_port = free_port()
        self._database: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls) -> PandaServer:
        """A server that answers, with no queues and no jobs."""
        account = Account.unprivileged()
        postgres = _postgres()
        venv = installed(account)
        base = Path(tempfile.mkdtemp(prefix="apftui-panda-"))
        server = cls(base, account, venv, postgres)
        try:
            server._lay_out()
            server.start_database()
            server._psql(("-d", "postgres"), "CREATE DATABASE panda;")
            server.sql((HERE / "schema.sql").read_text())
            server.start_server()
        except BaseException:
            server.down()
            raise
        return server

    def down(self, keep_logs: bool = False) -> None:
        """End both processes and remove their folder."""
        self.stop_server()
        self.stop_database()
        if not keep_logs:
            shutil.rmtree(self.base, ignore_errors=True)

    # What it tells

    def queue(self, *names: str, status: str | None = "online", **more: object) -> None:
        """Make queues known, or change them; one kind of cores, without virtual parts."""
        for name in names:
            data = {"nickname": name, "status": status, "type": "unified", "cloud": "US", **more}
            self.sql(
                "INSERT INTO schedconfig_json (panda_queue, data) VALUES"
                f" ({_text(name)}, {_text(json.dumps(data))})"
                " ON CONFLICT (panda_queue) DO UPDATE SET data = EXCLUDED.data;"
            )

    def jobs(
        self,
        queue: str,
        resource_type: str | None = "SCORE",
        label: str | None = "managed",
        **states: int,
    ) -> None:
        """Set how many jobs a queue has of one resource type and label, by state."""
        where = f"({_text(queue)}, {_text(resource_type)}, {_text(label)})"
        same = "(computingsite, resource_type, prodsourcelabel) IS NOT DISTINCT FROM"
        rows = ", ".join(
            f"({_text(queue)}, {_text(resource_type)}, {_text(label)}, {_text(state)}, {n})"
            for state, n in states.items()
        )
        self.sql(
            f"BEGIN; DELETE FROM mv_jobsactive4_stats WHERE {same} {where};"
            "INSERT INTO mv_jobsactive4_stats (computingsite, resource_type, prodsourcelabel,"
            f" jobstatus, num_of_jobs) VALUES {rows}; COMMIT;"
        )

    def clear(self) -> None:
        """Forget all queues and jobs, and run whatever was stopped."""
        self.start_database()
        self.start_server()
        self.sql("TRUNCATE mv_jobsactive4_stats, jobsdefined4, schedconfig_json;")

    def sql(self, text: str) -> None:
        """Run SQL as the server's own role."""
        self._psql(("-d", "panda"), f"SET search_path = doma_panda;\n{text}")

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Return HTTP status and body as they are."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    # Faults

    def stop_database(self) -> None:
        """Kill the database at once."""
        _end(self._database, signal.SIGQUIT)
        self._database = None

    def start_database(self) -> None:
        """Start it, if it does not run, and wait until it takes connections."""
        if self._database is not None:
            return
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._database_port),
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
        }
        settings = [f"--{name}={value}" for name, value in options.items()]
        command = [self._postgres / "postgres", "-D", self.base / "database", *settings]
        self._database = self._launch(command, "database.out", "QUIT")
        ready = ["-h", "127.0.0.1", "-p", str(self._database_port), "-q"]
        self._wait(
            lambda: _succeeds([self._postgres / "pg_isready", *ready]), self._database, "database"
        )

    def stop_server(self) -> None:
        """Kill the server at once."""
        _end(self._server, signal.SIGKILL)
        self._server = None

    def start_server(self) -> None:
        """Start it, if it does not run, and wait until it answers."""
        if self._server is not None:
            return
        packages = self._packages()
        more = {
            "PANDA_HOME": str(self.base),
            "PYTHONPATH": f"{packages}/pandacommon:{packages}/pandaserver",
            "PANDA_BEHIND_REAL_LB": "1",  # else it asks a name server for others like it
            "PANDACACHE_URL": f"{self.url}/cache",
            "DISABLE_MM": "1",
        }
        command = [self._venv / "bin/python", self.base / "serve.py", str(self.port)]
        self._server = self._launch(command, "server.out", "KILL", more)
        self._wait(self._answers, self._server, "server")

    def pause_server(self) -> None:
        """SIGSTOP: it accepts connections, and nothing answers."""
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP)

    def continue_server(self) -> None:
        assert self._server is not None
        self._server.send_signal(signal.SIGCONT)

    # How

    def _lay_out(self) -> None:
        settings = self.base / "etc/panda"
        for folder in (self.base, settings.parent, settings, self.base / "log"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
            self._account.own(folder)
        values = {
            "BASE": self.base,
            "VENV": self._venv,
            "PACKAGES": self._packages(),
            "DATABASE": self._database_port,
            "PORT": self.port,
        }
        for name in ("panda_server.cfg", "panda_common.cfg"):
            text = (HERE / name).read_text()
            for key, value in values.items():
                text = text.replace(f"@{key}@", str(value))
            (settings / name).write_text(text)
        shutil.copyfile(HERE / "serve.py", self.base / "serve.py")
        for file in (*settings.iterdir(), self.base / "serve.py"):
            file.chmod(0o644)
        database = ["-D", self.base / "database", "-U", "panda", "-E", "UTF8", "--no-locale"]
        options = ["--auth=trust", "--no-sync", "--no-instructions"]
        made = self._launch([self._postgres / "initdb", *database, *options], "initdb.out", "KILL")
        if made.wait(60):
            raise RuntimeError(f"initdb failed:\n{self._said('initdb.out')}")

    def _packages(self) -> Path:
        found = list(self._venv.glob("lib/python3*/site-packages"))
        assert len(found) == 1, found
        return found[0]

    def _launch(
        self,
        argv: Sequence[object],
        output: str,
        dying: str,
        more: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        with (self.base / output).open("ab") as said:
            return subprocess.Popen(
                self._account.command([str(word) for word in argv], dying),
                cwd=self.base,
                env=environment(self.base) | dict(more or {}),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,  # a Ctrl-C is for us, who end them in order
            )

    def _psql(self, where: Sequence[str], text: str) -> None:
        address = ["-h", "127.0.0.1", "-p", str(self._database_port), "-U", "panda", *where]
        done = subprocess.run(
            [str(self._postgres / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", *address],
            input=text,
            env=environment(self.base) | {"PGOPTIONS": "--client-min-messages=warning"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)

    def _answers(self) -> bool:
        try:
            return self.get(ALIVE)[0] == 200
        except OSError:
            return False

    def _wait(self, check: object, process: subprocess.Popen[bytes], what: str) -> None:
        assert callable(check)

        def ready() -> bool:
            if (code := process.poll()) is not None:
                raise RuntimeError(f"exit code {code}")
            return bool(check())

        try:
            until(ready, f"PanDA's {what}", START_TIMEOUT)
        except (TimeoutError, RuntimeError) as error:
            said = self._said(f"{what}.out")
            raise RuntimeError(f"PanDA's {what} did not start: {error}\n{said}") from None

    def _said(self, output: str) -> str:
        return "\n".join((self.base / output).read_text(errors="replace").splitlines()[-20:])


def _postgres() -> Path:
    """Return the folder of the newest PostgreSQL's programs; Debian has only some on the path."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3])
    )
    if found:
        return found[-1].parent
    if named := shutil.which("postgres"):
        return Path(named).resolve().parent
    raise PandaUnavailableError("PostgreSQL is not installed")


def _end(process: subprocess.Popen[bytes] | None, how: signal.Signals) -> None:
    if process is None:
        return
    process.send_signal(signal.SIGCONT)
    process.send_signal(how)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _succeeds(command: Sequence[object]) -> bool:
    return (
        subprocess.run([str(word) for word in command], capture_output=True, check=False).returncode
        == 0
    )


def _text(value: str | None) -> str:
    if value is None:
        return "NULL"
    return "'" + value.replace("'", "''") + "'"
