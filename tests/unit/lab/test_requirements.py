"""What a lab needs on the machine."""

import shutil

import pytest

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import requirements


def _machine_without(monkeypatch: pytest.MonkeyPatch, *programs: str, build: bool) -> None:
    monkeypatch.setattr(
        shutil, "which", lambda program: None if program in programs else f"/usr/bin/{program}"
    )
    monkeypatch.setattr(requirements, "must_be_built", lambda _: build)


def test_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine_without(monkeypatch, build=True)
    assert requirements.missing_packages() == []
    requirements.require_packages()


def test_missing_packages_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine_without(monkeypatch, "systemd-nspawn", "nft", build=False)
    with pytest.raises(LabError, match="nftables, systemd-container") as caught:
        requirements.require_packages()
    assert "apt-get install --no-install-recommends nftables systemd-container" in caught.value.hint


@pytest.mark.parametrize(("build", "missing"), [(True, ["golang-go"]), (False, [])])
def test_a_compiler_is_needed_only_to_build(
    monkeypatch: pytest.MonkeyPatch, *, build: bool, missing: list[str]
) -> None:
    _machine_without(monkeypatch, "go", build=build)
    assert requirements.missing_packages() == missing
