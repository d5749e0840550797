"""One factory process: `python -m core.api.serve --config FILE`, or called by `--no-ui`."""

import json
import logging
import logging.handlers
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import click
from anyio.abc import TaskStatus

from core.api.server import Server
from core.api.socket import bind, socket_path
from core.model.errors import ApftuiError, StateError
from core.model.text import clean
from core.run.factory import Factory
from core.run.opening import open_state
from core.settings.load import Layers, read_layers

log = logging.getLogger("apftui")


class _Line(logging.Formatter):
    """One clean line a record, for a person or as JSON."""

    def __init__(self, as_json: bool) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%S%z")
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        if not self._as_json:
            return clean(super().format(record).replace("\n", " | "), 4000)
        told = {
            "at": record.created,
            "level": record.levelname.lower(),
            "from": record.name,
            "text": record.getMessage(),
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        told |= {k: v for k in ("cycle", "submit") if (v := getattr(record, k, None)) is not None}
        return json.dumps(told)


def set_up_log(file: Path | None, as_json: bool) -> None:
    """Log to a rotated file, or to stderr. Raise StateError if the file cannot be written."""
    handler: logging.Handler = logging.StreamHandler()
    if file is not None:
        try:
            handler = logging.handlers.RotatingFileHandler(file, maxBytes=10_000_000, backupCount=5)
        except OSError as error:
            raise StateError(
                f"cannot write {file}: {error.strerror}", "check the folder's owner and its disk"
            ) from error
    handler.setFormatter(_Line(as_json))
    logging.raiseExceptions = False  # a disk that takes no lines is an alarm in every status
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)


async def run_factory(
    layers: Layers,
    started_by: str,
    *,
    cycles: int | None = None,
    temporary: bool = False,
    ready: Callable[[Factory], None] = lambda _: None,
) -> None:
    """Run a factory until it is stopped, or for so many passes.

    A `temporary` one ends with its terminal, and its pilots with it. Raise InUse if another
    factory has the state folder.
    """
    table = layers.base.factory
    path = socket_path(table, os.environ)
    state = await open_state(table, started_by)

    @asynccontextmanager
    async def serve(factory: Factory) -> AsyncIterator[None]:
        server = Server(factory, bind(path, table.socket_group), path)
        try:
            await server.start()
            queues = len(factory.generation.settings.queues)
            log.info("factory %s runs, %d queues", table.name, queues)
            notify("READY=1")
            ready(factory)
            yield
        finally:
            notify("STOPPING=1")
            factory.board.tell()  # long polls end now, not when they are given up
            with anyio.CancelScope(shield=True):
                await server.close()

    try:
        factory = Factory(layers, state, started_by)
    except BaseException:
        state.lock.release()
        raise
    try:
        async with anyio.create_task_group() as tasks:
            await tasks.start(_signals, factory, temporary)
            await factory.run(serve, cycles, remove_pilots=temporary)
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise _first(group) from group
    finally:
        log.info("factory %s has stopped", table.name)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what went wrong first: the task groups around it say nothing to anybody."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


async def _signals(
    factory: Factory, temporary: bool, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    wanted = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    with anyio.open_signal_receiver(*wanted) as signals:
        task_status.started()
        async for number in signals:
            if number != signal.SIGHUP or temporary:
                log.info(
                    "%s: stopping when what is in flight has ended", signal.Signals(number).name
                )
                factory.stop()
                continue
            try:
                await factory.reload()
            except ApftuiError as error:
                log.error("reload refused, the running settings stay: %s", error)


def notify(state: str) -> None:
    """Tell systemd, if it asked to be told (sd_notify)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.connect(address)
            sender.send(state.encode())
        except OSError as error:
            log.warning("cannot tell systemd %s: %s", state, error.strerror)


@click.command()
@click.option("--config", type=click.Path(path_type=Path, readable=False), required=True)
@click.option("--started-by", default="console")
def main(config: Path, started_by: str) -> None:
    """Run a factory in the background: its log is `factory.log` in its state folder."""
    try:
        layers = read_layers(config)
        layers.base.factory.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        set_up_log(layers.base.factory.state / "factory.log", as_json=False)
        anyio.run(run_factory, layers, started_by)
    except (ApftuiError, OSError) as error:
        click.echo(f"apftui: {error}", err=True)
        if logging.getLogger().handlers:
            log.error("%s", error)
        sys.exit(1)
    except Exception:
        log.exception("the factory broke")
        raise


if __name__ == "__main__":
    main()
