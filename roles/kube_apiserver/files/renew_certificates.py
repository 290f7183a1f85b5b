"""Renews the certificates that this master holds before they expire, so that a cluster lives on by itself.

A systemd timer runs it every day. It renews what has less than --less-than days left (20: operators, whose
"k8sbootstrap up" renews at 30, come first), with the keys that are there, by the CAs that every master has.
It writes into the host's record what it wrote, so that it is no drift. Standard library and openssl alone.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

RECORD = Path("/var/lib/k8sbootstrap/record.json")
PKI = Path("/etc/kubernetes/pki")
AUTHORITIES = ("ca", "front-proxy-ca", "etcd/ca")
DAY = 86_400
DAYS = 365
RESTARTED = ("kube_controller_manager", "kube_scheduler", "image_registry")
"""Components whose services must restart to use new certificates; others read them again by themselves."""
IN_KUBECONFIG = r"^( *client-{}-data: *)([A-Za-z0-9+/=]+)( *)$"


class RenewalError(Exception):
    """A certificate can't be renewed; the text says why."""


def openssl(*arguments: str) -> bytes:
    """Run openssl, and return what it prints.

    Raises:
        RenewalError: It failed, or there is none.
    """
    try:
        done = subprocess.run(["openssl", *arguments], check=False, capture_output=True, timeout=60)
    except OSError as error:
        raise RenewalError(f"openssl can't be run: {error.strerror}") from error
    if done.returncode != 0:
        raise RenewalError(done.stderr.decode("utf-8", "replace").strip()[-500:])
    return done.stdout


def end_of(certificate: Path) -> float:
    """When a certificate ends, in seconds since 1970."""
    known = ssl._ssl._test_decode_cert(str(certificate))  # type: ignore[attr-defined] # noqa: SLF001 - nothing else reads it
    return float(ssl.cert_time_to_seconds(known["notAfter"]))


def parts(path: Path, content: bytes) -> tuple[bytes, bytes]:
    """A certificate and its key, of a kubeconfig or of two files.

    Raises:
        RenewalError: They are not there.
    """
    if path.suffix == ".crt":
        return content, path.with_suffix(".key").read_bytes()
    patterns = [IN_KUBECONFIG.format(kind).encode() for kind in ("certificate", "key")]
    found = [re.search(pattern, content, re.MULTILINE) for pattern in patterns]
    if not all(found):
        raise RenewalError("it has no client certificate and key")
    certificate, key = (base64.b64decode(each.group(2)) for each in found if each)
    return certificate, key


def with_certificate(path: Path, content: bytes, certificate: bytes) -> bytes:
    """The content of a certificate's file, or of a kubeconfig, with another certificate."""
    if path.suffix == ".crt":
        return certificate
    encoded = base64.b64encode(certificate)
    pattern = re.compile(IN_KUBECONFIG.format("certificate").encode(), re.MULTILINE)
    return pattern.sub(lambda found: found[1] + encoded + found[3], content, count=1)


def signer(certificate: Path) -> Path:
    """The CA that signed a certificate: its file without the suffix.

    Raises:
        RenewalError: No CA here did.
    """
    for name in AUTHORITIES:
        authority = PKI / name
        try:
            openssl("verify", "-no_check_time", "-CAfile", f"{authority}.crt", str(certificate))
        except RenewalError:
            continue
        return authority
    raise RenewalError("no CA of this master signed it")


def sign(folder: Path, certificate: bytes, key: bytes, days: int) -> bytes:
    """A new certificate that says the same.

    Args:
        folder: Empty and private; gets the key for a moment.
        certificate: The old one.
        key: Its key.
        days: How long the new one lasts.

    Raises:
        RenewalError: It can't be signed, or would not be good.
    """
    old, own, request, new = (folder / name for name in ("old", "key", "request", "new"))
    old.write_bytes(certificate)
    own.write_bytes(key)
    authority = signer(old)
    copy = ("-copy_extensions", "copyall")
    openssl("x509", "-x509toreq", "-in", str(old), "-signkey", str(own), *copy, "-out", str(request))
    openssl(
        *("x509", "-req", "-in", str(request), *copy, "-sha256", "-days", str(days), "-out", str(new)),
        *("-CA", f"{authority}.crt", "-CAkey", f"{authority}.key", "-set_serial", hex(secrets.randbits(150))),
    )
    openssl("verify", "-CAfile", f"{authority}.crt", str(new))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(new, own)
    if end_of(new) <= end_of(old):
        raise RenewalError("a new one would not last longer")
    return new.read_bytes()


