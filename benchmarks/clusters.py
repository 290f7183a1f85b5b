"""Lab hosts and clusters for benchmarks, driven as the end-to-end tests drive theirs."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import ROOT

sys.path[:0] = [str(ROOT / "tests" / "e2e"), str(ROOT / "tests" / "roles")]
os.environ["PYTHONPATH"] = str(ROOT)  # what is measured is this clone, whatever is installed

from labs import COMMAND, Lab, make_lab  # noqa: E402
from scenarios import play  # noqa: E402

__all__ = ["COMMAND", "MASTERS", "WORKERS", "Lab", "hosts", "play"]

MASTERS, WORKERS = 3, 2
"""The cluster that most benchmarks are about."""


@contextmanager
def hosts(masters: int = MASTERS, workers: int = WORKERS) -> Iterator[Lab]:
    """Newly made hosts in a folder of their own, gone after the ``with`` block."""
    with tempfile.TemporaryDirectory(prefix="k8sbootstrap-bench-") as folder:
        yield from make_lab(Path(folder), "--masters", str(masters), "--workers", str(workers))
