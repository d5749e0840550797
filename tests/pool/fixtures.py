"""The pool as pytest fixtures: `pool`, one for the whole run, and `clean_pool`, emptied first.

Every test that asks for them needs root, and a package mirror once. Where these are missing it is
skipped, with the reason, but in CI (or with APFTUI_REQUIRE_POOL set) it fails: there a skipped
test would be one that nobody ever runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import nullcontext

import pytest

from .condor import CondorPool, PoolUnavailableError

# As it was at import: the tests' own environment has none of the developer's settings.
_ENVIRONMENT = dict(os.environ)

# One pool per process, even if this module's fixtures are registered in two places.
_running: list[CondorPool] = []


@pytest.fixture(scope="session")
def pool(request: pytest.FixtureRequest) -> Iterator[CondorPool]:
    """A running HTCondor pool. Other tests leave jobs in it: see `clean_pool`."""
    if _running:
        yield _running[0]
        return
    _running.append(_start(request.config))
    try:
        yield _running[0]
    finally:
        _end(_running.pop(), request)


@pytest.fixture
def clean_pool(pool: CondorPool) -> CondorPool:
    """The pool with empty queues and both schedds answering."""
    pool.clear()
    return pool


def _start(config: pytest.Config) -> CondorPool:
    capture = config.pluginmanager.getplugin("capturemanager")
    try:
        # Said aloud: the first start builds a Debian system, or waits for one who does.
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            return CondorPool.start()
    except PoolUnavailableError as error:
        raise refusal(str(error), _ENVIRONMENT) from None


def _end(pool: CondorPool, request: pytest.FixtureRequest) -> None:
    failed = request.session.testsfailed > 0
    pool.down(keep_logs=failed)
    if failed:
        request.config.get_terminal_writer().line(f"\nHTCondor's logs: {pool.logs}")


def refusal(reason: str, environment: Mapping[str, str]) -> BaseException:
    """What to raise for want of a pool: the skip of a test, or in CI its failure."""
    reason = f"no HTCondor pool: {reason}"
    if environment.get("CI") == "true" or environment.get("APFTUI_REQUIRE_POOL"):
        return pytest.fail.Exception(reason, pytrace=False)
    return pytest.skip.Exception(reason)
