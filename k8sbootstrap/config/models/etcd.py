"""etcd, which stores the state of the cluster."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from k8sbootstrap.config.models.base import BUCKET, OBJECT_PREFIX, REGION, HttpUrl, Model
from k8sbootstrap.config.models.hosts import Secret

_MINUTES = {
    "15m": 15,
    "30m": 30,
    "1h": 60,
    "2h": 120,
    "3h": 180,
    "4h": 240,
    "6h": 360,
    "12h": 720,
    "1d": 1440,
}
_HOUR, _DAY = 60, 1440


class SnapshotBucket(Model):
    """A bucket of an S3-compatible store that snapshots are uploaded to."""

    endpoint: HttpUrl
    """URL of the store, such as https://s3.eu-central-1.amazonaws.com."""
    region: Annotated[str, StringConstraints(pattern=REGION)] = "us-east-1"
    """Region of the bucket; stores without regions mostly take the default."""
    bucket: Annotated[str, StringConstraints(pattern=BUCKET)]
    """Name of the bucket. It must exist."""
    prefix: Annotated[str, StringConstraints(pattern=OBJECT_PREFIX, max_length=500)] = ""
    """What names of objects begin with, before the name of the cluster."""
    access_key: str = Field(min_length=1)
    """ID of the access key."""
    secret_key: Secret
    """Its secret."""
    ca: Path | None = None
    """PEM file with the CA of the store's certificate, relative to cluster.yaml. Default: one of the hosts'
    own."""
    style: Literal["path", "virtual-host"] = "path"
    """Where requests name the bucket: in the path, or as a part of the host's name."""
    allow_http: bool = Field(default=False, alias="allowHTTP")
    """Whether the endpoint may begin with http://. Snapshots hold all Secrets, and anyone on the way reads
    them then."""
    prune: bool = True
    """Whether old ones are deleted from the bucket. With false, the access key needs no right to delete."""
    keep: int = Field(default=60, ge=1, le=10000)
    """How many of each kind stay in the bucket: the timer's, those on demand, those before upgrades."""
    days: int = Field(default=30, ge=1, le=3650)
    """Number of days that they stay; the newest of each kind always does."""


class EtcdSnapshots(Model):
    """Snapshots that hosts of etcd take by themselves."""

    every: Literal["15m", "30m", "1h", "2h", "3h", "4h", "6h", "12h", "1d", "never"] = "12h"
    """How often one of the members takes one, beginning at 00:00 UTC."""
    keep: int = Field(default=5, ge=1, le=1000)
    """How many stay on each host."""
    days: int = Field(default=30, ge=1, le=3650)
    """Number of days that they stay; the newest one always does."""
    s3: SnapshotBucket | None = None
    """Bucket that they are uploaded to, too. Default: they stay on hosts alone."""

    @property
    def seconds(self) -> int:
        """Seconds between two of them; 0 where none are taken."""
        return 60 * _MINUTES.get(self.every, 0)

    @property
    def calendar(self) -> str:
        """When they are taken, as systemd's OnCalendar; empty where none are."""
        minutes = _MINUTES.get(self.every, 0)
        if not minutes:
            return ""
        if minutes < _HOUR:
            return f"*-*-* *:00/{minutes}:00 UTC"
        return "*-*-* 00:00:00 UTC" if minutes == _DAY else f"*-*-* 00/{minutes // _HOUR}:00:00 UTC"


class Etcd(Model):
    """etcd."""

    snapshots: EtcdSnapshots = Field(default_factory=EtcdSnapshots)
    """Snapshots that hosts of etcd take by themselves."""
