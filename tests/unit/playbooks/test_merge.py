"""What a host's owner has set stays beside ours, or is refused by name."""

import json
import tomllib

import pytest
from ansible.module_utils.k8sbootstrap.host.merge import MergeError, docker_problems, merge, settings_of

DOCKER = json.dumps(
    {
        "exec-opts": ["native.cgroupdriver=systemd"],
        "log-driver": "json-file",
        "log-opts": {"max-size": "50m", "max-file": "3"},
        "data-root": "/var/lib/docker",
        "live-restore": True,
        "registry-mirrors": ["https://mirror.example.com"],
        "bridge": "none",
        "iptables": False,
        "ip-masq": False,
    }
).encode()
CRI = 'plugins."io.containerd.grpc.v1.cri"'
CONTAINERD = f"""\
# Managed by k8sbootstrap
version = 2
imports = ["/etc/containerd/conf.d/*.toml"]

[{CRI}]
  sandbox_image = "pause:1"
  [{CRI}.containerd]
    default_runtime_name = "runc"
    [{CRI}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [{CRI}.containerd.runtimes.runc.options]
        SystemdCgroup = true
  [{CRI}.registry]
    config_path = "/etc/containerd/certs.d"
""".encode()
NVIDIA = f"""
[{CRI}.containerd.runtimes.nvidia]
  runtime_type = "io.containerd.runc.v2"
  [{CRI}.containerd.runtimes.nvidia.options]
    BinaryName = "/usr/bin/nvidia-container-runtime"
    SystemdCgroup = true
"""


def docker(theirs: dict, **more) -> dict:
    return json.loads(merge("docker", "daemon.json", DOCKER, json.dumps(theirs).encode(), **more))


def containerd(theirs: str, **more) -> dict:
    merged = merge("containerd", "config.toml", CONTAINERD, theirs.encode(), **more)
    base = (
        merged if more["first"] else CONTAINERD
    )  # as the next run has it: theirs are in what is wanted then
    again = merge("containerd", "config.toml", base, merged, first=False)
    assert again == merged, "up would never be done with it"
    return tomllib.loads(merged.decode())


def test_docker_keeps_what_its_owner_set():
    theirs = {
        "data-root": "/srv/docker",
        "insecure-registries": ["192.0.2.1:5000"],
        "default-address-pools": [{"base": "172.30.0.0/16", "size": 24}],
        "live-restore": False,
        "log-opts": {"max-size": "10m", "compress": "true"},
        "registry-mirrors": ["https://theirs.example.com"],
        "exec-opts": ["isolation=default"],
        "runtimes": {"nvidia": {"path": "/usr/bin/nvidia-container-runtime"}},
        "default-runtime": "nvidia",
    }
    merged = docker(theirs, first=True)
    assert merged["log-opts"] == {"max-size": "10m", "max-file": "3", "compress": "true"}
    assert merged["registry-mirrors"] == ["https://mirror.example.com", "https://theirs.example.com"]
    assert merged["exec-opts"] == ["native.cgroupdriver=systemd", "isolation=default"]
    kept = set(theirs) - {"log-opts", "registry-mirrors", "exec-opts"}
    assert {key: merged[key] for key in kept} == {key: theirs[key] for key in kept}
    assert (merged["bridge"], merged["iptables"]) == ("none", False)


@pytest.mark.parametrize(
    ("theirs", "says"),
    [
        ('{"bridge": "br0"}', 'sets bridge to "br0", but the cluster needs "none"'),
        ('{"iptables": true}', "sets iptables to true, but the cluster needs false"),
        ('{"log-driver": "journald"}', 'sets log-driver to "journald"'),
        ('{"exec-opts": ["native.cgroupdriver=cgroupfs"]}', "sets exec-opts to"),
        ('{"bip": "172.17.0.1/16"}', "sets bip, but docker has no bridge"),
        ('{"userns-remap": "default"}', "sets userns-remap, but pods"),
        ("{oops", "daemon.json is not JSON: "),
        ("[]", "is not a JSON object"),
    ],
)
def test_docker_is_refused_by_the_name_of_the_setting(theirs, says):
    with pytest.raises(MergeError, match=r"daemon\.json") as refused:
        merge("docker", "daemon.json", DOCKER, theirs.encode(), first=True)
    assert says in str(refused.value)


def test_what_is_added_later_stays_and_what_is_changed_does_not():
    assert docker(json.loads(DOCKER) | {"bridge": "br0", "debug": True}, first=False) == json.loads(
        DOCKER
    ) | {"debug": True}
    assert merge("docker", "daemon.json", DOCKER, DOCKER, first=False) == DOCKER
    assert merge("docker", "daemon.json", DOCKER, b"{oops", first=False) == DOCKER
    assert merge("docker", "daemon.json", DOCKER, b"", first=False) == DOCKER


