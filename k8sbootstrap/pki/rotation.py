"""Replaces a cluster's CAs and its key of service accounts in stages, so that nobody loses trust meanwhile.

In every stage ``ca.crt`` begins with the CA that signs. Those that are trusted besides follow. ``sa.pub`` has
the public keys in the same way. What a stage needs is kept in the state directory until the last one ends.
"""

import json
import shutil
from collections.abc import Iterable
from enum import StrEnum

from cryptography.exceptions import UnsupportedAlgorithm

from k8sbootstrap import private_files
from k8sbootstrap.errors import StateError
from k8sbootstrap.formats.bounded import load_json
from k8sbootstrap.pki import table, x509
from k8sbootstrap.pki.store import SIGNING, Store
from k8sbootstrap.state import State

_NOTE = "rotation.json"
_OLD, _NEW = "old", "new"


class Stage(StrEnum):
    """What the cluster trusts and signs with."""

    TRUST = "trust"
    """The old ones sign; the new ones are trusted too."""
    SWAP = "swap"
    """The new ones sign; the old ones are trusted too."""
    DROP = "drop"
    """The new ones alone."""


STAGES = tuple(Stage)


def under_way(state: State) -> Stage | None:
    """The stage of a rotation that has begun; None where none has.

    Raises:
        StateError: What is noted about it can't be read.
    """
    path = state.rotation / _NOTE
    content = private_files.read(path)
    if content is None:
        return None
    try:
        return Stage(load_json(content)["stage"])
    except (ValueError, TypeError, KeyError) as exc:
        raise StateError(
            f"{path} is damaged", hint="Restore the state directory of this cluster from a backup."
        ) from exc


def begin(state: State) -> None:
    """Make the new CAs and the new key, and note that the first stage begins. Hosts know nothing of it yet.

    Raises:
        StateError: Files are missing or damaged, or can't be written.
    """
    store = Store(state)
    for authority in table.AUTHORITIES:
        pair = store.authority(authority.name)
        key = x509.new_key()
        certificate = x509.make_authority(authority.common_name, key)
        _write(state, f"{_OLD}/{authority.name}.key", pair.key_pem)
        _write(state, f"{_OLD}/{authority.name}.crt", store.trusted(authority.name))
        _write(state, f"{_NEW}/{authority.name}.key", x509.key_pem(key))
        _write(state, f"{_NEW}/{authority.name}.crt", x509.certificate_pem(certificate))
    name, key = table.SERVICE_ACCOUNT, x509.new_key()
    for ending in (".key", ".pub"):
        path = store.path(name + ending)
        content = private_files.read(path)
        if content is None:
            raise StateError(f"{path} is missing", hint=store.restore(path))
        _write(state, f"{_OLD}/{name}{ending}", content)
    _write(state, f"{_NEW}/{name}.key", x509.key_pem(key))
    _write(state, f"{_NEW}/{name}.pub", x509.public_pem(key))
    enter(state, Stage.TRUST)


def enter(state: State, stage: Stage) -> None:
    """Note that a stage begins, and write its files. A run that is killed meanwhile writes them again.

    Raises:
        StateError: Files are missing or can't be written.
    """
    _write(state, _NOTE, json.dumps({"stage": stage}).encode())
    store = Store(state)
    parts = {Stage.TRUST: (_OLD, _NEW), Stage.SWAP: (_NEW, _OLD), Stage.DROP: (_NEW,)}[stage]
    signs = parts[0]
    for authority in table.AUTHORITIES:
        _give(state, store, f"{authority.name}.key", signs)
        _give(state, store, f"{authority.name}.crt", *parts)
    _give(state, store, f"{table.SERVICE_ACCOUNT}.key", signs)
    _give(state, store, f"{table.SERVICE_ACCOUNT}.pub", *parts)
    path = store.path(SIGNING)
    if len(parts) > 1:
        store.write(
            path, x509.certificate_pem(x509.load_certificate(_read(state, f"{signs}/{table.CA}.crt")))
        )
    else:
        path.unlink(missing_ok=True)


def end(state: State) -> None:
    """Forget the old CAs and keys, once nothing uses them any more.

    Raises:
        StateError: A file can't be removed.
    """
    try:
        for path in (
            state.rotation / _OLD,
            state.rotation / _NOTE,
            state.rotation,
        ):  # the last stage reads new/
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as exc:
        raise StateError(
            f"{exc.filename} cannot be removed: {exc.strerror}", hint="Remove it: it has old keys."
        ) from exc


def new_authorities(state: State) -> tuple[x509.Certificate, ...]:
    """The CAs that a rotation under way brings in.

    Raises:
        StateError: One is missing or damaged.
    """
    return tuple(
        x509.load_certificate(_read(state, f"{_NEW}/{authority.name}.crt")) for authority in table.AUTHORITIES
    )


def old_authorities(state: State) -> tuple[x509.Certificate, ...]:
    """The CAs that a rotation under way takes away.

    Raises:
        StateError: One is missing.
    """
    return tuple(
        certificate
        for authority in table.AUTHORITIES
        for certificate in x509.load_certificates(_read(state, f"{_OLD}/{authority.name}.crt"))
    )


def is_signed_by_one(pem: str, authorities: Iterable[x509.Certificate]) -> bool:
    """Whether one of some CAs signed the first certificate in a text that a host sent.

    Args:
        pem: The text. What can't be read as a certificate is none.
        authorities: The CAs.
    """
    try:
        first = x509.load_certificates(pem.encode())[0]
        return any(x509.is_signed_by(first, each) for each in authorities)
    except (ValueError, UnsupportedAlgorithm):
        return False


def new_token_key(state: State) -> str:
    """The id of the new key of service accounts, as tokens name it.

    Raises:
        StateError: It is missing or damaged.
    """
    return x509.token_key_id(_token_keys(state, _NEW)[0])


def is_token_of_old_key(state: State, digest: str, signature: str) -> bool:
    """Whether the key of service accounts that a rotation takes away signed a token.

    Args:
        state: The state directory.
        digest: Hash of what is signed, hexadecimal. A host sent it, and the signature.
        signature: As in the token, base64url.

    Raises:
        StateError: The key is missing or damaged.
    """
    return any(x509.is_token_signature(key, digest, signature) for key in _token_keys(state, _OLD))


def _token_keys(state: State, part: str) -> tuple[x509.PublicKey, ...]:
    name = f"{part}/{table.SERVICE_ACCOUNT}.pub"
    try:
        keys = x509.load_publics(_read(state, name))
    except (ValueError, UnsupportedAlgorithm):
        keys = ()
    if not keys:
        raise StateError(
            f"{state.rotation / name} has no public key in it",
            hint="Restore the state directory of this cluster from a backup.",
        )
    return keys


def _give(state: State, store: Store, name: str, *parts: str) -> None:
    store.write(store.path(name), b"".join(_read(state, f"{part}/{name}") for part in parts))


def _read(state: State, name: str) -> bytes:
    content = private_files.read(state.rotation / name)
    if content is None:
        raise StateError(
            f"{state.rotation / name} is missing: the rotation of CAs that is under way needs it",
            hint="Restore the state directory of this cluster from a backup.",
        )
    return content


def _write(state: State, name: str, content: bytes) -> None:
    private_files.write(state.rotation / name, content, private_files.PRIVATE, root=state.directory)
