"""HTCondor's tables in the settings: `[batch.X]`, and `submit` of a queue."""

from pathlib import Path

from pydantic import Field, PositiveInt

from core.model.plugin import Params

HELD_TOO_LONG = "JobStatus == 5 && time() - EnteredCurrentStatus > 3600"


class HtcondorParams(Params):
    """Table `[batch.X]`: which schedd, and as whom."""

    pool: str | None = Field(
        default=None,
        description="Collector of the pool, host:port. Without it this host's own HTCondor"
        " configuration is used.",
    )
    schedd: str | None = Field(
        default=None,
        description="Name of the schedd as condor_status -schedd prints it. Without it: this"
        " host's own, or with a pool the only one there.",
    )
    token_directory: Path | None = Field(
        default=None, description="Folder of the tokens (IDTOKENS) that we show."
    )
    parameters: dict[str, str] = Field(
        default={},
        description="Further parameters of HTCondor's configuration, such as UID_DOMAIN or"
        " TRUST_DOMAIN.",
    )


class HtcondorSubmitParams(Params):
    """Table `submit` of a queue. Expressions are HTCondor's and written as they are given."""

    requirements: str | None = Field(
        default=None, description="Expression that says on which machines pilots may run."
    )
    periodic_remove: str = Field(
        default=HELD_TOO_LONG,
        description="Expression that removes a pilot; by default one held for an hour.",
    )
    request_cpus: PositiveInt | None = Field(
        default=None,
        description="CPUs that a pilot gets.",
        json_schema_extra={"unit": "CPUs"},
    )
    request_memory: PositiveInt | None = Field(
        default=None,
        description="Memory that a pilot gets.",
        json_schema_extra={"unit": "MiB"},
    )
    request_disk: PositiveInt | None = Field(
        default=None,
        description="Disk that a pilot gets.",
        json_schema_extra={"unit": "KiB"},
    )
