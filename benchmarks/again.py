"""``up`` with nothing to do, against asking the same hosts with Ansible whether they are there."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import clusters
from benchmarks.harness import Bench, Sample, main, seconds
from k8sbootstrap.run.ansible import settings


def ping(lab: clusters.Lab) -> Sample:
    """``ansible all -m ping`` with the inventory and the settings of ``up``, and no connection open yet."""
    with tempfile.TemporaryDirectory(prefix="k8sb-", dir="/tmp") as sockets:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        environment |= settings(len(lab.hosts))
        environment |= {"ANSIBLE_SSH_CONTROL_PATH_DIR": sockets, "ANSIBLE_HOME": sockets, "LC_ALL": "C.UTF-8"}
        command = [str(Path(sys.executable).with_name("ansible")), "all", "-m", "ping"]
        sample = seconds(
            subprocess.run,
            [*command, "-i", str(lab.state / "inventory")],
            env=environment,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        for socket in Path(sockets).glob("*"):
            if socket.is_socket():
                end = ["ssh", "-O", "exit", "-o", f"ControlPath={socket}", "any"]
                subprocess.run(end, check=False, capture_output=True)
    return sample


def run(bench: Bench) -> None:
    """Measure."""
    with clusters.hosts() as lab:
        lab.k("up")
        sides = {"up, nothing to do": lambda: seconds(lab.k, "up"), "ansible ping": lambda: ping(lab)}
        bench.alternate(sides)
    bench.ratio("up, nothing to do", "ansible ping", 1.0)


if __name__ == "__main__":
    main(run)
