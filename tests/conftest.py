"""What every test gets: asyncio, and nothing of the developer's own environment."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The machine's speed is no property of the code; pytest-timeout stops what really hangs.
settings.register_profile("apftui", deadline=None)
settings.load_profile("apftui")

pytest_plugins = [
    f"tests.{folder}.fixtures"
    for folder in ("pool", "panda")
    if (Path(__file__).parent / folder / "fixtures.py").exists()
]

_OWN = {
    "BEARER_TOKEN",
    "BEARER_TOKEN_FILE",
    "COLUMNS",
    "CONDOR_CONFIG",
    "FORCE_COLOR",
    "LINES",
    "NO_COLOR",
    "NOTIFY_SOCKET",
    "RUNTIME_DIRECTORY",
    "STATE_DIRECTORY",
    "X509_USER_PROXY",
}
_OWN_PREFIXES = ("APFTUI_", "TEXTUAL", "XDG_", "_CONDOR_")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folder says what a test needs, so that `make test-fast` leaves no file out by name."""
    for item in items:
        folders = item.path.relative_to(Path(__file__).parent).parts[:-1]
        if "pool" in folders:
            item.add_marker(pytest.mark.pool)
        if "panda" in folders:
            item.add_marker(pytest.mark.panda)
        if "e2e" in folders:
            item.add_marker(pytest.mark.e2e)
        built = item.get_closest_marker("pool") or item.get_closest_marker("panda")
        if built and not item.get_closest_marker("timeout"):
            # Whichever comes first also pays for building the pool, or the server.
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The factory runs on asyncio; session-wide, so that async fixtures may have any scope."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_developer() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name in _OWN or name.startswith(_OWN_PREFIXES):
                patch.delenv(name)
        for name in ("no_proxy", "NO_PROXY"):  # a test's own servers are behind none
            patch.setenv(name, ",".join(filter(None, [os.environ.get(name), "127.0.0.1"])))
        yield


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of the test's own (fixtures of a whole session see the real one)."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(folder))
    return folder
