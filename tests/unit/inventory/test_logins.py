"""Logins to registries: in one file of the state directory, under the names that kubelets look for."""

import base64
import json
import stat
from pathlib import Path

import pytest

from k8sbootstrap.config.models.runtime import Registry
from k8sbootstrap.errors import ConfigError
from k8sbootstrap.inventory.logins import read_logins, write_logins
from k8sbootstrap.state import State

PASSWORD = "correct horse: battery"


@pytest.fixture
def registries(tmp_path: Path) -> list[Registry]:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    (tmp_path / "password").chmod(0o600)
    login = {"username": "puller", "password": {"file": "password"}}
    entries = [{"host": "docker.io", **login}, {"host": "r.example.com:5000", **login}, {"host": "quay.io"}]
    return [Registry.model_validate(entry) for entry in entries]


def test_hosts_have_the_names_that_kubelets_look_for(registries: list[Registry], tmp_path: Path) -> None:
    state = State(tmp_path)
    write_logins(read_logins(registries, tmp_path), state)
    auths = json.loads(state.registry_logins.read_text())["auths"]
    assert set(auths) == {"https://index.docker.io/v1/", "r.example.com:5000"}
    for entry in auths.values():
        assert base64.b64decode(entry["auth"]).decode() == f"puller:{PASSWORD}"
    assert stat.S_IMODE(state.registry_logins.stat().st_mode) == 0o600


def test_the_file_changes_with_a_login_alone_and_goes_with_the_last(
    registries: list[Registry], tmp_path: Path
) -> None:
    state = State(tmp_path)
    logins = read_logins(registries, tmp_path)
    write_logins(logins, state)
    first = state.registry_logins.read_text()
    write_logins(logins, state)
    assert state.registry_logins.read_text() == first
    write_logins({**logins, "quay.io": "eDp5"}, state)
    assert json.loads(state.registry_logins.read_text())["salt"] == json.loads(first)["salt"]
    write_logins({}, state)
    assert not state.registry_logins.exists()
    write_logins({}, state)


def test_its_hash_can_not_be_computed_from_the_password(registries: list[Registry], tmp_path: Path) -> None:
    texts = set()
    for name in ("one", "other"):
        state = State(tmp_path / name)
        state.create()
        write_logins(read_logins(registries, tmp_path), state)
        texts.add(state.registry_logins.read_text())
    assert len(texts) == 2


def test_a_variable_that_is_not_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_PASSWORD", raising=False)
    entry = {"host": "quay.io", "username": "a", "password": {"env": "NO_SUCH_PASSWORD"}}
    with pytest.raises(ConfigError, match="NO_SUCH_PASSWORD is not set"):
        read_logins([Registry.model_validate(entry)], tmp_path)
