"""Rebuilds the etcd member of this host from a snapshot: what is done here of ``k8sbootstrap etcd restore``.

A restore has an id. It is in the host's record from before anything is touched until all is well, so that
nothing else starts etcd in between (see etcd_rules.py), and a run that was killed goes on where it was. The
members get a token of their own, so that a member with old data, which comes back later, is none of theirs.
Data is set aside in etcd's own folder, and never deleted.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.k8sbootstrap.host.arrivals import PART, arrived, opened, sha256_of
from ansible.module_utils.k8sbootstrap.host.patience import while_busy, within
from ansible.module_utils.k8sbootstrap.host.record import DIRECTORY, Record
from ansible.module_utils.k8sbootstrap.host.request import Health
from ansible.module_utils.k8sbootstrap.host.units import until_healthy
from ansible.module_utils.k8sbootstrap.kube import etcd_snapshot
from ansible.module_utils.k8sbootstrap.kube.etcd_join import CLIENT, HEALTH, peer_url

DATA = "/var/lib/etcd"
UNIT = "/etc/systemd/system/etcd.service"
ETCD = "/usr/local/bin/etcd"
STAGE = DIRECTORY + "/etcd-restore"
RECOVERY_PORT = 12379
"""Of the etcd that reads a survivor's data; 12380 is its port for peers, which it has none of."""
SECONDS_TO_ARRIVE = 60.0
SECONDS_TO_READ = 600.0
"""For an etcd to read all data and its log."""
_GZIP = b"\x1f\x8b"
_BLOCK = 1 << 20
_ROOM = 1.2
"""Disk space that is asked for, as a multiple of what is needed."""


class RestoreError(Exception):
    """This step of the restore is not possible here, or failed; the text says why."""


def stage(identity: str, folder: str, sha256: str) -> dict[str, Any]:
    """Take a snapshot that was sent, and see that it can be restored here. etcd is not touched.

    Args:
        identity: Of the restore.
        folder: Where the file arrives, under its sha256.
        sha256: Of the file, compressed or not.

    Returns:
        ``bytes`` of the database, ``revision`` and ``keys``.

    Raises:
        RestoreError, SnapshotError: It can't be.
    """
    for path in (UNIT, etcd_snapshot.ETCDUTL[0]):
        if not os.path.exists(path):
            raise RestoreError(f"{path} is missing: this host has no etcd of k8sbootstrap, or an older one")
    os.makedirs(STAGE, mode=0o700, exist_ok=True)
    target, note = Path(STAGE, f"{identity}.db"), Path(STAGE, f"{identity}.json")
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(note.read_text())
        if known["sha256"] == sha256 and target.exists():
            return {key: known[key] for key in ("bytes", "revision", "keys")}
    discard()
    os.makedirs(STAGE, mode=0o700, exist_ok=True)
    packed = Path(STAGE, "arriving")
    with opened(_arrival(folder, sha256)) as handle, _private(packed) as out:
        if sha256_of(handle, out) != sha256:
            raise RestoreError("the snapshot arrived damaged. Run the same command again")
    _unpack(packed, target)
    if not etcd_snapshot.whole(target):
        raise RestoreError(
            "the file is no whole snapshot of etcd: its hash is wrong or missing. A database file that was "
            "copied from a data folder has none"
        )
    about = {"bytes": target.stat().st_size, **etcd_snapshot.status(target)}
    _require_room(about["bytes"])
    with _private(note) as out:
        out.write(json.dumps({"sha256": sha256, **about}).encode())
    return about


def discard() -> None:
    """Remove what was sent."""
    shutil.rmtree(STAGE, ignore_errors=True)


def finish(record: Record) -> None:
    """Write down that the restore has ended, and remove what was sent."""
    record.data["etcd"].pop("restoring", None)
    record.save()
    discard()


