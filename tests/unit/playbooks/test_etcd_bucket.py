"""The program that keeps snapshots in a bucket: its signatures, and what it does with a store's answers."""

from __future__ import annotations

import hashlib
import json
import stat
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from ansible.module_utils.k8sbootstrap.kube import etcd_bucket
from ansible.module_utils.k8sbootstrap.kube.etcd_bucket import BucketError, Store, authorization

from tests.unit.playbooks.s3_store import BUCKET, FakeStore, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLUSTER = "1f00ab"
AWS = Store(
    endpoint="https://s3.amazonaws.com",
    region="us-east-1",
    bucket="examplebucket",
    folder="",
    access_key="AKIAIOSFODNN7EXAMPLE",
    secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    virtual_host=True,
)
"""As in AWS's "Authenticating Requests: Using the Authorization Header", which has the signatures below."""
EMPTY = hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "signature"),
    [
        (
            "GET",
            "/test.txt",
            [],
            {"range": "bytes=0-9", "x-amz-content-sha256": EMPTY},
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test%24file.text",
            [],
            {
                "date": "Fri, 24 May 2013 00:00:00 GMT",
                "x-amz-storage-class": "REDUCED_REDUNDANCY",
                "x-amz-content-sha256": hashlib.sha256(b"Welcome to Amazon S3.").hexdigest(),
            },
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET",
            "/",
            [("lifecycle", "")],
            {"x-amz-content-sha256": EMPTY},
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET",
            "/",
            [("max-keys", "2"), ("prefix", "J")],
            {"x-amz-content-sha256": EMPTY},
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_signatures_are_those_that_aws_publishes(
    method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], signature: str
) -> None:
    signed = {"host": AWS.host, "x-amz-date": "20130524T000000Z", **headers}
    said = authorization(AWS, method, path, query, signed)
    assert said == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        f"SignedHeaders={';'.join(sorted(signed))}, Signature={signature}"
    )


def test_where_requests_name_the_bucket() -> None:
    assert (AWS.host, AWS.path("a b")) == ("examplebucket.s3.amazonaws.com", "/a%20b")
    plain = replace(AWS, virtual_host=False, endpoint="https://store:9000")
    assert (plain.host, plain.path("a/b"), plain.path("")) == (
        "store:9000",
        "/examplebucket/a/b",
        "/examplebucket",
    )
    assert "wJalr" not in repr(AWS)


@pytest.fixture
def fake() -> Iterator[FakeStore]:
    with serving() as store:
        yield store


@pytest.fixture(autouse=True)
def _etcd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(etcd_bucket, "cluster_id", lambda: CLUSTER)
    monkeypatch.setattr(etcd_bucket, "ARRIVED", tmp_path / "arrived")
    monkeypatch.setattr(etcd_bucket, "WAITS", (0.0, 0.0))


def store_of(fake: FakeStore, **changes: object) -> Store:
    settings = {"keep": 2, "days": 10_000, **changes}
    return Store(fake.url, "eu-x-1", BUCKET, "clusters/demo", "key", "s3cr3t", **settings)  # type: ignore[arg-type]


def a_file(folder: Path, name: str = "20261130T010203Z-timer.db.gz", content: bytes = b"data") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_what_is_uploaded_is_there_with_its_hash(fake: FakeStore, tmp_path: Path) -> None:
    done = etcd_bucket.upload(store_of(fake), a_file(tmp_path))
    key = f"clusters/demo/{CLUSTER}/20261130T010203Z-timer.db.gz"
    assert done == {"object": key, "bytes": 4, "removed": 0, "not_removed": ""}
    content, headers = fake.objects[key]
    assert content == b"data"
    assert headers["x-amz-meta-sha256"] == hashlib.sha256(b"data").hexdigest()
    assert [method for method, _, _ in fake.asked] == ["GET", "PUT", "HEAD", "GET"]
    assert all("s3cr3t" not in f"{path}{headers}" for _, path, headers in fake.asked)


