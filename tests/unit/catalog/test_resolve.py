import dataclasses
from importlib import resources
from typing import get_args

import pytest
import yaml
from pydantic import ValidationError

from k8sbootstrap.catalog import resolve
from k8sbootstrap.catalog.data import ARCHITECTURES, Catalogue
from k8sbootstrap.catalog.models import ArtifactFile, FileOverride, Overrides, Release
from k8sbootstrap.catalog.resolve import (
    conformance,
    default_version,
    kube_bench,
    newest_like,
    own_keys,
    release,
    unverifiable,
    versions,
)
from k8sbootstrap.config.models.base import Arch
from k8sbootstrap.errors import UnknownReleaseError

EVERY = [(v, a, r) for v in versions() for a in ARCHITECTURES for r in ("docker", "containerd")]


def read(name: str) -> str:
    return resources.files("k8sbootstrap.catalog").joinpath(name).read_text()


@pytest.fixture
def document():
    releases = yaml.safe_load(read("releases.yaml"))
    assert "sha256" not in releases, "checksums.yaml is the one place for it"
    return {**releases, "sha256": yaml.safe_load(read("checksums.yaml"))}


def all_files(rel: Release) -> list[ArtifactFile]:
    return [*rel.binaries.values(), *rel.cni_plugins.values(), *rel.containerd.values(), rel.crictl]


def test_versions_are_newest_first_by_number_not_by_text():
    found = versions()
    assert found == sorted(found, key=lambda v: [int(part) for part in v.split(".")], reverse=True)
    assert {"1.34.0", "1.36.0", "1.36.4"} <= set(found)
    assert (found[0], found[-1]) == ("1.37.2", "1.34.0")


def test_the_default_is_the_newest():
    assert default_version() == versions()[0]


def test_the_catalogue_or_upstream_vouches_for_every_file_of_a_release():
    """``init`` writes none of the others; a release that becomes one is named here."""
    assert {version: files for version in versions() if (files := unverifiable(version))} == {}


def test_a_release_with_a_file_that_nobody_vouches_for_is_no_default(monkeypatch):
    newest = default_version()
    monkeypatch.setattr(resolve, "unverifiable", lambda version: ["a file"] if version == newest else [])
    assert default_version() != newest


@pytest.mark.parametrize(("version", "arch", "runtime"), EVERY)
def test_every_release_is_complete(version, arch, runtime):
    rel = release(version, arch, runtime)
    assert {
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "kube-proxy",
        "kubectl",
        "etcd",
        "etcdctl",
        "etcdutl",
    } <= set(rel.binaries)
    assert set(rel.cni_plugins) == {"bridge", "host-local", "loopback", "portmap"}
    assert ("cri-dockerd" in rel.binaries) == (runtime == "docker")
    assert version.startswith(rel.minor.minor + ".")
    for file in all_files(rel):
        assert file.arch == arch
        assert file.url.startswith("https://")
        assert arch in file.url
        assert file.version in file.url
        assert file.sha256 or file.url_sha256 or file.checksum_url, f"nothing vouches for {file.key}"
        assert "{" not in f"{file.url}{file.member}{file.checksum_url}"
        assert file.member is None or file.url_sha256 or file.checksum_url
    assert rel.pause.artifact.key == f"pause/{rel.pause.ref.rpartition(':')[2]}/{arch}/image.tar"
    assert rel.test_image.artifact.file == "image.tar"


def test_what_a_minor_takes():
    rel = release("1.36.4", "arm64", "docker")
    assert rel.runtime_endpoint == "unix:///run/cri-dockerd.sock"
    assert (
        release("1.36.4", "arm64", "containerd").runtime_endpoint == "unix:///run/containerd/containerd.sock"
    )
    assert rel.minor.fail_cgroup_v1
    assert not release("1.34.11", "amd64", "docker").minor.fail_cgroup_v1


