"""Rules of the lab's network."""

import shutil
import subprocess

import pytest

from k8sbootstrap.lab import network
from k8sbootstrap.lab.model import Lab, LabHost

LAB = Lab(7, "debian12", (LabHost("master1", 1, ("master",)),))


def test_only_what_leaves_the_bridge_is_translated() -> None:
    assert 'ip saddr 10.86.7.0/24 oifname != "k8slab7" masquerade' in network._translation(LAB)


def test_nft_takes_the_table() -> None:
    if shutil.which("nft") is None:
        pytest.skip("nft is not installed")
    done = subprocess.run(
        ["nft", "-c", "-f", "-"], input=network._translation(LAB), text=True, capture_output=True, check=False
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("nft needs root even to check")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("saved", "filtered"),
    [
        ([], False),
        (["*filter", ":INPUT DROP [0:0]", ":FORWARD ACCEPT [0:0]", "-A INPUT -j ACCEPT", "COMMIT"], False),
        (["*filter", ":FORWARD DROP [0:0]", "COMMIT"], True),
        (["*filter", ":FORWARD ACCEPT [0:0]", "-A FORWARD -j DOCKER-USER", "COMMIT"], True),
    ],
)
def test_forwarding_is_let_through_only_where_it_is_filtered(
    monkeypatch: pytest.MonkeyPatch, saved: list[str], *, filtered: bool
) -> None:
    monkeypatch.setattr(network, "_filter_rules", lambda: saved)
    assert network._forwarding_is_filtered() is filtered


def test_labs_take_only_their_own_rules_away(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "-A FORWARD -i k8slab7 -m comment --comment k8sbootstrap-lab-7 -j ACCEPT",
        "-A FORWARD -i k8slab70 -m comment --comment k8sbootstrap-lab-70 -j ACCEPT",
        "-A FORWARD -i eth0 -j ACCEPT",
    ]
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(network, "_filter_rules", lambda: lines)
    monkeypatch.setattr(network, "succeeds", lambda *_: False)
    monkeypatch.setattr(network, "run", lambda *command, **_: ran.append(command))
    network.down(LAB)
    assert ran == [("iptables", "-w", "-D", *lines[0].split()[1:])]
