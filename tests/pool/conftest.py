"""Gives the tests of this folder the fixtures, also if nobody has registered the plug-in."""

from .fixtures import clean_pool, pool

__all__ = ["clean_pool", "pool"]
