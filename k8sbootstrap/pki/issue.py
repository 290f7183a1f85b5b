"""Issues the certificates of the table and keeps those that are good: a second run changes no byte."""

from collections.abc import Iterable
from pathlib import Path

from k8sbootstrap import private_files
from k8sbootstrap.errors import StateError
from k8sbootstrap.pki import kubeconfig, table, x509
from k8sbootstrap.pki.choice import Choice
from k8sbootstrap.pki.store import Store
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State


def ensure_pki(plan: ClusterPlan, state: State, choice: Choice | None = None) -> None:
    """Make the cluster's PKI complete: issue what is missing, keep the rest byte for byte.

    A certificate is made again when it is missing, expires within 30 days, was signed by another CA, or does
    not say what the table says. CAs and the service-account key are never replaced: everything hangs on them.

    Args:
        plan: The cluster.
        state: Where the PKI lives; made when it is not there.
        choice: Which certificates are made again, if not those that ``up`` makes again.

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
    _Issuer(plan, state, choice or Choice()).run()


class _Issuer:
    """One run over the table."""

    def __init__(self, plan: ClusterPlan, state: State, choice: Choice) -> None:
        self.plan = plan
        self.choice = choice
        self.authorities: dict[str, x509.Pair] = {}
        self._store = Store(state)

    def run(self) -> None:
        """Write every file, in an order that lets the next run finish an interrupted first one."""
        entries = list(table.entries(self.plan))
        self._service_account()
        for authority in table.AUTHORITIES:
            names = [entry.file for entry in entries if entry.ca == authority.name]
            self._authority(authority, map(self._store.path, names))
        for entry in entries:
            if isinstance(entry, table.Leaf):
                self._leaf(entry)
            else:
                self._kubeconfig(entry)
        self._store.forget_others(entries, [host.name for host in self.plan.hosts])
        self._store.note_leaves(entries)

    def _service_account(self) -> None:
        key_path = self._store.path(f"{table.SERVICE_ACCOUNT}.key")
        public_path = self._store.path(f"{table.SERVICE_ACCOUNT}.pub")
        key = self._store.load(key_path, x509.load_key)
        if key is None:
            self._store.refuse_if_used(
                key_path, [public_path, *(self._store.path(f"{ca.name}.crt") for ca in table.AUTHORITIES)]
            )
        is_new = key is None
        key = key or x509.new_key()
        public = self._store.load(public_path, x509.load_public)
        if public not in (None, key.public_key()):
            raise StateError(
                f"{public_path} does not belong to {key_path}", hint=self._store.restore(public_path)
            )
        if is_new:
            self._store.write(key_path, x509.key_pem(key))
        content = x509.public_pem(key) if public is None else private_files.read(public_path)
        self._store.write(public_path, content or b"")

    def _authority(self, authority: table.Authority, signed: Iterable[Path]) -> None:
        key_path, certificate_path = self._paths(authority.name)
        key, certificate = self._store.key_and_certificate(authority.name)
        if key is None:
            self._store.refuse_if_used(key_path, [certificate_path, *signed])
        elif certificate is None:
            self._store.refuse_if_used(certificate_path, signed)
        elif wrong := x509.what_is_wrong(x509.Pair(certificate, key)):
            raise StateError(f"{certificate_path}: {wrong}", hint=self._store.restore(certificate_path))
        if key is None:
            key = x509.new_key()
            self._store.write(key_path, x509.key_pem(key))
        if certificate is None:
            certificate = x509.make_authority(authority.common_name, key)
            self._store.write(certificate_path, x509.certificate_pem(certificate))
        self._store.keep_modes(key_path, certificate_path)
        self.authorities[authority.name] = x509.Pair(certificate, key)

    def _leaf(self, leaf: table.Leaf) -> None:
        key_path, certificate_path = self._paths(leaf.name)
        pair = self._new(leaf)
        if pair:
            self._store.write(key_path, pair.key_pem)
            self._store.write(certificate_path, pair.certificate_pem)
        self._store.keep_modes(key_path, certificate_path)

    def _kubeconfig(self, config: table.Kubeconfig) -> None:
        pair = self._new(config) or self._store.pair(config)
        assert pair is not None  # noqa: S101 - what is missing is made
        content = kubeconfig.render(
            cluster=self.plan.config.name,
            user=config.user,
            server=config.server,
            ca_pem=self._store.trusted(config.ca),
            pair=pair,
        )
        self._store.write(self._store.path(config.name), content)

    def _paths(self, name: str) -> tuple[Path, Path]:
        return self._store.path(f"{name}.key"), self._store.path(f"{name}.crt")

    def _new(self, entry: table.Leaf | table.Kubeconfig) -> x509.Pair | None:
        """A new certificate and key, where what is there can't stay."""
        pair, authority = self._store.pair(entry), self.authorities[entry.ca]
        if not self.choice.why(entry, pair, authority):
            return None
        return x509.issue(entry.subject, authority)
