"""Snapshots of etcd in a bucket of a real S3 store: `make e2e-s3`."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from bucket import ACCESS_KEY, SECRET_KEY, Bucket, serve
from clusters import BUCKET
from labs import Lab, make_lab

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e

FOREIGN = "demo/notes.txt"
TIMER = "systemctl start etcd-snapshot"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    yield from make_lab(tmp_path_factory.mktemp("bucket"), *BUCKET.options)


@pytest.fixture(scope="module")
def bucket(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """A store that the lab's cluster.yaml names."""
    address = f"{lab.address('master1').rpartition('.')[0]}.1"
    with serve(tmp_path_factory.mktemp("store"), address) as running:
        secret = lab.directory / "s3.secret"
        secret.write_text(SECRET_KEY + "\n")
        secret.chmod(0o600)

        def change(config: dict[str, Any]) -> None:
            store = {"endpoint": running.endpoint, "bucket": running.name, "ca": str(running.ca), "keep": 2}
            store |= {"accessKey": ACCESS_KEY, "secretKey": {"file": "s3.secret"}}
            config["etcd"] = {"snapshots": {"every": "12h", "keep": 3, "s3": store}}

        lab.variant("cluster.yaml", change)
        yield running


def snapshots(lab: Lab, bucket: Bucket, kind: str) -> list[str]:
    name = lab.config["name"]
    return [each for each in bucket.objects() if each.startswith(f"{name}/") and f"-{kind}" in each]


def test_a_snapshot_is_uploaded_whole(lab: Lab, bucket: Bucket) -> None:
    lab.k("up", "--accept-new-host-keys", "--yes")
    said = lab.k("etcd", "snapshot").stdout
    (name,) = snapshots(lab, bucket, "on-demand")
    assert f"s3://{bucket.name}/{name}" in said
    content = (bucket.folder / name).read_bytes()
    path = lab.sh("master1", "ls /var/lib/k8sbootstrap/etcd-snapshots/*on-demand*.gz").strip()
    there = lab.sh("master1", f"sha256sum {path}").split()[0]
    assert hashlib.sha256(content).hexdigest() == there
    assert len(gzip.decompress(content) if name.endswith(".gz") else content) > 100_000
    assert "In the bucket: 1 snapshot, the newest" in lab.k("etcd", "status").stdout


def test_the_timer_uploads_and_prunes_its_own_alone(lab: Lab, bucket: Bucket) -> None:
    (bucket.folder / FOREIGN).parent.mkdir(exist_ok=True)
    (bucket.folder / FOREIGN).write_text("somebody's")
    seen = []
    for _ in range(3):
        lab.sh("master1", f"{TIMER}; sleep 1.1")
        seen.append(snapshots(lab, bucket, "timer")[-1])
    assert len(set(seen)) == 3
    assert snapshots(lab, bucket, "timer") == seen[1:], "the newest two stay"
    assert len(snapshots(lab, bucket, "on-demand")) == 1
    assert (bucket.folder / FOREIGN).read_text() == "somebody's"


def test_a_failed_upload_is_named_until_it_is_made_up_for(lab: Lab, bucket: Bucket) -> None:
    before = len(snapshots(lab, bucket, "timer"))
    away = bucket.folder.with_name("away")
    bucket.folder.rename(away)
    lab.sh("master1", TIMER, code=None)
    said = json.loads(lab.k("doctor", "-o", "json", code=6).stdout)
    (finding,) = [each for each in said["findings"] if each["id"] == "etcd-upload-failed"]
    assert "NoSuchBucket" in json.dumps(finding)
    wrong = lab.k("etcd", "status", code=6)
    assert "NoSuchBucket" in wrong.stdout + wrong.stderr
    assert "snapshot-bucket" in lab.k("preflight").stdout
    lab.k("up", "--yes")
    away.rename(bucket.folder)
    lab.sh("master1", f"sleep 1.1; {TIMER}")
    lab.k("doctor")
    lab.k("etcd", "status")
    assert len(snapshots(lab, bucket, "timer")) == before == 2


def test_a_wrong_key_is_refused_by_the_store_and_shown_nowhere(lab: Lab, bucket: Bucket) -> None:
    wrong = "not-the-key-of-this-bucket"
    (lab.directory / "wrong.secret").write_text(wrong)
    (lab.directory / "wrong.secret").chmod(0o600)

    def change(config: dict[str, Any]) -> None:
        config["etcd"]["snapshots"]["s3"]["secretKey"] = {"file": "wrong.secret"}

    said = lab.k("etcd", "status", file=lab.variant("wrong.yaml", change), code=6)
    assert "SignatureDoesNotMatch" in said.stdout + said.stderr
    journal = lab.sh(
        "master1", "journalctl --no-pager -o cat | tr -cd '[:print:]\\n'; systemctl show --all etcd-snapshot"
    )
    for secret in (wrong, SECRET_KEY):
        assert secret not in said.stdout + said.stderr + journal


def test_new_hosts_get_the_data_from_the_bucket(lab: Lab, bucket: Bucket) -> None:
    lab.kubectl("create configmap kept --from-literal=a=b")
    lab.k("etcd", "snapshot")
    before = bucket.objects()
    lab.k("reset", "--yes")
    lab.k("up", "--yes")
    lab.sh("master1", "kubectl --kubeconfig /etc/kubernetes/admin.conf get configmap kept", code=1)
    said = lab.k("etcd", "restore", "--newest", "--yes")
    assert "on-demand" in said.stdout + said.stderr
    assert lab.kubectl("get configmap kept -o jsonpath='{.data.a}'") == "b"
    assert set(before) <= set(bucket.objects()), "a new cluster deletes nothing of the one before it"
    lab.k("up", "--yes")  # nodes may have other podCIDRs in the snapshot
    assert lab.k("plan", "--detailed-exitcode").stdout == "Nothing to change.\n"
    lab.k("verify")
    assert lab.sh("master1", "ls /var/lib/k8sbootstrap/etcd-fetched 2>/dev/null", code=None) == ""
