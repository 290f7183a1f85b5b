import dataclasses
from importlib import resources
from typing import get_args

import pytest
import yaml
from pydantic import ValidationError

from k8sbootstrap.catalog import resolve
from k8sbootstrap.catalog.data import ARCHITECTURES, Catalogue
from k8sbootstrap.catalog.models import ArtifactFile, FileOverride, Overrides, Release
from k8sbootstrap.catalog.resolve import default_version, own_keys, release, unverifiable, versions
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
    assert {"1.20.2", "1.36.0", "1.36.4"} <= set(found)
    assert found[0] == "1.37.1"


def test_the_default_is_of_a_minor_that_was_tried():
    assert default_version() == "1.36.5"


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
    } <= set(rel.binaries)
    assert set(rel.cni_plugins) == {"bridge", "host-local", "loopback", "portmap"}
    assert ("cri-dockerd" in rel.binaries) == (runtime == "docker" and rel.minor.cri_dockerd)
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


@pytest.mark.parametrize(("version", "arch", "runtime"), EVERY)
def test_flags_hold_no_template(version, arch, runtime):
    minor = release(version, arch, runtime).minor
    assert "{" not in str([list(flags.values()) for flags in minor.runtime_flags.values()])


def test_1_20_takes_what_the_dockershim_and_v1beta1_need():
    rel = release("1.20.2", "amd64", "docker")
    assert rel.runtime_endpoint == ""
    assert rel.minor.scheduler_config["healthzBindAddress"] == "127.0.0.1:10251"
    assert rel.minor.runtime_flags["docker"]["pod-infra-container-image"] == rel.pause.ref
    assert rel.minor.runtime_flags["containerd"]["container-runtime-endpoint"] == (
        release("1.20.2", "amd64", "containerd").runtime_endpoint
    )
    assert rel.minor.scheduler_config_api == "kubescheduler.config.k8s.io/v1beta1"
    assert rel.minor.control_plane_labels == ("node-role.kubernetes.io/master",)
    assert not rel.minor.register_taints_in_config
    assert rel.binaries["etcd"].member == "etcd-v3.4.23-linux-amd64/etcd"


def test_1_36_takes_fields_instead_of_flags():
    rel = release("1.36.4", "arm64", "docker")
    assert rel.runtime_endpoint == "unix:///run/cri-dockerd.sock"
    assert (
        release("1.36.4", "arm64", "containerd").runtime_endpoint == "unix:///run/containerd/containerd.sock"
    )
    assert not rel.minor.flags
    assert not rel.minor.runtime_flags
    assert rel.minor.runtime_endpoint_in_config
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
    old = release("1.20.2", "amd64", "containerd")
    assert old.containerd["containerd"].version.startswith("1."), "2.x speaks no CRI v1alpha2"
    assert old.coredns.ref == "registry.k8s.io/coredns:1.7.0"


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


def test_every_patch_that_upstream_made_is_there():
    patches: dict[str, list[int]] = {}
    for version in versions():
        minor, _, patch = version.rpartition(".")
        patches.setdefault(minor, []).append(int(patch))
    for minor in ("1.37", "1.36", "1.35", "1.34"):
        assert sorted(patches[minor]) == list(range(max(patches[minor]) + 1))
    assert {"1.34.9", "1.35.6", "1.36.3"} <= set(versions())


def test_no_checksum_is_written_twice_and_the_newest_come_first():
    lines = [line for line in read("checksums.yaml").splitlines() if "/" in line and not line.startswith("#")]
    keys = [line.partition(":")[0] for line in lines]
    assert len(keys) == len(set(keys)) == len(yaml.safe_load(read("checksums.yaml")))
    kubelets = [key.split("/")[1] for key in keys if key.endswith("/amd64/kubelet")]
    assert kubelets == [version for version in versions() if version in kubelets]
    assert set(versions()) - set(kubelets) == {"1.37.1", "1.37.0", "1.36.5", "1.35.9", "1.34.12"}, (
        "python -m tools.refresh_catalogue"
    )


