"""`python -m tests.console.picture FILE`: the console on a running factory, as an SVG.

The README's picture: the real console, attached to a real factory with a few queues of its own.
"""

import asyncio
import re
import sys
import tempfile
from pathlib import Path

from apftui.console.app import ConsoleApp
from tests.running import Running, Site, local_settings

SIZE = (124, 20)

_QUEUES = """
[queues.BNL_PROD-gridgk01]
[queues.BNL_PROD-gridgk01.sched.max-pending]
maximum = 6

[queues.CERN-PROD_MCORE]
[queues.CERN-PROD_MCORE.sched.max-pending]
maximum = 3

[queues.CERN-PROD_SCORE]

[queues.DESY-HH_UCORE]
drain = true

[queues.FZK-LCG2_GPU]
wms_queue = "FZK-LCG2_GPUS"

[queues.RAL-LCG2_TEST]

[queues.TAIWAN_MCORE]

[queues.TOKYO_MCORE]

[queues.TRIUMF_MCORE]
[queues.TRIUMF_MCORE.sched.max-pending]
maximum = 2
"""
_WAITING = {
    "BNL_PROD-gridgk01": 41,
    "CERN-PROD_MCORE": 17,
    "CERN-PROD_SCORE": 8,
    "DESY-HH_UCORE": 5,
    "RAL-LCG2_TEST": 2,
    "TAIWAN_MCORE": 0,
    "TOKYO_MCORE": 9,
    "TRIUMF_MCORE": 14,
}


def main(target: Path) -> None:
    """Write the picture to `target`."""
    with tempfile.TemporaryDirectory(prefix="apf") as folder:
        settings = local_settings(
            _QUEUES,
            batch="slots = 12\noutcomes_period = 1",
            defaults="[defaults.wrapper_parameters]\nmax_payloads = 1",
        ).replace('name = "test-01"', 'name = "cern-01"')
        with Site(Path(folder) / "site", settings) as site:
            for queue, n in _WAITING.items():
                for number in range(n):
                    site.payload(
                        queue, f"job-{number:03}", f"sleep {1 + number % 5}; exit {number % 4 // 3}"
                    )
            # A queue that is spelt wrong is what most blind ones come to.
            (site.payloads / "FZK-LCG2_GPUS").rename(site.payloads / "FZK-LCG2_GPU")
            factory = site.start()
            factory.change("TOKYO_MCORE", "paused", True, why="storage is down until noon")
            target.write_text(asyncio.run(_picture(factory)))


async def _picture(factory: Running) -> str:
    app = ConsoleApp(factory.socket)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(8.0)
        await pilot.press("j")
        await pilot.pause(0.5)
        svg = app.export_screenshot(title="apftui")
    # Without the addresses of web fonts: a reader's own monospace font will do.
    return re.sub(r"@font-face\s*\{.*?\}\s*", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
