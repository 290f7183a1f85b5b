"""Files that were sent to a host count only as they were sent, whatever other users of it make or change."""

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible.module_utils.k8sbootstrap.host import arrivals

from k8sbootstrap.actions import upload

STRANGER = 12345
CONTENT = b"v1"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
as_root = pytest.mark.skipif(os.getuid() != 0, reason="makes files of another user")


def place(source: Path, dest: Path) -> None:
    arrivals.place(str(source), str(dest), SHA256, 0o755, (os.getuid(), os.getgid()))


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    folder = tmp_path / "sent"
    folder.mkdir(mode=0o700)
    (folder / "0").write_bytes(CONTENT)
    return folder / "0"


def test_what_is_placed_is_another_file_than_what_was_sent(tmp_path: Path, sent: Path) -> None:
    """Who has the sent file open for writing can't change the program afterwards."""
    dest = tmp_path / "program"
    with sent.open("r+b") as held:
        place(sent, dest)
        held.write(b"evil")
        held.flush()
    assert dest.read_bytes() == CONTENT
    assert stat.S_IMODE(dest.stat().st_mode) == 0o755
    assert not sent.exists()
    assert not (tmp_path / f"program{arrivals.ARRIVING}").exists()


def test_what_is_hashed_is_what_is_written(
    tmp_path: Path, sent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sent file is exchanged at the worst moment: after its last byte was hashed."""
    real = arrivals.sha256_of

    def exchanged(handle: object, out: object) -> object:
        found = real(handle, out)
        sent.unlink()
        sent.write_bytes(b"evil")
        return found

    monkeypatch.setattr(arrivals, "sha256_of", exchanged)
    place(sent, tmp_path / "program")
    assert (tmp_path / "program").read_bytes() == CONTENT


def test_another_file_than_was_sent_leaves_the_old_one(tmp_path: Path, sent: Path) -> None:
    dest = tmp_path / "program"
    dest.write_bytes(b"v0")
    sent.write_bytes(b"evil")
    with pytest.raises(ValueError, match=r"program arrived with the wrong content: sha256 \w+ instead of"):
        place(sent, dest)
    assert dest.read_bytes() == b"v0"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["program", "sent"]


def _link(path: Path) -> None:
    target = path.with_name("target")
    target.write_bytes(CONTENT)
    path.symlink_to(target)


def _folder(path: Path) -> None:
    path.mkdir()


def _fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("made", [_link, _folder, _fifo])
def test_only_plain_files_count(tmp_path: Path, sent: Path, made: Callable[[Path], None]) -> None:
    sent.unlink()
    made(sent)
    with pytest.raises((OSError, ValueError), match=r"symbolic links|not a regular file"):
        place(sent, tmp_path / "program")
    assert not (tmp_path / "program").exists()


@as_root
def test_a_file_of_another_user_is_refused(
    tmp_path: Path, sent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chown(sent, STRANGER, STRANGER)
    with pytest.raises(ValueError, match=f"belongs to the user with the id {STRANGER}"):
        place(sent, tmp_path / "program")
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    place(sent, tmp_path / "program")
    assert (tmp_path / "program").stat().st_uid == 0


def test_a_link_that_a_killed_run_seems_to_have_left_is_not_followed(tmp_path: Path, sent: Path) -> None:
    (tmp_path / "other").write_bytes(b"other")
    (tmp_path / f"program{arrivals.ARRIVING}").symlink_to(tmp_path / "other")
    place(sent, tmp_path / "program")
    assert (tmp_path / "other").read_bytes() == b"other"
    assert not (tmp_path / "program").is_symlink()


def test_what_was_sent_ahead_is_taken_from_our_own_folder(sent: Path) -> None:
    assert arrivals.arrived(str(sent.parent), "0") == str(sent)


@pytest.mark.parametrize("ending", ["", ".part"])
@pytest.mark.parametrize("how", ["open to all", "a link", pytest.param("of another user", marks=as_root)])
def test_a_folder_that_somebody_else_can_change_holds_nothing(
    tmp_path: Path, sent: Path, how: str, ending: str
) -> None:
    folder = sent.parent
    sent.rename(folder / f"0{ending}")
    if how == "open to all":
        folder.chmod(0o777)
    elif how == "of another user":
        os.chown(folder, STRANGER, STRANGER)
    else:
        folder = tmp_path / "link"
        folder.symlink_to(sent.parent)
    assert arrivals.arrived(str(folder), "0") is None


def test_folders_that_killed_runs_left_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "PLACE", str(tmp_path))
    ours = tmp_path / f"{arrivals.PREFIX}0123"
    ours.mkdir(mode=0o700)
    (tmp_path / "k8sbootstrap-notes").mkdir(mode=0o700)
    (tmp_path / f"{arrivals.PREFIX}file").write_text("")
    (tmp_path / f"{arrivals.PREFIX}link").symlink_to(ours)
    assert arrivals.leftovers() == [str(ours)]
    monkeypatch.setattr(arrivals, "PLACE", str(tmp_path / "missing"))
    assert arrivals.leftovers() == []


def test_all_folders_on_hosts_have_names_that_reset_knows() -> None:
    assert upload.new_folder().startswith(f"{arrivals.PLACE}/{arrivals.PREFIX}")
