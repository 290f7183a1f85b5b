"""An etcd and an API server on this machine, started from a backup for a while: do they work with it?"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from k8sbootstrap.actions.backup.api_objects import ApiError, ApiServer
from k8sbootstrap.actions.backup.sealed import Backup
from k8sbootstrap.config.models.cluster import Cluster
from k8sbootstrap.errors import BackupError
from k8sbootstrap.formats.bounded import load_json
from k8sbootstrap.formats.text import printable
from k8sbootstrap.pki import table, x509
from k8sbootstrap.private_files import PRIVATE
from k8sbootstrap.run import with_parent
from k8sbootstrap.run.processes import stop

PROGRAMS = ("etcd", "etcdutl", "kube-apiserver")
_HOST = "127.0.0.1"
_SECONDS = 180.0
"""For one of them to become ready."""
_PATIENCE = 10.0
_LAST_WORDS = 500
_ENVIRONMENT = ("PATH", "HOME", "LANG", "PYTHONPATH")
"""Variables that they get: others may be secret, or change what they do."""
_OF_CLUSTER = ("feature-gates", "runtime-config", "etcd-prefix")
"""Flags of cluster.yaml without which an API server may not know all objects."""


@dataclass(frozen=True)
class _Files:
    """Where what a trial needs is."""

    folder: Path
    pki: Path
    """The certificate authorities of the backup."""

    def authority(self, name: str) -> x509.Pair:
        """A certificate authority of the backup."""
        certificate = x509.load_certificate((self.pki / f"{name}.crt").read_bytes())
        return x509.Pair(certificate, x509.load_key((self.pki / f"{name}.key").read_bytes()))

    def issue(self, name: str, authority: str, subject: table.Subject) -> None:
        """Make a certificate and its key in the folder."""
        pair = x509.issue(subject, self.authority(authority))
        for ending, content in ((".crt", pair.certificate_pem), (".key", pair.key_pem)):
            path = self.folder / f"{name}{ending}"
            path.touch(PRIVATE)
            path.write_bytes(content)

    def path(self, name: str) -> str:
        """A file in the folder."""
        return str(self.folder / name)

    def ca(self, name: str) -> str:
        """A file of the certificate authorities."""
        return str(self.pki / name)


@contextmanager
def running(backup: Backup, config: Cluster, programs: Mapping[str, Path]) -> Iterator[ApiServer]:
    """Run an etcd and an API server with the data, the authorities and the keys of a backup.

    They listen at loopback addresses, and ask for certificates of the backup's authorities.

    Args:
        backup: The backup.
        config: Its cluster.yaml.
        programs: Where ``PROGRAMS`` are; they need not be executable there.

    Yields:
        The API server, which is ready. After the block both are gone.

    Raises:
        BackupError: One does not start from the backup; the text has its own last words.
    """
    files = _Files(backup.folder / "trial", backup.folder / "pki")
    files.folder.mkdir(mode=0o700)
    local = {name: _executable(source, files.folder / name) for name, source in programs.items()}
    server = frozenset({_HOST, "localhost"})
    files.issue("etcd-server", table.ETCD_CA, table.Subject("trial", usages=table.BOTH, sans=server))
    files.issue("etcd-client", table.ETCD_CA, table.Subject("kube-apiserver-etcd-client"))
    files.issue("server", table.CA, table.Subject("kube-apiserver", usages=table.SERVER, sans=server))
    files.issue("admin", table.CA, table.Subject("trial", ("system:masters",)))
    client, peer, secure = _free_ports(3)
    _restore(backup, files, local["etcdutl"], peer)
    api = ApiServer(
        f"https://{_HOST}:{secure}", files.ca("ca.crt"), files.path("admin.crt"), files.path("admin.key")
    )
    with (
        _process(files, "etcd", [local["etcd"], *_flags(_etcd(files, client, peer))]) as etcd,
        _process(
            files, "kube-apiserver", [local["kube-apiserver"], *_flags(_api(files, config, client, secure))]
        ) as server_process,
    ):
        deadline = time.monotonic() + _SECONDS
        while (problem := api.why_not_ready()) and time.monotonic() < deadline:
            for name, process in (("etcd", etcd), ("kube-apiserver", server_process)):
                if process.poll() is not None:
                    raise BackupError(
                        f"{backup.file}: {name} ended when it was started from the backup: "
                        f"{_last_words(files, name)}"
                    )
            time.sleep(0.3)
        if problem:
            raise BackupError(
                f"{backup.file}: the API server that was started from the backup is not ready after "
                f"{_SECONDS:.0f} s: {problem}; its last words: {_last_words(files, 'kube-apiserver')}"
            )
        try:
            yield api
        except ApiError as exc:
            raise BackupError(
                f"{backup.file}: the API server that was started from the backup failed: "
                f"{printable(str(exc))[:_LAST_WORDS]}"
            ) from exc


def _restore(backup: Backup, files: _Files, etcdutl: str, peer: int) -> None:
    """Make data of etcd from the snapshot, and see that it is what the backup says.

    Raises:
        BackupError: It can't be made, or is other data.
    """
    said = _run(backup, [etcdutl, "snapshot", "status", str(backup.database), "--write-out=json"])
    try:
        revision = int(load_json(said)["revision"])
    except (ValueError, LookupError, TypeError) as exc:
        raise BackupError(f"{backup.file}: etcdutl snapshot status printed {printable(said[:200])}") from exc
    if revision != backup.manifest.revision:
        raise BackupError(
            f"{backup.file}: its snapshot of etcd has revision {revision}, and the backup says "
            f"{backup.manifest.revision}"
        )
    url = f"https://{_HOST}:{peer}"
    where = ("--data-dir", files.path("data"), "--name", "trial", "--initial-advertise-peer-urls", url)
    _run(
        backup,
        [etcdutl, "snapshot", "restore", str(backup.database), *where, "--initial-cluster", f"trial={url}"],
    )


def _run(backup: Backup, command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise BackupError(f"{backup.file}: {Path(command[0]).name} failed: {exc}") from exc
    if done.returncode:
        said = printable((done.stderr.strip().splitlines() or ["it said nothing"])[-1])[:_LAST_WORDS]
        raise BackupError(f"{backup.file}: {Path(command[0]).name} {command[2]} failed: {said}")
    return done.stdout


def _etcd(files: _Files, client: int, peer: int) -> dict[str, str]:
    return {
        "name": "trial",
        "data-dir": files.path("data"),
        "listen-client-urls": f"https://{_HOST}:{client}",
        "advertise-client-urls": f"https://{_HOST}:{client}",
        "listen-peer-urls": f"https://{_HOST}:{peer}",
        "initial-advertise-peer-urls": f"https://{_HOST}:{peer}",
        "cert-file": files.path("etcd-server.crt"),
        "key-file": files.path("etcd-server.key"),
        "trusted-ca-file": files.ca("etcd/ca.crt"),
        "client-cert-auth": "true",
        "peer-cert-file": files.path("etcd-server.crt"),
        "peer-key-file": files.path("etcd-server.key"),
        "peer-trusted-ca-file": files.ca("etcd/ca.crt"),
        "peer-client-cert-auth": "true",
        "unsafe-no-fsync": "true",
        "log-level": "warn",
    }


def _api(files: _Files, config: Cluster, etcd: int, port: int) -> dict[str, str]:
    network, own = config.network, config.kubernetes.extra_args.get("kube-apiserver", {})
    return {
        "advertise-address": _HOST,
        "allow-privileged": "true",
        "anonymous-auth": "false",
        "authorization-mode": "RBAC",
        "bind-address": _HOST,
        "cert-dir": files.path("api"),
        "client-ca-file": files.ca("ca.crt"),
        "endpoint-reconciler-type": "none",
        "etcd-cafile": files.ca("etcd/ca.crt"),
        "etcd-certfile": files.path("etcd-client.crt"),
        "etcd-keyfile": files.path("etcd-client.key"),
        "etcd-servers": f"https://{_HOST}:{etcd}",
        "profiling": "false",
        "secure-port": str(port),
        "service-account-issuer": f"https://kubernetes.default.svc.{network.dns_domain}",
        "service-account-key-file": files.ca("sa.pub"),
        "service-account-signing-key-file": files.ca("sa.key"),
        "service-cluster-ip-range": str(network.service_cidr),
        "tls-cert-file": files.path("server.crt"),
        "tls-private-key-file": files.path("server.key"),
        "watch-cache": "false",
        **{name: value for name, value in own.items() if name in _OF_CLUSTER},
    }


def _flags(values: Mapping[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in values.items()]


def _executable(source: Path, target: Path) -> str:
    shutil.copyfile(source, target)
    target.chmod(0o700)
    return str(target)


def _free_ports(number: int) -> list[int]:
    """Ports of the loopback address that nobody uses at this moment."""
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind((_HOST, 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextmanager
def _process(files: _Files, name: str, command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs during the block, and ends when this program is killed, too."""
    with (files.folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*with_parent.COMMAND, str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=files.folder,
            env={name: value for name, value in os.environ.items() if name in _ENVIRONMENT},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        stop(process, signal.SIGTERM, _PATIENCE)


def _last_words(files: _Files, name: str) -> str:
    lines = (files.folder / f"{name}.log").read_text(errors="replace").strip().splitlines()
    return printable(lines[-1])[:_LAST_WORDS] if lines else "it said nothing"
