"""What is found to be missing in the kernel: by the real program of the role, which asks recorded answers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible.module_utils.k8sbootstrap.host.losses import losses

GOLDEN = Path(__file__).parents[2] / "roles/golden/1.36-docker/worker1/pod_network/pod-network.sh"
CONFIG = """\
# Managed by k8sbootstrap: this node's address and range
self 10.86.0.14
own 10.244.3.0/24
pods 10.244.0.0/16
node 10.86.0.11 10.244.0.0/24
node 10.99.0.12 10.244.1.0/24
"""
ROUTES = """\
10.244.0.0/24 via 10.86.0.11 dev host0
10.244.1.0/24 via 10.244.1.0 dev k8s-vxlan onlink
"""
KNOWN = "02:4b:0a:63:00:0c dst 10.99.0.12 self permanent"
RULE = "filter FORWARD -j K8SBOOTSTRAP-FORWARD"


@pytest.fixture
def run(tmp_path: Path):
    """Runs the program's ``missing``, with what the kernel has."""
    program = tmp_path / "pod-network"
    config = tmp_path / "config"
    config.write_text(CONFIG)
    program.write_text(GOLDEN.read_text().replace("/etc/k8sbootstrap/pod-network", str(config)))

    def _run(routes: str = ROUTES, known: str = KNOWN, without: str = "nothing") -> list[str]:
        answers = {
            "ip": f"cat <<'END'\n{routes}END",
            "bridge": f"echo '{known}'",
            "iptables": f'case "$*" in "-w -t {without.replace(" ", " -C ", 1)}"*) exit 1 ;; esac',
        }
        for name, script in answers.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        command = ["sh", str(program), "missing"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    return _run


def test_nothing_is_missing(run):
    assert run() == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"routes": ""}, ["route 10.244.0.0/24", "route 10.244.1.0/24"]),
        ({"routes": ROUTES.splitlines()[1] + "\n"}, ["route 10.244.0.0/24"]),
        ({"known": "33:33:00:00:00:01 self permanent"}, ["route 10.244.1.0/24"]),
        ({"without": RULE}, [f"rule {RULE}"]),
        (
            {"without": "nat K8SBOOTSTRAP-MASQ"},
            ["rule nat K8SBOOTSTRAP-MASQ -s 10.244.0.0/16 ! -d 10.244.0.0/16 ! -o cni0 -j MASQUERADE"],
        ),
    ],
)
def test_what_is_missing_is_named(run, changed, said):
    assert run(**changed) == said


def test_a_node_without_the_device_needs_none(run):
    assert run(routes=ROUTES.replace("k8s-vxlan", "host0"), known="") == []


def test_losses_as_changes():
    found = losses(["printf", r"route 10.244.1.0/24\nrule nat X -j Y\nnonsense\n"])
    assert [(each["kind"], each["action"], each["name"], each["causes"]) for each in found] == [
        ("route", "add", "10.244.1.0/24", ["drift"]),
        ("rule", "add", "nat X -j Y", ["drift"]),
    ]
    assert [each["text"] for each in found] == ["route to 10.244.1.0/24 set", "packet rule nat X -j Y set"]


@pytest.mark.parametrize(
    "command", [[], ["false"], ["sh", "-c", "echo route x; exit 2"], ["/no/such/program"]]
)
def test_a_program_that_can_not_say_it_names_nothing(command):
    assert losses(command) == []


def test_what_is_said_is_bounded():
    found = losses(["sh", "-c", f"yes 'route {'x' * 300}' | head -5000"])
    assert len(found) == 1000
    assert max(len(each["name"]) for each in found) < 200
