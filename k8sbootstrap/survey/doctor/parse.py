"""Reads what hosts print into types. What can't be read is left out: then there is nothing to judge."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from k8sbootstrap.formats.text import printable
from k8sbootstrap.survey.facts import Listener, Route, read_listeners, read_routes

_MICRO = 1e-6
_JOURNAL = re.compile(r"(\d{9,11}\.\d+) \S+ ([^:\[ ]+)(?:\[\d+\])?: (.*)")
_TROUBLE = re.compile(
    r"^[EF]\d{4} |\"level\":\"(?:error|fatal|panic)\"|level=(?:error|fatal)|\b(?:error|fatal|failed|panic|"
    r"cannot|can't|unable|refused|denied|invalid|unknown|no space|not start)\b",
    re.IGNORECASE,
)
_DF_COLUMNS = 6
_FUTURE = 1 << 33
"""A time that no clock shows, in seconds since 1970."""


@dataclass(frozen=True)
class Unit:
    """A systemd unit as it is."""

    loaded: bool
    """Whether it is installed."""
    state: str
    """As in ``active (running)``."""
    result: str
    """Why it ended, as systemd has it: success, exit-code, signal, oom-kill, timeout."""
    exit_status: str
    """Exit code of its main process."""
    restarts: int
    since: float | None
    """Seconds since the host's boot at which it was last active, or at which its state changed."""

    @property
    def active(self) -> bool:
        """Whether it runs."""
        return self.state.startswith("active ")

    @property
    def known(self) -> bool:
        """Whether the host said anything of it."""
        return self.state != "unknown"


@dataclass(frozen=True)
class Upload:
    """What a host's last upload of a snapshot came to."""

    tried: Annotated[float, Field(gt=0, lt=_FUTURE)]
    """When, in seconds since 1970."""
    uploaded: Annotated[float, Field(ge=0, lt=_FUTURE)] = 0.0
    """When the last one succeeded; 0 for never."""
    object: Annotated[str, Field(max_length=2000)] = ""
    """What that was called in the bucket."""
    problem: Annotated[str, Field(max_length=10_000)] = ""
    """Why the last one failed; empty where it did not."""


_UPLOAD = TypeAdapter(Upload)


def read_upload(text: str) -> Upload | None:
    """Read the record of uploads; None where there is none."""
    try:
        found = _UPLOAD.validate_json(text)
    except ValidationError:
        return None
    return replace(found, object=printable(found.object), problem=printable(found.problem[:500]))


@dataclass(frozen=True)
class JournalLine:
    """A line of the journal."""

    at: float
    """Seconds since 1970 on the host's clock."""
    program: str
    text: str

    @property
    def is_trouble(self) -> bool:
        """Whether the program itself speaks of something that went wrong."""
        return self.program != "systemd" and bool(_TROUBLE.search(self.text))

    @property
    def words(self) -> str:
        """What it says: of a line that is a JSON object, as etcd writes them, its message and its error."""
        try:
            found = from_json(self.text) if self.text.startswith("{") else None
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or not found.get("msg"):
            return self.text
        return ": ".join(str(found[key]) for key in ("level", "msg", "error") if found.get(key))


@dataclass(frozen=True)
class Disk:
    """The file system that a folder is on."""

    folder: str
    source: str
    size: int
    free: int
    """Bytes that are left."""
    files: int
    """How many files it can have; 0 where it has no limit."""
    files_free: int


def read_units(text: str) -> dict[str, Unit]:
    """Read ``systemctl show`` of several units: by name without ``.service``."""
    units = {}
    for block in text.split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" not in fields:
            continue
        left, changed = (
            _number(fields.get(f"{name}TimestampMonotonic", "")) for name in ("ActiveExit", "StateChange")
        )
        units[fields["Id"].removesuffix(".service")] = Unit(
            loaded=fields.get("LoadState") == "loaded",
            state=f"{fields.get('ActiveState', '')} ({fields.get('SubState', '')})",
            result=fields.get("Result", ""),
            exit_status=fields.get("ExecMainStatus", ""),
            restarts=_number(fields.get("NRestarts", "")),
            since=(left or changed) * _MICRO if left or changed else None,
        )
    return units


def read_journal(text: str) -> list[JournalLine]:
    """Read ``journalctl -o short-unix``."""
    found = (_JOURNAL.fullmatch(line) for line in text.splitlines())
    return [JournalLine(float(match[1]), match[2], match[3]) for match in found if match]


def read_disks(text: str) -> list[Disk]:
    """Read ``df -B1 --output=file,source,size,avail,itotal,iavail``."""
    return list(_disks(text))


def _disks(text: str) -> Iterator[Disk]:
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) == _DF_COLUMNS and words[2].isdecimal() and words[3].isdecimal():
            yield Disk(words[0], words[1], int(words[2]), int(words[3]), _number(words[4]), _number(words[5]))


def routes(text: str) -> list[Route] | None:
    """Read ``ip -j -4 route show``; None where it printed none."""
    try:
        return read_routes(text) if text.strip() else None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def listeners(text: str) -> list[Listener]:
    """Read ``ss -Hltnp``."""
    return read_listeners(text, {})


def swaps(text: str) -> list[str]:
    """Read /proc/swaps: files and devices."""
    return [line.split()[0] for line in text.splitlines()[1:] if line.strip()]


def uptime(text: str) -> float | None:
    """Read /proc/uptime: seconds since the boot."""
    match = re.match(r"(\d+(?:\.\d+)?) ", text)
    return float(match[1]) if match else None


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 20 else 0  # noqa: PLR2004 - more than 64 bits
