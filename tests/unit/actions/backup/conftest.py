import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from k8sbootstrap.actions.backup import create
from k8sbootstrap.actions.snapshot import Snapshot
from k8sbootstrap.formats.age import Key
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State

DATA = b"objects " * 100
SNAPSHOT = DATA + hashlib.sha256(DATA).digest()
IDENTITY = "AGE-SECRET-KEY-18MA5GL5D3MMMAYRGU8USYM39EVGNH3693U90JVNTRTF5PMJ25F4SGJ3Y9Y"
RECIPIENT = "age1agk4m4zvqlmp0mder85dq82vwu9aqk2ghc6ae2rdp4j5v57m65ksyj5fmj"
KEY = Key(recipients=[RECIPIENT], identities=[IDENTITY])
PASSPHRASE = Key(passphrase="correct horse battery")
"""Takes a second to use."""


@pytest.fixture
def filled(plan: ClusterPlan, state: State) -> State:
    """A state directory with certificates and pins."""
    ensure_pki(plan, state)
    state.artifact_pins.write_text("{}")
    return state


@pytest.fixture
def make(
    plan: ClusterPlan, cluster_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Path]:
    """Makes a backup of a cluster whose etcd has one snapshot."""

    def do(key: Key = KEY) -> Path:
        monkeypatch.setattr(create.etcd, "look", lambda *_: None)
        monkeypatch.setattr(create.etcd, "state", lambda _: type("State", (), {"members": ()}))
        monkeypatch.setattr(create.snapshot, "source", lambda _: "master1")
        monkeypatch.setattr(create.snapshot, "take", lambda *_, **__: Snapshot("master1", "/x.db", 9, "", 77))
        monkeypatch.setattr(create.snapshot, "download", lambda *given: given[3].write_bytes(SNAPSHOT))
        file = tmp_path / "demo.backup"
        create.create(plan, cluster_file, Pool(), file, key)
        return file

    return do
