import json
import os
import socket
import stat
import time
from dataclasses import replace

import pytest

from k8sbootstrap.artifacts.fetch import summarize
from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.errors import ArtifactError, StateError

from .helpers import artifact, digest, list_hash, sums_text, tgz

GOOD, BAD = b"a kubelet" * 1000, b"another kubelet"
KEY = "kubernetes/1.36.4/amd64/kubelet"
HELM_FILE = ArtifactFile("helm", "4.2.3", "amd64", "helm")
HELM = HELM_FILE.key


def pins(site):
    return json.loads(site.state.artifact_pins.read_text())


# --- order: cache, sources as listed, upstream


def test_sources_in_order_then_upstream(site, server, new_server):
    mirror = new_server()
    first = site.directory("first", {KEY: GOOD})
    mirror.files = {f"/{KEY}": GOOD, "/kubernetes/1.36.4/amd64/kubectl": b"ctl"}
    server.files = {"/kube-proxy": b"proxy", "/kubelet": GOOD}
    got = site.fetch(
        artifact("kubelet", GOOD, url=f"{server.url}/kubelet"),
        artifact("kubectl", b"ctl"),
        artifact("kube-proxy", b"proxy", url=f"{server.url}/kube-proxy"),
        sources=[first, {"url": mirror.url}],
        upstream=True,
    )
    assert [result.source for result in got.values()] == [
        str(site.root / "site/first"),
        mirror.url,
        "upstream",
    ]
    assert got[KEY].path == site.root / "site/first" / KEY
    assert got["kubernetes/1.36.4/amd64/kubectl"].path.read_bytes() == b"ctl"
    assert server.requests == [("GET", "/kube-proxy")]
    assert f"/{KEY}" not in [path for method, path in mirror.requests if method == "GET"]


def test_cache_comes_first_and_asks_nobody(site, server):
    server.files = {"/kubelet": GOOD}
    file = artifact("kubelet", GOOD, url=f"{server.url}/kubelet")
    first = site.fetch(file, upstream=True)[KEY]
    again = site.fetch(file, upstream=True)[KEY]
    assert (first.source, again.source) == ("upstream", "the cache")
    assert again.path == first.path
    assert server.gets("/kubelet") == 1
    assert site.fetch(file, upstream=False)[KEY].path == first.path
    assert not list((site.cache / "tmp").iterdir())


def test_upstream_is_not_asked_when_it_is_off(site, server):
    server.files = {"/kubelet": GOOD}
    with pytest.raises(ArtifactError, match=r"upstream: not used, because artifacts\.upstream is false"):
        site.fetch(artifact("kubelet", GOOD, url=f"{server.url}/kubelet"))
    assert not server.requests


def test_nothing_has_it_lists_every_place_once_for_files_alike(site, server):
    here = site.directory("here", {})
    with pytest.raises(ArtifactError) as caught:
        site.fetch(
            artifact("kubelet", GOOD),
            artifact("kubectl", BAD),
            sources=[here, {"url": server.url}],
            upstream=True,
        )
    assert str(caught.value).splitlines() == [
        "No usable kubernetes/1.36.4/amd64/{kubelet, kubectl}",
        "  the cache: not there",
        f"  {site.root}/site/here: not there",
        f"  {server.url}: not there",
        "  upstream: upstream does not publish this file",
    ]
    assert "NAME/VERSION/ARCH/FILE" in caught.value.hint
    assert "artifacts.sources" in caught.value.hint
    assert caught.value.exit_code == 8


def test_a_release_that_does_not_exist_is_one_error_that_says_so(site, server):
    """As of dl.k8s.io: neither the programs nor their checksums are there."""
    files = [
        replace(
            artifact(name, url=f"{server.url}/{name}", checksum_url=f"{server.url}/{name}.sha256"),
            version="1.36.99",
        )
        for name in ("kubelet", "kubectl")
    ]
    with pytest.raises(ArtifactError) as caught:
        site.fetch(*files, upstream=True)
    assert str(caught.value).splitlines() == [
        "No usable kubernetes/1.36.99/amd64/{kubelet, kubectl}",
        "  the cache: not there",
        "  upstream: 127.0.0.1: not there",
    ]
    assert caught.value.hint.startswith(
        "Neither the release catalogue nor upstream has Kubernetes 1.36.99. If there is no such release, set "
        "kubernetes.version in cluster.yaml to another one, such as 1.36.5. Put the files into a directory"
    )


