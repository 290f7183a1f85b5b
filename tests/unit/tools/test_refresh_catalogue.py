"""The catalogue's refresh, against a real HTTP server with files laid out as upstream lays them out."""

import hashlib
import shutil
import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from k8sbootstrap import catalog
from k8sbootstrap.artifacts import web
from k8sbootstrap.catalog.data import CHECKSUMS, RELEASES, parse
from tools import refresh_catalogue

CATALOGUE = Path(catalog.__file__).parent
BINARIES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
DL = "https://dl.k8s.io"
ETCD_SUMS = "etcd-io/etcd/releases/download/v3.6.8/SHA256SUMS"
KUBE_BENCH = "kube-bench_0.15.6_linux_{arch}.tar.gz"
KUBE_BENCH_SUMS = "aquasecurity/kube-bench/releases/download/v0.15.6/kube-bench_0.15.6_checksums.txt"
BESIDE = {
    "containerd/2.3.4/{arch}": (
        "containerd/containerd/releases/download/v2.3.4/containerd-2.3.4-linux-{arch}.tar.gz.sha256sum"
    ),
    "cni-plugins/1.9.1/{arch}": (
        "containernetworking/plugins/releases/download/v1.9.1/cni-plugins-linux-{arch}-v1.9.1.tgz.sha256"
    ),
    "crictl/1.36.0/{arch}": (
        "kubernetes-sigs/cri-tools/releases/download/v1.36.0/crictl-v1.36.0-linux-{arch}.tar.gz.sha256"
    ),
    "helm/4.2.3/{arch}": "helm-v4.2.3-linux-{arch}.tar.gz.sha256sum",
}
"""Key of a checksum to the address of the checksum file that has it alone."""


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Upstream:
    """The root of a server that stands in for all sites of upstream."""

    def __init__(self, root: Path, url: str) -> None:
        self.root, self.url = root, url

    def put(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def publish(self, version: str) -> None:
        """Put a Kubernetes release there: a bare hash beside every program, as dl.k8s.io has it."""
        for arch in ("amd64", "arm64"):
            for file in BINARIES:
                path = f"v{version}/bin/linux/{arch}/{file}"
                self.put(f"{path}.sha256", digest(path))
            tests = f"v{version}/kubernetes-test-linux-{arch}.tar.gz"
            self.put(f"{tests}.sha256", digest(tests))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the catalogue, with hashes of kube-bench too."""
    for name in (RELEASES, CHECKSUMS):
        shutil.copy(CATALOGUE / name, tmp_path)
    with (tmp_path / CHECKSUMS).open("a") as checksums:
        for name in ("kube-bench", "kube-bench-controls"):
            for arch in ("amd64", "arm64"):
                checksums.write(f"{name}/0.15.6/{arch}: {digest(KUBE_BENCH.format(arch=arch))}\n")
    return tmp_path


@pytest.fixture
def upstream(tmp_path: Path, folder: Path) -> Iterator[Upstream]:
    """A site that has what the catalogue has of 1.36, as sums of archives, and nothing newer."""
    root = tmp_path / "upstream"
    root.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site = Upstream(root, f"http://127.0.0.1:{server.server_port}")
        sums = parse(*((folder / name).read_text() for name in (RELEASES, CHECKSUMS))).sha256
        lines = [
            f"{sums[f'etcd/3.6.8/{arch}']}  etcd-v3.6.8-linux-{arch}.tar.gz\n" for arch in ("amd64", "arm64")
        ]
        site.put(ETCD_SUMS, "".join(lines))
        for arch in ("amd64", "arm64"):
            for key, place in BESIDE.items():
                address = place.format(arch=arch)
                name = address.rpartition("/")[2].rpartition(".")[0]
                site.put(address, f"{sums[key.format(arch=arch)]}  {name}\n")
        archives = [KUBE_BENCH.format(arch=arch) for arch in ("amd64", "arm64")]
        site.put(KUBE_BENCH_SUMS, "".join(f"{digest(name)}  {name}\n" for name in archives))
        lines = [f"{sums[f'runc/1.4.3/{arch}/runc']}  runc.{arch}\n" for arch in ("amd64", "arm64")]
        site.put("opencontainers/runc/releases/download/v1.4.3/runc.sha256sum", "".join(lines))
        for minor, newest in (
            ("1.37", "1.37.2"),
            ("1.36", "1.36.5"),
            ("1.35", "1.35.9"),
            ("1.34", "1.34.12"),
        ):
            site.put(f"release/stable-{minor}.txt", f"v{newest}")
        yield site
        server.shutdown()


def run(folder: Path, url: str, *versions: str) -> Result:
    return CliRunner().invoke(
        refresh_catalogue.command,
        [*versions, "--upstream", url, "--catalogue", str(folder)],
        catch_exceptions=False,
    )


def texts(folder: Path) -> tuple[str, str]:
    return (folder / RELEASES).read_text(), (folder / CHECKSUMS).read_text()


def test_nothing_new_changes_nothing(folder: Path, upstream: Upstream) -> None:
    before = texts(folder)
    done = run(folder, upstream.url)
    assert (done.exit_code, done.output) == (0, "nothing is new\n")
    assert texts(folder) == before


def test_all_newer_patches_are_added_in_order_and_comments_stay(folder: Path, upstream: Upstream) -> None:
    checksums = folder / CHECKSUMS
    comment = "# seen again on another day\n"
    marked = "kubernetes/1.36.4/arm64/kubelet:"
    checksums.write_text(checksums.read_text().replace(marked, comment + marked) + "# the end\n")
    before = texts(folder)
    upstream.put("release/stable-1.36.txt", "v1.36.7")
    upstream.publish("1.36.6")
    upstream.publish("1.36.7")
    done = run(folder, upstream.url)
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[:2] == ["1.36.6", "1.36.7"]

    releases, sums = texts(folder)
    catalogue = parse(releases, sums)
    assert catalogue.releases["1.36"].newest == "1.36.7"
    assert releases == before[0].replace("newest: 1.36.5,", "newest: 1.36.7,")
    kubelets = [line.split("/")[1] for line in sums.splitlines() if "/amd64/kubelet:" in line]
    assert kubelets[:3] == ["1.36.7", "1.36.6", "1.36.4"]
    assert catalogue.sha256["kubernetes/1.36.6/arm64/kube-proxy"] == digest(
        "v1.36.6/bin/linux/arm64/kube-proxy"
    )
    assert catalogue.sha256["kubernetes-test/1.36.6/arm64"] == digest(
        "v1.36.6/kubernetes-test-linux-arm64.tar.gz"
    )
    new = ("kubernetes/1.36.6", "kubernetes/1.36.7", "kubernetes-test/1.36.6", "kubernetes-test/1.36.7")
    kept = [line for line in sums.splitlines() if not line.startswith(new)]
    assert kept == before[1].splitlines()
    assert len(sums.splitlines()) == len(kept) + 2 * 2 * (len(BINARIES) + 1)
    assert run(folder, upstream.url).output == "nothing is new\n"


def test_checksums_of_a_catalogued_release_are_completed(folder: Path, upstream: Upstream) -> None:
    upstream.publish("1.36.4")
    for arch in ("amd64", "arm64"):
        for file in ("kubelet", "kubectl"):
            known = parse(*texts(folder)).sha256[f"kubernetes/1.36.4/{arch}/{file}"]
            upstream.put(f"v1.36.4/bin/linux/{arch}/{file}.sha256", known + "\n")
    done = run(folder, upstream.url, "1.36.4")
    assert done.exit_code == 0, done.output
    assert len(done.output.splitlines()) == 2 * (4 + 1)
    ours = [line for line in texts(folder)[1].splitlines() if line.startswith("kubernetes/1.36.4/amd64/")]
    assert [line.split("/")[3].partition(":")[0] for line in ours] == list(BINARIES)


@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        (
            "v1.36.6/bin/linux/arm64/kubelet.sha256",
            None,
            "URL/v1.36.6/bin/linux/arm64/kubelet.sha256: not there",
        ),
        (
            "v1.36.6/bin/linux/amd64/kubectl.sha256",
            "<html>",
            f"{DL}/v1.36.6/bin/linux/amd64/kubectl.sha256: is not a list of sha256 sums: '<html>'",
        ),
        (
            ETCD_SUMS,
            f"{'0' * 64}  etcd-v3.6.8-darwin-amd64.zip\n",
            f"https://github.com/{ETCD_SUMS}: does not list etcd-v3.6.8-linux-amd64.tar.gz",
        ),
        (
            ETCD_SUMS,
            f"{'0' * 64}  etcd-v3.6.8-linux-amd64.tar.gz\n",
            f"https://github.com/{ETCD_SUMS} says {'0' * 64} for etcd/3.6.8/amd64, the catalogue cf9cfe91",
        ),
        ("release/stable-1.36.txt", "v1.37.0", f"{DL}/release/stable-1.36.txt: is not a release of 1.36"),
        ("release/stable-1.36.txt", "<html>", f"{DL}/release/stable-1.36.txt: is not a release of 1.36"),
    ],
)
def test_one_message_and_nothing_written(
    folder: Path, upstream: Upstream, path: str, text: str | None, says: str
) -> None:
    upstream.put("release/stable-1.36.txt", "v1.36.6")
    upstream.publish("1.36.6")
    (upstream.root / path).unlink()
    if text is not None:
        upstream.put(path, text)
    before = texts(folder)
    done = run(folder, upstream.url)
    assert done.exit_code == 8
    assert done.output.startswith(says.replace("URL", upstream.url)), done.output
    assert len(done.output.splitlines()) == 1 + ("What upstream" in done.output)
    assert texts(folder) == before


def test_releases_before_the_one_that_is_named_are_added_too(folder: Path, upstream: Upstream) -> None:
    upstream.publish("1.36.6")
    upstream.publish("1.36.7")
    done = run(folder, upstream.url, "1.36.7")
    assert done.output.splitlines()[:2] == ["1.36.6", "1.36.7"], done.output
    catalogue = parse(*texts(folder))
    assert catalogue.versions()[3:6] == ["1.36.7", "1.36.6", "1.36.5"]
    assert "kubernetes/1.36.6/amd64/kubelet" in catalogue.sha256


@pytest.mark.parametrize("version", ["1.38.0", "v1.36.6", "1.36.6\n", "1.36", "newest"])
def test_only_patches_of_catalogued_minors(folder: Path, upstream: Upstream, version: str) -> None:
    done = run(folder, upstream.url, version)
    assert done.exit_code == 8
    assert f"{version} is no release of a catalogued minor (1.37, 1.36, 1.35, 1.34)" in done.output


def test_a_site_that_says_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "READ_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        done = run(folder, url)
    assert done.exit_code == 8
    assert done.output.startswith(f"{url}/release/stable-1.37.txt: no answer (no data for "), done.output
    assert len(done.output.splitlines()) == 1


def test_a_site_that_is_not_there(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    done = run(folder, url)
    assert done.output == f"{url}/release/stable-1.37.txt: no answer (Connection refused)\n"
