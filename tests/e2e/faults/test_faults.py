"""What happens to clusters, and to the commands that change them, while clients write: no write is lost.

The API answers as long as etcd has a quorum, and everything comes back. This takes half an hour, so
`make e2e` leaves it out: `make e2e-faults`. It writes the table of docs/faults.md.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from api import Api
from breaks import FULL, ROOM
from clusters import FAULTS, NEWEST
from labs import REPORT, Lab, kill, make_lab, wait_for
from rows import Row, table
from writer import Writer, namespace, present

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e

AWAY = 20
"""Seconds that a host is away: longer than etcd needs for another leader."""
LONGEST_GAP = 30
LONGEST_RECOVERY = 300
SEED = int(os.environ.get("K8SBOOTSTRAP_E2E_SEED", str(int(time.time()))))
"""For the moments at which commands are killed."""


class Fault:
    """One that happens: when it was over, and so the cluster could recover."""

    def __init__(self) -> None:
        self.over = time.time()
        self.kills = 0

    def ends(self) -> None:
        """From now on the cluster recovers."""
        self.over = time.time()


class Trial:
    """The cluster that all faults happen to, and what they did to it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.api = Api.of(lab)
        self.rows: list[Row] = []
        self.acknowledged: set[str] = set()
        self.random = random.Random(SEED)
        self._edits = itertools.count(1)

    def edit(self) -> tuple[str, ...]:
        """Give cluster.yaml another label and another flag of API servers; the command that applies it."""
        number = next(self._edits)

        def change(config: dict[str, Any]) -> None:
            config["hosts"][-1]["labels"] = {"edit": str(number)}
            config["kubernetes"]["extraArgs"] = {"kube-apiserver": {"audit-log-maxage": str(30 + number)}}

        self.lab.variant(self.lab.file.name, change)
        return ("up",)

    @contextmanager
    def fault(self, name: str, *, quorum: bool = True) -> Iterator[Fault]:
        """Write and read while the block does something; then wait until all is well, and count."""
        writer = Writer(self.api, f"write-{len(self.rows)}-{int(time.time())}")
        writer.start()
        try:
            wait_for(lambda: len(writer.acknowledged) > 20, 60, "the first writes")
            fault = Fault()
            yield fault
            recovered = self._recovers(fault.over)
            self.lab.k("verify")
        finally:
            written = writer.end()
            print(f"{name}: {written}")  # noqa: T201
        self.acknowledged |= writer.acknowledged.keys()
        row = Row(
            name,
            written.acknowledged,
            len(written.lost),
            round(written.gap, 1),
            round(recovered, 1),
            quorum,
            fault.kills,
        )
        self.rows.append(row)
        assert written.lost == []
        assert written.read > written.acknowledged / 2
        assert not quorum or written.gap < LONGEST_GAP

    def _recovers(self, since: float) -> float:
        """Wait until all is well; how many seconds that took."""
        deadline = time.time() + LONGEST_RECOVERY
        while wrong := self.api.not_well(since):
            assert time.time() < deadline, wrong
            time.sleep(0.2)
        return time.time() - since

    def kill_at_random(
        self, fault: Fault, kills: int, longest: float, commands: Iterator[tuple[str, ...]]
    ) -> None:
        """Start commands and kill them at random moments; each is run again until it finishes."""
        command = next(commands)
        while fault.kills < kills:
            process = self.lab.start(*command)
            moment = self.random.uniform(0.5, longest)
            try:
                said, _ = process.communicate(timeout=moment)
            except subprocess.TimeoutExpired:
                kill(process)
                fault.kills += 1
                fault.ends()
                print(f"{' '.join(command)}: killed after {moment:.1f} s")  # noqa: T201
            else:
                assert process.returncode == 0, said
                print(f"{' '.join(command)}: finished within {moment:.1f} s")  # noqa: T201
                command = next(commands)
        self.lab.k(*command, timeout=1800)

    def nothing_to_change(self) -> None:
        """Assert that the cluster is as cluster.yaml says."""
        assert self.lab.k("plan", "--detailed-exitcode").stdout == "Nothing to change.\n"


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    print(f"K8SBOOTSTRAP_E2E_SEED={SEED}")  # noqa: T201
    for lab in make_lab(tmp_path_factory.mktemp("faults"), *FAULTS.options):
        lab.k("up")
        trial = Trial(lab)
        namespace(trial.api)
        try:
            yield trial
        finally:
            _report(trial.rows)


def _report(rows: list[Row]) -> None:
    document = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "seed": SEED,
        "cpus": os.cpu_count(),
        "kubernetes": f"{FAULTS.version} to {FAULTS.upgrade_to}",
        "rows": [asdict(row) for row in rows],
    }
    REPORT.mkdir(parents=True, exist_ok=True)
    (REPORT / "faults.json").write_text(json.dumps(document, indent=1) + "\n")
    (REPORT / "faults.md").write_text(table(rows))
    print(f"{REPORT / 'faults.md'}, K8SBOOTSTRAP_E2E_SEED={SEED}:\n{table(rows)}")  # noqa: T201


@pytest.fixture
def lab(trial: Trial) -> Lab:
    """For conftest: when a test fails, what this lab's hosts say is kept."""
    return trial.lab


def test_a_master_is_killed(trial: Trial, lab: Lab) -> None:
    """The one that leads etcd, as by a power failure."""
    leader = lab.etcd_leader()
    with trial.fault("a master is killed, and started again") as fault:
        lab.k("lab", "stop", leader)
        time.sleep(AWAY)
        fault.ends()
        lab.k("lab", "start", leader)