@pytest.mark.parametrize(
    ("version", "status"),
    [pytest.param("1.36.4", 404, id="a catalogued release"), pytest.param("1.36.99", 503, id="in trouble")],
)
def test_only_a_release_that_nobody_knows_may_not_exist(site, server, version, status):
    server.status = {"/kubelet.sha256": status}
    file = artifact("kubelet", url=f"{server.url}/kubelet", checksum_url=f"{server.url}/kubelet.sha256")
    with pytest.raises(ArtifactError) as caught:
        site.fetch(replace(file, version=version), upstream=True)
    assert caught.value.hint.startswith("Put the files")


def test_optional_files_may_be_missing(site):
    image = ArtifactFile("pause", "3.2", "amd64", "image.tar")
    here = site.directory("here", {KEY: GOOD})
    assert set(site.fetch(artifact("kubelet", GOOD), sources=[here], optional=[image])) == {KEY}
    site.directory("here", {image.key: b"tar"})
    here = site.directory("here", {}, sums={image.key: b"tar"})
    assert site.fetch(artifact("kubelet", GOOD), sources=[here], optional=[image])[
        image.key
    ].sha256 == digest(b"tar")


def test_optional_file_with_a_wrong_hash_is_an_error(site):
    image = ArtifactFile("pause", "3.2", "amd64", "image.tar")
    here = site.directory("here", {image.key: b"other"}, sums={image.key: b"tar"})
    with pytest.raises(ArtifactError, match="refused"):
        site.fetch(sources=[here], optional=[image])


def test_directories_start_from_the_cluster_file_or_home(site, monkeypatch):
    site.directory("here", {KEY: GOOD})
    monkeypatch.setenv("HOME", str(site.root / "site"))
    for written in ("here", "./here", "~/here", str(site.root / "site" / "here")):
        got = site.fetch(artifact("kubelet", GOOD), sources=[{"directory": written}])
        assert got[KEY].path.samefile(site.root / "site" / "here" / KEY)


# --- hashes: who is believed


def test_the_catalogue_wins_over_the_sums_of_a_source(site):
    claimed = site.directory("claimed", {KEY: BAD}, sums={KEY: BAD})
    with pytest.raises(ArtifactError) as caught:
        site.fetch(artifact("kubelet", GOOD), sources=[claimed])
    assert f"{digest(BAD)} and must have {digest(GOOD)}, as the release catalogue says" in str(caught.value)
    wanted = f'"ownBuilds: {list_hash({KEY: BAD})}" at {site.root}/site/claimed under artifacts.sources'
    assert wanted in caught.value.hint


def test_a_hash_of_cluster_yaml_wins_over_own_builds(site):
    own = site.directory("own", {KEY: BAD}, sums={KEY: BAD}, own=True)
    with pytest.raises(ArtifactError, match=f"must have {digest(GOOD)}, as cluster.yaml says"):
        site.fetch(artifact("kubelet", GOOD, known_by="cluster.yaml"), sources=[own])


def test_own_builds_win_over_the_catalogue(site):
    own = site.directory("own", {KEY: BAD}, sums={KEY: BAD}, own=True)
    got = site.fetch(artifact("kubelet", GOOD), sources=[own])[KEY]
    assert got.sha256 == digest(BAD)
    assert got.own_build
    assert summarize({KEY: got}) == [
        f"kubernetes/1.36.4: 1 file from {site.root}/site/own (1 not built by upstream)"
    ]


def test_first_sums_that_list_a_file_win_over_later_ones(site):
    empty = site.directory("empty", {KEY: BAD}, sums={})
    one = site.directory("one", {}, sums={KEY: GOOD})
    two = site.directory("two", {KEY: BAD}, sums={KEY: BAD})
    three = site.directory("three", {KEY: GOOD})
    got = site.fetch(artifact("kubelet"), sources=[empty, one, two, three])[KEY]
    assert (got.sha256, got.source) == (digest(GOOD), str(site.root / "site/three"))
    assert len(got.notes) == 2
    assert digest(BAD) in got.notes[0]
    assert digest(GOOD) in got.notes[0]


