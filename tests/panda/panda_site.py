"""A factory whose WMS is a PanDA server, on local pilots; by default it only counts."""

from __future__ import annotations

from pathlib import Path

from core.api.models import QueueStatus
from tests.running import Running, Site

_SETTINGS = """
[factory]
name = "panda-01"
state = "state"
cycle = 0.3

[wms.panda]
plugin = "panda"
url = "{url}"
period = {period}
max_age = {max_age}
deadline = {deadline}
{wms}

[batch.here]
plugin = "local"
path = "pilots"
period = 0.3
slots = 50

[defaults]
wms = "panda"
batch = "here"
wrapper = "generic"
chain = ["ready", "max-per-cycle"]
[defaults.wrapper_parameters]
command = ["/bin/sleep", "600"]
[defaults.sched.max-per-cycle]
maximum = {maximum}

{queues}
"""


def panda_site(
    folder: Path,
    url: str,
    queues: str,
    *,
    wms: str = "lag = 0",
    period: float = 0.5,
    max_age: float = 60.0,
    deadline: float = 20.0,
    maximum: int = 0,
) -> Site:
    """Return a site; `wms` are TOML lines for the end of `[wms.panda]`."""
    text = _SETTINGS.format(
        url=url,
        queues=queues,
        wms=wms,
        period=period,
        max_age=max_age,
        deadline=deadline,
        maximum=maximum,
    )
    return Site(folder, text)


def counted(factory: Running, queue: str, activated: int | None) -> QueueStatus:
    """Wait until the factory has counted so many, and return the row."""
    factory.until(lambda _: factory.queue(queue).activated == activated, 15)
    return factory.queue(queue)
