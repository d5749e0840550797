"""What a submission of a queue consists of, and what must be on disk before it is sent."""

import datetime
import hashlib
import re
from pathlib import Path

from core.settings.schema import FactoryTable, QueueSettings
from core.settings.wrappers import Rendered, write
from core.state import clock

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}")


def pilot_job(
    factory: FactoryTable, instance: str, queue: QueueSettings, wrapper: Rendered
) -> dict[str, object]:
    """Return the fields of a PilotJob but its id and number."""
    day = datetime.datetime.fromtimestamp(clock.wall(), datetime.UTC).strftime("%Y-%m-%d")
    return {
        "factory": factory.name,
        "instance": instance,
        "queue": queue.name,
        "wrapper": wrapper.sha256,
        "executable": str(wrapper_folder(factory.state) / wrapper.file_name),
        "log_dir": str(factory.state / "pilots" / day / folder_name(queue.name)),
        "environment": queue.environment,
        "attributes": queue.attributes,
    }


def prepare_job(job: dict[str, object], wrapper: Rendered) -> None:
    """Make the log folder and the wrapper's file. Raise OSError."""
    Path(str(job["log_dir"])).mkdir(mode=0o755, parents=True, exist_ok=True)
    folder = Path(str(job["executable"])).parent
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    write(wrapper, folder)


def wrapper_folder(state: Path) -> Path:
    """Return where rendered wrappers are kept: their names never come to mean other content."""
    return state / "wrappers"


def folder_name(queue: str) -> str:
    """Return a folder name for a queue, the queue's own if it is a plain one."""
    if _PLAIN.fullmatch(queue):
        return queue
    plain = re.sub(r"[^A-Za-z0-9_.+-]", "_", queue)[:60].lstrip(".")
    return f"{plain}-{hashlib.sha256(queue.encode()).hexdigest()[:8]}"
