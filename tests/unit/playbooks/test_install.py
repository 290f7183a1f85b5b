"""Packages that are installed in the background: whoever settles it waits for them and records them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.k8sbootstrap.host import install, packages

SLOW = 0.5


class Manager:
    """Keeps what is installed as names of files."""

    def __init__(self, folder: Path, *, refuses: bool) -> None:
        self.folder, self.refuses = folder, refuses
        folder.mkdir()
        (folder / "bash").touch()

    def installed(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}

    def install(self, names: list[str], proxy: dict[str, str], origin: tuple[str, ...]) -> None:  # noqa: ARG002
        time.sleep(SLOW)
        if self.refuses:
            raise packages.PackageError("no such package")
        for name in names:
            (self.folder / name).touch()


@pytest.fixture
def ready(host: Path, new_record: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    """A function that gives the host a package manager that works, or refuses."""

    def make(*, refuses: bool = False) -> install.Installation:
        monkeypatch.setitem(install.MANAGERS, "apt", Manager(host / "installed", refuses=refuses))
        return install.Installation(new_record(), "apt", [], {})

    monkeypatch.setattr(install, "DIRECTORY", str(host / "var/lib/k8sbootstrap"))
    monkeypatch.setattr(install, "_AFTER", str(host / "var/lib/k8sbootstrap/packages-after.json"))
    monkeypatch.setattr(install, "_LOCK", str(host / "var/lib/k8sbootstrap/packages.lock"))
    return make


def test_at_once(ready, new_record):
    here = ready()
    assert here.missing(["bash", "socat"]) == ["socat"]
    here.now(["socat"])
    assert new_record().data["packages"] == ["socat"]
    assert install.settle(new_record()) == []


def test_in_the_background(ready, new_record):
    here = ready()
    started = time.monotonic()
    here.begin(["socat", "iptables"])
    assert time.monotonic() - started < SLOW
    assert here.missing(["socat"]) == ["socat"]
    later = new_record()
    assert install.settle(later) == ["socat", "iptables"]
    assert later.data["packages"] == ["iptables", "socat"]
    assert later.data["package_users"] == []
    assert install.settle(new_record()) == []


def test_what_failed_in_the_background_is_missing_afterwards(ready, new_record):
    here = ready(refuses=True)
    here.begin(["socat"])
    assert install.settle(new_record()) == []
    assert here.missing(["socat"]) == ["socat"]
    with pytest.raises(packages.PackageError, match="no such package"):
        here.now(["socat"])
    assert new_record().data["packages"] == []


def test_what_comes_after_a_run_that_was_killed_is_not_ours(ready, new_record, host):
    """Reset would take it off."""
    ready().begin(["socat"])
    with install._locked():
        (host / "installed/tcpdump").touch()
    assert install.settle(new_record()) == ["socat"]
    assert new_record().data["packages"] == ["socat"]


def test_a_background_that_was_killed_counts_by_what_is_there(ready, new_record, host):
    here = ready()
    here.begin(["socat"])
    with install._locked():
        (host / "var/lib/k8sbootstrap/packages-after.json").unlink()
    assert install.settle(here._record) == ["socat"]
    here.begin(["iptables"])
    assert install.settle(here._record) == ["iptables"]
    assert new_record().data["packages"] == ["iptables", "socat"]


def test_users_of_components_are_not_those_of_packages(ready, new_record, monkeypatch):
    here = ready()
    here._note_before(["socat"])
    record = new_record()
    record.component("etcd")["users"].append("etcd")
    before = install._present(here._manager)
    new = {kind: [*before[kind], "etcd", "haproxy"] for kind in ("users", "groups")}
    monkeypatch.setattr(install, "_present", lambda _: before | new)
    install.settle(record)
    assert record.data["package_users"] == record.data["package_groups"] == ["haproxy"]
