"""A component's files: only what differs changes, a killed run loses nothing, all can be put back."""

import base64
import hashlib
import os
import stat
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.k8sbootstrap.host import arrivals
from ansible.module_utils.k8sbootstrap.host import files as files_module
from ansible.module_utils.k8sbootstrap.host.files import FileSet, restore

New = Callable[..., Any]
Apply = Callable[..., FileSet]


@pytest.fixture
def file(host: Path, owner: dict[str, str]) -> Callable[..., dict[str, Any]]:
    """One wanted file."""

    def _file(path: str, content: str, **more: Any) -> dict[str, Any]:
        encoded = base64.b64encode(content.encode()).decode()
        wanted = {"dest": str(host / path), "content": encoded, "mode": "0640", "secret": False}
        return wanted | {"restarts": ["app.service"]} | owner | more

    return _file


@pytest.fixture
def binary(host: Path, owner: dict[str, str]) -> Callable[..., dict[str, Any]]:
    """One wanted program."""

    def _binary(path: str, content: bytes, **more: Any) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        wanted = {"dest": str(host / path), "mode": "0755", "sha256": digest, "url": None}
        return wanted | {"restarts": ["app.service"]} | owner | more

    return _binary


@pytest.fixture
def apply(new_record: New) -> Apply:
    """One module call."""

    def _apply(
        *files: dict[str, Any], check_mode: bool = False, uploads: dict[str, str] | None = None, **parts: Any
    ) -> FileSet:
        request = {"name": "app", "users": [], "directories": [], "binaries": []}
        fileset = FileSet(request | {"files": list(files)} | parts, new_record(check_mode), check_mode)
        fileset.apply(uploads or {})
        return fileset

    return _apply


def snapshot(folder: Path) -> dict[str, Any]:
    """Everything under a folder, to the nanosecond."""
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_mode, path.is_file() and path.read_bytes())
        for path in sorted(folder.rglob("*"))
    }


def texts(done: Any) -> list[str]:
    return [change["text"] for change in done.changes]


def test_a_file_is_written_once(host: Path, apply: Apply, file: Any) -> None:
    done = apply(file("app.conf", "a = 1\n"))
    path = host / "app.conf"
    assert texts(done) == [f"{path} added"]
    assert path.read_text() == "a = 1\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    before = snapshot(host)
    again = apply(file("app.conf", "a = 1\n"))
    assert (again.changes, again.diffs) == ([], [])
    assert snapshot(host) == before


def test_a_changed_file_shows_its_diff_and_asks_for_a_restart(
    host: Path, apply: Apply, file: Any, new_record: New
) -> None:
    apply(file("app.conf", "a = 1\n"))
    done = apply(file("app.conf", "a = 2\n"))
    assert texts(done) == [f"{host}/app.conf changed"]
    assert "-a = 1\n+a = 2\n" in done.diffs[0]["prepared"]
    assert new_record().data["pending_restarts"] == ["app.service"]


