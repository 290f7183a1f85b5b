"""The commands of etcd: what they print, and how they end."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from k8sbootstrap.actions.etcd_defrag import Defragmented
from k8sbootstrap.actions.snapshot import Snapshot
from k8sbootstrap.cli import etcd
from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.survey.cluster.facts import Facts
from k8sbootstrap.survey.cluster.requests import ENDPOINT_HEALTH, SNAPSHOTS
from k8sbootstrap.survey.status.bucket import BucketSnapshot, BucketState
from tests.unit.checks.cluster.healthy import CLUSTER_YAML, healthy, make_plan, with_answer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(CLUSTER_YAML)
    return path


@pytest.fixture
def facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Facts]:
    """What is found; tests may change it."""
    found = {"now": healthy(make_plan(tmp_path))}
    monkeypatch.setattr(etcd, "look", lambda *_: found["now"])
    real = etcd.problems
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    monkeypatch.setattr(etcd, "problems", lambda facts, found, _, bucket: real(facts, found, now, bucket))
    return found


def test_status_of_a_healthy_etcd(run, file, facts):
    ran = run("-f", str(file), "etcd", "status")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    words = [" ".join(line.split()) for line in lines]
    assert words[0] == "MEMBER HEALTH ROLE VERSION TERM INDEX LAG DB IN USE QUOTA ALARMS"
    assert words[3] == "m3 healthy leader 3.4.23 2 8 0 0.0 MB 0.0 MB - -"
    assert lines[5] == "Quorum: 3 of 3 members healthy, 2 must be; 1 may fail"
    assert lines[6].startswith("Newest snapshot: ")
    assert lines[6].endswith(
        " old, 3.0 MB, on m1: /var/lib/k8sbootstrap/etcd-snapshots/20261124T110000Z-on-demand.db.gz"
    )


def test_what_is_wrong_decides_the_exit_code(run, file, facts):
    facts["now"] = with_answer(
        facts["now"], "m2", run={ENDPOINT_HEALTH: RunAnswer(1, "[]", "Error: no leader")}
    )
    ran = run("-f", str(file), "etcd", "status")
    assert ran.code == 6
    assert "m2       unhealthy: Error: no leader" in ran.out
    assert "m2: no quorum read through this member: Error: no leader" in ran.err


def test_a_full_etcd_has_its_quorum(run, file, facts):
    said = json.dumps([{"endpoint": "e", "health": False, "error": "Active Alarm(s): NOSPACE "}])
    for name in ("m1", "m2", "m3"):
        facts["now"] = with_answer(facts["now"], name, run={ENDPOINT_HEALTH: RunAnswer(1, said, "")})
    ran = run("-f", str(file), "etcd", "status")
    assert ran.code == 6
    assert "Quorum: 3 of 3 members healthy" in ran.out
    assert "m2: takes no writes: its database has reached its quota (alarm NOSPACE)" in ran.err
    assert "no quorum" not in ran.err


def test_no_host_answers(run, file, facts):
    lost = {name: f"{name}: no route" for name in ("m1", "m2", "m3")}
    facts["now"] = replace(facts["now"], answers={}, lost=lost)
    ran = run("-f", str(file), "etcd", "status")
    assert ran.code == 6
    assert "Newest snapshot: none on any host of etcd that answers" in ran.out
    assert "etcd has no quorum: of 3 members 0 are healthy, and 2 must be" in ran.err


def test_status_as_json(run, file, facts):
    facts["now"] = with_answer(facts["now"], "m3", run={SNAPSHOTS: RunAnswer(1, "", "")})
    document = json.loads(run("-f", str(file), "etcd", "status", "-o", "json").out)
    assert (document["ok"], document["problems"], document["cluster"]) == (True, [], "demo")
    assert document["voters"] == {"number": 3, "healthy": 3, "quorum": 2, "may_fail": 1}
    assert document["members"][2]["leader"]
    assert document["members"][0]["lag"] == 0
    assert document["snapshots"][0] == {
        "host": "m1",
        "path": "/var/lib/k8sbootstrap/etcd-snapshots/20261124T110000Z-on-demand.db.gz",
        "bytes": 3000000,
        "taken": "2026-11-24T11:00:00.250000+00:00",
    }


def test_a_snapshot_goes_to_a_file(run, file, facts, monkeypatch, tmp_path):
    taken = Snapshot("m1", "/kept/x.db.gz", 3_000_000, "a" * 64, 77)
    asked = []

    def take(_plan, _pool, *arguments, **options):
        asked.append((arguments, options))
        return taken

    monkeypatch.setattr(etcd.snapshot, "take", take)
    monkeypatch.setattr(etcd.snapshot, "download", lambda *arguments: arguments[2].sha256)
    ran = run("-f", str(file), "etcd", "snapshot", "--output", str(tmp_path / "my.db"))
    assert ran.out.splitlines() == [
        "3.0 MB on m1: /kept/x.db.gz (revision 77)",
        f"3.0 MB here: {tmp_path / 'my.db'}",
    ]
    assert asked == [(("m1", "on-demand"), {"keep": 10, "days": 30})]
    assert (tmp_path / "my.db.sha256").read_text() == f"{'a' * 64}  my.db\n"


S3 = """
etcd:
  snapshots:
    s3: {endpoint: "https://store.example.com", bucket: backups, accessKey: AK, secretKey: {file: secret}}
