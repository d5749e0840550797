"""The site's own plug-ins of tests/thirdparty, installed as pip installs them."""

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "thirdparty"


@pytest.fixture(scope="session")
def installed_extras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has installed them."""
    target = tmp_path_factory.mktemp("site-extras")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--no-index", "--no-deps", "--no-build-isolation", "--target", target, PACKAGE],
        check=True,
        timeout=100,
    )
    return target


@pytest.fixture
def extras(installed_extras: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, found by every process that this one starts."""
    monkeypatch.setenv("PYTHONPATH", str(installed_extras))
    return installed_extras
