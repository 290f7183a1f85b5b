"""One flag of kube-apiserver changed on all masters, against rewriting it in the unit with a shell script."""

import itertools
import tempfile
from pathlib import Path

from benchmarks import clusters, floor
from benchmarks.harness import Bench, main, seconds


def run(bench: Bench) -> None:
    """Measure."""
    with clusters.hosts() as lab, tempfile.TemporaryDirectory(prefix="k8sb-", dir="/tmp") as name:
        levels = itertools.cycle(("2", "3"))  # every repetition of either side finds the other value

        def cluster_file(level: str) -> Path:
            args = {"extraArgs": {"kube-apiserver": {"v": level}}}
            file: Path = lab.variant("flag.yaml", lambda config: config["kubernetes"].update(args))
            return file

        lab.k("up", file=cluster_file(next(levels)))
        floor.reach(lab, Path(name))
        sides = {
            "flag changed by up": lambda: seconds(lab.k, "up", file=cluster_file(next(levels))),
            "flag changed by script": lambda: floor.run("flag.sh", Path(name), next(levels)),
        }
        bench.alternate(sides)
    bench.ratio("flag changed by up", "flag changed by script", 1.5)


if __name__ == "__main__":
    main(run)
