from k8sbootstrap.artifacts.fetch import Progress
from k8sbootstrap.artifacts.transfers import Transfers
from k8sbootstrap.catalog.models import ArtifactFile

from .helpers import artifact, digest, tgz

MB = 1_000_000


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def step(unit: str, state: str, received: int = 0, total: int | None = None) -> Progress:
    return Progress(unit, unit, "upstream", received * MB, total and total * MB, state)


def test_files_bytes_rate_and_time_left():
    clock = Clock()
    transfers = Transfers(clock)
    for unit, size in (("a", 100), ("b", 50), ("c", 250)):
        assert not transfers.update(step(unit, "due", 0, size))
    assert transfers.update(step("a", "getting", 0, 100)) == "0 of 3 files, 0 of 400 MB"
    clock.now += 4
    transfers.update(step("a", "getting", 100, 100))
    assert transfers.update(step("a", "done", 100, 100)) == (
        "1 of 3 files, 100 of 400 MB, 25.0 MB/s, 12 s left"
    )
    transfers.update(step("c", "getting", 0, 250))
    clock.now += 36
    assert transfers.update(step("c", "getting", 100, 250)) == (
        "1 of 3 files, 200 of 400 MB, 5.0 MB/s, 40 s left"
    )
    clock.now += 100
    assert transfers.update(step("b", "getting", 1, 50)).endswith(" MB, 1.4 MB/s, 2 min 19 s left")


def test_what_an_earlier_run_had_counts_as_done_but_not_as_fast():
    clock = Clock()
    transfers = Transfers(clock)
    transfers.update(step("a", "due", 0, 100))
    transfers.update(step("a", "getting", 80, 100))
    clock.now += 2
    assert transfers.update(step("a", "getting", 90, 100)) == "0 of 1 files, 90 of 100 MB, 5.0 MB/s, 2 s left"
    transfers.update(step("a", "getting", 100, 100))
    transfers.update(step("a", "done", 100, 100))
    assert transfers.summary() == "1 file downloaded: 20.0 MB in 2 s (10.0 MB/s)"


def test_a_file_that_comes_from_the_next_place_counts_once():
    transfers = Transfers(Clock())
    transfers.update(step("a", "due", 0, 100))
    transfers.update(step("a", "getting", 100, 100))
    transfers.update(step("a", "refused"))
    assert transfers.update(step("a", "getting", 10, 70)) == "0 of 1 files, 10 of 70 MB"


def test_sizes_that_no_server_says_grow():
    transfers = Transfers(Clock())
    assert transfers.update(step("a", "getting", 7)) == "0 of 1 files, 7 of 7 MB"


def test_nothing_is_said_where_nothing_comes(site):
    transfers = Transfers()
    here = site.directory("here", {"kubernetes/1.36.4/amd64/kubelet": b"x"})
    said = []
    site.fetch(
        artifact("kubelet", b"x"), sources=[here], progress=lambda step: said.append(transfers.update(step))
    )
    assert not any(said)
    assert not transfers.summary()


def test_an_archive_counts_once_however_many_files_it_holds(site, server):
    archive = tgz({"etcd": b"e" * 5 * MB, "etcdctl": b"c" * 3 * MB})
    server.files = {"/etcd.tgz": archive, "/kubelet": b"k" * 2 * MB}
    files = [
        ArtifactFile("etcd", "3.6.8", "amd64", name, None, f"{server.url}/etcd.tgz", digest(archive), name)
        for name in ("etcd", "etcdctl")
    ]
    transfers = Transfers()
    said = []
    kubelet = artifact("kubelet", b"k" * 2 * MB, url=f"{server.url}/kubelet")
    site.fetch(*files, kubelet, upstream=True, progress=lambda step: said.append(transfers.update(step)))
    assert said[-1].startswith(f"2 of 2 files, {(len(archive) + 2 * MB) / MB:.0f} of ")
    first = next(text for text in said if text)
    assert f" of {(len(archive) + 2 * MB) / MB:.0f} MB" in first  # known before anything has come
    assert transfers.summary().startswith("2 files downloaded: 2.0 MB in ")
