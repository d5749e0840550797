"""One factory for all tests of a file that do not end it."""

from collections.abc import Iterator

import pytest

from tests.running import Running, Site, local_settings, sleepers


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Queues Q and R on `directory`, S with two sleeping pilots."""
    text = local_settings(f"[queues.Q]\n[queues.R]\n{sleepers('S', 2)}")
    with Site(tmp_path_factory.mktemp("api"), text) as made:
        yield made


@pytest.fixture(scope="module")
def factory(site: Site) -> Running:
    """It runs, every queue is decided, and both pilots of S sleep."""
    running = site.start()
    running.until(
        lambda status: all(q.decision and q.running == 2 * (q.name == "S") for q in status.queues)
    )
    return running
