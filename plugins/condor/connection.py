"""Finding a schedd, and asking it, under the one identity of this process."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from core.model.errors import SourceError
from core.model.text import clean
from plugins.condor.params import HtcondorParams

T = TypeVar("T")

# HTCondor keeps security sessions for the whole process: after a change of token, jobs still go
# in as the owner of before. So the first table that is used here is the only one.
_identity: list[HtcondorParams] = []


class Located(NamedTuple):
    """A schedd that the collector knows."""

    name: str
    schedd: Any
    """An htcondor2.Schedd."""


class Pool:
    """The schedds of one table `[batch.X]`."""

    def __init__(self, params: HtcondorParams) -> None:
        self._params = params

    def locate(self, name: str | None) -> Located:
        """Find a schedd by name; None means the table's, or the only one.

        That it is found is no sign of life: the collector remembers dead schedds for a while.
        Raise SourceError.
        """
        try:
            _be(self._params)
            ad = self._local() if self._is_own(name) else self._choose(name)
            import htcondor2

            return Located(clean(ad["Name"]), htcondor2.Schedd(ad))
        except SourceError:
            raise
        except Exception as error:
            raise SourceError(
                f"no word from {self._collector}: {told(error)}",
                "is it running there, and is `pool` of the batch table its host:port?",
            ) from error

    def ask(self, name: str | None, question: Callable[[Any], T]) -> tuple[str, T]:
        """Ask a schedd what may be asked twice; return its name and the answer.

        Raise SourceError for whatever is no answer.
        """
        name, schedd = self.locate(name)
        try:
            try:
                return name, question(schedd)
            except Exception as error:
                # A schedd that was restarted does not know our session, and says so once.
                if "Server rejected our session id" not in str(error):
                    raise
                return name, question(schedd)
        except SourceError:
            raise
        except Exception as error:
            raise SourceError(
                f"no answer from schedd {name}: {told(error)}",
                "is it running (condor_status -schedd), and do token_directory and parameters"
                " of the batch table fit it?",
            ) from error

    @property
    def _collector(self) -> str:
        if self._params.pool is None:
            return "the pool of this host's HTCondor configuration"
        return f"collector {clean(self._params.pool)}"

    def _is_own(self, name: str | None) -> bool:
        return (name or self._params.schedd or self._params.pool) is None

    def _local(self) -> Any:
        import htcondor2

        return htcondor2.Collector().locate(htcondor2.DaemonType.Schedd)

    def _choose(self, name: str | None) -> Any:
        import htcondor2

        # All of them, for the names in the messages. Collector.locate would paste the name
        # into an expression.
        ads = htcondor2.Collector(self._params.pool).query(
            htcondor2.AdType.Schedd, projection=["Name", "MyAddress", "AddressV1", "CondorVersion"]
        )
        known = ", ".join(sorted(clean(str(ad.get("Name"))) for ad in ads)) or "none"
        name = name or self._params.schedd
        if name is None and len(ads) != 1:
            raise SourceError(
                f"{self._collector} knows {len(ads)} schedds: {known}",
                "name one as `schedd` in the batch table",
            )
        for ad in ads:
            if name in (None, ad.get("Name")):
                return ad
        raise SourceError(
            f"{self._collector} knows no schedd {clean(str(name))}, only: {known}",
            "is it running, and is its name spelt as condor_status -schedd prints it?",
        )


def told(error: Exception) -> str:
    """Return what an exception says, on one line."""
    return clean(" ".join(str(error).split()) or type(error).__name__)


def _be(params: HtcondorParams) -> None:
    """Give this process its identity, before its first call."""
    if _identity:
        if _identity[0] != params:
            raise RuntimeError("a process has one identity in HTCondor, and this has another")
        return
    if params.pool is not None:
        os.environ["CONDOR_CONFIG"] = "ONLY_ENV"
    import htcondor2

    for name, value in params.parameters.items():
        htcondor2.param[name] = value
    if params.token_directory is not None:
        if not params.token_directory.is_dir():
            raise SourceError(
                f"there is no folder {clean(str(params.token_directory))}",
                "token_directory of the batch table must name the folder of the tokens",
            )
        htcondor2.param["SEC_TOKEN_DIRECTORY"] = str(params.token_directory)
    _identity.append(params)