def test_a_large_one_goes_up_in_parts(
    fake: FakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(etcd_bucket, "SINGLE", 10)
    monkeypatch.setattr(etcd_bucket, "PART", 4)
    done = etcd_bucket.upload(store_of(fake), a_file(tmp_path, content=b"0123456789abc"))
    assert fake.objects[done["object"]][0] == b"0123456789abc"
    assert sorted(fake.parts) == [1, 2, 3, 4]


def test_a_part_that_fails_leaves_nothing(
    fake: FakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(etcd_bucket, "SINGLE", 10)
    monkeypatch.setattr(etcd_bucket, "PART", 4)
    fake.answers = lambda _method, _key, query: (403, b"") if query.get("partNumber") == ["3"] else None
    with pytest.raises(BucketError, match="HTTP 403"):
        etcd_bucket.upload(store_of(fake), a_file(tmp_path, content=b"0123456789abc"))
    assert fake.asked[-1][0] == "DELETE"
    assert "uploadId=u-1" in fake.asked[-1][1]


@pytest.mark.parametrize("damage", ["size", "hash", "checksum"])
def test_one_that_is_not_there_as_it_was_sent_is_a_failure(
    fake: FakeStore, tmp_path: Path, damage: str
) -> None:
    def spoil(method: str, key: str, _: object) -> None:
        if method == "HEAD":
            content, headers = fake.objects[key]
            wrong = {"hash": {"x-amz-meta-sha256": "0" * 64}, "checksum": {"x-amz-checksum-sha256": "AAAA"}}
            fake.put(key, content[: -(damage == "size") or None], **{**headers, **wrong.get(damage, {})})

    fake.answers = spoil
    with pytest.raises(BucketError, match=r"is not there as it was sent|has another sha256"):
        etcd_bucket.upload(store_of(fake), a_file(tmp_path))


def test_a_refusal_is_told_before_the_file_is_sent(fake: FakeStore, tmp_path: Path) -> None:
    body = b"<Error><Code>InvalidAccessKeyId</Code><Message>no such key\x1b[2J</Message></Error>"
    fake.answers = lambda *_: (403, body.replace(b"\x1b", b""))
    with pytest.raises(BucketError, match=r"InvalidAccessKeyId: no such key\[2J$"):
        etcd_bucket.upload(store_of(fake), a_file(tmp_path), (0.0, 0.0))
    assert len(fake.asked) == 1


def test_what_may_pass_is_tried_again(fake: FakeStore, tmp_path: Path) -> None:
    fake.answers = lambda *_: (503, b"<Error><Code>SlowDown</Code></Error>") if len(fake.asked) < 3 else None
    etcd_bucket.upload(store_of(fake), a_file(tmp_path), (0.0, 0.0))
    fake.answers = lambda *_: (503, b"")
    with pytest.raises(BucketError, match="HTTP 503"):
        etcd_bucket.upload(store_of(fake), a_file(tmp_path), (0.0, 0.0))


def test_no_store_answers(tmp_path: Path) -> None:
    store = Store("http://127.0.0.1:9", "r", BUCKET, "demo", "key", "s3cr3t")
    with pytest.raises(BucketError, match=r"^http://127\.0\.0\.1:9: .*refused"):
        etcd_bucket.upload(store, a_file(tmp_path))


NOT_OURS = (
    f"clusters/demo/{CLUSTER}/notes.txt",
    f"clusters/demo/{CLUSTER}/20200101T000000Z-timer.db.gz.sha256",
    f"clusters/demo/{CLUSTER}/sub/20200101T000000Z-timer.db",
    f"clusters/demo/{CLUSTER}/20201399T000000Z-timer.db",
    f"clusters/demo/{CLUSTER}/20200101T000000Z-timer.db\n",
    f"clusters/demo/{CLUSTER}/\uff120200101T000000Z-timer.db",
    "clusters/demo/ffff/20200101T000000Z-timer.db.gz",
    f"clusters/demo/{CLUSTER}/20200101T000000Z-on-demand.db.gz",
    f"clusters/demo2/{CLUSTER}/20200101T000000Z-timer.db.gz",
    "20200101T000000Z-timer.db",
)
"""Names of others, of another cluster, of an etcd that was before, of another kind."""


def test_the_newest_stay_and_nothing_else_is_touched(fake: FakeStore, tmp_path: Path) -> None:
    for name in NOT_OURS:
        fake.put(name)
    for day in range(1, 8):
        fake.put(f"clusters/demo/{CLUSTER}/2026110{day}T000000Z-timer.db.gz")
    done = etcd_bucket.upload(store_of(fake), a_file(tmp_path))
    assert done["removed"] == 6
    kept = set(fake.objects) - set(NOT_OURS)
    assert kept == {f"clusters/demo/{CLUSTER}/20261107T000000Z-timer.db.gz", done["object"]}
    assert set(NOT_OURS) <= set(fake.objects)


def test_old_ones_go_but_for_the_newest(fake: FakeStore, tmp_path: Path) -> None:
    for day in (1, 2):
        fake.put(f"clusters/demo/{CLUSTER}/2020010{day}T000000Z-timer.db.gz")
    etcd_bucket.upload(store_of(fake, keep=10, days=30), a_file(tmp_path, "20200103T000000Z-timer.db"))
    assert set(fake.objects) == {f"clusters/demo/{CLUSTER}/20200103T000000Z-timer.db"}


def test_a_key_that_may_not_delete(fake: FakeStore, tmp_path: Path) -> None:
    for day in range(1, 8):
        fake.put(f"clusters/demo/{CLUSTER}/2026110{day}T000000Z-timer.db.gz")
    fake.answers = lambda method, *_: (
        (403, b"<Error><Code>AccessDenied</Code></Error>") if method == "DELETE" else None
    )
    done = etcd_bucket.upload(store_of(fake), a_file(tmp_path))
    assert "is uploaded, but old ones can't be removed" in done["not_removed"]
    assert "AccessDenied" in done["not_removed"]
    assert etcd_bucket.upload(store_of(fake, prune=False), a_file(tmp_path))["not_removed"] == ""


def test_the_list_has_the_newest_first(fake: FakeStore) -> None:
    for name in NOT_OURS:
        fake.put(name, b"12345")
    fake.put("clusters/demo/a/20261201T000000Z-before-1.37.1-from-1.36.2.db", b"123")
    found = etcd_bucket.answer({"do": "list", "store": vars(store_of(fake))})["entries"]
    assert found[0] == {"object": "a/20261201T000000Z-before-1.37.1-from-1.36.2.db", "bytes": 3}
    assert {each["object"] for each in found[1:]} == {
        "ffff/20200101T000000Z-timer.db.gz",
        f"{CLUSTER}/20200101T000000Z-on-demand.db.gz",
    }


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "is no XML"),
        (b"<a><b></a>", "is no XML"),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "has a DTD"),
        ("<!DOCTYPE a><a/>".encode("utf-16"), "has a DTD"),
        (b"<a>" * 100 + b"</a>" * 100, "too many elements"),
        (b"<a>" + b"<b/>" * 60_000 + b"</a>", "too many elements"),
        (b"<a>" + b"x" * (9 << 20) + b"</a>", "too long"),
    ],
)
def test_an_answer_that_is_none_is_refused(fake: FakeStore, body: bytes, why: str) -> None:
    fake.answers = lambda *_: (200, body)
    with pytest.raises(BucketError, match=why):
        etcd_bucket.entries(store_of(fake))


