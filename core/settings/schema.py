"""The settings as the factory uses them: validated, with the layer of every value."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
)

from core.model.answers import WmsQuery
from core.model.frozen import Frozen
from core.model.plugin import Params
from core.settings.duration import seconds

Seconds = Annotated[NonNegativeFloat, BeforeValidator(seconds)]
PositiveSeconds = Annotated[PositiveFloat, BeforeValidator(seconds)]


class FactoryTable(Frozen):
    """Table `[factory]`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    state: Path
    cycle: PositiveSeconds = 60.0
    max_submit: PositiveInt = Field(default=1000, description="Most pilots per queue and pass.")
    started_by: Literal["console", "systemd"] = "console"
    socket_group: str | None = None
    wrappers: Path | None = Field(
        default=None,
        description="Folder of the operator's own wrappers; what was published comes before it.",
    )
    history_days: PositiveInt = 30


class SourceTiming(Frozen):
    """Keys that every `[wms.X]` and `[batch.X]` has beside those of its plug-in."""

    period: PositiveSeconds
    deadline: PositiveSeconds = 20.0
    max_age: PositiveSeconds


class WmsTable(Frozen):
    """Table `[wms.X]`."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str
    plugin: str
    params: Params
    timing: SourceTiming
    lag: Seconds = 0.0
    """How much older than its answer the WMS's counts are."""


class BatchTable(Frozen):
    """Table `[batch.X]`."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str
    plugin: str
    params: Params
    timing: SourceTiming
    outcomes: SourceTiming
    """Of the polls for pilots that ended."""
    submit_deadline: PositiveSeconds = 60.0


class ChainLink(Frozen):
    """One step of a queue's chain with its validated parameters."""

    plugin: str
    params: Params


class EffectiveValue(Frozen):
    """One setting of a queue and where it comes from."""

    key: str
    """Dotted: `sched.max-pending.maximum`."""
    value: Any
    layer: str
    """built-in, defaults, config plug-in's name, queue, override."""
    where: str = ""
    """File, for a person."""


class QueueSettings(Frozen):
    """One queue, all layers merged."""

    name: str
    wms: str | None
    """None: no WMS is asked, for chains that need none."""
    query: WmsQuery
    batch: str
    submit_plugin: str
    submit_params: Params
    wrapper: str
    wrapper_parameters: dict[str, Any]
    chain: tuple[ChainLink, ...]
    attributes: dict[str, str | int | float | bool]
    environment: dict[str, str]
    paused: bool
    drain: bool = False
    """No new pilots; those that are there go on."""
    apf_compat: bool = False
    """AutoPyFactory's arithmetic where ours is stricter."""
    revision: str
    """Changes with every effective value; a change made at another revision is refused."""
    values: tuple[EffectiveValue, ...]


class Orphan(Frozen):
    """An override that no longer fits: shown, never applied."""

    queue: str
    key: str
    value: Any
    problem: str


class Settings(Frozen):
    """All settings of one load; replaced whole or not at all."""

    path: Path
    factory: FactoryTable
    wms: dict[str, WmsTable]
    batch: dict[str, BatchTable]
    queues: dict[str, QueueSettings]
    orphans: tuple[Orphan, ...] = ()