"""


@pytest.fixture
def bucket(file, facts, monkeypatch):
    """What is in the bucket that cluster.yaml names; tests may change it."""
    file.write_text(CLUSTER_YAML + S3)
    (file.parent / "secret").write_text("s3cr3t")
    (file.parent / "secret").chmod(0o600)
    there = BucketSnapshot(
        "1f/20261124T110000Z-timer.db.gz", 3_000_000, datetime(2026, 11, 24, 11, tzinfo=UTC)
    )
    found = {"now": BucketState("s3://backups/demo", (there,)), "asked": []}

    def look(_plan, _pool, host, store):
        found["asked"].append((host, store["secret_key"]))
        return found["now"]

    monkeypatch.setattr(etcd, "look_in_bucket", look)
    return found


def test_status_shows_the_newest_in_the_bucket(run, file, bucket):
    ran = run("-f", str(file), "etcd", "status")
    assert (ran.code, ran.err) == (0, "")
    line = ran.out.splitlines()[7]
    assert line.startswith("In the bucket: 1 snapshot, the newest ")
    assert line.endswith(" old, 3.0 MB: s3://backups/demo/1f/20261124T110000Z-timer.db.gz")
    assert bucket["asked"] == [("m1", "s3cr3t")]
    document = json.loads(run("-f", str(file), "etcd", "status", "-o", "json").out)
    assert document["bucket"]["snapshots"][0]["object"] == "1f/20261124T110000Z-timer.db.gz"
    bucket["now"] = BucketState("s3://backups/demo")
    assert "In the bucket: none in s3://backups/demo\n" in run("-f", str(file), "etcd", "status").out


def test_a_bucket_that_can_not_be_read_or_is_behind_is_wrong(run, file, bucket):
    bucket["now"] = BucketState("s3://backups/demo", problem="m1: AccessDenied: no")
    ran = run("-f", str(file), "etcd", "status")
    assert ran.code == 6
    assert "s3://backups/demo can't be read: m1: AccessDenied: no" in ran.err
    late = BucketSnapshot("1f/20261122T110000Z-timer.db.gz", 3, datetime(2026, 11, 22, 11, tzinfo=UTC))
    bucket["now"] = BucketState("s3://backups/demo", (late,))
    ran = run("-f", str(file), "etcd", "status")
    assert ran.code == 6
    assert "the newest snapshot in s3://backups/demo is older than 2 times 12h" in ran.err


def test_a_snapshot_goes_to_the_bucket(run, file, bucket, monkeypatch):
    taken = Snapshot("m1", "/kept/x.db.gz", 3_000_000, "a" * 64, 77)
    monkeypatch.setattr(etcd.snapshot, "take", lambda *_, **__: taken)
    monkeypatch.setattr(
        etcd, "upload", lambda *arguments: f"s3://{arguments[3]['bucket']}/{arguments[2].path}"
    )
    ran = run("-f", str(file), "etcd", "snapshot")
    assert ran.out.splitlines()[-1] == "3.0 MB in the bucket: s3://backups//kept/x.db.gz"


def test_a_folder_that_is_missing_is_said_before_hosts_are_asked(run, file, tmp_path):
    ran = run("-f", str(file), "etcd", "snapshot", "--output", str(tmp_path / "none/my.db"))
    assert ran.code == 2
    assert "none is missing" in ran.err


def test_defrag_says_what_is_freed(run, file, monkeypatch):
    def defragment(_plan, _pool, _begins, done):
        results = [Defragmented("m1", 9_000_000, 2_000_000), Defragmented("m2", 8_000_000, 2_000_000)]
        for each in results:
            done(each)
        return results

    monkeypatch.setattr(etcd.etcd_defrag, "defragment", defragment)
    ran = run("-f", str(file), "etcd", "defrag")
    assert ran.out.splitlines() == [
        "m1: 7.0 MB freed: from 9.0 MB to 2.0 MB",
        "m2: 6.0 MB freed: from 8.0 MB to 2.0 MB",
        "2 members: 13.0 MB freed.",
    ]