def place(record: Record, name: str, members: dict[str, str], token: str, bump: int) -> bool:
    """Make this member's data from the snapshot, and set aside what was there. etcd does not run meanwhile.

    Args:
        record: It has the mark of this restore.
        name: Of the member here.
        members: All members of the new cluster, name to address.
        token: Of the new cluster.
        bump: How much higher than the snapshot's the revision begins: for clients it must not go back.

    Returns:
        Whether it was to do.

    Raises:
        RestoreError, SnapshotError, OSError: It failed; what was there is there, or set aside.
    """
    etcd = record.data["etcd"]
    identity = etcd.get("restoring", "")
    if not identity:
        raise RestoreError("no restore has begun here")
    if etcd.get("placed") == identity and os.path.isdir(DATA + "/member/wal"):
        return False
    user = pwd.getpwnam("etcd")
    if not os.path.isdir(DATA):
        os.makedirs(DATA, mode=0o700)
        os.chown(DATA, user.pw_uid, user.pw_gid)
    fresh = f"{DATA}/restoring"
    shutil.rmtree(fresh, ignore_errors=True)
    initial = ",".join(f"{other}={peer_url(address)}" for other, address in members.items())
    etcd_snapshot.run(
        [
            *etcd_snapshot.ETCDUTL,
            *("snapshot", "restore", f"{STAGE}/{identity}.db", "--data-dir", fresh, "--name", name),
            *("--initial-cluster", initial, "--initial-cluster-token", token),
            *("--initial-advertise-peer-urls", peer_url(members[name])),
            *("--bump-revision", str(bump), "--mark-compacted"),
        ]
    )
    for folder, _, files in os.walk(fresh):
        for each in (folder, *(os.path.join(folder, file) for file in files)):
            os.chown(each, user.pw_uid, user.pw_gid)
    if os.path.lexists(DATA + "/member"):
        aside = _free_name(f"{DATA}/before-{identity}")
        os.mkdir(aside, 0o700)
        os.rename(DATA + "/member", aside + "/member")
    os.rename(fresh + "/member", DATA + "/member")
    os.rmdir(fresh)
    _sync(DATA)
    record.data["etcd"] = {**etcd, "members": members, "formed": True, "placed": identity}
    record.save()
    return True


def extract(folder: Path, name: str) -> dict[str, Any]:
    """Take a snapshot of a stopped member's data, also without a quorum. The data itself is not changed.

    A copy of it is read by an etcd that has no other members (--force-new-cluster): it applies what is in the
    log and not yet in the database.

    Args:
        folder: Where the snapshot is kept.
        name: Of the member.

    Raises:
        RestoreError: There is no data, no room for a copy, or it can't be read.
        SnapshotError: The snapshot could not be taken.
    """
    if not os.path.isdir(DATA + "/member/wal"):
        raise RestoreError(f"there is no data of etcd in {DATA}/member")
    _require_room(sum(path.stat().st_size for path in Path(DATA, "member").rglob("*") if path.is_file()))
    copy = f"{DATA}/recovering"
    shutil.rmtree(copy, ignore_errors=True)
    os.mkdir(copy, 0o700)
    try:
        _cp(f"{DATA}/member", copy)
        shutil.chown(copy, "etcd", "etcd")
        with _reading(copy, name):
            return etcd_snapshot.take(folder, "recovered", 3, port=RECOVERY_PORT)
    finally:
        shutil.rmtree(copy, ignore_errors=True)


