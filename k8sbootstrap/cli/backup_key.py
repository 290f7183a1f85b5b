"""Options for what encrypts and decrypts backups."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from k8sbootstrap.formats.age import AgeError, Key, recipient

VARIABLE = "K8SBOOTSTRAP_BACKUP_PASSPHRASE"
_LEAST = 12
"""Characters of a passphrase: who has the file can try as many as they like."""
_MOST = 1 << 16
"""Characters of a file with a key."""
_Function = Callable[..., Any]

_passphrase_file = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help=f"File whose first line is the passphrase. Default: the environment variable {VARIABLE}.",
)
_recipients = click.option(
    "--recipient",
    "recipients",
    multiple=True,
    metavar="age1...",
    help="Public key of who can decrypt it, as age-keygen prints it. May be given several times.",
)
_identity = click.option(
    "--identity",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with the secret key of a recipient, as age-keygen writes it.",
)


def encrypting(function: _Function) -> _Function:
    """The options ``--recipient`` and ``--passphrase-file``."""
    return _recipients(_passphrase_file(function))


def decrypting(function: _Function) -> _Function:
    """The options ``--identity`` and ``--passphrase-file``."""
    return _identity(_passphrase_file(function))


def key_for_encrypting(recipients: tuple[str, ...], passphrase_file: Path | None) -> Key:
    """The key that the options name.

    Raises:
        click.UsageError: They name none, or two, or what is no key.
    """
    passphrase = _passphrase(passphrase_file)
    if recipients:
        if passphrase_file:
            raise click.UsageError("--recipient and --passphrase-file cannot be used together.")
        for text in recipients:
            try:
                recipient(text)
            except AgeError as exc:
                raise click.BadParameter(str(exc), param_hint="--recipient") from exc
        return Key(recipients=recipients)
    if not passphrase:
        raise click.UsageError(f"Name who can decrypt it: --recipient, --passphrase-file, or {VARIABLE}.")
    if len(passphrase) < _LEAST:
        raise click.UsageError(f"The passphrase has less than {_LEAST} characters.")
    return Key(passphrase=passphrase)


def key_for_decrypting(identity: Path | None, passphrase_file: Path | None) -> Key:
    """The key that the options name.

    Raises:
        click.UsageError: They name none, or two, or a file without one.
    """
    passphrase = _passphrase(passphrase_file)
    if identity:
        if passphrase_file:
            raise click.UsageError("--identity and --passphrase-file cannot be used together.")
        lines = [line.strip() for line in _text(identity).splitlines()]
        keys = [line for line in lines if line and not line.startswith("#")]
        if not keys:
            raise click.UsageError(f"{identity} has no secret key of age (AGE-SECRET-KEY-1...).")
        return Key(identities=keys)
    if not passphrase:
        raise click.UsageError(f"Say what decrypts it: --identity, --passphrase-file, or {VARIABLE}.")
    return Key(passphrase=passphrase)


def _passphrase(file: Path | None) -> str:
    """The passphrase, which nothing that this program starts finds in its environment."""
    given = os.environ.pop(VARIABLE, "")
    return _text(file).partition("\n")[0].rstrip("\r") if file else given


def _text(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as opened:
            return opened.read(_MOST)
    except (OSError, UnicodeDecodeError) as exc:
        raise click.UsageError(f"{file} can't be read.") from exc
