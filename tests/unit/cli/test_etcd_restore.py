"""etcd restore and recover: bad input, and what is said before and afterwards."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from k8sbootstrap.actions.restore_hosts import Staged
from k8sbootstrap.cli import etcd_restore
from k8sbootstrap.cli.etcd_restore import lines_of

NOW = datetime(2026, 11, 29, 19, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["restore"], "Name a snapshot's FILE, or --from-bucket NAME, or --newest."),
        (
            ["restore", "cluster.yaml", "--newest"],
            "Name a snapshot's FILE, or --from-bucket NAME, or --newest.",
        ),
        (["restore", "--newest", "--from-bucket", "x"], "Name a snapshot's FILE, or --from-bucket NAME"),
        (["restore", "--from-bucket", "x"], "cluster.yaml names no bucket: add etcd.snapshots.s3"),
        (["restore", "none.db"], "File 'none.db' does not exist."),
        (["restore", "cluster.yaml"], "There is no terminal to ask on: add --yes to confirm."),
        (["recover"], "Missing option '--survivor'"),
        (["recover", "--survivor", "worker1", "--yes"], "etcd's hosts are master1"),
    ],
)
def test_bad_input(run, folder: Path, args: list[str], said: str) -> None:
    ended = run("etcd", *args)
    assert (ended.code, ended.out) == (2, "")
    assert said in " ".join(ended.err.split())
    assert not (folder / ".k8sbootstrap").exists()


def test_hosts_that_do_not_answer(run, folder: Path) -> None:
    ended = run("etcd", "restore", "cluster.yaml", "--yes")
    assert ended.code == 4
    assert "master1 can't be reached" in ended.err
    assert "Nothing was changed." in ended.err


def context(staged: Staged | None, revision: int = 900, left_out: tuple[str, ...] = ()) -> SimpleNamespace:
    def named(*names: str) -> tuple[SimpleNamespace, ...]:
        return tuple(SimpleNamespace(name=name) for name in names)

    hosts = SimpleNamespace(
        members=named("m1", "m2"), masters=named("m1"), left_out=named(*left_out), revision=revision
    )
    return SimpleNamespace(
        plan=SimpleNamespace(config=SimpleNamespace(name="demo")),
        source="my.db",
        staged=staged,
        taken=datetime(2026, 11, 29, 19, tzinfo=UTC),
        hosts=hosts,
        restore=SimpleNamespace(id="restore-1"),
    )


def test_what_is_said_before() -> None:
    staged = Staged(9_000_000, 700, 12)
    assert list(lines_of(context(staged), NOW)) == [
        "To rebuild etcd of demo from my.db:",
        "  snapshot: revision 700, 9.0 MB, 30 min 00 s old",
        "  lost: all that was written after it; etcd is at revision 900 now",
        "  members: m1, m2; their data is set aside in /var/lib/etcd/before-restore-1",
        "  API servers of m1 stop until it is done",
    ]
    assert "  lost: all that was written after it; no member answers that could say how much" in lines_of(
        context(staged, revision=0), NOW
    )
    recovery = list(lines_of(context(None, left_out=("m3",)), NOW))
    assert recovery[1] == "  lost: what only the other members had confirmed"
    assert recovery[3] == "  m3 is left out: if it is not really dead, its pods and API server would go on"


def test_what_is_said_afterwards(run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def restore(_plan, _file, _options, _reporter, **given):
        asked.append(given)
        return SimpleNamespace(seconds=12.0), context(None, left_out=("m3",))

    monkeypatch.setattr(etcd_restore, "run_restore", restore)
    ended = run("etcd", "recover", "--survivor", "master1", "--yes")
    assert ended.out.splitlines() == [
        "etcd is rebuilt from my.db, after 12.0 s.",
        "Its data before is in /var/lib/etcd/before-restore-1 on m1, m2. Remove it when all is well.",
        "m3 is no member any more: run k8sbootstrap remove m3 --dead.",
        "Next: k8sbootstrap plan shows what up would change, such as nodes that joined after the snapshot.",
    ]
    assert asked == [{"file": None, "name": "", "survivor": "master1", "dead": True, "confirm": None}]
