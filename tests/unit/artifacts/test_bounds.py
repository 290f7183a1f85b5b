"""Servers, archives and folders that would take all memory, all room or all time: each has its bound."""

import contextlib
import gzip
import io
import json
import os
import socket
import tarfile
import threading
import time

import pytest

from k8sbootstrap.artifacts import body
from k8sbootstrap.artifacts import web as web_module
from k8sbootstrap.artifacts.cache import Cache
from k8sbootstrap.artifacts.sources.base import largest
from k8sbootstrap.artifacts.web import NoAnswerError, Web, WebError
from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.config.models.network import Proxy
from k8sbootstrap.errors import ArtifactError
from k8sbootstrap.formats import limits
from k8sbootstrap.formats.archive import ArchiveError, copy_out, members
from k8sbootstrap.formats.image_archive import ImageArchiveError, read_archive

from .helpers import artifact, digest, tgz

KEY = "kubernetes/1.36.4/amd64/kubelet"
ROOT_ALONE = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders to others")


@pytest.fixture
def raw():
    """Starts servers that answer with what ``answer(connection)`` sends, after they read a request."""
    listeners = []

    def start(answer):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve(connection):
            with connection:
                try:
                    connection.recv(65536)
                    answer(connection)
                except OSError:
                    pass  # the client had enough

        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.close()


@pytest.fixture
def web(new_server):  # it clears the environment's proxies
    return Web(Proxy(), threading.Event())


