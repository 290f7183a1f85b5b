"""The state directory belongs to who uses it, and to nobody else."""

import os
import stat
from pathlib import Path

import pytest

from k8sbootstrap.errors import StateError
from k8sbootstrap.state import State

STRANGER = 12345
as_root = pytest.mark.skipif(os.getuid() != 0, reason="makes folders of another user")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cluster.yaml"


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return tmp_path / ".k8sbootstrap"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_for_its_owner_alone_and_not_for_git(file: Path, top: Path) -> None:
    State.beside(file, "demo").create()
    assert (mode(top), mode(top / "demo")) == (0o700, 0o700)
    assert (top / ".gitignore").read_text() == "*\n"


def test_one_that_was_open_to_all_is_closed_and_a_gitignore_kept(file: Path, top: Path) -> None:
    (top / "demo").mkdir(parents=True)
    for folder in (top, top / "demo"):
        folder.chmod(0o777)
    (top / ".gitignore").write_text("mine\n")
    State.beside(file, "demo").create()
    assert (mode(top), mode(top / "demo")) == (0o700, 0o700)
    assert (top / ".gitignore").read_text() == "mine\n"


@as_root
@pytest.mark.parametrize("which", [".k8sbootstrap", ".k8sbootstrap/demo"])
@pytest.mark.parametrize("how", ["folder", "link", "linked folder"])
def test_one_of_another_user_is_refused(
    file: Path, tmp_path: Path, which: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    folder = tmp_path / which
    folder.parent.mkdir(exist_ok=True)
    target = folder if how == "folder" else tmp_path / "elsewhere"
    target.mkdir()
    if target != folder:
        folder.symlink_to(target)
    os.chown(folder if how == "link" else target, STRANGER, STRANGER, follow_symlinks=False)
    for use in (lambda: State.beside(file, "demo"), State(tmp_path / ".k8sbootstrap/demo").create):
        with pytest.raises(StateError, match=f"{which} belongs to the user with the id {STRANGER}"):
            use()
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    State.beside(file, "demo").create()


def test_a_link_to_a_folder_of_ones_own_will_do(file: Path, top: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    top.symlink_to(tmp_path / "elsewhere")
    State.beside(file, "demo").create()
    assert mode(tmp_path / "elsewhere" / "demo") == 0o700
