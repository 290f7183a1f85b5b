"""When hosts of etcd take snapshots, as systemd is told."""

import shutil
import subprocess

import pytest

from k8sbootstrap.config.models.etcd import EtcdSnapshots


@pytest.mark.parametrize(
    ("every", "seconds", "calendar"),
    [
        ("15m", 900, "*-*-* *:00/15:00 UTC"),
        ("1h", 3600, "*-*-* 00/1:00:00 UTC"),
        ("12h", 43200, "*-*-* 00/12:00:00 UTC"),
        ("1d", 86400, "*-*-* 00:00:00 UTC"),
        ("never", 0, ""),
    ],
)
def test_calendar(every: str, seconds: int, calendar: str) -> None:
    wanted = EtcdSnapshots(every=every)
    assert (wanted.seconds, wanted.calendar) == (seconds, calendar)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("every", ["15m", "30m", "1h", "2h", "3h", "4h", "6h", "12h", "1d"])
def test_systemd_has_the_same_moments(every: str) -> None:
    """The first two are as far apart as the members reckon when they take turns."""
    wanted = EtcdSnapshots(every=every)
    command = ["systemd-analyze", "calendar", "--iterations=2", "--base-time=2026-11-29 00:00:01 UTC"]
    said = subprocess.run(
        [*command, wanted.calendar],
        capture_output=True,
        text=True,
        check=True,
        env={"TZ": "UTC", "PATH": "/bin:/usr/bin"},
    ).stdout
    stamps = [line.split()[-2] for line in said.splitlines() if line.endswith(" UTC") and ":" in line]
    hours, minutes, rest = map(int, stamps[-2].split(":"))
    assert (hours * 3600 + minutes * 60 + rest) % 86400 == wanted.seconds % 86400
