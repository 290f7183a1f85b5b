"""The lab itself: hosts come, can be broken and mended, and go without a trace."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from clusters import NEWEST
from labs import COMMAND, Lab, make_lab, wait_for

from k8sbootstrap.catalog.resolve import release
from k8sbootstrap.lab import artifacts, model, nspawn

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module", params=["debian12", "debian13"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    directory = tmp_path_factory.mktemp(request.param)
    yield from make_lab(directory, "--masters", "1", "--workers", "1", "--os", request.param)


def states(lab: Lab) -> dict[str, str]:
    """State of every host, as the command prints it."""
    return {host["name"]: host["state"] for host in json.loads(lab.k("lab", "status", "-o", "json").stdout)}


def answers(lab: Lab, name: str) -> bool:
    """Whether a host's SSH port answers this machine."""
    try:
        with socket.create_connection((lab.address(name), 22), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def traces(lab: Lab, known: model.Lab) -> dict[str, list[str]]:
    """All that this machine has of one lab; other labs may come and go meanwhile."""
    numbered = rf"vb-l{known.number}-|{known.bridge}\b|k8sbootstrap-lab-{known.number}\b"
    name = re.compile(numbered)
    return {
        "processes": sorted(map(str, processes(known))),
        "mounts": [
            line for line in Path("/proc/self/mounts").read_text().splitlines() if f"{known.folder}/" in line
        ],
        "interfaces": [path.name for path in Path("/sys/class/net").iterdir() if name.search(path.name)],
        "cgroups": found("/sys/fs/cgroup", f"{known.bridge}-*"),
        "runtime files": found("/run/systemd", f"l{known.number}-*"),
        "iptables": [line for line in printed("iptables-save") if name.search(line)],
        "nft": [line for line in printed("nft", "list", "ruleset") if name.search(line)],
        "files": [str(path) for path in (known.folder, model.lab_directory(lab.file)) if path.exists()],
    }


def processes(known: model.Lab) -> set[int]:
    """Ids of the lab's systemd-nspawn programs and of all that runs in its hosts."""
    leaders = [pid for host in known.hosts if (pid := nspawn.leader(known, host))]
    namespaces = {Path(f"/proc/{pid}/ns/pid").readlink() for pid in leaders}
    inside = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "ns/pid").readlink() in namespaces:
                inside.add(int(process.name))
        except OSError:
            continue
    return inside | nspawn._supervisors(known)


def found(top: str, pattern: str) -> list[str]:
    """Files and folders whose name matches."""
    return printed("find", top, "-name", pattern)


def printed(*command: str) -> list[str]:
    """Lines that a program prints."""
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.splitlines()


def test_up_again_changes_nothing_and_is_quick(lab: Lab) -> None:
    before = lab.file.read_text(), processes(model.require(lab.file))
    os_name = json.loads((model.lab_directory(lab.file) / "lab.json").read_text())["os"]
    started = time.monotonic()
    lab.k("lab", "up", "--masters", "1", "--workers", "1", "--os", os_name)
    assert time.monotonic() - started < 5
    now = processes(model.require(lab.file))
    assert lab.file.read_text() == before[0]
    assert nspawn._supervisors(model.require(lab.file)) <= now & before[1]


def test_another_lab_in_its_place_is_refused(lab: Lab) -> None:
    refused = lab.k("lab", "up", "--masters", "3", code=10)
    assert "lab down" in refused.stderr
    assert states(lab) == {"master1": "running", "worker1": "running"}


def test_hosts_are_booted_and_differ(lab: Lab) -> None:
    assert {lab.sh(name, "systemctl is-system-running").strip() for name in lab.hosts} == {"running"}
    for question in ("cat /etc/machine-id", "cat /etc/ssh/ssh_host_ed25519_key.pub", "hostname"):
        assert len({lab.sh(name, question) for name in lab.hosts}) == 2, question
    os_name = json.loads((model.lab_directory(lab.file) / "lab.json").read_text())["os"]
    assert f'VERSION_ID="{os_name.removeprefix("debian")}"' in lab.sh("master1", "cat /etc/os-release")


