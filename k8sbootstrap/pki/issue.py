"""Issues the certificates of the table and keeps those that are good: a second run changes no byte."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from k8sbootstrap import private_files
from k8sbootstrap.errors import StateError
from k8sbootstrap.pki import kubeconfig, table, x509
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State

T = TypeVar("T")


def ensure_pki(plan: ClusterPlan, state: State) -> None:
    """Make the cluster's PKI complete: issue what is missing, keep the rest byte for byte.

    A certificate is made again when it is missing, expires within 30 days, was signed by another CA, or does
    not say what the table says. CAs and the service-account key are never replaced: everything hangs on them.

    Args:
        plan: The cluster.
        state: Where the PKI lives; made when it is not there.

    Raises:
        StateError: A file is damaged, or one that must not be replaced is missing while others depend on it.
    """
    try:
        state.create()
    except OSError as exc:
        raise StateError(
            f"the state directory {state.directory} cannot be created: {exc.strerror}",
            hint="Make the directory of cluster.yaml writable, and run the same command again.",
        ) from exc
    _Issuer(plan, state).run()


class _Issuer:
    """One run over the table."""

    def __init__(self, plan: ClusterPlan, state: State) -> None:
        self.plan = plan
        self.state = state
        self.authorities: dict[str, x509.Pair] = {}

    def run(self) -> None:
        """Write every file, in an order that lets the next run finish an interrupted first one."""
        leaves = list(table.leaves(self.plan))
        configs = list(table.kubeconfigs(self.plan))
        self._service_account()
        for authority in table.AUTHORITIES:
            signed = [self._path(f"{leaf.name}.crt") for leaf in leaves if leaf.ca == authority.name]
            signed += [self._path(config.name) for config in configs if config.ca == authority.name]
            self._authority(authority, signed)
        for leaf in leaves:
            self._leaf(leaf)
        for config in configs:
            self._kubeconfig(config)

    def _service_account(self) -> None:
        key_path = self._path(f"{table.SERVICE_ACCOUNT}.key")
        public_path = self._path(f"{table.SERVICE_ACCOUNT}.pub")
        key = self._load(key_path, x509.load_key)
        if key is None:
            self._refuse_if_used(
                key_path, [public_path, *(self._path(f"{ca.name}.crt") for ca in table.AUTHORITIES)]
            )
        is_new = key is None
        key = key or x509.new_key()
        public = self._load(public_path, x509.load_public)
        if public not in (None, key.public_key()):
            raise StateError(f"{public_path} does not belong to {key_path}", hint=self._restore(public_path))
        if is_new:
            self._write(key_path, x509.key_pem(key))
        content = x509.public_pem(key) if public is None else private_files.read(public_path)
        self._write(public_path, content or b"")

    def _authority(self, authority: table.Authority, signed: Iterable[Path]) -> None:
        key_path, certificate_path = self._path(f"{authority.name}.key"), self._path(f"{authority.name}.crt")
        key = self._load(key_path, x509.load_key)
        certificate = self._load(certificate_path, x509.load_certificate)
        if key is None:
            self._refuse_if_used(key_path, [certificate_path, *signed])
        elif certificate is None:
            self._refuse_if_used(certificate_path, signed)
        elif wrong := x509.what_is_wrong(x509.Pair(certificate, key)):
            raise StateError(f"{certificate_path}: {wrong}", hint=self._restore(certificate_path))
        if key is None:
            key = x509.new_key()
            self._write(key_path, x509.key_pem(key))
        if certificate is None:
            certificate = x509.make_authority(authority.common_name, key)
            self._write(certificate_path, x509.certificate_pem(certificate))
        self._keep_modes(key_path, certificate_path)
        self.authorities[authority.name] = x509.Pair(certificate, key)

    def _leaf(self, leaf: table.Leaf) -> None:
        key_path, certificate_path = self._path(f"{leaf.name}.key"), self._path(f"{leaf.name}.crt")
        key = self._load(key_path, x509.load_key)
        certificate = self._load(certificate_path, x509.load_certificate)
        authority = self.authorities[leaf.ca]
        good = (
            key is not None
            and certificate is not None
            and not x509.why_renew(x509.Pair(certificate, key), leaf.subject, authority)
        )
        if not good:
            pair = x509.issue(leaf.subject, authority)
            self._write(key_path, pair.key_pem)
            self._write(certificate_path, pair.certificate_pem)
        self._keep_modes(key_path, certificate_path)

    def _kubeconfig(self, config: table.Kubeconfig) -> None:
        path = self._path(config.name)
        pair = self._load(path, kubeconfig.client_pair)
        authority = self.authorities[config.ca]
        if pair is None or x509.why_renew(pair, config.subject, authority):
            pair = x509.issue(config.subject, authority)
        content = kubeconfig.render(
            cluster=self.plan.config.name,
            user=config.user,
            server=config.server,
            ca_pem=authority.certificate_pem,
            pair=pair,
        )
        self._write(path, content)

    def _path(self, name: str) -> Path:
        return self.state.kubeconfig if name == table.OPERATOR_KUBECONFIG else self.state.pki / name

    def _load(self, path: Path, parse: Callable[[bytes], T]) -> T | None:
        content = private_files.read(path)
        if content is None:
            return None
        try:
            return parse(content)
        except ValueError as exc:
            raise StateError(f"{path} is damaged: {exc}", hint=self._restore(path)) from exc

    def _write(self, path: Path, content: bytes) -> None:
        mode = private_files.PUBLIC if path.suffix in {".crt", ".pub"} else private_files.PRIVATE
        private_files.write(path, content, mode, root=self.state.directory)

    def _keep_modes(self, *paths: Path) -> None:
        for path in paths:
            self._write(path, private_files.read(path) or b"")

    def _refuse_if_used(self, missing: Path, users: Iterable[Path]) -> None:
        for user in users:
            if private_files.read(user) is not None:
                raise StateError(
                    f"{missing} is missing, but {user} depends on it", hint=self._restore(missing)
                )

    def _restore(self, path: Path) -> str:
        """What to do about one file: move it away if it can be made again, else restore it."""
        names = {table.SERVICE_ACCOUNT, *(authority.name for authority in table.AUTHORITIES)}
        if path.is_relative_to(self.state.pki):
            relative = path.relative_to(self.state.pki)
            if str(relative.with_suffix("")) in names:
                return (
                    f"Restore it from a backup, or from /etc/kubernetes/pki/{relative} of a master. For a "
                    f"new cluster instead, reset the hosts and move {self.state.pki} away."
                )
        return f"Move {path} away and run the same command again, which makes a new one."
