"""Encrypts files in the format of age (age-encryption.org): for recipients, or with a passphrase."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from k8sbootstrap.formats.text import printable

MOST = 2 << 30
"""Bytes of a file that is encrypted with a passphrase: it is in memory as a whole."""
_BEGINNING = b"age-encryption.org/v1\n-> "
_OF_PASSPHRASE = b"scrypt "
_CHANGED = "it was cut off or changed after it was written"


class AgeError(Exception):
    """It can't be encrypted or decrypted; the text says why."""


@dataclass(frozen=True)
class Key:
    """What encrypts and decrypts: recipients and identities, or a passphrase."""

    passphrase: str = ""
    recipients: Sequence[str] = ()
    """Public keys, age1...: for encrypting."""
    identities: Sequence[str] = ()
    """Secret keys, AGE-SECRET-KEY-1...: for decrypting."""


def encrypt(source: Path, target: Path, key: Key) -> None:
    """Encrypt a file.

    Args:
        source: The file.
        target: Gets the encrypted one; it is made, or emptied before.
        key: Its recipients, or its passphrase.

    Raises:
        AgeError: A recipient is none, or the file is too large for a passphrase.
        OSError: A file can't be read or written.
    """
    age = _library()
    if key.passphrase:
        _require_small(source)
        target.write_bytes(age.passphrase.encrypt(source.read_bytes(), key.passphrase))
        return
    with source.open("rb") as reading, target.open("wb") as writing:
        age.encrypt_io(reading, writing, [recipient(text) for text in key.recipients])


def recipient(text: str) -> Any:
    """The public key that a text is.

    Raises:
        AgeError: It is none.
    """
    age = _library()
    try:
        return age.x25519.Recipient.from_str(text)
    except age.RecipientError as exc:
        raise AgeError(f"{printable(text)[:100]} is no public key of age (age1...): {exc}") from exc


def decrypt(source: Path, target: Path, key: Key) -> None:
    """Decrypt a file.

    Args:
        source: The file.
        target: Gets what is in it; it is made, or emptied before. After an error it may have a part of it.
        key: Its identities, or its passphrase.

    Raises:
        AgeError: It is damaged, is none of age's, or the key is another one.
        OSError: A file can't be read or written.
    """
    age = _library()
    _require_kind(source, key)
    try:
        if key.passphrase:
            _require_small(source)
            target.write_bytes(age.passphrase.decrypt(source.read_bytes(), key.passphrase))
            return
        identities = [age.x25519.Identity.from_str(text) for text in key.identities]
        with source.open("rb") as reading, target.open("wb") as writing:
            age.decrypt_io(reading, writing, identities)
    except age.IdentityError as exc:
        raise AgeError("the identity is no secret key of age (AGE-SECRET-KEY-1...)") from exc
    except (age.DecryptError, ValueError) as exc:
        raise AgeError(_REASONS.get(str(exc), _CHANGED)) from exc
    except OSError as exc:
        if exc.errno is not None:
            raise
        raise AgeError(_CHANGED) from exc


_REASONS = {
    "No matching keys found": "it is encrypted for other recipients: the identity does not fit",
    "Decryption failed": "the passphrase is another one, or the file was changed",
}
"""What the library says of a key that does not fit."""


def _require_kind(source: Path, key: Key) -> None:
    """Raise AgeError where a file is none of age's, or is encrypted in the other way."""
    with source.open("rb") as file:
        begins = file.read(len(_BEGINNING) + len(_OF_PASSPHRASE))
    if not begins.startswith(_BEGINNING):
        raise AgeError("it is not encrypted with age")
    with_passphrase = begins.endswith(_OF_PASSPHRASE)
    if with_passphrase and not key.passphrase:
        raise AgeError("it is encrypted with a passphrase, not for recipients")
    if key.passphrase and not with_passphrase:
        raise AgeError("it is encrypted for recipients, not with a passphrase")


def _require_small(file: Path) -> None:
    if file.stat().st_size > MOST:
        raise AgeError(f"{file} is too large for a passphrase: use recipients")


def _library() -> Any:
    """The library, which only backups need."""
    return import_module("pyrage")
