"""The one way to ask a host: a program of ours runs there, and what it prints is checked before it is used.

Whatever a host answers is data. It may be false, endless, of another form, or meant for a terminal or a path.
So no other module runs commands over SSH or reads what they print: a test holds that.
"""

from dataclasses import dataclass
from typing import Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from k8sbootstrap.errors import HostError
from k8sbootstrap.formats.text import printable

T = TypeVar("T")

NO_PYTHON = 127
"""Exit code where there is no python3."""
PYTHON = (
    f"command -v python3 >/dev/null || exit {NO_PYTHON}; "
    "exec python3 -I -c 'import sys; sys.argv[1:] = [sys.stdin.readline()]; exec(sys.stdin.read())'"
)
"""Reads an argument on one line, then a program; isolated: it imports no file from the user's folder."""


class Answered(Protocol):
    """How a command on a host ended."""

    @property
    def rc(self) -> int: ...  # noqa: D102
    @property
    def stdout(self) -> str: ...  # noqa: D102
    @property
    def stderr(self) -> str: ...  # noqa: D102


class Session(Protocol):
    """The part of an SSH session that asking takes."""

    def run(self, command: str, *, stdin: bytes = b"", root: bool = True, timeout: float = 60) -> Answered:
        """Run a shell command on the host."""


@dataclass(frozen=True)
class Question:
    """A program of ours for a host."""

    program: bytes
    """Python 3.9 and later, standard library only; prints one JSON document."""
    argument: str = ""
    """Its one argument."""


class NoPythonError(HostError):
    """The host has no python3 that runs the program."""


class UnusableAnswerError(HostError):
    """The host answered something else than the program prints."""


def ask(host: str, session: Session, question: Question, form: TypeAdapter[T], *, timeout: float = 60) -> T:
    """Run a program on a host as root, and read what it prints.

    Args:
        host: Its name, for errors.
        session: The host.
        question: The program.
        form: What it prints.
        timeout: Seconds that it may take.

    Raises:
        NoPythonError: The host has no usable Python, or the program failed there.
        UnusableAnswerError: It printed something else.
        HostError: The connection broke, or it took too long or wrote too much.
        SudoError: The user cannot become root.
    """
    stdin = question.argument.replace("\n", " ").encode() + b"\n" + question.program
    result = session.run(PYTHON, stdin=stdin, timeout=timeout)
    if result.rc == NO_PYTHON:
        raise NoPythonError(f"{host}: python3 is not installed", hint="Install it: apt-get install python3")
    if result.rc:
        raise NoPythonError(
            f"{host}: python3 failed: {last_line(result.stderr)}",
            hint="Install the distribution's own Python 3.9 or later.",
        )
    return read(host, result.stdout, form)


def read(host: str, text: str, form: TypeAdapter[T]) -> T:
    """Read a JSON document that a host printed.

    Raises:
        UnusableAnswerError: It has another form, is nested too deeply, or is no JSON.
    """
    hint = "Check that it is the right host, and that python3 prints nothing there when it starts."
    try:
        document = from_json(text, allow_inf_nan=False)
    except (ValueError, RecursionError) as exc:
        raise UnusableAnswerError(
            f"{host}: its answer is not JSON: {shown(str(exc))}; it begins with {shown(text)!r}", hint
        ) from exc
    try:
        return form.validate_python(document)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        place = shown(".".join(map(str, first["loc"])))
        raise UnusableAnswerError(
            f"{host}: its answer can't be used: {place}: {shown(first['msg'], 200)}", hint
        ) from exc


def run(session: Session, command: str, *, stdin: bytes = b"", timeout: float = 60) -> Answered:
    """Run a shell command on a host as root. Its output is a host's word: read it with ``read``.

    Raises:
        HostError: The connection broke, or it took too long or wrote too much.
        SudoError: The user cannot become root.
    """
    return session.run(command, stdin=stdin, timeout=timeout)


def last_line(text: str) -> str:
    """The last line of what a command wrote to standard error, for a message."""
    lines = text.strip().splitlines()
    return shown(lines[-1], 300) if lines else "it printed no error"


def shown(text: str, length: int = 80) -> str:
    """The beginning of what a host said, fit for a message."""
    return printable(text[:length]).strip()
