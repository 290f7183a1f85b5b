"""Settings that a host had before, merged with the cluster's, or refused by name where both can't be.

``up`` judges with the same functions before any host is touched. Standard library only.
"""

from __future__ import annotations

import importlib
import json
import re
from typing import Any


class MergeError(ValueError):
    """Both can't be; the text says which setting, and what to do."""


def merge(
    kind: str, path: str, ours: bytes, theirs: bytes, *, first: bool, dropped: tuple[str, ...] = ()
) -> bytes:
    """What a file is to hold.

    Args:
        kind: ``docker`` (daemon.json) or ``containerd`` (config.toml).
        path: The file, for messages.
        ours: What the cluster needs.
        theirs: What the host's owner has there, or what is there now; all but ours is kept.
        first: ``theirs`` is all the owner's: it is refused where it can't be together with ours, and some of
            its values come before ours.
        dropped: Settings of ours that are no longer wanted.

    Raises:
        MergeError: Both can't be.
    """
    return _MERGES[kind](path, ours.decode(), theirs.decode("utf-8", "replace"), first, dropped).encode()


def settings_of(kind: str, ours: bytes) -> list[str]:
    """Names of the settings that ours has, for a later ``dropped``."""
    return (
        list(json.loads(ours))
        if kind == "docker"
        else [" ".join(path) for path in _Toml(ours.decode()).paths()]
    )


def only_live(path: str, live: list[str] | None, content: bytes) -> bool:
    """Whether nothing differs in a JSON file but keys that its program reads again when it is told to.

    Args:
        path: The file as it is.
        live: Those keys; None or empty where there are none.
        content: What it is to hold.
    """
    if not live:
        return False
    try:
        with open(path, "rb") as handle:
            before, after = json.load(handle), json.loads(content)
        return all(before.get(key) == after.get(key) for key in {*before, *after} - set(live))
    except (AttributeError, ValueError):
        return False


# docker

_OWNERS_FIRST = ("data-root", "live-restore")
"""Settings of the host's owner that come before ours: docker would find no images, containers would stop."""
_FATAL = {
    "bip": "docker has no bridge of its own in a cluster",
    "userns-remap": "pods on the host's network would not start",
}
"""Settings that the cluster's docker does not work with, and why."""
_CGROUP_DRIVER = "native.cgroupdriver="


def _docker(path: str, ours_text: str, theirs_text: str, first: bool, dropped: tuple[str, ...]) -> str:
    ours = json.loads(ours_text)
    try:
        theirs = json.loads(theirs_text or "{}")
    except (ValueError, RecursionError) as error:
        if not first:
            return ours_text
        raise MergeError(f"{path} is not JSON: {error}. Correct it, or remove it") from error
    if not isinstance(theirs, dict):
        raise MergeError(f"{path} is not a JSON object. Correct it, or remove it")
    kept = {key: value for key, value in theirs.items() if key not in ours and key not in dropped}
    if first:
        for key in sorted(_FATAL.keys() & kept.keys()):
            raise MergeError(f"{path} sets {key}, but {_FATAL[key]}. Remove it, or use another host")
        ours = {key: _owners(path, key, value, theirs) for key, value in ours.items()}
    return json.dumps({**ours, **kept}, indent=2) + "\n" if kept or first else ours_text


def _owners(path: str, key: str, value: Any, theirs: dict[str, Any]) -> Any:
    """A setting of ours, with what the host's owner has there."""
    if key not in theirs or theirs[key] == value:
        return value
    his = theirs[key]
    if key in _OWNERS_FIRST:
        return his
    if key == "registry-mirrors":
        return [*value, *(each for each in his if each not in value)]
    if key == "log-opts":
        return {**value, **his}
    if key == "exec-opts" and not [
        each for each in his if each.startswith(_CGROUP_DRIVER) and each not in value
    ]:
        return [*value, *(each for each in his if each not in value)]
    raise MergeError(
        f"{path} sets {key} to {json.dumps(his)}, but the cluster needs "
        f"{json.dumps(value)}. Remove it, or use another host"
    )


