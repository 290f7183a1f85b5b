"""Requests to a host's agent and its answers, as types."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.resources import files

from pydantic import TypeAdapter

from k8sbootstrap.hosts.ask import Question


@dataclass(frozen=True)
class Get:
    """An HTTP GET made on a host."""

    url: str
    ca: str | None = None
    """CA file on the host; None leaves the server's certificate unchecked (self-signed, loopback)."""
    cert: str | None = None
    """Client certificate file on the host, with its key inside unless ``key`` is given."""
    key: str | None = None
    within: float = 0
    """Seconds to go on trying until the answer is 200."""
    timeout: float | None = None
    """Seconds that one try may wait for the server; None for the agent's own limit."""


@dataclass(frozen=True)
class RunCommand:
    """A command run on a host as root."""

    argv: Sequence[str]
    timeout: float = 10
    """Seconds before it is ended."""
    most: int = 0
    """Characters from the beginning of what it prints that are wanted; 0 for all."""


@dataclass(frozen=True)
class Request:
    """All that is asked of one host in one go."""

    http: Mapping[str, Get] = field(default_factory=dict)
    run: Mapping[str, RunCommand] = field(default_factory=dict)
    certificates: Sequence[str] = ()
    """Globs of PEM files and kubeconfigs whose certificates are wanted."""

    def question(self) -> Question:
        """The agent, with this request."""
        program = files("k8sbootstrap.hosts.scripts").joinpath("agent.py").read_bytes()
        return Question(program, json.dumps(asdict(self)))


@dataclass(frozen=True)
class HttpAnswer:
    """What a GET brought."""

    status: int
    """HTTP status; 0 when there was no answer at all."""
    body: str
    error: str
    seconds: float
    connected: bool = False
    """Whether the server took the connection, whatever became of it."""

    @property
    def ok(self) -> bool:
        """Whether the answer was 200."""
        return self.status == 200  # noqa: PLR2004

    @property
    def said(self) -> str:
        """The answer in a few words, for a message: of a list of health checks only those that failed."""
        if not self.status:
            return self.error
        words = "\n".join(line for line in self.body.splitlines() if not line.startswith("[+]"))
        return f"HTTP {self.status} {shorten(words)}".rstrip()


@dataclass(frozen=True)
class RunAnswer:
    """How a command ended."""

    rc: int
    stdout: str
    stderr: str
    seconds: float = 0.0

    @property
    def said(self) -> str:
        """Its own words, for a message: without the JSON log lines that etcdctl mixes in."""
        words = [
            line for line in self.stderr.splitlines() if line.strip() and not line.startswith('{"level"')
        ]
        return shorten("\n".join(words) or self.stdout.strip() or f"exit code {self.rc}")


@dataclass(frozen=True)
class Answer:
    """What a host's agent said."""

    http: Mapping[str, HttpAnswer] = field(default_factory=dict)
    run: Mapping[str, RunAnswer] = field(default_factory=dict)
    certificates: Mapping[str, str] = field(default_factory=dict)
    """Path on the host to PEM text."""
    clock: tuple[float, float] = (0.0, 0.0)
    """Seconds since 1970 on the host's clock, when it began to answer and when it had the answer."""


ANSWER = TypeAdapter(Answer)


def shorten(text: str, length: int = 300) -> str:
    """``text`` on one line, its middle cut out when longer than ``length`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length // 3]} ... {line[-2 * length // 3 :]}"