@pytest.mark.parametrize("content", [{KEY: BAD}, {}])
def test_another_list_of_own_builds_is_refused(site, server, content):
    """Also where upstream, or another source, would have the file."""
    own = site.directory("own", {KEY: BAD}, sums=content, own=True) | {"ownBuilds": "5" * 64}
    good = site.directory("good", {KEY: GOOD})
    found = f"has sha256 {list_hash(content)}" if content else "does not exist"
    with pytest.raises(ArtifactError, match=f"own: its SHA256SUMS {found}, but ownBuilds .* is 5555"):
        site.fetch(artifact("kubelet", GOOD), sources=[own, good])
    server.files = {"/SHA256SUMS": sums_text({KEY: BAD}).encode(), f"/{KEY}": BAD}
    with pytest.raises(ArtifactError, match=f"{server.url}: its SHA256SUMS has sha256"):
        site.fetch(artifact("kubelet", GOOD), sources=[{"url": server.url, "ownBuilds": "5" * 64}, good])


def test_no_list_vouches_for_what_runs_on_the_controller(site):
    own = site.directory("own", {HELM: BAD}, sums={HELM: BAD}, own=True)
    for known in (digest(GOOD), None):
        with pytest.raises(ArtifactError, match=f"refused: it has sha256 {digest(BAD)}"):
            site.fetch(replace(HELM_FILE, sha256=known), sources=[own], allow_unknown=True)
    assert not site.state.artifact_pins.exists()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_list_counts_for_what_nobody_else_knows_unless_it_came_in_plain(
    site, new_server, certificate, monkeypatch, scheme
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    mirror = new_server(certificate if scheme == "https" else None)
    mirror.files = {"/SHA256SUMS": sums_text({KEY: GOOD}).encode(), f"/{KEY}": GOOD}
    source = {"url": mirror.url}
    if scheme == "http":
        with pytest.raises(
            ArtifactError, match=f"{mirror.url}: refused: it has sha256 {digest(GOOD)}, which is not in"
        ):
            site.fetch(artifact("kubelet"), sources=[source])
        return
    assert site.fetch(artifact("kubelet"), sources=[source])[KEY].sha256 == digest(GOOD)
    mirror.files = {"/SHA256SUMS": sums_text({KEY: BAD}).encode(), f"/{KEY}": BAD}
    (site.cache / "artifacts").rename(site.cache / "gone")
    with pytest.raises(ArtifactError, match="as pinned at the first download from"):
        site.fetch(artifact("kubelet"), sources=[source])


def test_upstreams_checksum_is_asked_before_a_mirror_is_believed(site, new_tls_server):
    upstream, mirror = new_tls_server(), new_tls_server()
    upstream.files = {"/kubelet.sha256": digest(GOOD).encode(), "/kubelet": GOOD}
    mirror.files = {"/SHA256SUMS": sums_text({KEY: BAD}).encode(), f"/{KEY}": BAD}
    file = artifact("kubelet", url=f"{upstream.url}/kubelet", checksum_url=f"{upstream.url}/kubelet.sha256")
    with pytest.raises(ArtifactError) as caught:  # not swapped: the cluster may run the other build
        site.fetch(file, sources=[{"url": mirror.url}], upstream=True)
    assert f"{mirror.url}: refused: it has sha256 {digest(BAD)} and must have {digest(GOOD)}" in str(
        caught.value
    )
    assert '"ownBuilds: ' in caught.value.hint
    assert not upstream.gets("/kubelet")
    del mirror.files["/SHA256SUMS"]
    got = site.fetch(file, sources=[{"url": mirror.url}], upstream=True)[KEY]
    assert (got.sha256, got.source) == (digest(GOOD), "upstream")
    assert f"{mirror.url}: {KEY} refused: it has sha256 {digest(BAD)}" in got.notes[0]
    assert pins(site)[KEY]["reason"] == "upstream checksum"


def test_an_own_build_stays_while_its_mirror_is_down(site, server):
    server.files = {"/SHA256SUMS": sums_text({KEY: BAD}).encode(), f"/{KEY}": BAD}
    file = artifact("kubelet", GOOD)
    mirror = {"url": server.url, "ownBuilds": list_hash({KEY: BAD})}
    site.fetch(file, sources=[mirror])
    server.status["/SHA256SUMS"] = 503
    there = site.directory("upstreams", {KEY: GOOD})
    got = site.fetch(file, sources=[mirror, there])[KEY]
    assert (got.sha256, got.source) == (digest(BAD), "the cache")
    assert got.notes == (f"{server.url}: answered 503 Service Unavailable",)
    assert site.fetch(file, sources=[there])[KEY].sha256 == digest(GOOD), (
        "the source was taken out of cluster.yaml"
    )


def test_catalogue_refuses_a_wrong_file_and_the_next_source_serves(site):
    wrong, right = site.directory("wrong", {KEY: BAD}), site.directory("right", {KEY: GOOD})
    got = site.fetch(artifact("kubelet", GOOD), sources=[wrong, right])[KEY]
    assert got.source == str(site.root / "site/right")
    (note,) = got.notes
    assert note.startswith(f"{site.root}/site/wrong: {KEY} refused: it has sha256 {digest(BAD)}")
    assert note.endswith(f"and must have {digest(GOOD)}, as the release catalogue says")
    assert (site.root / "site/wrong" / KEY).read_bytes() == BAD, "a user's file is never touched"


def test_a_hash_of_cluster_yaml_refuses_a_wrong_file(site):
    with pytest.raises(ArtifactError, match=f"must have {digest(GOOD)}, as cluster.yaml says"):
        site.fetch(
            artifact("kubelet", GOOD, known_by="cluster.yaml"), sources=[site.directory("wrong", {KEY: BAD})]
        )


def test_wrong_everywhere_is_an_error_with_both_hashes(site, server):
    server.files = {f"/{KEY}": BAD}
    with pytest.raises(ArtifactError) as caught:
        site.fetch(artifact("kubelet", GOOD), sources=[{"url": server.url}])
    assert f"{server.url}: refused: it has sha256 {digest(BAD)} and must have {digest(GOOD)}" in str(
        caught.value
    )
    assert "Replace refused files with the right ones" in caught.value.hint
    assert not list(site.cache.rglob("*kubelet*")), "deleted"
    assert not list((site.cache / "tmp").iterdir())


def test_a_damaged_cache_file_is_thrown_away_and_fetched_again(site, server):
    server.files = {f"/{KEY}": GOOD}
    file = artifact("kubelet", GOOD)
    path = site.fetch(file, sources=[{"url": server.url}])[KEY].path
    path.write_bytes(BAD)
    got = site.fetch(file, sources=[{"url": server.url}])[KEY]
    assert (got.path, got.path.read_bytes(), got.source) == (path, GOOD, server.url)
    assert "the cache: " in got.notes[0]
    assert "refused and deleted" in got.notes[0]
    path.write_bytes(BAD)
    with pytest.raises(ArtifactError, match="the cache: refused and deleted"):
        site.fetch(file)
    assert not path.exists()


def test_two_builds_of_one_file_are_cached_side_by_side(site, new_server):
    one, two = new_server(), new_server()
    one.files = {"/SHA256SUMS": sums_text({KEY: GOOD}).encode(), f"/{KEY}": GOOD}
    two.files = {"/SHA256SUMS": sums_text({KEY: BAD}).encode(), f"/{KEY}": BAD}
    sources = [
        {"url": mirror.url, "ownBuilds": list_hash({KEY: content})}
        for mirror, content in ((one, GOOD), (two, BAD))
    ]
    first = site.fetch(artifact("kubelet"), sources=sources[:1])[KEY]
    second = site.fetch(artifact("kubelet"), sources=sources[1:])[KEY]
    again = site.fetch(artifact("kubelet"), sources=sources[:1])[KEY]
    assert first.path != second.path
    assert (again.path, again.source) == (first.path, "the cache")


def test_what_nobody_knows_is_refused_unless_it_is_allowed_and_pinned_then(site):
    here = site.directory("here", {KEY: GOOD})
    with pytest.raises(
        ArtifactError, match=f"refused: it has sha256 {digest(GOOD)}, which is not in"
    ) as caught:
        site.fetch(artifact("kubelet"), sources=[here])
    assert '"allowUnknown: true" under artifacts' in caught.value.hint
    assert not site.state.artifact_pins.exists()
    got = site.fetch(artifact("kubelet"), sources=[here], allow_unknown=True)[KEY]
    assert f"{KEY} is pinned to sha256 {digest(GOOD)}: this hash is not confirmed" in got.notes[0]
    assert pins(site) == {
        KEY: {"sha256": digest(GOOD), "source": str(site.root / "site/here"), "reason": "first use"}
    }
    assert stat.S_IMODE(site.state.artifact_pins.stat().st_mode) == 0o600
    site.fetch(artifact("kubelet"), sources=[here])
    site.directory("here", {KEY: BAD})
    with pytest.raises(ArtifactError) as caught:
        site.fetch(artifact("kubelet"), sources=[here])
    assert digest(BAD) in str(caught.value)
    assert f"{digest(GOOD)}, as pinned at the first download from {site.root}/site/here" in str(caught.value)
    assert f"remove its entry from {site.state.artifact_pins}" in caught.value.hint
    assert pins(site)[KEY]["sha256"] == digest(GOOD)
    site.directory("here", {}, sums={KEY: BAD})
    with pytest.raises(ArtifactError, match="as pinned at the first download"):
        site.fetch(artifact("kubelet"), sources=[here], allow_unknown=True)
    own = here | {"ownBuilds": list_hash({KEY: BAD})}
    assert site.fetch(artifact("kubelet"), sources=[own])[KEY].sha256 == digest(BAD), "cluster.yaml says so"


def test_a_failed_call_pins_nothing(site):
    here = site.directory("here", {KEY: GOOD})
    with pytest.raises(ArtifactError):
        site.fetch(artifact("kubelet"), artifact("kubectl"), sources=[here])
    assert not site.state.artifact_pins.exists()


def test_damaged_pins_are_named(site):
    site.state.create()
    site.state.artifact_pins.write_text('{"kubelet": 1}')
    with pytest.raises(StateError, match=r"artifact-pins\.json cannot be read"):
        site.fetch(artifact("kubelet", GOOD))


# --- upstream


def test_upstream_checksum_is_used_pinned_and_remembered(site, server):
    server.files = {"/kubelet": GOOD, "/kubelet.sha256": digest(GOOD).encode()}
    file = artifact("kubelet", url=f"{server.url}/kubelet", checksum_url=f"{server.url}/kubelet.sha256")
    assert site.fetch(file, upstream=True)[KEY].sha256 == digest(GOOD)
    assert pins(site)[KEY]["reason"] == "upstream checksum"
    site.state.artifact_pins.unlink()
    server.files.clear()
    assert site.fetch(file, upstream=True)[KEY].source == "the cache", (
        "another cluster trusts the same download"
    )
    assert len(server.requests) == 2


def test_upstream_file_that_its_checksum_denies_is_refused(site, server):
    server.files = {"/kubelet": BAD, "/kubelet.sha256": digest(GOOD).encode()}
    file = artifact("kubelet", url=f"{server.url}/kubelet", checksum_url=f"{server.url}/kubelet.sha256")
    with pytest.raises(
        ArtifactError, match=rf"upstream: refused: .*{digest(BAD)}.*as {server.url}/kubelet.sha256 says"
    ):
        site.fetch(file, upstream=True)


def test_upstream_without_any_checksum_is_not_used(site, server):
    server.files = {"/kubelet": GOOD}
    with pytest.raises(ArtifactError, match="does not publish a checksum"):
        site.fetch(artifact("kubelet", url=f"{server.url}/kubelet"), upstream=True)
    assert not server.requests


def test_upstream_is_not_downloaded_where_another_build_is_wanted(site, server):
    server.files = {"/kubelet": GOOD}
    here = site.directory("here", {}, sums={KEY: BAD}, own=True)
    with pytest.raises(ArtifactError, match=f"upstream: refused: it has sha256 {digest(GOOD)} and must have"):
        site.fetch(artifact("kubelet", GOOD, url=f"{server.url}/kubelet"), sources=[here], upstream=True)
    assert not server.requests


def etcd(server, name: str, archive: bytes | None, **more) -> ArtifactFile:
    return ArtifactFile(
        "etcd",
        "3.6.8",
        "amd64",
        name,
        url=f"{server.url}/etcd.tar.gz",
        url_sha256=archive and digest(archive),
        member=f"etcd-v3.6.8/{name}",
        **more,
    )


def test_archive_is_downloaded_once_for_all_its_files(site, server):
    archive = tgz({"./etcd-v3.6.8/etcd": GOOD, "etcd-v3.6.8/README": b"x", "etcd-v3.6.8/etcdctl": BAD})
    server.files = {"/etcd.tar.gz": archive}
    files = [etcd(server, "etcd", archive), etcd(server, "etcdctl", archive)]
    got = site.fetch(*files, upstream=True)
    assert [result.path.read_bytes() for result in got.values()] == [GOOD, BAD]
    assert server.gets("/etcd.tar.gz") == 1
    again = site.fetch(*files, upstream=True)
    assert {result.source for result in again.values()} == {"the cache"}
    assert server.gets("/etcd.tar.gz") == 1
    assert not site.state.artifact_pins.exists(), "the catalogue vouches for the archive"
    assert not list(site.cache.rglob("*README*"))


def test_a_wrong_archive_is_refused_unopened(site, server):
    server.files = {"/etcd.tar.gz": tgz({"etcd-v3.6.8/etcd": BAD})}
    with pytest.raises(
        ArtifactError, match=rf"refused: the archive has sha256 \w+ and must have {digest(GOOD)}"
    ):
        site.fetch(etcd(server, "etcd", GOOD), upstream=True)
    assert not list(site.cache.rglob("etcd@*"))


def test_archive_hash_from_upstreams_sums(site, server):
    archive = tgz({"etcd-v3.6.8/etcd": GOOD})
    server.files = {"/etcd.tar.gz": archive, "/SHA256SUMS": f"{digest(archive)}  etcd.tar.gz\n".encode()}
    got = site.fetch(etcd(server, "etcd", None, checksum_url=f"{server.url}/SHA256SUMS"), upstream=True)
    assert got["etcd/3.6.8/amd64/etcd"].path.read_bytes() == GOOD
    assert pins(site)["etcd/3.6.8/amd64/etcd"]["sha256"] == digest(GOOD)


@pytest.mark.parametrize(
    ("archive", "said"),
    [
        (tgz({"etcd-v3.6.8/other": GOOD}), "does not contain etcd-v3.6.8/etcd"),
        (tgz({}, links={"etcd-v3.6.8/etcd": "/etc/passwd"}), "not a regular file"),
        (tgz({"etcd-v3.6.8/etcd": os.urandom(5000)})[:600], "cannot be read"),
        (b"not an archive", "cannot be read"),
    ],
)
def test_archives_that_do_not_hold_the_file(site, server, archive, said):
    server.files = {"/etcd.tar.gz": archive}
    with pytest.raises(ArtifactError, match=said):
        site.fetch(etcd(server, "etcd", archive), upstream=True)
    assert not list((site.cache / "tmp").iterdir())


# --- mirrors and time


def test_hosts_may_fetch_from_a_mirror_also_when_the_cache_had_the_file(site, server):
    server.files = {f"/{KEY}": GOOD}
    file = artifact("kubelet", GOOD)
    assert site.fetch(file, sources=[{"url": server.url + "/"}])[KEY].url == f"{server.url}/{KEY}"
    cached = site.fetch(file, sources=[{"url": server.url}])[KEY]
    assert (cached.source, cached.url) == ("the cache", f"{server.url}/{KEY}")
    server.files["/SHA256SUMS"] = sums_text({KEY: GOOD}).encode()
    assert site.fetch(file, sources=[{"url": server.url}])[KEY].url == f"{server.url}/{KEY}"
    server.files.clear()
    assert site.fetch(file, sources=[{"url": server.url}])[KEY].url is None


def test_credentials_of_a_mirror_are_used_and_never_shown(site, new_tls_server):
    server = new_tls_server()
    server.files = {f"/{KEY}": GOOD}
    url = server.url.replace("://", "://robot:hunter2@")
    got = site.fetch(artifact("kubelet", GOOD), sources=[{"url": url}])[KEY]
    assert (got.source, got.url) == (server.url, None)
    assert server.headers[0]["authorization"].startswith("Basic ")
    with pytest.raises(ArtifactError) as caught:
        site.fetch(artifact("kubectl", GOOD), sources=[{"url": url}])
    assert "hunter2" not in str(caught.value)


def test_a_source_that_is_down_costs_seconds_and_is_asked_once(site):
    # A listener whose queue is full drops SYNs: connections to it hang, as to a host behind a firewall.
    with socket.socket() as listener, socket.socket() as one, socket.socket() as two:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (one, two):
            filler.settimeout(0)
            filler.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        names = [f"file{number}" for number in range(12)]
        here = site.directory("here", {f"kubernetes/1.36.4/amd64/{name}": GOOD for name in names})
        start = time.monotonic()
        got = site.fetch(*(artifact(name, GOOD) for name in names), sources=[{"url": url}, here])
    assert time.monotonic() - start < 5
    assert {result.notes for result in got.values()} == {(f"{url}: no answer (no connection within 3 s)",)}
    assert summarize(got)[-1] == f"{url}: no answer (no connection within 3 s)"


def test_a_closed_port_is_a_source_that_is_down(site):
    start = time.monotonic()
    with pytest.raises(ArtifactError, match=r"http://127.0.0.1:9: no answer \(Connection refused\)"):
        site.fetch(artifact("kubelet", GOOD), sources=[{"url": "http://127.0.0.1:9"}])
    assert time.monotonic() - start < 2


def test_a_server_in_trouble_is_noted_and_the_next_source_serves(site, server):
    server.status[f"/{KEY}"] = 500
    here = site.directory("here", {KEY: GOOD})
    got = site.fetch(artifact("kubelet", GOOD), sources=[{"url": server.url}, here])[KEY]
    assert got.notes == (f"{server.url}: answered 500 Internal Server Error",)


@pytest.mark.parametrize("kind", ["mirror", "directory"])
def test_damaged_sums_put_a_source_out_of_use(site, server, kind):
    server.files = {"/SHA256SUMS": b"<html>log in first</html>", f"/{KEY}": GOOD}
    here = site.directory("here", {KEY: GOOD})
    (site.root / "site/here/SHA256SUMS").write_text("deadbeef  x\n")
    source = {"url": server.url} if kind == "mirror" else here
    with pytest.raises(ArtifactError, match="SHA256SUMS is damaged: line 1"):
        site.fetch(artifact("kubelet", GOOD), sources=[source])


def test_a_directory_that_does_not_exist_is_named(site):
    with pytest.raises(ArtifactError, match="site/nowhere: no such directory"):
        site.fetch(artifact("kubelet", GOOD), sources=[{"directory": "nowhere"}])


def test_a_transfer_that_breaks_is_taken_up_where_it_broke(site, server):
    content = os.urandom(3 << 20)
    server.files = {f"/{KEY}": content}
    server.break_after = {f"/{KEY}": 2 << 20}
    got = site.fetch(artifact("kubelet", content), sources=[{"url": server.url}])[KEY]
    assert got.sha256 == digest(content)
    ranges = [headers["range"] for headers in server.headers if "range" in headers]
    assert ranges == [f"bytes={2 << 20}-"]


def test_files_are_fetched_in_parallel_and_progress_is_told(site, server):
    names = [f"file{number}" for number in range(6)]
    server.files = {f"/kubernetes/1.36.4/amd64/{name}": name.encode() for name in names}
    server.delay = 0.05
    events = []
    site.fetch(
        *(artifact(name, name.encode()) for name in names),
        sources=[{"url": server.url}],
        progress=events.append,
    )
    assert 2 <= server.most_concurrent <= 4
    done = [event for event in events if event.state == "done"]
    assert sorted(event.key.rpartition("/")[2] for event in done) == names
    assert {event.source for event in done} == {server.url}
    assert all(event.received == event.total == len("file0") for event in done)


def test_progress_tells_of_refused_and_missing(site):
    here = site.directory("here", {KEY: BAD})
    events = []
    with pytest.raises(ArtifactError):
        site.fetch(artifact("kubelet", GOOD), sources=[here], progress=events.append)
    assert [event.state for event in events] == ["refused", "missing"]


def test_a_run_with_nothing_to_do_reads_no_file_again(site, monkeypatch):
    here = site.directory("here", {KEY: GOOD})
    site.fetch(artifact("kubelet", GOOD), sources=[here])
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("hashed again"))
    site.fetch(artifact("kubelet", GOOD), sources=[here])