def docker_problems(
    command_lines: list[str], info: dict[str, Any], containers: list[dict[str, Any]], settings: bytes
) -> list[str]:
    """Why docker, as its owner runs it, can't be the cluster's; empty where it can.

    Args:
        command_lines: What dockerd is, and will be, started with.
        info: What the engine says of itself; empty where it does not run.
        containers: What the engine says of its running containers.
        settings: The cluster's daemon.json.
    """
    problems = []
    if info.get("Swarm", {}).get("LocalNodeState", "inactive") not in {"", "inactive"}:
        problems.append(
            "docker is in a swarm, which does not work with live-restore. Leave it first: docker swarm leave"
        )
    keys = json.loads(settings)
    given = {flag for line in command_lines for flag in re.findall(r"(?<![^\s\"'=])(--?[a-z][a-z-]*)", line)}
    clashing = sorted(flag for flag in given if _FLAGS.get(flag, flag.lstrip("-")) in keys)
    if clashing:
        problems.append(
            f"docker would not start: its command line has {' '.join(clashing)}, which "
            "daemon.json sets too. Move it from docker's unit or /etc/default/docker to "
            "/etc/docker/daemon.json"
        )
    lost = [
        container["Names"][0].lstrip("/")
        for container in containers
        if "io.kubernetes.pod.uid" not in (container.get("Labels") or {})
        and container.get("HostConfig", {}).get("NetworkMode") not in {"host", "none"}
    ]
    if lost:
        problems.append(
            "containers of your own would lose their network and ports: "
            f"{', '.join(sorted(lost)[:5])}. In a cluster docker has no networks. Remove these "
            "containers, or run them with --network host"
        )
    return problems


_FLAGS = {
    "-b": "bridge",
    "--exec-opt": "exec-opts",
    "-g": "data-root",
    "--graph": "data-root",
    "--log-opt": "log-opts",
    "--registry-mirror": "registry-mirrors",
}
"""Flags of dockerd that are called otherwise in daemon.json."""


# containerd

_OWN_RUNTIME = "default_runtime_name"
_KEY = re.compile(
    r"""\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*="""
)
_TABLE = re.compile(r"\s*(\[\[?)([^\[\]]+)\]\]?\s*(?:#.*)?")
_PART = re.compile(r""""([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)""")
_TEXT = re.compile(r""""([^"]*)"|'([^']*)'""")


_Path = tuple[str, ...]
_Keys = dict[_Path, list[str]]
"""Key to its lines."""


class _Toml:
    """A TOML file as tables of lines: enough to put two together, without knowing values."""

    def __init__(self, text: str) -> None:
        self.tables: dict[_Path, tuple[str, _Keys]] = {(): ("", {})}
        """Path to the line that begins the table, and its keys."""
        table: _Path = ()
        key: _Path | None = None
        for line in text.splitlines():
            head = _TABLE.fullmatch(line)
            found = _KEY.match(line)
            if head:
                table, key = _path(head[2]), None
                if head[1] == "[[":
                    table = (*table, str(len(self.tables)))
                self.tables.setdefault(table, (line.strip(), {}))
            elif found:
                key = _path(found[1])
                self.tables[table][1][key] = [line.strip()]
            elif key and line.strip() and not line.strip().startswith("#"):
                self.tables[table][1][key].append(line.strip())

    def paths(self) -> list[_Path]:
        """Full paths of all keys."""
        return [(*table, *key) for table, (_, keys) in self.tables.items() for key in keys]

    def value(self, *path: str) -> str:
        """A key's value as it is written; empty where there is none."""
        for table, (_, keys) in self.tables.items():
            for key, lines in keys.items():
                if (*table, *key) == path:
                    return " ".join(lines).partition("=")[2].strip()
        return ""


def _path(text: str) -> _Path:
    return tuple("".join(parts) for parts in _PART.findall(text))