@contextlib.contextmanager
def _reading(copy: str, name: str) -> Iterator[None]:
    """An etcd that serves a copy of the data, at a port of its own of the loopback address."""
    client, peer = f"https://127.0.0.1:{RECOVERY_PORT}", f"https://127.0.0.1:{RECOVERY_PORT + 1}"
    pki = etcd_snapshot.PKI
    options = {
        "name": name,
        "data-dir": copy,
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "cert-file": pki + "server.crt",
        "key-file": pki + "server.key",
        "trusted-ca-file": pki + "ca.crt",
        "client-cert-auth": "true",
        "peer-cert-file": pki + "peer.crt",
        "peer-key-file": pki + "peer.key",
        "peer-trusted-ca-file": pki + "ca.crt",
        "peer-client-cert-auth": "true",
        "log-level": "error",
    }
    command = [ETCD, "--force-new-cluster", *(f"--{key}={value}" for key, value in options.items())]
    log = Path(STAGE, "recovering.log")
    os.makedirs(STAGE, mode=0o700, exist_ok=True)
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, user="etcd", group="etcd", extra_groups=[], cwd="/", stdout=out, stderr=out
        )
    try:
        health: Health = {"url": client + HEALTH, **CLIENT}  # type: ignore[typeddict-item]
        in_time = within(SECONDS_TO_READ)
        problem = until_healthy(health, lambda: process.poll() is None and in_time())
        if problem:
            said = log.read_text(errors="replace").strip().splitlines()[-1:] or [problem]
            raise RestoreError(f"etcd can't read the data: {said[0][:500]}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def start(units: list[dict[str, Any]]) -> None:
    """Enable and start services, all at once, and wait until each is healthy.

    Args:
        units: ``unit``, ``health`` (see units.py) and ``timeout`` of each, in seconds.

    Raises:
        RestoreError: One does not start, or is not healthy in time.
    """
    names = [each["unit"] for each in units]
    subprocess.run(["systemctl", "reset-failed", *names], check=False, capture_output=True)
    for verb in ("enable", "start"):
        done = subprocess.run(["systemctl", verb, *names], check=False, capture_output=True, text=True)
        if done.returncode:
            raise RestoreError(f"systemctl {verb} {' '.join(names)} failed: {done.stderr.strip()[-300:]}")
    for each in units:
        problem = until_healthy(each["health"], while_busy(each["unit"], each["timeout"]))
        if problem:
            raise RestoreError(f"{each['unit']} is not healthy: {problem}")


def _arrival(folder: str, sha256: str) -> str:
    """Wait for a file that is being sent.

    Raises:
        RestoreError: It does not come.
    """
    deadline = time.monotonic() + SECONDS_TO_ARRIVE
    file = os.path.join(folder, sha256)
    was_there = False
    while not (os.path.lexists(file) or os.path.lexists(file + PART)) and time.monotonic() < deadline:
        # the folder is there a moment before the file, and gone when the connection ends
        if was_there and not os.path.isdir(folder):
            break
        was_there = os.path.isdir(folder)
        time.sleep(0.1)
    path = arrived(folder, sha256)
    if path is None:
        raise RestoreError("the snapshot did not arrive here: the connection was lost, or the disk is full")
    return path


def _unpack(packed: Path, target: Path) -> None:
    """Decompress a file where it is compressed; it is gone afterwards."""
    with packed.open("rb") as file:
        compressed = file.read(len(_GZIP)) == _GZIP
    if not compressed:
        packed.replace(target)
        return
    try:
        with gzip.open(packed) as reading, _private(target) as out:
            shutil.copyfileobj(reading, out, _BLOCK)
    except (EOFError, gzip.BadGzipFile) as error:
        raise RestoreError(f"the snapshot can't be decompressed: {error}") from error
    packed.unlink()


def _require_room(size: int) -> None:
    place = DATA if os.path.isdir(DATA) else os.path.dirname(DATA)
    free = shutil.disk_usage(place).free
    if free < _ROOM * size:
        raise RestoreError(f"{place} has {free >> 20} MiB free, and the data takes {size >> 20} MiB more")


def _free_name(path: str) -> str:
    names = [path, *(f"{path}-{number}" for number in range(2, 1000))]
    return next(name for name in names if not os.path.lexists(name))


def _cp(source: str, folder: str) -> None:
    done = subprocess.run(
        ["cp", "-a", "--reflink=auto", source, folder], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise RestoreError(f"{source} can't be copied: {done.stderr.strip()[-300:]}")


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _private(path: Path) -> Iterator[Any]:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
        yield out
        out.flush()
        os.fsync(out.fileno())
