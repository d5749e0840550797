"""Gives the tests of this folder the fixtures, also if nobody has registered the plug-in."""

import sys

from .factory_site import PAUSED
from .fixtures import clean_pool, pool

__all__ = ["clean_pool", "pool"]

# Before any plug-in is looked for: the tests read the settings that name it too.
sys.path.append(str(PAUSED))
