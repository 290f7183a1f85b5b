"""What the newest run of Conformance said, kept for the report page and to look into failed tests."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from k8sbootstrap import private_files
from k8sbootstrap.checks.conformance.answers import ToldRun
from k8sbootstrap.checks.framework import CheckReport
from k8sbootstrap.state import State


@dataclass(frozen=True)
class Conformance:
    """One run."""

    version: str
    """Kubernetes release of the tests."""
    began: datetime
    focus: str
    """Regular expression that chose the tests; empty where all were run."""
    report: CheckReport


_FORM = TypeAdapter(Conformance)


def write(state: State, run: Conformance, told: ToldRun) -> None:
    """Keep a run, in place of the one before, and what its failed tests printed.

    Args:
        state: The cluster's state.
        run: The run.
        told: What it said.
    """
    state.create()
    private_files.replace(state.conformance, _FORM.dump_json(run, indent=2), private_files.PRIVATE)
    failed = [test for part in told.parts for test in part.results if test.log]
    text = "\n\n".join(f"{test.name}\n\n{test.message}\n\n{test.log}" for test in failed)
    private_files.replace(state.conformance_log, text.encode(), private_files.PRIVATE)


def has_log(state: State) -> bool:
    """Whether failed tests printed something in the newest run."""
    return state.conformance_log.exists() and state.conformance_log.stat().st_size > 0


def read(state: State) -> Conformance | None:
    """The newest run; None where there is none, or its file is damaged."""
    try:
        return _FORM.validate_json(state.conformance.read_bytes())
    except (OSError, ValidationError):
        return None