def test_what_we_once_set_is_not_somebody_elses():
    before = {**json.loads(DOCKER), "old": 1}
    dropped = tuple(settings_of("docker", json.dumps(before).encode()))
    assert "old" not in docker(before, first=False, dropped=dropped)
    old = CONTAINERD + b"[old]\n  key = 1\n"
    dropped = tuple(settings_of("containerd", old))
    assert merge("containerd", "config.toml", CONTAINERD, old, first=False, dropped=dropped) == CONTAINERD


def test_containerd_keeps_what_its_owner_set():
    theirs = f"""\
version = 2
root = "/srv/containerd" # a disk of its own
imports = ["/etc/theirs.toml"]
[grpc]
  max_recv_message_size = 1
[{CRI}]
  sandbox_image = "pause:0"
  max_concurrent_downloads = 9
  list = [
    "a",
    "b",
  ]
[{CRI}.containerd]
  default_runtime_name = "nvidia"
[{CRI}.containerd.runtimes.runc.options]
  SystemdCgroup = false
  BinaryName = "/usr/local/bin/runc"
[{CRI}.registry.mirrors]
{NVIDIA}"""
    merged = containerd(theirs, first=True)
    assert merged["root"] == "/srv/containerd"
    assert merged["imports"] == ["/etc/containerd/conf.d/*.toml", "/etc/theirs.toml"]
    assert merged["grpc"] == {"max_recv_message_size": 1}
    cri = merged["plugins"]["io.containerd.grpc.v1.cri"]
    assert (cri["sandbox_image"], cri["max_concurrent_downloads"]) == ("pause:1", 9)
    assert cri["list"] == ["a", "b"]
    assert cri["containerd"]["default_runtime_name"] == "nvidia"
    runtimes = cri["containerd"]["runtimes"]
    assert runtimes["runc"]["options"] == {"SystemdCgroup": True, "BinaryName": "/usr/local/bin/runc"}
    assert runtimes["nvidia"]["options"]["BinaryName"] == "/usr/bin/nvidia-container-runtime"


def test_a_runtime_that_is_added_to_containerd_later_stays():
    merged = containerd(CONTAINERD.decode().replace("pause:1", "pause:0") + NVIDIA, first=False)
    cri = merged["plugins"]["io.containerd.grpc.v1.cri"]
    assert cri["sandbox_image"] == "pause:1"
    assert "nvidia" in cri["containerd"]["runtimes"]
    assert merge("containerd", "config.toml", CONTAINERD, CONTAINERD, first=False) == CONTAINERD
    broken = CONTAINERD + b"[broken\n x = \n"
    assert merge("containerd", "config.toml", CONTAINERD, broken, first=False) == CONTAINERD


@pytest.mark.parametrize(
    ("theirs", "says"),
    [
        ("version = 3\n", "has version 3, but the cluster needs version 2"),
        ("[grpc]\n  uid = 0\n", "has version 1"),
        ('version = 2\ndisabled_plugins = ["cri"]\n', "turns off the plugin cri"),
        (
            f'version = 2\n[{CRI}.registry.mirrors."docker.io"]\n  endpoint = ["https://x"]\n',
            "registry.mirrors, which does not work with config_path",
        ),
        (f"version = 2\n{CRI}.max_concurrent_downloads = 3\n", "can't be merged with what the cluster needs"),
        ('version = 2\nx = """\n[y]\n"""\n', "text of several lines"),
    ],
)
def test_containerd_is_refused_by_the_name_of_the_setting(theirs, says):
    with pytest.raises(MergeError, match=r"config\.toml") as refused:
        containerd(theirs, first=True)
    assert says in str(refused.value)


def container(name, network="bridge", **labels):
    return {"Names": [f"/{name}"], "Labels": labels, "HostConfig": {"NetworkMode": network}}


@pytest.mark.parametrize(
    ("lines", "info", "containers", "says"),
    [
        (
            ['DOCKER_OPTS="--log-driver=journald"'],
            {},
            [],
            "command line has --log-driver, which daemon.json sets",
        ),
        (
            ["/usr/sbin/dockerd -H fd:// -g /srv --iptables=false"],
            {},
            [],
            "command line has --iptables -g, which",
        ),
        (["argv[]=/usr/sbin/dockerd --exec-opt native.cgroupdriver=systemd ;"], {}, [], "--exec-opt"),
        ([], {"Swarm": {"LocalNodeState": "active"}}, [], "docker is in a swarm"),
        ([], {"Swarm": {"LocalNodeState": "locked"}}, [], "docker is in a swarm"),
        ([], {}, [container("web"), container("db", "mynet")], "network and ports: db, web."),
    ],
)
def test_docker_that_can_not_be_the_clusters(lines, info, containers, says):
    (problem,) = docker_problems(lines, info, containers, DOCKER)
    assert says in problem


def test_docker_that_can_be_the_clusters():
    lines = [
        "argv[]=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS",
        "",
    ]
    containers = [
        container("agent", "host"),
        container("k8s_POD", "default", **{"io.kubernetes.pod.uid": "1"}),
        container("alone", "none"),
    ]
    assert docker_problems(lines, {"Swarm": {"LocalNodeState": "inactive"}}, containers, DOCKER) == []
    assert docker_problems(lines, {}, [], DOCKER) == []
