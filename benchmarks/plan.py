"""``plan`` with nothing to do, against asking the same hosts with Ansible whether they are there."""

import subprocess

from benchmarks import clusters
from benchmarks.again import ping
from benchmarks.harness import Bench, SkippedError, main, seconds


def require_plan() -> None:
    """See that this k8sbootstrap has the command.

    Raises:
        SkippedError: it has not.
    """
    command = [*clusters.COMMAND, "plan", "--help"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        raise SkippedError("this k8sbootstrap has no command plan")


def run(bench: Bench) -> None:
    """Measure."""
    require_plan()
    with clusters.hosts() as lab:
        lab.k("up")
        sides = {"plan, nothing to do": lambda: seconds(lab.k, "plan"), "ansible ping": lambda: ping(lab)}
        bench.alternate(sides)
    bench.ratio("plan, nothing to do", "ansible ping", 1.0)


if __name__ == "__main__":
    main(run)
