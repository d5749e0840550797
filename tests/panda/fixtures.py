"""The PanDA server as pytest fixtures: `panda`, one for the whole run, emptied before each test.

Where it cannot be installed its tests are skipped, with the reason, but in CI (or with
APFTUI_REQUIRE_PANDA set) they fail: there a skipped test would be one that nobody ever runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import nullcontext

import pytest

from .install import PandaUnavailableError
from .server import PandaServer

# As it was at import: the tests' own environment has none of the developer's settings.
_ENVIRONMENT = dict(os.environ)


@pytest.fixture(scope="session")
def panda_server(request: pytest.FixtureRequest) -> Iterator[PandaServer]:
    """A running PanDA server with whatever other tests left in it: see `panda`."""
    server = _start(request.config)
    yield server
    failed = request.session.testsfailed > 0
    server.down(keep_logs=failed)
    if failed:
        request.config.get_terminal_writer().line(f"\nPanDA's logs: {server.base}")


@pytest.fixture
def panda(panda_server: PandaServer) -> PandaServer:
    """The PanDA server, running, without queues and jobs."""
    panda_server.clear()
    return panda_server


def _start(config: pytest.Config) -> PandaServer:
    capture = config.pluginmanager.getplugin("capturemanager")
    try:
        # Said aloud: the first start installs the server, or waits for one who does.
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            return PandaServer.start()
    except PandaUnavailableError as error:
        raise refusal(str(error), _ENVIRONMENT) from None


def refusal(reason: str, environment: Mapping[str, str]) -> BaseException:
    """What to raise for want of a server: the skip of a test, or in CI its failure."""
    reason = f"no PanDA server: {reason}"
    if environment.get("CI") == "true" or environment.get("APFTUI_REQUIRE_PANDA"):
        return pytest.fail.Exception(reason, pytrace=False)
    return pytest.skip.Exception(reason)