def test_ssh_with_the_key_and_the_known_host_keys(lab: Lab) -> None:
    for name in lab.hosts:
        assert lab.infra(name).check_output("id -un; hostname").split() == ["root", name]
    through = lab.k("lab", "ssh", "worker1", "--", "id -un")
    assert through.stdout.strip() == "ops"
    command = ["ssh", "-i", str(lab.directory / lab.config["ssh"]["key"]), "-o", "BatchMode=yes"]
    command += ["-o", f"UserKnownHostsFile={lab.state / 'known_hosts'}", "-o", "StrictHostKeyChecking=yes"]
    refused = subprocess.run(
        [*command, f"askpass@{lab.address('worker1')}", "sudo -n true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "password is required" in refused.stderr
    root = subprocess.run(
        [*command, f"root@{lab.address('worker1')}", "true"], capture_output=True, text=True, check=False
    )
    assert root.returncode == 255


def test_exec_is_root_passes_input_output_and_exit_codes_on(lab: Lab) -> None:
    inside = ("lab", "exec", "master1", "--", "sh", "-c")
    assert lab.k(*inside, "id -u; echo out; exit 42", code=42).stdout.split() == ["0", "out"]
    done = subprocess.run(
        [*COMMAND, "lab", "exec", "worker1", "--", "cat"],
        cwd=lab.directory,
        input="from here\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "from here\n"
    lab.k(*inside, "kill -9 $$", code=137)
    unknown = lab.k("lab", "exec", "nobody", "--", "true", code=10)
    assert "master1, worker1" in unknown.stderr


def test_exec_is_in_the_cgroups_of_the_host(lab: Lab) -> None:
    lines = lab.sh("worker1", "cat /proc/self/cgroup").splitlines()
    assert lines
    assert not [line for line in lines if "/.." in line]


def test_hosts_reach_each_other_by_address_and_the_world_through_the_machine(lab: Lab) -> None:
    peer = lab.address("master1")
    lab.sh("worker1", "ip address add 10.244.99.1/32 dev lo")
    lab.sh("master1", f"ip route add 10.244.99.1 via {lab.address('worker1')}")
    seen = "import socket, time; s = socket.create_connection(('10.244.99.1', 22), 5); time.sleep(3)"
    with subprocess.Popen(
        [*COMMAND, "lab", "exec", "master1", "--", "python3", "-c", seen], cwd=lab.directory
    ) as connection:
        try:
            wait_for(
                lambda: f"{peer}:" in lab.sh("worker1", "ss -tnH 'src 10.244.99.1'"),
                10,
                "a connection to a pod's address comes from the host's own",
            )
        finally:
            connection.wait(30)
            lab.sh("worker1", "ip address delete 10.244.99.1/32 dev lo")
            lab.sh("master1", "ip route delete 10.244.99.1")
    lab.sh("worker1", "apt-get update -q --error-on=any")


def test_docker_runs_containers_with_lowered_oom_scores(lab: Lab) -> None:
    """Its packages are on the host already: installed without any network."""
    lab.sh("worker1", "unshare -n apt-get install -y -q --no-install-recommends docker.io")
    lab.sh("worker1", "command -v docker || apt-get install -y -q --no-install-recommends docker-cli")
    image = artifacts.directory() / release(NEWEST, "amd64", "docker").test_image.artifact.key
    with image.open("rb") as content:
        subprocess.run(
            [*COMMAND, "lab", "exec", "worker1", "--", "docker", "load"],
            cwd=lab.directory,
            stdin=content,
            check=True,
            capture_output=True,
        )
    said = lab.sh(
        "worker1", "docker run -d --name box --network none --oom-score-adj -500 busybox:1.35.0 sleep 3600"
    )
    assert said.strip()
    lab.sh("worker1", "docker exec box sh -c 'exit 5'", code=5)


def test_stop_is_a_crash_and_start_keeps_the_files(lab: Lab) -> None:
    lab.sh("worker1", "echo kept >/root/file; sync")
    boot = lab.sh("worker1", "cat /proc/1/stat | cut -d' ' -f22")
    lab.k("lab", "stop", "worker1")
    assert states(lab) == {"master1": "running", "worker1": "stopped"}
    assert not answers(lab, "worker1")
    refused = lab.k("lab", "exec", "worker1", "--", "true", code=10)
    assert "lab start worker1" in refused.stderr
    lab.k("lab", "start", "worker1")
    assert answers(lab, "worker1")
    assert lab.sh("worker1", "cat /root/file") == "kept\n"
    assert lab.sh("worker1", "cat /proc/1/stat | cut -d' ' -f22") != boot
    assert lab.infra("worker1").check_output("hostname") == "worker1"


def test_a_graceful_stop_lets_units_end(lab: Lab) -> None:
    unit = "[Service]\nExecStart=/bin/sleep infinity\nExecStop=/bin/sh -c 'echo ended >/root/ended; sync'\n"
    lab.sh("worker1", f'printf "{unit}" >/etc/systemd/system/witness.service; systemctl start witness')
    lab.k("lab", "stop", "--graceful", "worker1")
    lab.k("lab", "start", "worker1")
    assert lab.sh("worker1", "cat /root/ended") == "ended\n"


def test_up_brings_dead_hosts_back(lab: Lab) -> None:
    os_name = json.loads((model.lab_directory(lab.file) / "lab.json").read_text())["os"]
    lab.k("lab", "stop", *lab.hosts)
    said = lab.k("lab", "up", "--masters", "1", "--workers", "1", "--os", os_name).stdout
    assert "starting master1, worker1" in said
    assert all(answers(lab, name) for name in lab.hosts)


def test_a_partitioned_host_runs_on_alone(lab: Lab) -> None:
    ask = f"timeout 5 bash -c '</dev/tcp/{lab.address('master1')}/22'"
    lab.sh("worker1", ask)
    lab.k("lab", "partition", "worker1")
    try:
        assert states(lab) == {"master1": "running", "worker1": "partitioned"}
        assert not answers(lab, "worker1")
        assert answers(lab, "master1")
        lab.sh("worker1", "exit 3", code=3)
        lab.sh("worker1", f"! {ask}")  # no answer in time, or no route once the address is forgotten
    finally:
        lab.k("lab", "heal", "worker1")
    wait_for(lambda: answers(lab, "worker1"), 10, "worker1 answers after heal")
    assert states(lab)["worker1"] == "running"


def test_down_leaves_nothing_after_a_crash_with_containers_running(lab: Lab) -> None:
    """The last test: takes the lab down while a host has lost its supervisor and lab.json is cut short."""
    known = model.require(lab.file)
    lab.sh("worker1", "! command -v docker || docker start box")
    before = traces(lab, known)
    assert {kind for kind, items in before.items() if not items} <= {"mounts", "iptables"}
    os.kill(supervisor(known, "worker1"), signal.SIGKILL)
    assert states(lab)["worker1"] == "running", "a host outlives its supervisor"
    (model.lab_directory(lab.file) / "lab.json").write_text('{"number": ')
    lab.k("lab", "down")
    after = traces(lab, known)
    assert not {kind: items for kind, items in after.items() if items}
    alive = [pid for pid in before["processes"] if Path(f"/proc/{pid}/root").exists()]
    assert not alive
    assert "no lab" in lab.k("lab", "down").stdout


def supervisor(known: model.Lab, name: str) -> int:
    """Process id of the systemd-nspawn of one host of this very lab: the folder is in its command line."""
    wanted = f"--directory={known.root(known.host(name))}".encode()
    words = {
        pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in nspawn._supervisors(known)
    }
    [pid] = [pid for pid, given in words.items() if given[0] == b"systemd-nspawn" and wanted in given]
    return pid