def test_what_goes_with_a_release_beside_its_own_programs():
    rel = release("1.36.4", "arm64", "containerd")
    assert {name: file.key for name, file in rel.containerd.items()} == {
        "containerd": "containerd/2.3.4/arm64/containerd",
        "containerd-shim-runc-v2": "containerd/2.3.4/arm64/containerd-shim-runc-v2",
        "ctr": "containerd/2.3.4/arm64/ctr",
        "runc": "runc/1.4.3/arm64/runc",
    }
    assert rel.containerd["ctr"].member == "bin/ctr"
    runc = rel.containerd["runc"]
    assert (runc.url.rpartition("/")[2], runc.member) == ("runc.arm64", None)
    assert rel.crictl.key == "crictl/1.36.0/arm64/crictl"
    assert rel.coredns.ref == "registry.k8s.io/coredns/coredns:v1.14.2"
    assert rel.coredns.artifact.key == "coredns/1.14.2/arm64/image.tar"


def test_hosts_can_be_of_every_architecture_and_no_other():
    assert get_args(Arch) == ARCHITECTURES


def test_architectures_have_different_hashes():
    amd, arm = (release("1.36.4", arch, "docker") for arch in ARCHITECTURES)
    for name, file in amd.binaries.items():
        other = arm.binaries[name]
        assert (file.sha256, file.url_sha256) == (None, None) or (file.sha256, file.url_sha256) != (
            other.sha256,
            other.url_sha256,
        )


def test_no_checksum_is_written_twice_and_the_newest_come_first():
    lines = [line for line in read("checksums.yaml").splitlines() if "/" in line and not line.startswith("#")]
    keys = [line.partition(":")[0] for line in lines]
    assert len(keys) == len(set(keys)) == len(yaml.safe_load(read("checksums.yaml")))
    kubelets = [key.split("/")[1] for key in keys if key.endswith("/amd64/kubelet")]
    assert kubelets == [version for version in versions() if version in kubelets]
    assert set(versions()) - set(kubelets) == {"1.37.2", "1.37.1", "1.37.0", "1.36.5", "1.35.9", "1.34.12"}, (
        "python -m tools.refresh_catalogue"
    )


@pytest.mark.parametrize(
    ("version", "nearest"),
    [
        ("1.38.1", "1.37.2, 1.37.1, 1.37.0"),
        ("1.33.4", "1.34.5, 1.34.4, 1.34.3"),
        ("1.20.2", "1.34.3, 1.34.2, 1.34.1"),
        ("2.36.2", "1.36.3, 1.36.2, 1.36.1"),
    ],
)
def test_a_minor_that_is_not_there(version, nearest):
    with pytest.raises(UnknownReleaseError) as caught:
        release(version, "amd64", "docker")
    assert str(caught.value) == (
        f"Kubernetes {version} is not in the release catalogue, which has 1.37, 1.36, 1.35, 1.34; "
        f"the nearest releases are {nearest}"
    )
    assert caught.value.exit_code == 3
    assert "kubernetes.version" in caught.value.hint
    assert newest_like(version) == ""


def test_a_release_that_is_newer_than_the_catalogue_gets_what_the_newest_of_its_minor_gets():
    newest, rel = (release(version, "amd64", "docker") for version in ("1.36.5", "1.36.99"))
    assert (newest_like("1.36.99"), newest_like("1.36.5"), newest_like("1.36.0")) == ("1.36.5", "", "")
    assert (rel.minor, rel.pause, rel.coredns) == (newest.minor, newest.pause, newest.coredns)
    assert rel.cni_plugins == newest.cni_plugins
    assert {name: file for name, file in rel.binaries.items() if file.name != "kubernetes"} == {
        name: file for name, file in newest.binaries.items() if file.name != "kubernetes"
    }
    kubelet = rel.binaries["kubelet"]
    assert (kubelet.version, kubelet.sha256) == ("1.36.99", None)
    assert kubelet.checksum_url == f"{kubelet.url}.sha256"
    assert "1.36.99" not in versions()
    assert unverifiable("1.36.99") == []


def test_a_patch_release_that_differs_from_its_minor(document):
    releases = document["releases"]["1.36"]
    releases["patches"] = {
        "1.36.3": {"etcd": "3.6.9"},
        "1.36.5": {"coredns": "1.14.3", "cri-dockerd": "0.4.0"},
    }
    found = Catalogue.model_validate(document).releases["1.36"]
    assert [found.versions(f"1.36.{patch}").etcd for patch in (2, 3, 4)] == ["3.6.8", "3.6.9", "3.6.8"]
    for version in ("1.36.5", "1.36.6"):
        versions = found.versions(version)
        assert (versions.etcd, versions.coredns, versions.cri_dockerd) == ("3.6.8", "1.14.3", "0.4.0")


