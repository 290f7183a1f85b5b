import json
import subprocess
import sys
from importlib import resources
from ipaddress import IPv4Interface, IPv4Network

import pytest

from k8sbootstrap.survey.facts import Address, Listener, Route, parse

QUESTION = json.dumps({"platforms": [], "address": "127.0.0.1", "free": ""})


def test_a_bare_host(recording):
    facts = parse(recording())
    assert facts.python == (3, 11, 7)
    assert (facts.os_id, facts.os_version) == ("debian", "12")
    assert facts.os_name == "Debian GNU/Linux 12 (bookworm)"
    assert facts.machine_id == "8d3c1e0b6a5f4c2d9e7b1a2c3d4e5f60"
    assert facts.memory == 4025300 * 1024
    assert facts.addresses == (
        Address("lo", IPv4Interface("127.0.0.1/8")),
        Address("eth0", IPv4Interface("192.0.2.11/24")),
    )
    assert facts.routes == (Route(IPv4Network("192.0.2.0/24"), "eth0", "kernel"),)
    assert facts.listeners == (
        Listener("0.0.0.0", 22, "sshd", "ssh.service"),
        Listener("[::]", 22, "sshd", "ssh.service"),
    )
    assert (facts.swaps, facts.cluster, facts.recorded, facts.leftovers) == ((), "", frozenset(), ())


def test_a_finished_master(recording):
    facts = parse(recording("master"))
    assert facts.cluster == "demo"
    assert {"/var/lib/etcd", "/etc/kubernetes/kubelet.conf"} <= facts.recorded
    assert Listener("192.0.2.11", 2380, "etcd", "etcd.service") in facts.listeners
    assert Listener("*", 6443, "kube-apiserver", "kube-apiserver.service") in facts.listeners
    assert Route(IPv4Network("10.244.1.0/24"), "host0", "75") in facts.routes


def test_a_listener_of_nobody_we_may_see(recording):
    facts = parse(recording(sockets="LISTEN 0      128    0.0.0.0:2024 0.0.0.0:*\n"))
    assert facts.listeners == (Listener("0.0.0.0", 2024, "", ""),)


def test_a_host_without_iproute2(recording):
    facts = parse(recording(addresses=None, routes=None, sockets=None))
    assert (facts.addresses, facts.routes, facts.listeners) == (None, None, None)


def test_swap(recording):
    text = "Filename\t\t\t\tType\t\tSize\nUsed\n/swapfile                file\t\t1048572\n"
    assert "/swapfile" in parse(recording(swaps=text)).swaps


@pytest.mark.parametrize("text", ["", "Welcome to m1!\n{}", "{}", '{"python": 3}', "[]"])
def test_other_output_is_refused(text):
    with pytest.raises(ValueError):
        parse(text)


@pytest.mark.parametrize(
    ("made", "counts"),
    [
        (["kubelet/"], []),
        (["kubelet/lost+found/", "kubelet/pods/"], []),
        (["kubelet/lost+found/x"], []),
        (["kubelet/pods/x/volume/file"], ["kubelet"]),
        (["net.d/"], []),
        (["net.d/87-podman.conflist"], ["net.d/87-podman.conflist"]),
    ],
)
def test_empty_folders_are_no_leftovers(tmp_path, made, counts):
    for name in made:
        path = tmp_path / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.touch()
    probe = (resources.files("k8sbootstrap.hosts.scripts") / "facts.py").read_text()
    for place in ("/var/lib/kubelet", "/etc/cni/net.d", "/etc/kubernetes", "/var/lib/etcd"):
        probe = probe.replace(f'"{place}', f'"{tmp_path}/{place.rpartition("/")[2]}')
    done = subprocess.run(
        [sys.executable, "-", QUESTION], input=probe, capture_output=True, text=True, check=True
    )
    assert list(parse(done.stdout).leftovers) == [f"{tmp_path}/{name}" for name in counts]


def test_the_probe_runs_here_and_is_understood(recording):
    script = resources.files("k8sbootstrap.hosts.scripts").joinpath("facts.py").read_bytes()
    done = subprocess.run(
        [sys.executable, "-I", "-", QUESTION], input=script, capture_output=True, check=True
    )
    facts = parse(done.stdout.decode())
    assert facts.python == sys.version_info[:3]
    assert facts.memory > 0
    assert facts.clock[0] <= facts.clock[1]
    assert set(json.loads(done.stdout)) == set(json.loads(recording()))
