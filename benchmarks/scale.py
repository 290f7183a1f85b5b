"""``plan`` with nothing to do on ever more hosts, against its own time on few; and what memory that takes."""

import subprocess
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from benchmarks import clusters, light
from benchmarks.harness import RESULTS, Bench, Sample, main
from benchmarks.plan import require_plan
from benchmarks.plot import svg
from k8sbootstrap.run.processes import descendants

SIZES = (10, 50, 100, 200)
MEGABYTES = 500


def run(bench: Bench) -> None:
    """Measure."""
    require_plan()
    with light.running(max(SIZES)) as hosts, tempfile.TemporaryDirectory(prefix="k8sbench-") as name:
        for size in SIZES:
            folder = Path(name, str(size))
            folder.mkdir()
            light.cluster(hosts[:size], folder)
            clusters.Lab(folder, ()).k("render", "--output", str(folder / "inventory"))

        def plan(size: int) -> Sample:
            light.settle(hosts[:size], Path(name, str(size), "inventory"))
            return measured(Path(name, str(size)))

        bench.alternate({_on(size): partial(plan, size) for size in SIZES})
    few = SIZES[0]
    for size in SIZES[1:]:
        growth = bench.median(_on(size)) / bench.median(_on(few)) / (size / few)
        bench.figure(_on(size), f"{size / few:g} x {_on(few)}", growth, "", 1.0)
    memory = bench.median(_on(SIZES[-1]), "megabytes")
    bench.figure(_on(SIZES[-1]), "memory of the controller", memory, "MB", MEGABYTES, strict=True)
    found = [(size, bench.median(_on(size))) for size in SIZES]
    expected = [(size, bench.median(_on(few)) * size / few) for size in SIZES]
    lines = {"k8sbootstrap plan": found, "in proportion to hosts": expected}
    (RESULTS / "scale.svg").write_text(svg("plan with nothing to do", "hosts", "seconds", lines))


def _on(size: int) -> str:
    return f"plan on {size} hosts"


def measured(folder: Path) -> Sample:
    """Run ``plan`` and look at the memory of all its processes while it runs.

    Raises:
        RuntimeError: It failed.
    """
    with (folder / "said").open("w+") as said:
        began, most = time.monotonic(), 0
        process = subprocess.Popen([*clusters.COMMAND, "plan"], cwd=folder, stdout=said, stderr=said)
        while process.poll() is None:
            family = [process.pid, *(each.pid for each in descendants(process.pid))]
            most = max(most, sum(map(_resident, family)))
            time.sleep(0.1)
        sample = {"seconds": round(time.monotonic() - began, 3), "megabytes": round(most / 1000, 1)}
        said.seek(0)
        text = said.read()
        if process.returncode:
            raise RuntimeError(f"plan ended with {process.returncode}:\n{text[-2000:]}")
    return sample


def _resident(pid: int) -> int:
    """Memory of a process in kB, pages that it shares with others counted in part."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


if __name__ == "__main__":
    main(run)