def test_a_full_or_read_only_cache_is_named(site, server):
    server.files = {f"/{KEY}": GOOD}
    site.cache.write_text("a file where the cache should be")
    with pytest.raises(ArtifactError, match="cache") as caught:
        site.fetch(artifact("kubelet", GOOD), sources=[{"url": server.url}])
    assert "K8SBOOTSTRAP_CACHE" in caught.value.hint


def test_redirects_to_another_host_are_followed(site, new_server):
    release, storage = new_server(), new_server()
    release.redirects = {"/kubelet": f"{storage.url}/objects/1"}
    storage.files = {"/objects/1": GOOD}
    got = site.fetch(artifact("kubelet", GOOD, url=f"{release.url}/kubelet"), upstream=True)
    assert got[KEY].path.read_bytes() == GOOD


def test_an_interrupted_call_ends_at_once_and_leaves_no_halves(site, server):
    names = [f"file{number}" for number in range(12)]
    server.files = {f"/kubernetes/1.36.4/amd64/{name}": name.encode() for name in names}
    server.delay = 0.05

    def interrupt(step):
        if step.state != "due":
            raise KeyboardInterrupt

    files = [artifact(name, name.encode()) for name in names]
    with pytest.raises(KeyboardInterrupt):
        site.fetch(*files, sources=[{"url": server.url}], progress=interrupt)
    assert len([path for method, path in server.requests if method == "GET"]) < len(names)
    assert {path.suffix for path in (site.cache / "tmp").iterdir()} <= {".part"}
    got = site.fetch(*files, sources=[{"url": server.url}])
    assert not list((site.cache / "tmp").iterdir())
    assert {result.source for result in got.values()} == {server.url}