def endless(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def dripping(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def dripping_headers(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


# --- downloads


def test_an_endless_body_ends_at_its_bound_and_leaves_nothing(web, raw, tmp_path):
    target = tmp_path / "file"
    with pytest.raises(WebError, match=r"it has more than the limit of 1,000,000 bytes"):
        web.download(f"{raw(endless)}/file", target, lambda *_: None, 1_000_000)
    assert target.stat().st_size == 0


def test_a_body_that_is_announced_as_too_large_is_not_begun(web, server, tmp_path):
    server.files = {"/file": b"x" * 5000}
    with pytest.raises(WebError, match=r"it has 5,000 bytes, more than the limit of 4,999"):
        web.download(f"{server.url}/file", tmp_path / "file", lambda *_: None, 4999)
    assert (tmp_path / "file").stat().st_size == 0
    web.download(f"{server.url}/file", tmp_path / "file", lambda *_: None, 5000)


def test_what_an_earlier_run_has_counts(web, server, tmp_path):
    server.files = {"/file": b"x" * 5000}
    (tmp_path / "file").write_bytes(b"x" * 2000)
    with pytest.raises(WebError, match="more than the limit of 2,999"):
        web.download(f"{server.url}/file", tmp_path / "file", lambda *_: None, 4999)


def test_a_small_text_is_small(web, raw, monkeypatch):
    monkeypatch.setattr(limits, "TEXT", 100_000)
    with pytest.raises(WebError, match="more than the limit of 100,000 bytes"):
        web.text(f"{raw(endless)}/file")


@pytest.mark.parametrize("said", ["²", "-5", "1e3", "9" * 5000, " "])
def test_a_length_that_is_none(web, raw, tmp_path, said):
    def answer(connection):
        connection.sendall(f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {said}\r\n\r\n".encode())
        connection.sendall(b"body")

    url = raw(answer)
    assert web.size(f"{url}/file") is None
    with contextlib.suppress(WebError):  # as the HTTP library has it, but no other exception
        web.download(f"{url}/file", tmp_path / "file", lambda *_: None, 10)


def test_a_server_that_sends_next_to_nothing_is_given_up(web, raw, tmp_path, monkeypatch):
    monkeypatch.setattr(body, "SLOW_SECONDS", 0.5)
    url = raw(dripping)
    start = time.monotonic()
    with pytest.raises(NoAnswerError, match=r"too slow: only \d+ bytes in \d s"):
        web.download(f"{url}/file", tmp_path / "file", lambda *_: None)
    with pytest.raises(NoAnswerError, match="too slow"):
        web.text(f"{url}/other")
    assert time.monotonic() - start < 3


def test_a_slow_server_that_sends_enough_is_waited_for(web, raw, tmp_path, monkeypatch):
    monkeypatch.setattr(body, "SLOW_SECONDS", 0.1)
    monkeypatch.setattr(body, "SLOW_BYTES", 10)

    def slow(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n")
        for _ in range(10):
            connection.sendall(b"x" * 30)
            time.sleep(0.05)

    assert web.download(f"{raw(slow)}/file", tmp_path / "file", lambda *_: None) == digest(b"x" * 300)


def test_a_server_that_never_ends_its_first_lines_is_given_up(web, raw, monkeypatch):
    monkeypatch.setattr(web_module, "ANSWER_SECONDS", 0.5)
    url = raw(dripping_headers)
    for _ in range(2):
        with pytest.raises(NoAnswerError, match="no answer began within"):
            web.text(f"{url}/file")


def test_kinds_of_files_have_their_own_bounds():
    image = ArtifactFile("pause", "3.10", "amd64", "image.tar")
    chart = ArtifactFile("charts", "1", "any", "web-1.0.0.tgz")
    assert largest(chart) < largest(artifact("kubelet")) < largest(image)


@pytest.mark.parametrize("place", ["mirror", "upstream"])
def test_a_file_of_a_place_that_is_too_large_is_named(site, server, monkeypatch, place):
    monkeypatch.setattr(limits, "PROGRAM", 1000)
    server.files = {f"/{KEY}": b"x" * 1001}
    file = artifact("kubelet", b"x" * 1001, url=f"{server.url}/{KEY}")
    sources = [{"url": server.url}] if place == "mirror" else []
    with pytest.raises(ArtifactError, match="it has 1,001 bytes, more than the limit of 1,000"):
        site.fetch(file, sources=sources, upstream=place == "upstream")
    assert not list(site.cache.rglob("*kubelet*"))
    assert sum(path.stat().st_size for path in (site.cache / "tmp").iterdir()) == 0


# --- archives


def test_an_archive_that_unpacks_to_too_much_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "UNPACKED", 10_000_000)
    (tmp_path / "bomb.tgz").write_bytes(tgz({"filler": bytes(20_000_000), "wanted": b"x"}))
    with pytest.raises(ArchiveError, match=r"unpacked archive is larger than the limit of 10,000,000 bytes"):
        list(members(tmp_path / "bomb.tgz", ["wanted"]))


def test_zeros_without_end_are_no_archive(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "UNPACKED", 10_000_000)
    with gzip.open(tmp_path / "zeros.tgz", "wb", compresslevel=1) as out:
        for _ in range(20):
            out.write(bytes(1 << 20))
    with pytest.raises(ArchiveError):
        list(members(tmp_path / "zeros.tgz", ["wanted"]))


def test_a_member_that_is_too_large_is_not_written(tmp_path):
    with pytest.raises(ArchiveError, match="larger than the limit of 3,000,000 bytes"):
        copy_out(io.BytesIO(bytes(5_000_000)), tmp_path / "out", 3_000_000)
    assert (tmp_path / "out").stat().st_size <= 3_000_000
    assert copy_out(io.BytesIO(b"abc"), tmp_path / "out", 3) == digest(b"abc")


def test_a_member_of_an_archive_that_is_too_large_is_an_error(site, server, monkeypatch):
    monkeypatch.setattr("k8sbootstrap.formats.limits.PROGRAM", 100_000)
    archive = tgz({"etcd": bytes(200_000)})
    server.files = {"/etcd.tgz": archive}
    file = ArtifactFile(
        "etcd",
        "3.6.8",
        "amd64",
        "etcd",
        url=f"{server.url}/etcd.tgz",
        url_sha256=digest(archive),
        member="etcd",
    )
    with pytest.raises(ArtifactError, match="larger than the limit of 100,000 bytes"):
        site.fetch(file, upstream=True)
    assert not list((site.cache / "tmp").iterdir())


def _with_long_header(path, mode):
    """An archive of an image, but for the name of its first member, which has 8 MB."""
    texts = {
        "manifest.json": json.dumps([{"Config": "config", "RepoTags": ["a.example.com/b:1"]}]).encode(),
        "config": b'{"architecture": "amd64"}',
    }
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as tar:
        for name, text in {"n" * (8 << 20): b"", **texts}.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    return path


def test_headers_are_small(tmp_path):
    with pytest.raises(ArchiveError, match="a header of"):
        list(members(_with_long_header(tmp_path / "a.tgz", "w:gz"), ["config"]))
    with pytest.raises(ImageArchiveError):
        read_archive(_with_long_header(tmp_path / "a.tar", "w:"))


# --- the cache


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777, 0o702])
def test_a_cache_that_others_can_write_to_is_refused(site, mode):
    site.cache.mkdir()
    site.cache.chmod(mode)
    here = site.directory("here", {KEY: b"x"})
    with pytest.raises(
        ArtifactError, match=rf"other users can write to the cache {site.cache} \(mode {mode:04o}"
    ) as caught:
        site.fetch(artifact("kubelet", b"x"), sources=[here])
    assert f"chmod go-w {site.cache}" in caught.value.hint
    assert "K8SBOOTSTRAP_CACHE" in caught.value.hint
    site.cache.chmod(0o755)
    assert site.fetch(artifact("kubelet", b"x"), sources=[here])


@ROOT_ALONE
def test_a_cache_of_another_user_is_refused(site, monkeypatch):
    monkeypatch.delenv("SUDO_UID", raising=False)
    site.cache.mkdir(mode=0o700)
    os.chown(site.cache, 12345, -1)
    with pytest.raises(ArtifactError, match="belongs to user 12345, who could change"):
        Cache(site.cache)
    monkeypatch.setenv("SUDO_UID", "12345")
    Cache(site.cache)


@ROOT_ALONE
@pytest.mark.parametrize("owner", [0, 12345])
def test_unfinished_files_are_in_a_folder_of_the_users_alone(site, monkeypatch, owner):
    monkeypatch.delenv("SUDO_UID", raising=False)
    (site.cache / "tmp").mkdir(parents=True)
    (site.cache / "tmp").chmod(0o777 if owner == 0 else 0o700)
    os.chown(site.cache / "tmp", owner, -1)
    with (
        pytest.raises(ArtifactError, match=str(site.cache / "tmp")),
        Cache(site.cache).unfinished("http://x"),
    ):
        pytest.fail("opened")


@pytest.mark.parametrize("kind", ["folder", "above", "sticky"])
def test_a_remembered_hash_of_a_file_that_others_can_replace_is_not_believed(tmp_path, kind):
    folder = tmp_path / "shared" / "files"
    folder.mkdir(parents=True)
    file = folder / "kubelet"
    file.write_bytes(b"good")
    cache = Cache(tmp_path / "cache")
    cache.hash_of(file)
    cache.save()
    notes = tmp_path / "cache/hashes.json"
    forged = {path: [*known[:-1], "0" * 64] for path, known in json.loads(notes.read_text()).items()}
    notes.write_text(json.dumps(forged))
    assert Cache(tmp_path / "cache").hash_of(file) == "0" * 64, "the notes of a private folder are believed"
    {"folder": folder, "above": folder.parent, "sticky": folder}[kind].chmod(
        0o1777 if kind == "sticky" else 0o777
    )
    assert Cache(tmp_path / "cache").hash_of(file) == digest(b"good")


@pytest.mark.parametrize("planted", ["link", "dangling", "hard", "pipe"])
def test_an_unfinished_file_is_no_way_to_another_one(site, server, planted):
    """What somebody put in its place is replaced, and nothing is written where it led."""
    server.files = {f"/{KEY}": b"content"}
    file = artifact("kubelet", b"content")
    with Cache(site.cache).unfinished(f"{server.url}/{KEY}") as path:
        pass
    victim = site.root / "victim"
    victim.write_bytes(b"")
    if planted == "dangling":
        victim.unlink()
    if planted == "hard":
        os.link(victim, path)
    elif planted == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(victim)
    got = site.fetch(file, sources=[{"url": server.url}])[KEY]
    assert got.path.read_bytes() == b"content"
    assert not victim.exists() if planted == "dangling" else victim.read_bytes() == b""


def test_unfinished_files_are_private(site):
    old = os.umask(0)
    try:
        with Cache(site.cache).unfinished("http://x") as path:
            assert path.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(old)
