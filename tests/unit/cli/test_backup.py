"""backup: bad input, and what is said of a file."""

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from k8sbootstrap.actions.backup.api_objects import Counted
from k8sbootstrap.cli import backup
from k8sbootstrap.cli.backup_key import VARIABLE

GOOD = "age1agk4m4zvqlmp0mder85dq82vwu9aqk2ghc6ae2rdp4j5v57m65ksyj5fmj"


@dataclass(frozen=True)
class Made:
    """A manifest."""

    cluster: str = "demo"
    kubernetes: str = "1.36.2"
    created: str = "2026"
    made_by: str = "1.0"
    revision: int = 7
    files: dict[str, int] = field(default_factory=lambda: {"a": 1})


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["create", "x"], "Name who can decrypt it: --recipient, --passphrase-file, or K8SBOOTSTRAP_BACKUP"),
        (["create", "x", "--passphrase-file", "short"], "The passphrase has less than 12 characters."),
        (
            ["create", "x", "--passphrase-file", "short", "--recipient", GOOD],
            "--recipient and --passphrase-file cannot be used together.",
        ),
        (["create", "x", "--recipient", "age1x"], "age1x is no public key of age (age1...)"),
        (["create", "none/x", "--recipient", GOOD], "the folder none is missing"),
        (["create", "x", "--passphrase-file", "binary"], "binary can't be read."),
        (["verify", "short"], "Say what decrypts it: --identity, --passphrase-file"),
        (["verify", "short", "--identity", "comment"], "comment has no secret key of age"),
        (["verify", "short", "--identity", "short", "--passphrase-file", "short"], "cannot be used together"),
    ],
)
def test_bad_input(run, folder: Path, args: list[str], said: str) -> None:
    (folder / "short").write_text("secret\n")
    (folder / "comment").write_text("# public key: age1\n")
    (folder / "binary").write_bytes(b"\xff\xfe")
    ended = run("backup", *args)
    assert (ended.code, ended.out) == (2, "")
    assert said in " ".join(ended.err.split())
    assert not (folder / ".k8sbootstrap").exists()


@pytest.fixture
def keys(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Keys that a backup was opened with."""
    found: list[object] = []

    @contextmanager
    def opened(_file: Path, key: object):
        found.append(key)
        yield SimpleNamespace(manifest=Made(), folder=folder, authorities=())

    counted = Counted({"pods": 2, "secrets": 1, "deployments.apps": 2}, {}, ("metrics.k8s.io/v1beta1",))
    monkeypatch.setattr(backup, "opened", opened)
    monkeypatch.setattr(backup, "try_out", lambda *_: counted)
    (folder / "b").write_bytes(b"x")
    (folder / "id").write_text("# created: 2026\n# public key: age1\nAGE-SECRET-KEY-1X\n")
    return found


def test_what_is_said_of_one(run, keys: list[object]) -> None:
    said = run("backup", "verify", "b", "--identity", "id", "--no-trial").out.splitlines()
    assert said == [
        "b: cluster demo with Kubernetes 1.36.2, of 2026, revision 7, 1 file",
        "All files in it are as they were written.",
    ]
    assert keys[0].identities == ["AGE-SECRET-KEY-1X"]


def test_what_was_counted(run, keys: list[object]) -> None:
    said = run("backup", "verify", "b", "--identity", "id").out.splitlines()
    assert said[1:] == [
        "All 5 objects were read:",
        "       2  deployments.apps",
        "       2  pods",
        "       1  secrets",
        "Not in etcd, and so not in the backup: objects of metrics.k8s.io/v1beta1",
    ]
    found = json.loads(run("backup", "verify", "b", "--identity", "id", "-o", "json").out)
    assert (found["objects"], found["byResource"]["pods"], found["revision"]) == (5, 2, 7)


def test_the_passphrase_is_in_the_environment_of_nothing_else(
    run, keys: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "correct horse battery")
    run("backup", "verify", "b")
    assert keys[0].passphrase == "correct horse battery"
    assert VARIABLE not in os.environ
