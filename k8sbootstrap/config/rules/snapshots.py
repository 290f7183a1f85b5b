"""Rules about the bucket that snapshots of etcd are uploaded to."""

import re
from collections.abc import Iterator

from urllib3.util import parse_url

from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.models.etcd import SnapshotBucket
from k8sbootstrap.config.rules.finding import Finding

PLACE = ("etcd", "snapshots", "s3")
_AWS = re.compile(r"s3[.-]([a-z]{2}(-[a-z]+)+-\d)\.amazonaws\.com(\.cn)?")
_ADDRESS = re.compile(r"\d+(\.\d+){3}")


def endpoint(draft: Draft) -> Iterator[Finding]:
    """It is a plain URL of the store alone, with TLS unless the user does without."""
    wanted = bucket_of(draft)
    if wanted is None:
        return
    place, url = (*PLACE, "endpoint"), parse_url(wanted.endpoint)
    if url.auth is not None:
        yield Finding(place, "contains a login", "write accessKey and secretKey")
    elif url.path not in {None, "", "/"} or url.query is not None or url.fragment is not None:
        fix = "write only the store's own URL; the bucket stands in bucket, folders in prefix"
        yield Finding(place, "contains more than the address of a store", fix)
    if url.scheme == "http" and not wanted.allow_http:
        fix = "use https://, or set allowHTTP: true"
        yield Finding(place, "http:// would send all Secrets of the cluster unencrypted", fix)
    named = _AWS.fullmatch(url.host or "")
    if named and named[1] != wanted.region:
        fix = f"set region: {named[1]}"
        yield Finding((*PLACE, "region"), f"{wanted.region} is not the region of the endpoint", fix)


def bucket(draft: Draft) -> Iterator[Finding]:
    """Its name is no address, and can be part of a host's name where it is to be."""
    wanted = bucket_of(draft)
    if wanted is None:
        return
    place = (*PLACE, "bucket")
    if _ADDRESS.fullmatch(wanted.bucket):
        yield Finding(place, f"{wanted.bucket} is an address, not the name of a bucket", "write its name")
    elif re.search(r"\.[.-]|-\.", wanted.bucket):
        fix = "write its name: a dot stands between letters or digits"
        yield Finding(place, f"{wanted.bucket} is not the name of a bucket", fix)
    elif wanted.style == "virtual-host" and "." in wanted.bucket and wanted.endpoint.startswith("https:"):
        what = f"no certificate is valid for {wanted.bucket} as a part of a host's name: it has a dot"
        yield Finding(place, what, "set style: path")


def bucket_of(draft: Draft) -> SnapshotBucket | None:
    """The bucket, where there is one and its keys are valid."""
    return draft.etcd.snapshots.s3 if draft.etcd else None
