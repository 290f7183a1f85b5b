"""A whole cluster on new hosts, files at hand, against a shell script that installs the same."""

import shutil
import tempfile
from pathlib import Path

from benchmarks import clusters, floor
from benchmarks.harness import Bench, Sample, main, seconds


def up(masters: int, workers: int) -> Sample:
    """``up``, with certificates yet to be issued."""
    with clusters.hosts(masters, workers) as lab:
        lab.k("render", "--output", str(lab.directory / "inventory"))  # files to install are in the cache now
        shutil.rmtree(lab.state / "pki")
        (lab.state / "admin.kubeconfig").unlink()
        return seconds(lab.k, "up")


def script() -> Sample:
    """The floor; that its cluster works is seen afterwards."""
    with clusters.hosts() as lab, tempfile.TemporaryDirectory(prefix="k8sb-", dir="/tmp") as name:
        floor.lay_out(lab, Path(name), lab.hosts)
        sample = floor.run("install.sh", Path(name))
        lab.k("verify")
        return sample


def run(bench: Bench) -> None:
    """Measure."""
    sides = {"fresh by up": lambda: up(clusters.MASTERS, clusters.WORKERS), "fresh by script": script}
    bench.alternate(sides)
    bench.ratio("fresh by up", "fresh by script", 1.3)


if __name__ == "__main__":
    main(run)
