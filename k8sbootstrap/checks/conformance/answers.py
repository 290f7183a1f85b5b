"""What a master says of a run of upstream's tests, as types with bounds."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter
from pydantic.dataclasses import dataclass

from k8sbootstrap.formats.text import printable

MOST = 20_000
"""Tests of one part; all of e2e.test's are a fifth of that."""


def _lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.splitlines())


_Name = Annotated[str, StringConstraints(max_length=2000), AfterValidator(printable)]
_Text = Annotated[str, StringConstraints(max_length=2500), AfterValidator(_lines)]
_Log = Annotated[str, StringConstraints(max_length=25_000), AfterValidator(_lines)]
_Count = Annotated[int, Field(ge=0, le=1 << 31)]


@dataclass(frozen=True)
class ToldTest:
    """What one test said."""

    name: _Name
    """With its groups and labels, as in ``[sig-apps] Job should ... [Conformance]``."""
    status: Literal["passed", "failed", "skipped"]
    seconds: Annotated[float, Field(ge=0, le=1e6)]
    message: _Text
    """Why it failed, or why it did not run."""
    lacks: Annotated[list[_Name], Field(max_length=50)]
    """Images that nodes could not pull while it ran; only of tests that failed."""
    log: _Log
    """What a failed test printed."""


@dataclass(frozen=True)
class ToldPart:
    """How far one part is."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z]{1,20}$")]
    processes: _Count
    """Tests that run at the same time."""
    total: _Count
    """Tests that were chosen."""
    done: _Count
    failed: _Count
    results: Annotated[list[ToldTest], Field(max_length=MOST)]
    """All of it once the run has ended; empty before."""


@dataclass(frozen=True)
class ToldRun:
    """How far a run is."""

    unit: Literal["running", "ended", "gone", "taken"]
    """gone: it ended without a word, perhaps because the host was rebooted. taken: another run is there."""
    copied: bool
    """Whether it has the programs that were sent."""
    error: _Text
    """Why it ended before its end."""
    parts: Annotated[list[ToldPart], Field(max_length=10)]


RUN = TypeAdapter(ToldRun)


@dataclass(frozen=True)
class ToldImages:
    """Which images a node lacks."""

    lacking: Annotated[dict[_Name, _Name], Field(max_length=100)]
    """Reference to the reason; an empty reference stands for the runtime itself."""


IMAGES = TypeAdapter(ToldImages)
