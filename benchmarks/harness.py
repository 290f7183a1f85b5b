"""What all benchmarks share: repetitions in alternating order, medians, JSON, a table of what came out."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from k8sbootstrap.catalog.resolve import default_version

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results"

Sample = dict[str, float]
"""What one repetition measured, by quantity; ``seconds`` is always there."""
Side = Callable[[], Sample]
"""Does one of the things that are compared, once. What it does before and after its clock runs is its own."""


class SkippedError(Exception):
    """A benchmark can't run here; the text says why."""


@dataclass(frozen=True)
class Row:
    """One comparison."""

    what: str
    against: str
    figure: float
    unit: str
    """Empty for a ratio."""
    target: float
    strict: bool = False
    """The figure must be below the target; else it may be the same."""

    @property
    def met(self) -> bool:
        """Whether the figure meets its target."""
        return self.figure < self.target if self.strict else self.figure <= self.target


class Bench:
    """One benchmark: what its sides measured, and what is concluded from that.

    Args:
        name: Name of its module, and of its file of results.
        repeat: How often each side is done.
    """

    def __init__(self, name: str, repeat: int) -> None:
        self.name = name
        self.repeat = repeat
        self.rows: list[Row] = []
        self._repetitions: list[dict[str, Any]] = []

    def alternate(self, sides: Mapping[str, Side]) -> None:
        """Do all sides in turn, ``repeat`` times; every second time in the opposite order."""
        for number in range(self.repeat):
            for name in list(sides)[:: -1 if number % 2 else 1]:
                before = {"started": f"{datetime.now(UTC):%FT%TZ}", "load": round(os.getloadavg()[0], 2)}
                sample = sides[name]()
                self._repetitions.append({"side": name, **before, **sample})
                print(f"{self.name} {number + 1}/{self.repeat} {name}: {_in_words(sample)}", flush=True)

    def median(self, side: str, quantity: str = "seconds") -> float:
        """The median of all repetitions of one side."""
        return statistics.median(float(each[quantity]) for each in self._repetitions if each["side"] == side)

    def ratio(self, what: str, against: str, target: float, *, strict: bool = False) -> None:
        """Conclude how long the side ``what`` takes in relation to the side ``against``."""
        self.figure(what, against, self.median(what) / self.median(against), "", target, strict=strict)

    def figure(
        self, what: str, against: str, figure: float, unit: str, target: float, *, strict: bool = False
    ) -> None:
        """Conclude any other figure."""
        self.rows.append(Row(what, against, round(figure, 3), unit, target, strict))

    def save(self, folder: Path) -> Path:
        """Write everything as JSON."""
        path = folder / f"{self.name}.json"
        document = {
            "benchmark": self.name,
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "machine": _machine(),
            "versions": _versions(),
            "rows": [asdict(row) | {"met": row.met} for row in self.rows],
            "repetitions": self._repetitions,
        }
        folder.mkdir(exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n")
        return path


def seconds(function: Callable[..., object], *arguments: Any, **named: Any) -> Sample:
    """Call a function and measure how long that takes."""
    began = time.monotonic()
    function(*arguments, **named)
    return {"seconds": round(time.monotonic() - began, 3)}


def table(rows: Sequence[Row]) -> str:
    """Rows as text."""
    cells = [("what", "against", "ratio", "target", "met")]
    for row in rows:
        unit = f" {row.unit}" if row.unit else ""
        target = f"{'<' if row.strict else '≤'} {row.target:g}{unit}"
        cells.append((row.what, row.against, f"{row.figure:.2f}{unit}", target, "yes" if row.met else "NO"))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def main(run: Callable[[Bench], None]) -> None:
    """The command line of a benchmark that is run alone: ``python -m benchmarks.NAME --repeat N``."""
    name = Path(run.__code__.co_filename).stem
    bench = Bench(name, repetitions(f"benchmarks.{name}"))
    try:
        run(bench)
    except SkippedError as error:
        raise SystemExit(f"{name} is skipped: {error}") from None
    print(f"{table(bench.rows)}\nAll repetitions are in {bench.save(RESULTS)}")


def repetitions(program: str) -> int:
    """Read the command line: how often each side is to be done."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}")
    parser.add_argument("--repeat", type=int, default=5, help="how often each side is done (default 5)")
    return int(parser.parse_args().repeat)


def _in_words(sample: Sample) -> str:
    return ", ".join(f"{value:.2f} {quantity}" for quantity, value in sample.items())


def _machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return {
        "cpu": next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), ""),
        "cpus": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
    }


def _versions() -> dict[str, str]:
    describe = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(describe, cwd=ROOT, capture_output=True, text=True, check=False)
    names = ("k8sbootstrap", "ansible-core", "paramiko")
    return {name: version(name) for name in names} | {
        "commit": done.stdout.strip(),
        "python": platform.python_version(),
        "kubernetes": default_version(),
    }
