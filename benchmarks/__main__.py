"""``python -m benchmarks``: all of them, one after the other."""

import traceback
from importlib import import_module

from benchmarks.harness import RESULTS, Bench, Row, SkippedError, repetitions, table

ALL = ("again", "plan", "delay", "scale", "flag", "worker", "fresh", "kubeadm")


def main() -> int:
    """Run every benchmark; one that fails does not keep the others from running.

    Returns:
        How many failed.
    """
    repeat = repetitions("benchmarks")
    rows: list[Row] = []
    missing: list[str] = []
    failed = 0
    for name in ALL:
        bench = Bench(name, repeat)
        try:
            import_module(f"benchmarks.{name}").run(bench)
        except SkippedError as error:
            missing.append(f"{name} is skipped: {error}")
        except Exception:  # noqa: BLE001 - hours of measuring must not be lost for one of them
            failed += 1
            missing.append(f"{name} failed: {traceback.format_exc()}")
        else:
            rows += bench.rows
            bench.save(RESULTS)
    print(table(rows), *missing, f"All repetitions are in {RESULTS}", sep="\n")
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
