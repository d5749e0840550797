"""`bash -n`: what bash says of a script that it reads and does not run."""

import re
import subprocess
from typing import NamedTuple

import anyio

from core.model.errors import ApftuiError
from core.model.text import clean

_BASH = "/bin/bash"
_DEADLINE_S = 10.0
_SAID = re.compile(rf"{_BASH}: line (?P<line>[0-9]+): (?P<text>.*)")


class Said(NamedTuple):
    """One thing that bash says, and the line of the script that it is about."""

    line: int
    text: str


async def syntax_errors(script: str) -> list[Said]:
    """Return what bash has against a script, one for each line; nothing in it is run.

    Raise ApftuiError if bash cannot be asked.
    """
    try:
        with anyio.fail_after(_DEADLINE_S):
            done = await anyio.run_process(
                [_BASH, "--noprofile", "--norc", "-n"],
                input=script.encode(),
                stdout=subprocess.DEVNULL,
                check=False,
                cwd="/",
                env={"LC_ALL": "C"},  # and no BASH_ENV, which -n would read and run
            )
    except TimeoutError:
        raise ApftuiError(f"`bash -n` gave no answer within {_DEADLINE_S:g} s") from None
    except OSError as error:
        raise ApftuiError(f"cannot run {_BASH}: {error.strerror}", "install bash") from error
    said: dict[int, str] = {}
    rest = []
    for line in done.stderr.decode(errors="replace").splitlines():
        if match := _SAID.fullmatch(line):
            said.setdefault(int(match["line"]), clean(match["text"], 300))
        else:
            rest.append(line)
    if not said and (done.returncode or rest):
        said[1] = clean(" ".join(rest) or f"bash ended with code {done.returncode}", 300)
    return [Said(number, text) for number, text in said.items()]