def test_the_leader_of_etcd_is_frozen(trial: Trial, lab: Lab) -> None:
    """SIGSTOP: it neither answers nor ends, and believes that it leads when it goes on."""
    leader = lab.etcd_leader()
    with trial.fault("the leader of etcd is frozen (SIGSTOP), and goes on") as fault:
        lab.sh(leader, "systemctl kill -s STOP etcd")
        try:
            time.sleep(AWAY)
        finally:
            fault.ends()
            lab.sh(leader, "systemctl kill -s CONT etcd")
    assert lab.etcd_leader() != leader


def test_a_master_is_cut_off(trial: Trial, lab: Lab) -> None:
    """It runs on without the network, then it has it again."""
    leader = lab.etcd_leader()
    with trial.fault("a master is cut off from the network, and connected again") as fault:
        lab.k("lab", "partition", leader)
        try:
            time.sleep(2 * AWAY)
        finally:
            fault.ends()
            lab.k("lab", "heal", leader)


BOOT = "cat /proc/sys/kernel/random/boot_id"


def test_a_worker_reboots(trial: Trial, lab: Lab) -> None:
    before = lab.sh("worker1", BOOT)
    with trial.fault("a worker reboots") as fault:
        lab.sh("worker1", "systemctl reboot", code=None)  # its own process may be ended
        wait_for(lambda: lab.sh("worker1", BOOT, code=None) not in {"", before}, 120, "worker1 boots")
        fault.ends()


def test_the_disk_of_an_etcd_member_is_full(trial: Trial, lab: Lab) -> None:
    """It stops, the others go on, and it works again once there is room."""
    with trial.fault("the disk of one etcd member is full, and gets room") as fault:
        lab.sh("master3", FULL)
        try:
            big = "head -c 900000 /dev/zero | tr '\\0' x >/run/big"
            create = "kubectl --kubeconfig /etc/kubernetes/admin.conf create configmap"
            lab.sh("master1", f"{big}; for n in $(seq 20); do {create} big-$n --from-file=/run/big; done")
            wait_for(
                lambda: lab.sh("master3", "systemctl is-active etcd", code=None).strip() != "active",
                60,
                "etcd of master3 has stopped",
            )
            time.sleep(AWAY)
            names = " ".join(f"big-{number}" for number in range(1, 21))
            lab.kubectl(f"delete configmap {names}")
        finally:
            fault.ends()
            lab.sh("master3", ROOM)


def test_all_hosts_at_once(trial: Trial, lab: Lab) -> None:
    """As by a power failure of the site: nobody has to do anything but to switch them on again."""
    with trial.fault("all hosts lose power at once, and start again", quorum=False) as fault:
        lab.k("lab", "stop", *lab.hosts)
        fault.ends()
        lab.k("lab", "start", *lab.hosts)
    trial.nothing_to_change()


def test_up_is_killed(trial: Trial, lab: Lab) -> None:
    with trial.fault("`up`, which changes a flag of API servers, is killed") as fault:
        trial.kill_at_random(fault, 6, 60, iter(trial.edit, None))
    trial.nothing_to_change()


def test_remove_is_killed(trial: Trial, lab: Lab) -> None:
    """And the `up` that adds the worker again."""
    with trial.fault("`remove` of a worker, and `up` that adds it again, are killed") as fault:
        trial.kill_at_random(fault, 5, 40, itertools.cycle([("remove", "worker2", "--yes"), ("up",)]))
        lab.k("up")
    trial.nothing_to_change()


def test_renewal_is_killed(trial: Trial, lab: Lab) -> None:
    with trial.fault("`certs renew --all` is killed") as fault:
        trial.kill_at_random(fault, 5, 50, itertools.repeat(("certs", "renew", "--all", "--yes")))
    trial.nothing_to_change()


def test_two_operators_at_once(trial: Trial, lab: Lab) -> None:
    """From two folders, as on two machines: one of them is refused, and told about the other."""
    other = Lab(lab.directory / "theirs", lab.options)
    other.directory.mkdir()
    shutil.copytree(lab.directory / ".k8sbootstrap", other.directory / ".k8sbootstrap", symlinks=True)
    trial.edit()
    shutil.copy(lab.file, other.file)
    with trial.fault("two operators run `up` at once: one is refused") as fault:
        processes = [each.start("up") for each in (lab, other)]
        said = [process.communicate(timeout=600)[0] for process in processes]
        fault.ends()
    codes = [process.returncode for process in processes]
    assert sorted(codes) == [0, 7], said
    refused = said[codes.index(7)]
    assert 'another command is changing this cluster: "k8sbootstrap up" of root on ' in refused
    trial.nothing_to_change()


def test_an_upgrade_is_killed(trial: Trial, lab: Lab) -> None:
    """From one minor to the next."""
    lab.variant(lab.file.name, lambda config: config["kubernetes"].update(version=NEWEST))
    with trial.fault(f"an upgrade from {FAULTS.version} to {NEWEST} is killed") as fault:
        # an edit follows if it finishes before the last kill
        trial.kill_at_random(fault, 4, 90, itertools.chain([("up",)], iter(trial.edit, None)))
    trial.nothing_to_change()
    assert lab.kubectl("get nodes --no-headers").count(f"v{NEWEST}") == len(lab.hosts)


def test_every_write_is_there_at_the_end(trial: Trial, lab: Lab) -> None:
    assert trial.acknowledged - present(trial.api) == set()
    assert json.loads(lab.k("etcd", "status", "-o", "json").stdout)["ok"]