def test_unknown_version_lists_the_nearest():
    with pytest.raises(
        UnknownReleaseError, match=r"1\.36\.9 .*nearest releases are 1\.36\.5, 1\.36\.4, 1\.36\.3"
    ) as caught:
        release("1.36.9", "amd64", "docker")
    assert caught.value.exit_code == 3
    assert "kubernetes.version" in caught.value.hint
    with pytest.raises(UnknownReleaseError, match=r"nearest releases are .*1\.20\.2"):
        release("1.21.0", "amd64", "docker")


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
        (("releases", "1.36.4", "helm"), "3.18.4", "helm"),
        (
            ("releases", "1.38.0"),
            {
                "etcd": "3.6.8",
                "containerd": "2.3.4",
                "runc": "1.4.3",
                "cni-plugins": "1.9.1",
                "crictl": "1.36.0",
                "pause": "3.10.2",
                "coredns": "1.14.2",
            },
            "no entry 1.38",
        ),
        (("releases", "1.36.4", "cri-dockerd"), None, "cri-dockerd"),
        (("releases", "1.36.4", "etcd"), "3.5.23", "its minor needs etcd 3.5.24 or later"),
        (("sha256", "etcd/3.6.8/amd64"), "abc", "sha256"),
        (("sha256", "etcd/9.9.9/amd64"), "0" * 64, "no release uses it"),
        (("sha256", "etcd/3.6.8/amd64/etdc"), "0" * 64, "no such file"),
        (("sha256", "etcdd/3.6.8/amd64"), "0" * 64, "sha256"),
        (("sha256", "kubernetes/1.36.4/amd64"), "0" * 64, "no archive"),
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
    newest, ours = release("1.36.4", "amd64", "docker"), Overrides({"etcd": "3.6.9"})
    rel = release("1.36.99", "amd64", "docker", {"1.36.99": ours})
    assert rel.minor == newest.minor
    assert rel.pause == newest.pause
    assert rel.cni_plugins == newest.cni_plugins
    assert rel.binaries["cri-dockerd"] == newest.binaries["cri-dockerd"]
    assert rel.binaries["etcd"].version == "3.6.9"
    kubelet = rel.binaries["kubelet"]
    assert (kubelet.version, kubelet.sha256) == ("1.36.99", None)
    assert kubelet.checksum_url == f"{kubelet.url}.sha256"
    assert "1.36.99" not in versions(), "it is that cluster's alone"
    with pytest.raises(UnknownReleaseError):
        release("1.36.99", "amd64", "docker")


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
    assert not [key for key in own_keys("1.20.15", Overrides()) if key.startswith("cri-dockerd")]


def test_coredns() -> None:
    assert release("1.36.4", "amd64", "docker").coredns.ref == "registry.k8s.io/coredns/coredns:v1.14.2"
    old = release("1.20.2", "amd64", "docker").coredns
    assert (old.ref, old.artifact.key) == ("registry.k8s.io/coredns:1.7.0", "coredns/1.7.0/amd64/image.tar")
    own = {"1.36.4": Overrides({"coredns": "1.13.1"})}
    assert release("1.36.4", "arm64", "docker", own).coredns.ref == "registry.k8s.io/coredns/coredns:v1.13.1"


def test_pod_networks_are_pinned_and_for_releases_that_take_them():
    assert set(release("1.20.2", "amd64", "docker").pod_networks) == {"flannel"}
    networks = release("1.36.3", "arm64", "docker").pod_networks
    assert set(networks) >= {"flannel", "calico"}
    for name, network in networks.items():
        manifest = network.manifest
        assert (manifest.name, manifest.arch, len(manifest.sha256)) == (name, "any", 64)
        assert network.version in manifest.url
        assert network.images
        assert {image.artifact.arch for image in network.images} == {"arm64"}
