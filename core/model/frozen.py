"""The one base of every value that is passed on or crosses a process border."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Immutable, and refuses keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")