def test_unknown_architecture_and_runtime_are_named():
    with pytest.raises(UnknownReleaseError, match="riscv64, only for amd64 and arm64"):
        release("1.36.4", "riscv64", "docker")
    with pytest.raises(UnknownReleaseError, match="rkt"):
        release("1.36.4", "amd64", "rkt")


def set_at(document, path, value):
    for key in path[:-1]:
        document = document[key]
    document[path[-1]] = value


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("surprise",), 1, "surprise"),
        (("projects", "etcd", "mirror"), "x", "mirror"),
        (("projects", "etcdd"), {}, "etcdd"),
        (("minors", 0, "fail_cgroup"), True, "fail_cgroup"),
        (("minors", 0, "minor"), "1.38", "not the same minors"),
        (("releases", "1.36", "helm"), "3.18.4", "helm"),
        (("releases", "1.36", "newest"), "1.35.5", "release 1.35.5: is not one of 1.36.0 to 1.35.5"),
        (("releases", "1.36", "newest"), "1.36", "newest"),
        (("releases", "1.36", "newest"), "1.36.3", "kubernetes/1.36.4: no release uses it"),
        (("releases", "1.36", "cri-dockerd"), None, "cri-dockerd"),
        (("releases", "1.36", "etcd"), "3.5.23", "its minor needs etcd 3.5.24 or later"),
        (("releases", "1.36", "patches"), {"1.36.3": {"etcd": "3.5.23"}}, "release 1.36.3: its minor needs"),
        (("releases", "1.36", "patches"), {"1.36.3": {"helm": "3.18.4"}}, "helm"),
        (("releases", "1.36", "patches"), {"1.36.6": {}}, "release 1.36.6: is not one of 1.36.0 to 1.36.5"),
        (("releases", "1.36", "patches"), {"1.35.3": {}}, "release 1.35.3: is not one of 1.36.0 to 1.36.5"),
        (("sha256", "etcd/3.6.8/amd64"), "abc", "sha256"),
        (("sha256", "etcd/9.9.9/amd64"), "0" * 64, "no release uses it"),
        (("sha256", "etcd/3.6.8/amd64/etdc"), "0" * 64, "no such file"),
        (("sha256", "etcdd/3.6.8/amd64"), "0" * 64, "sha256"),
        (("sha256", "kubernetes/1.36.4/amd64"), "0" * 64, "no archive"),
        (("sha256", "kube-bench/0.1.0/amd64"), "0" * 64, "no release uses it"),
        (("sha256", "kube-bench-controls/0.15.6/amd64/node"), "0" * 64, "no such file"),
        (("sha256", "kubernetes-test/1.36.9/amd64"), "0" * 64, "no release uses it"),
        (("conformance_images",), {}, "not the images of each minor"),
    ],
)
def test_a_wrong_catalogue_is_refused(document, path, value, said):
    Catalogue.model_validate(document)
    set_at(document, path, value)
    with pytest.raises(ValidationError, match=said):
        Catalogue.model_validate(document)


def test_release_is_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        release("1.36.4", "amd64", "docker").version = "1"


OWN_FILE = FileOverride("https://example.com/own", "a" * 64)


def test_an_own_release_takes_what_its_minor_takes():
    plain, ours = release("1.36.99", "amd64", "docker"), Overrides({"etcd": "3.6.9"})
    rel = release("1.36.99", "amd64", "docker", {"1.36.99": ours})
    assert (rel.minor, rel.pause, rel.cni_plugins) == (plain.minor, plain.pause, plain.cni_plugins)
    assert rel.binaries["cri-dockerd"] == plain.binaries["cri-dockerd"]
    assert rel.binaries["etcd"].version == "3.6.9"
    assert release("1.36.98", "amd64", "docker", {"1.36.99": ours}).binaries["etcd"].version == "3.6.8"


