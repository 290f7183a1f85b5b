"""The fault table: what each fault did to writes, and how long the cluster needed to recover."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One fault."""

    fault: str
    acknowledged: int
    """Writes."""
    lost: int
    gap: float
    """Longest time without an acknowledged write, in seconds."""
    recovered: float
    """Seconds from the end of the fault until all was well."""
    quorum: bool = True
    """Whether etcd had a quorum all the while, so that the API had to answer."""
    kills: int = 0
    """How often a command was killed."""


def table(rows: list[Row]) -> str:
    """As Markdown."""
    head = "| fault | writes acknowledged | lost | longest time without a write | recovered after |\n"
    lines = [_line(row) for row in rows]
    total = f"| all | {sum(row.acknowledged for row in rows)} | {sum(row.lost for row in rows)} | | |\n"
    return head + "|---|---|---|---|---|\n" + "".join(lines) + total


def _line(row: Row) -> str:
    name = f"{row.fault}, {row.kills} times" if row.kills else row.fault
    gap = f"{row.gap:.1f} s" if row.quorum else f"{row.gap:.1f} s: no quorum"
    return f"| {name} | {row.acknowledged} | {row.lost} | {gap} | {row.recovered:.1f} s |\n"
