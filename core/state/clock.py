"""Two clocks: Unix time to show, CLOCK_BOOTTIME to compare (it never goes back)."""

import time
from functools import cache
from pathlib import Path


def wall() -> float:
    """Return Unix seconds."""
    return time.time()


def boottime() -> float:
    """Return seconds since the host booted, sleep included; the same in all processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@cache
def boot_id() -> str:
    """Return the id of this boot of the host: boottimes of another boot cannot be compared."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
