"""The README's picture comes from the real console on a real factory."""

import re
import subprocess
import sys
from pathlib import Path

from tests.running import REPOSITORY

PICTURE = REPOSITORY / "docs" / "console.svg"


def words(svg: str) -> str:
    return re.sub(r"<[^>]*>", "\n", svg.replace("&#160;", " "))


def test_the_picture_is_exported_and_the_readme_shows_a_present_one(tmp_path: Path) -> None:
    made = tmp_path / "console.svg"
    subprocess.run(
        [sys.executable, "-m", "tests.console.picture", str(made)],
        cwd=REPOSITORY,
        check=True,
        timeout=60,
    )
    svg = made.read_text()
    for seen in ("cern-01", "BNL_PROD-gridgk01", "blind", "paused", "drained", "max-pending"):
        assert seen in words(svg), seen
    assert "@font-face" not in svg, "a picture that asks a web server for its letters"
    assert "](docs/console.svg)" in (REPOSITORY / "README.md").read_text()
    kept = words(PICTURE.read_text())
    for title in re.findall(r"QUEUE▲|STATE|ACT|PEND|RUN|HELD|LAST|BOUND BY|FAIL/h", words(svg)):
        assert title in kept, f"make picture: the README's has no {title}"