def renew(path: Path, entry: dict[str, Any], less_than: float) -> bool:
    """Renew the certificate in one file, where it has less than some seconds left.

    Args:
        path: The certificate, or the kubeconfig with it.
        entry: The file's entry in the record; says afterwards what was written.
        less_than: Seconds.

    Returns:
        Whether it was renewed.

    Raises:
        RenewalError: It must be renewed and can't be.
    """
    content = path.read_bytes()
    certificate, key = parts(path, content)
    with tempfile.TemporaryDirectory(dir="/run", prefix="k8sbootstrap-renewal-") as name:
        folder, now = Path(name), time.time()
        (folder / "now").write_bytes(certificate)
        left = end_of(folder / "now") - now
        days = min(DAYS, int((entry["leaf"]["authority_ends"] - now) // DAY))
        if left >= less_than or days * DAY <= left:
            return False
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise RenewalError("somebody changed it; k8sbootstrap plan shows it")
        new = with_certificate(path, content, sign(folder, certificate, key, days))
    write(path, new)
    now_there = path.stat()
    entry["sha256"] = hashlib.sha256(new).hexdigest()
    entry["stat"] = [now_there.st_size, now_there.st_ino, now_there.st_ctime_ns]
    return True


def write(path: Path, content: bytes) -> None:
    """Replace a file in one step; its mode and owner stay."""
    before = path.stat()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
            os.fchown(out.fileno(), before.st_uid, before.st_gid)
            os.fchmod(out.fileno(), before.st_mode & 0o7777)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let nobody else write the host's record meanwhile."""
    with RECORD.with_name(RECORD.name + ".lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield


def read_record() -> dict[str, Any]:
    """The host's record as it is now: others may have written it."""
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return record


def write_record(record: dict[str, Any]) -> None:
    """Write the host's record."""
    write(RECORD, json.dumps(record, sort_keys=True).encode())


def restart(unit: str) -> list[str]:
    """Restart a unit, if it runs, and note that it need not restart any more.

    Returns:
        It.

    Raises:
        subprocess.SubprocessError: It did not.
    """
    # one that failed over and over with its old certificate may have used up the starts that systemd allows
    subprocess.run(["systemctl", "reset-failed", unit], check=False, timeout=60)
    subprocess.run(["systemctl", "try-restart", unit], check=True, timeout=300)
    with alone():
        record = read_record()
        if unit in record["pending_restarts"]:
            record["pending_restarts"].remove(unit)
            write_record(record)
    return [unit]


def renew_file(component: str, name: str, less_than: float) -> list[str]:
    """Renew the certificate in one file of a component, where it must be.

    Returns:
        Units to restart for it; they are noted in the record.
    """
    with alone():
        record = read_record()
        part = record["components"].get(component, {})
        entry = part.get("files", {}).get(name, {})
        if not entry.get("leaf") or name.endswith(".key") or not renew(Path(name), entry, less_than):
            return []
        units = [unit for unit in part["units"] if unit not in record["pending_restarts"]]
        units = units if component in RESTARTED else []
        record["pending_restarts"] += units
        write_record(record)
    sys.stdout.write(f"{name}: renewed\n")
    return units


def main() -> int:
    """Renew what must be; the exit code is 1 where something could not be done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--less-than", type=int, default=20, metavar="DAYS")
    less_than = parser.parse_args().less_than * DAY
    record = read_record()
    parts = record["components"]
    waiting = [unit for name in RESTARTED for unit in parts.get(name, {}).get("units", ())]
    units = [unit for unit in waiting if unit in record["pending_restarts"]]  # of a run that was killed
    results = [
        attempt(f"{name}: not renewed", renew_file, component, name, less_than)
        for component, part in parts.items()
        for name in part["files"]
    ]
    units += [unit for renewed in results if renewed for unit in renewed]
    results += [attempt(f"{unit}: not restarted", restart, unit) for unit in dict.fromkeys(units)]
    return int(None in results)


def attempt(problem: str, do: Callable[..., list[str]], *arguments: Any) -> list[str] | None:
    """Do one thing; None, and a line on standard error, where it fails: the others go on."""
    try:
        return do(*arguments)
    except (RenewalError, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"{problem}: {error}\n")
        return None


if __name__ == "__main__":
    sys.exit(main())