def test_a_list_without_an_end(fake: FakeStore) -> None:
    page = b"<L><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></L>"
    fake.answers = lambda *_: (200, page)
    with pytest.raises(BucketError, match="more than 100 thousand objects"):
        etcd_bucket.entries(store_of(fake))


def test_one_is_fetched(fake: FakeStore) -> None:
    name = f"{CLUSTER}/20261130T010203Z-timer.db.gz"
    digest = hashlib.sha256(b"data").hexdigest()
    fake.put(f"clusters/demo/{name}", b"data", **{"x-amz-meta-sha256": digest})
    got = etcd_bucket.fetch(store_of(fake), name)
    path = etcd_bucket.ARRIVED / "20261130T010203Z-timer.db.gz"
    assert got == {"path": str(path), "bytes": 4, "sha256": digest}
    assert path.read_bytes() == b"data"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    etcd_bucket.forget()
    assert not etcd_bucket.ARRIVED.exists()


def test_one_that_arrives_damaged_is_refused(fake: FakeStore) -> None:
    name = f"{CLUSTER}/20261130T010203Z-timer.db.gz"
    fake.put(f"clusters/demo/{name}", b"data", **{"x-amz-meta-sha256": "0" * 64})
    with pytest.raises(BucketError, match="arrived damaged"):
        etcd_bucket.fetch(store_of(fake), name)
    assert not etcd_bucket.ARRIVED.exists()
    with pytest.raises(BucketError, match="NoSuchKey"):
        etcd_bucket.fetch(store_of(fake), f"{CLUSTER}/20261130T010204Z-timer.db.gz")
    for strange in ("../x", f"{CLUSTER}/../../etc/passwd", f"{CLUSTER}/20261130T010203Z-timer.db/x"):
        with pytest.raises(BucketError, match="is no name of a snapshot"):
            etcd_bucket.fetch(store_of(fake), strange)


def test_the_timer_uploads_its_newest_once_and_writes_down_what_came_of_it(
    fake: FakeStore, tmp_path: Path
) -> None:
    store, note = store_of(fake), tmp_path / "upload.json"
    assert etcd_bucket.turn(store, tmp_path) == {"uploaded": False}
    a_file(tmp_path, "20261130T000000Z-timer.db")
    a_file(tmp_path, "20261131T000000Z-on-demand.db")
    newest = a_file(tmp_path, "20261130T120000Z-timer.db")
    fake.answers = lambda *_: (500, b"")
    with pytest.raises(BucketError, match="HTTP 500"):
        etcd_bucket.turn(store, tmp_path)
    seen = json.loads(note.read_text())
    assert "HTTP 500" in seen["problem"]
    assert abs(seen["tried"] - time.time()) < 60
    fake.answers = lambda *_: None
    assert etcd_bucket.turn(store, tmp_path)["uploaded"]
    seen = json.loads(note.read_text())
    assert seen["problem"] == ""
    assert seen["object"] == f"s3://{BUCKET}/clusters/demo/{CLUSTER}/{newest.name}"
    assert etcd_bucket.turn(store, tmp_path) == {"uploaded": False}
    assert len(fake.objects) == 1
    assert etcd_bucket.turn(replace(store, folder="other"), tmp_path)["uploaded"]


def test_the_program_fails_in_the_timer_alone(fake: FakeStore, tmp_path: Path) -> None:
    settings = tmp_path / "store.json"
    settings.write_text(json.dumps({"store": {}, "salt": "x"}))
    for wanted, code in (({"do": "turn", "settings": str(settings)}, 1), ({"do": "list", "store": {}}, 0)):
        command = [sys.executable, "-I", etcd_bucket.__file__, json.dumps(wanted)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code
        assert "missing" in json.loads(done.stdout)["problem"]
