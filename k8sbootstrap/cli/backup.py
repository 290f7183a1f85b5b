"""``k8sbootstrap backup``."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from k8sbootstrap.actions.backup.api_objects import Counted
from k8sbootstrap.actions.backup.create import create
from k8sbootstrap.actions.backup.sealed import Backup, Manifest, opened
from k8sbootstrap.actions.backup.verify import try_out
from k8sbootstrap.cli.backup_key import decrypting, encrypting, key_for_decrypting, key_for_encrypting
from k8sbootstrap.cli.console import say
from k8sbootstrap.cli.options import CommandGroup, Globals, bundle_option, output_option
from k8sbootstrap.formats.text import count, megabytes, printable
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.build import load_plan


@click.group("backup", cls=CommandGroup)
def command() -> None:
    """Back up all that the cluster is rebuilt from, encrypted."""


@command.command("create")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@encrypting
@click.pass_obj
def create_command(
    settings: Globals, file: Path, *, recipients: tuple[str, ...], passphrase_file: Path | None
) -> None:
    """Make one encrypted file that the cluster is rebuilt from.

    It has a new snapshot of etcd, the certificate authorities and their keys, cluster.yaml and pinned
    checksums, in the format of age (age-encryption.org). Files that cluster.yaml names, such as manifests and
    passwords, are not in it.
    """
    key = key_for_encrypting(recipients, passphrase_file)
    if not file.absolute().parent.is_dir():
        raise click.BadParameter(f"the folder {file.parent} is missing", param_hint="FILE")
    plan = load_plan(settings.file)
    with Pool() as pool:
        made = create(plan, settings.file, pool, file, key)
    say(f"{file}: {megabytes(file.stat().st_size)}, {words(made)}")


@command.command("verify")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@decrypting
@click.option("--no-trial", is_flag=True, help="Only decrypt it, and compare the hashes of all files in it.")
@bundle_option
@output_option("text: lines to read. json: all numbers.")
@click.pass_obj
def verify(
    settings: Globals,
    file: Path,
    *,
    identity: Path | None,
    passphrase_file: Path | None,
    no_trial: bool,
    bundle: Path | None,
    output: str,
) -> None:
    """Prove that a cluster can be rebuilt from a backup.

    Decrypts it, compares the hashes of all files in it, and checks that keys belong to their certificates.
    Then it starts an etcd and an API server from it on this machine, which only listen at 127.0.0.1, and
    reads and counts all objects. Both are gone afterwards. No host is asked.
    """
    key = key_for_decrypting(identity, passphrase_file)
    console = settings.console if output == "text" else settings.errors
    with opened(file, key) as backup:
        console.print(f"{file}: {words(backup.manifest)}", markup=False)
        base = settings.file.resolve().parent
        counted = (
            None
            if no_trial
            else try_out(backup, base, bundle, lambda text: console.print(text, markup=False))
        )
        if output == "json":
            click.echo(json.dumps(_document(backup, counted), indent=2))
            return
        for line in _lines(counted):
            say(line)


def words(made: Manifest) -> str:
    """What is in a backup, in a few words."""
    return (
        f"cluster {made.cluster} with Kubernetes {made.kubernetes}, of {made.created}, revision "
        f"{made.revision}, {count(len(made.files), 'file')}"
    )


def _lines(counted: Counted | None) -> list[str]:
    if counted is None:
        return ["All files in it are as they were written."]
    kinds = sorted(counted.objects.items(), key=lambda item: (-item[1], item[0]))
    lines = [f"All {count(counted.total, 'object')} were read:"]
    lines += [f"  {number:>6}  {printable(name)}" for name, number in kinds]
    if counted.served_elsewhere:
        names = printable(", ".join(counted.served_elsewhere))
        lines.append(f"Not in etcd, and so not in the backup: objects of {names}")
    return lines


def _document(backup: Backup, counted: Counted | None) -> dict[str, Any]:
    manifest = asdict(backup.manifest)
    found = {"objects": counted.total, "byResource": dict(counted.objects)} if counted else {}
    authorities = {each.name: each.fingerprint for each in backup.authorities}
    return {
        "cluster": manifest["cluster"],
        "kubernetes": manifest["kubernetes"],
        "created": manifest["created"],
        "madeBy": manifest["made_by"],
        "revision": manifest["revision"],
        "files": sorted(manifest["files"]),
        "authorities": authorities,
        **found,
    }