def _containerd(path: str, ours_text: str, theirs_text: str, first: bool, dropped: tuple[str, ...]) -> str:
    if '"""' in theirs_text or "'''" in theirs_text:
        if not first:
            return ours_text
        raise MergeError(f"{path} has a text of several lines, which can't be merged. Remove it")
    ours, theirs = _Toml(ours_text), _Toml(theirs_text)
    if first:
        _refuse_containerd(path, ours, theirs)
    wanted = set(ours.paths()) | {tuple(name.split(" ")) for name in dropped}
    added: dict[_Path, tuple[str, _Keys]] = {}
    for table, (head, keys) in theirs.tables.items():
        kept = {key: lines for key, lines in keys.items() if (*table, *key) not in wanted}
        inside = [
            key for key in kept if any(name[: len(table) + len(key)] == (*table, *key) for name in wanted)
        ]
        if inside and first:
            raise MergeError(
                f"{path} has {'.'.join(inside[0])} in a form that is not a table. Write it as a table"
            )
        for key in inside:
            del kept[key]
        if kept:
            added[table] = (head, kept)
    if not added and not first:
        return ours_text
    merged = _put_together(ours_text, theirs, added, first)
    problem = _problem_of(merged)
    if problem and first:
        raise MergeError(f"{path} can't be merged with what the cluster needs ({problem}). Move it away")
    return ours_text if problem else merged


def _problem_of(text: str) -> str:
    """What is wrong with a TOML text; empty where nothing is, or where this Python can't tell."""
    try:
        tomllib = importlib.import_module("tomllib")
    except ImportError:  # before Python 3.11
        return ""
    try:
        tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        return str(error)
    return ""


def _refuse_containerd(path: str, ours: _Toml, theirs: _Toml) -> None:
    version = theirs.value("version")
    if theirs.paths() and version != ours.value("version"):
        raise MergeError(
            f"{path} has version {version or 1}, but the cluster needs version "
            f"{ours.value('version')}. Convert it with containerd config migrate, or move it "
            "away"
        )
    if re.search(r"""["'](io\.containerd\.grpc\.v1\.)?cri["']""", theirs.value("disabled_plugins")):
        raise MergeError(
            f"{path} turns off the plugin cri, which the cluster needs. Remove it from disabled_plugins"
        )
    for table, (_, keys) in theirs.tables.items():
        for name in ("mirrors", "configs"):
            if (
                "registry" in table
                and table[-1] != name
                and name in table[table.index("registry") :]
                and keys
            ):
                raise MergeError(
                    f"{path} has registry.{name}, which does not work with config_path. Move it to "
                    "/etc/containerd/certs.d, or to runtime.registries in cluster.yaml"
                )


def _put_together(ours_text: str, theirs: _Toml, added: dict[_Path, tuple[str, _Keys]], first: bool) -> str:
    """Ours, with their keys at the end of the tables that both have, and then the tables they alone have."""
    text: list[str] = []
    table: _Path = ()
    for line in [*ours_text.splitlines(), "[end]"]:
        head, found = _TABLE.fullmatch(line), _KEY.match(line)
        if head:
            for lines in added.pop(table, ("", {}))[1].values():
                text += ["  " * max(len(table) - 1, 0) + each for each in lines]
            table = _path(head[2])
        text.append(_with_theirs(line, (*table, *_path(found[1])), theirs) if found and first else line)
    text.pop()
    while text and not text[-1].strip():
        text.pop()
    for begin, keys in added.values():
        text += ["", begin, *(f"  {line}" for lines in keys.values() for line in lines)]
    return "\n".join(text) + "\n"


def _with_theirs(line: str, path: _Path, theirs: _Toml) -> str:
    """A line of ours, with the value that the host's owner has where that comes first or belongs to it."""
    value = theirs.value(*path)
    if value and path[-1] == _OWN_RUNTIME:
        return line.partition("=")[0] + "= " + value
    if value and path == ("imports",):
        both = dict.fromkeys(_texts(line.partition("=")[2]) + _texts(value))
        return "imports = [" + ", ".join(f'"{each}"' for each in both) + "]"
    return line


def _texts(value: str) -> list[str]:
    return ["".join(parts) for parts in _TEXT.findall(value)]


_MERGES = {"docker": _docker, "containerd": _containerd}