def test_files_of_an_own_release():
    files = {"kubernetes/1.36.4/arm64/kubelet": OWN_FILE, "etcd/3.6.9/arm64": OWN_FILE}
    own = {"1.36.4": Overrides({"etcd": "3.6.9", "pause": "3.10"}, files)}
    arm, amd = (release("1.36.4", arch, "containerd", own) for arch in ("arm64", "amd64"))
    kubelet, etcd = arm.binaries["kubelet"], arm.binaries["etcd"]
    assert (kubelet.url, kubelet.sha256, kubelet.known_by) == (OWN_FILE.url, "a" * 64, "cluster.yaml")
    assert (etcd.url, etcd.url_sha256, etcd.sha256) == (OWN_FILE.url, "a" * 64, None)
    assert etcd.member == "etcd-v3.6.9-linux-arm64/etcd"
    assert (kubelet.checksum_url, etcd.checksum_url) == (None, None)
    plain = release("1.36.4", "amd64", "containerd")
    assert amd.binaries["kubelet"] == plain.binaries["kubelet"]
    assert arm.pause.ref == "registry.k8s.io/pause:3.10"


def test_what_files_of_an_own_release_may_name():
    keys = own_keys("1.36.99", Overrides())
    for arch in ARCHITECTURES:
        rel = release("1.36.4", arch, "docker")
        assert {file.key.replace("1.36.4", "1.36.99") for file in all_files(rel)} <= set(keys)
    assert "etcd/3.6.8/amd64" in keys
    assert "kubernetes/1.36.99/amd64" not in keys


def test_coredns() -> None:
    assert release("1.36.4", "amd64", "docker").coredns.ref == "registry.k8s.io/coredns/coredns:v1.14.2"
    own = {"1.36.4": Overrides({"coredns": "1.13.1"})}
    assert release("1.36.4", "arm64", "docker", own).coredns.ref == "registry.k8s.io/coredns/coredns:v1.13.1"


def test_pod_networks_are_pinned():
    networks = release("1.36.3", "arm64", "docker").pod_networks
    assert set(networks) == {"flannel", "calico", "cilium"}
    for name, network in networks.items():
        manifest = network.manifest
        assert (manifest.name, manifest.arch, len(manifest.sha256)) == (name, "any", 64)
        assert network.version in manifest.url
        assert network.images
        assert {image.artifact.arch for image in network.images} == {"arm64"}


def test_kube_bench_and_its_controls_come_in_one_archive() -> None:
    program, *controls = kube_bench("arm64")
    archive = "https://github.com/aquasecurity/kube-bench/releases/download/v0.15.6/kube-bench_0.15.6"
    assert {file.url for file in (program, *controls)} == {f"{archive}_linux_arm64.tar.gz"}
    assert {file.checksum_url for file in (program, *controls)} == {f"{archive}_checksums.txt"}
    assert (program.key, program.member) == ("kube-bench/0.15.6/arm64/kube-bench", "kube-bench")
    assert [(file.key, file.member) for file in controls] == [
        (f"kube-bench-controls/0.15.6/arm64/{name}.yaml", f"cfg/cis-1.12/{name}.yaml")
        for name in ("controlplane", "etcd", "master", "node", "policies")
    ]


def test_the_tests_of_conformance_come_in_one_archive_of_their_release() -> None:
    tests = conformance("1.37.9", "arm64")
    archive = "https://dl.k8s.io/v1.37.9/kubernetes-test-linux-arm64.tar.gz"
    assert {file.url for file in (tests.e2e_test, tests.ginkgo)} == {archive}
    assert {file.checksum_url for file in (tests.e2e_test, tests.ginkgo)} == {f"{archive}.sha256"}
    assert tests.e2e_test.key == "kubernetes-test/1.37.9/arm64/e2e.test"
    assert (tests.e2e_test.member, tests.ginkgo.member) == (
        "kubernetes/test/bin/e2e.test",
        "kubernetes/test/bin/ginkgo",
    )


@pytest.mark.parametrize("version", versions())
def test_images_of_conformance_have_a_place_each(version: str) -> None:
    images = conformance(version, "amd64").images
    assert len({image.artifact.key for image in images}) == len(images)
    assert {"agnhost", "busybox", "pause"} <= {image.artifact.name for image in images}
    for image in images:
        assert image.ref.endswith(f"/{image.artifact.name}:{image.artifact.version}")


def test_a_user_may_name_another_place_for_the_tests_of_conformance() -> None:
    own = Overrides(files={"kubernetes-test/1.37.2/amd64": OWN_FILE})
    assert conformance("1.37.2", "amd64", {"1.37.2": own}).ginkgo.url == OWN_FILE.url
    assert "kubernetes-test/1.37.2/amd64" in own_keys("1.37.2", Overrides())