def test_summary_counts_files_by_source(site, server):
    names = ["kubelet", "kubectl", "kube-proxy"]
    here = site.directory("here", {f"kubernetes/1.36.4/amd64/{name}": GOOD for name in names[:2]})
    server.files = {"/kubernetes/1.36.4/amd64/kube-proxy": GOOD}
    got = site.fetch(*(artifact(name, GOOD) for name in names), sources=[here, {"url": server.url}])
    assert summarize(got) == [
        f"kubernetes/1.36.4: 2 files from {site.root}/site/here, 1 file from {server.url}"
    ]


# --- going on with what an earlier run has


def _break_off(site, server, file):
    """Have a run that gets 4,000 bytes and no more."""
    server.files = {f"/{KEY}": GOOD}
    server.break_after = {f"/{KEY}": 4000}
    server.status = {}

    def unavailable(step):
        if step.received:
            server.status = {f"/{KEY}": 503}

    with pytest.raises(ArtifactError):
        site.fetch(file, sources=[{"url": server.url}], progress=unavailable)
    server.status = {}
    assert [path.stat().st_size for path in (site.cache / "tmp").iterdir()] == [4000]


def _ranges(server):
    """What each GET of the file asked for."""
    asked = zip(server.requests, server.headers, strict=True)
    return [headers.get("range") for request, headers in asked if request == ("GET", f"/{KEY}")]


def test_the_next_run_goes_on_where_the_last_one_broke_off(site, server):
    _break_off(site, server, artifact("kubelet", GOOD))
    got = site.fetch(artifact("kubelet", GOOD), sources=[{"url": server.url}])
    assert got[KEY].path.read_bytes() == GOOD
    assert _ranges(server)[-1] == "bytes=4000-"
    assert not list((site.cache / "tmp").iterdir())


def test_a_part_of_another_file_is_thrown_away(site, server):
    _break_off(site, server, artifact("kubelet", GOOD))
    server.files = {f"/{KEY}": BAD * 1000}
    got = site.fetch(artifact("kubelet", BAD * 1000), sources=[{"url": server.url}])
    assert got[KEY].path.read_bytes() == BAD * 1000
    assert _ranges(server)[-2:] == ["bytes=4000-", None]


def test_a_part_that_is_longer_than_the_file_is_thrown_away(site, server):
    _break_off(site, server, artifact("kubelet", GOOD))
    server.files = {f"/{KEY}": BAD}
    got = site.fetch(artifact("kubelet", BAD), sources=[{"url": server.url}])
    assert got[KEY].path.read_bytes() == BAD