def test_a_unit_that_knows_enough_servers_does_not_restart_for_a_new_list(
    host: Path, apply: Apply, file: Any, new_record: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(files_module, "runs_on", lambda *given: asked.append(given) or len(asked) == 1)
    apply(file("app.service", "--servers=a\n"))
    record = new_record()
    record.restarted("app.service")
    for content, pending in (("--servers=a,b\n", []), ("--servers=c\n", ["app.service"])):
        done = apply(file("app.service", content, endpoints="servers"))
        assert texts(done) == [f"{host}/app.service changed"]
        assert asked[-1] == ("app.service", "servers", f"{host}/app.service", content.encode())
        assert new_record().data["pending_restarts"] == pending


def test_keys_that_are_read_again_on_reload_restart_nothing(apply: Apply, file: Any, new_record: New) -> None:
    def waiting(content: str) -> tuple[list[str], list[str]]:
        apply(file("app.json", content, live=["mirrors"]))
        record = new_record()
        found = [*record.data["pending_restarts"]], [*record.data["pending_reloads"]]
        record.restarted("app.service")
        return found

    waiting('{"mirrors": [], "root": "/a"}')
    assert waiting('{"mirrors": ["b"], "root": "/a"}') == ([], ["app.service"])
    assert waiting('{"root": "/a"}') == ([], ["app.service"])
    assert waiting('{"mirrors": ["b"], "root": "/b"}') == (["app.service"], [])
    assert waiting("no JSON") == (["app.service"], [])
    assert waiting('{"mirrors": ["b"]}') == (["app.service"], [])


def test_a_unit_that_does_not_run_need_not_restart(apply: Apply, file: Any, new_record: New) -> None:
    apply(file("app.conf", "a", restarts=["stopped.service", "app.service"]))
    assert new_record().data["pending_restarts"] == ["app.service"]


def test_the_diff_of_a_secret_shows_nothing(apply: Apply, file: Any) -> None:
    apply(file("app.key", "old-password", secret=True))
    done = apply(file("app.key", "new-password", secret=True))
    assert done.changes
    assert "password" not in str(done.diffs)


def test_a_mode_that_was_changed_is_set_back_without_a_restart(
    host: Path, apply: Apply, file: Any, new_record: New
) -> None:
    apply(file("app.conf", "a"))
    record = new_record()
    record.restarted("app.service")
    (host / "app.conf").chmod(0o666)
    done = apply(file("app.conf", "a"))
    assert texts(done) == [f"{host}/app.conf mode or owner set"]
    assert stat.S_IMODE((host / "app.conf").stat().st_mode) == 0o640
    assert new_record().data["pending_restarts"] == []


def test_drift_is_seen_and_mended(host: Path, apply: Apply, file: Any) -> None:
    apply(file("app.conf", "a\n"))
    (host / "app.conf").write_text("b\n")
    assert texts(apply(file("app.conf", "a\n"))) == [f"{host}/app.conf changed"]
    assert (host / "app.conf").read_text() == "a\n"


def test_check_mode_says_the_same_and_changes_nothing(
    host: Path, apply: Apply, file: Any, binary: Any, owner: dict[str, str]
) -> None:
    apply(file("old.conf", "old"), file("app.conf", "a\n"))
    wanted: dict[str, Any] = {
        "directories": [{"path": str(host / "made/deep"), "mode": "0700"} | owner],
        "binaries": [binary("program", b"program")],
    }
    upload = host / "upload"
    upload.write_bytes(b"program")
    before = snapshot(host)
    dry = apply(file("app.conf", "b\n"), check_mode=True, **wanted)
    assert snapshot(host) == before
    wet = apply(file("app.conf", "b\n"), uploads={str(host / "program"): str(upload)}, **wanted)
    assert dry.changes == wet.changes
    assert dry.diffs == wet.diffs
    assert len(wet.changes) == 4
    assert not (host / "old.conf").exists()


def test_a_restart_is_recorded_before_the_file_is_replaced(
    host: Path, apply: Apply, file: Any, new_record: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(file("app.conf", "a"))
    new_record().restarted("app.service")
    seen = []

    def killed(path: str, *rest: Any) -> None:
        seen.extend(new_record().data["pending_restarts"])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(files_module, "write_atomically", killed)
        with pytest.raises(KeyboardInterrupt):
            apply(file("app.conf", "b"))
    assert seen == ["app.service"]
    assert (host / "app.conf").read_text() == "a"
    assert texts(apply(file("app.conf", "b"))) == [f"{host}/app.conf changed"]


def test_a_file_is_recorded_before_it_is_written(
    host: Path, apply: Apply, file: Any, new_record: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = host / "app.conf"
    path.write_text("somebody else's")
    real = files_module.write_atomically

    def killed(*arguments: Any) -> None:
        real(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(files_module, "write_atomically", killed)
        with pytest.raises(KeyboardInterrupt):
            apply(file("app.conf", "ours"))
    assert path.read_text() == "ours"
    assert texts(apply(file("app.conf", "ours"))) == []
    restore(str(path), new_record().component("app")["files"][str(path)]["original"])
    assert path.read_text() == "somebody else's"


@pytest.mark.parametrize("text", ["somebody else's", "ours"])
def test_somebody_elses_file_is_put_back(
    host: Path, apply: Apply, file: Any, new_record: New, text: str
) -> None:
    path = host / "app.conf"
    path.write_text(text)
    path.chmod(0o604)
    apply(file("app.conf", "ours"))
    apply(file("app.conf", "ours, changed"))
    original = new_record().component("app")["files"][str(path)]["original"]
    restore(str(path), original)
    assert path.read_text() == text
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    restore(str(path), original)
    assert path.read_text() == text, "a reset that was killed and runs again took somebody else's file"


def test_a_file_that_is_no_longer_wanted_goes(host: Path, apply: Apply, file: Any, new_record: New) -> None:
    (host / "theirs.conf").write_text("theirs")
    apply(file("ours.conf", "a"), file("theirs.conf", "b"), file("kept.conf", "c"))
    done = apply(file("kept.conf", "c"))
    assert texts(done) == [f"{host}/ours.conf removed", f"{host}/theirs.conf removed"]
    assert not (host / "ours.conf").exists()
    assert (host / "theirs.conf").read_text() == "theirs"
    assert list(new_record().component("app")["files"]) == [f"{host}/kept.conf"]


def test_files_of_other_components_stay(host: Path, apply: Apply, file: Any) -> None:
    apply(file("other.conf", "a"), name="other")
    assert texts(apply(file("app.conf", "a"))) == [f"{host}/app.conf added"]
    assert (host / "other.conf").exists()


def test_folders_are_made_with_all_their_parents_and_recorded(
    host: Path, apply: Apply, new_record: New, owner: dict[str, str]
) -> None:
    wanted = {"path": str(host / "a/b"), "mode": "0700"} | owner
    assert texts(apply(directories=[wanted])) == [f"directory {host}/a/b made"]
    assert stat.S_IMODE((host / "a/b").stat().st_mode) == 0o700
    assert new_record().component("app")["directories"] == [f"{host}/a", f"{host}/a/b"]
    assert texts(apply(directories=[wanted])) == []


def test_others_may_enter_folders_that_only_hold_one_of_ours(
    host: Path, apply: Apply, new_record: New, owner: dict[str, str]
) -> None:
    before = os.umask(0o077)
    try:
        apply(directories=[{"path": str(host / "a/b/c"), "mode": "0700"} | owner])
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((host / path).stat().st_mode) for path in ("a", "a/b", "a/b/c")]
    assert modes == [0o755, 0o755, 0o700]
    assert new_record().component("app")["parents"] == [f"{host}/a", f"{host}/a/b"]


@pytest.mark.parametrize(("data", "entries"), [(True, ["theirs"]), (False, None)])
def test_a_folder_that_was_there_is_recorded_as_it_was(
    host: Path, apply: Apply, new_record: New, owner: dict[str, str], *, data: bool, entries: list[str] | None
) -> None:
    there = host / "there"
    there.mkdir(mode=0o751)
    (there / "theirs").touch()
    wanted = {"path": str(there), "mode": "0700", "data": data} | owner
    apply(directories=[wanted], check_mode=True)
    assert new_record().data["found"] == {}
    apply(directories=[wanted])
    (there / "ours").touch()
    apply(directories=[wanted])
    record = new_record()
    assert record.component("app")["directories"] == []
    assert list(record.data["found"]) == [str(there)]
    found = record.data["found"][str(there)]
    assert (found["mode"], found["entries"]) == ("0751", entries)


def test_a_folder_that_another_component_made_was_not_there_before(
    apply: Apply, host: Path, new_record: New, owner: dict[str, str]
) -> None:
    wanted = {"path": str(host / "ours"), "mode": "0700"} | owner
    apply(directories=[wanted], name="other")
    (host / "ours/made-by-a-program").mkdir()
    apply(directories=[wanted, {"path": f"{host}/ours/made-by-a-program", "mode": "0755"} | owner])
    assert new_record().data["found"] == {}


def test_a_program_travels_only_when_it_is_not_there(
    host: Path, apply: Apply, binary: Any, new_record: New
) -> None:
    wanted = binary("program", b"v1")
    request = {"name": "app", "incoming": "", "binaries": [wanted]}
    assert FileSet(request, new_record(), check_mode=False).missing_binaries({}) == [wanted["dest"]]
    upload = host / "upload"
    upload.write_bytes(b"v1")
    apply(binaries=[wanted], uploads={wanted["dest"]: str(upload)})
    assert (host / "program").read_bytes() == b"v1"
    assert os.access(host / "program", os.X_OK)
    assert FileSet(request, new_record(), check_mode=False).missing_binaries({}) == []
    newer = {"name": "app", "incoming": "", "binaries": [binary("program", b"v2")]}
    assert FileSet(newer, new_record(), check_mode=False).missing_binaries({}) == [wanted["dest"]]


def test_a_program_that_arrives_damaged_is_refused(host: Path, apply: Apply, binary: Any) -> None:
    (host / "program").write_bytes(b"v1")
    upload = host / "upload"
    upload.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"program arrived with the wrong content: sha256 \w+ instead of"):
        apply(binaries=[binary("program", b"v2")], uploads={f"{host}/program": str(upload)})
    assert (host / "program").read_bytes() == b"v1"


def test_a_program_is_fetched_from_a_mirror(host: Path, binary: Any, new_record: New) -> None:
    served = host / "served"
    served.write_bytes(b"v1")
    good = binary("folder/program", b"v1", url=served.as_uri())
    uploads: dict[str, str] = {}
    fetch = FileSet({"name": "app", "incoming": "", "binaries": [good]}, new_record(), check_mode=False)
    assert fetch.missing_binaries(uploads) == []
    assert Path(uploads[good["dest"]]).read_bytes() == b"v1"


@pytest.mark.parametrize("late", [False, True])
def test_a_program_that_was_sent_ahead_is_taken(
    host: Path, apply: Apply, binary: Any, new_record: New, *, late: bool
) -> None:
    wanted = binary("program", b"v1")
    incoming = host / "incoming"
    incoming.mkdir()
    arriving = incoming / f"{wanted['sha256']}.part"
    arriving.write_bytes(b"v1")
    whole = threading.Timer(0.3 if late else 0, arriving.rename, [incoming / wanted["sha256"]])
    whole.start()
    if not late:
        whole.join()
    uploads: dict[str, str] = {}
    request = {"name": "app", "incoming": str(incoming), "binaries": [wanted]}
    assert FileSet(request, new_record(), check_mode=False).missing_binaries(uploads) == []
    apply(binaries=[wanted], uploads=uploads)
    assert (host / "program").read_bytes() == b"v1"
    assert list(incoming.iterdir()) == []


@pytest.mark.parametrize("arriving", [None, b"v"])
def test_a_program_that_is_not_coming_is_asked_for(
    host: Path, binary: Any, new_record: New, monkeypatch: pytest.MonkeyPatch, arriving: bytes | None
) -> None:
    monkeypatch.setattr(arrivals, "_STALLED", 0.2)
    wanted = binary("program", b"v1")
    if arriving:
        (host / f"{wanted['sha256']}.part").write_bytes(arriving)
    request = {"name": "app", "incoming": str(host), "binaries": [wanted]}
    assert FileSet(request, new_record(), check_mode=False).missing_binaries({}) == [wanted["dest"]]


@pytest.mark.parametrize("content", [b"damaged", None])
def test_a_mirror_that_cannot_serve_it_leaves_it_to_the_controller(
    host: Path, binary: Any, new_record: New, content: bytes | None
) -> None:
    served = host / "served"
    if content is not None:
        served.write_bytes(content)
    wanted = binary("program", b"v1", url=served.as_uri())
    fetch = FileSet({"name": "app", "incoming": "", "binaries": [wanted]}, new_record(), check_mode=False)
    assert fetch.missing_binaries({}) == [wanted["dest"]]
    assert list(host.glob("*download*")) == []


def test_a_program_is_not_fetched_through_a_redirect_out_of_tls(
    host: Path, binary: Any, new_record: New
) -> None:
    handler = files_module._Redirects()
    request = urllib.request.Request("https://mirror.example.com/program")
    for target in ("http://elsewhere.example.com/program", "ftp://elsewhere.example.com/program"):
        with pytest.raises(OSError, match="from https:// to another scheme"):
            handler.redirect_request(request, None, 302, "Found", {}, target)
    assert handler.redirect_request(request, None, 302, "Found", {}, "https://cdn.example.com/program")
