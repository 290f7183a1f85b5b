"""``k8sbootstrap bundle``."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from k8sbootstrap.actions.bundle import create as create_bundle
from k8sbootstrap.artifacts.bundle.manifest import PACKAGES, Manifest
from k8sbootstrap.artifacts.bundle.reader import open_bundle
from k8sbootstrap.artifacts.packages.apt import SYSTEMS
from k8sbootstrap.artifacts.transfers import Transfers
from k8sbootstrap.cli.options import CommandGroup, Globals, output_option
from k8sbootstrap.errors import BundleError
from k8sbootstrap.formats.text import count, megabytes, megabytes_of
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.run.rate_limit import RateLimit

_bundle = click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))


@click.group("bundle", cls=CommandGroup)
def command() -> None:
    """Make and check bundles. A bundle is one file with everything that an installation needs.

    "k8sbootstrap up --bundle FILE" then needs no network except SSH to the hosts.
    """


@command.command("create")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="File to write. An existing file is replaced.",
)
@click.option(
    "--os",
    "systems",
    type=click.Choice(sorted(SYSTEMS)),
    multiple=True,
    help="Operating system of the hosts, which decides the packages. May be given several times. Default: "
    "all of them.",
)
@click.option(
    "--conformance",
    is_flag=True,
    help='Add what "verify --conformance" needs: the tests, and the images that they start.',
)
@click.pass_obj
def create(options: Globals, *, output: Path, systems: tuple[str, ...], conformance: bool) -> None:
    """Make a bundle for cluster.yaml.

    Binaries come from the same sources as in "up". So do images, or they come from their registries. Packages
    and their dependencies come from the Debian mirror that apt on this machine uses; signatures are checked.
    Images that can't be fetched are listed: hosts pull these from their registries. No host is contacted.
    """
    plan = load_plan(options.file)
    transfers = Transfers()
    with _status(options.errors) as status:
        made = create_bundle(
            plan,
            options.file,
            output,
            systems or tuple(sorted(SYSTEMS)),
            conformance=conformance,
            progress=lambda progress: status(transfers.update(progress)),
            status=status,
        )
    for line in (*filter(None, [transfers.summary()]), *_summary(made.manifest)):
        options.console.print(line, markup=False)
    for image, answers in sorted(made.missing.items()):
        options.errors.print(f"Missing: {image}: {answers}", markup=False)
    options.console.print(f"{output}: {megabytes(made.size, 0)}, sha256 {made.sha256}", markup=False)
    options.console.print(f"manifest: sha256 {made.manifest.sha256}", markup=False)
    options.console.print(f"Next: k8sbootstrap up --bundle {output}", markup=False)


@command.command("inspect")
@_bundle
@output_option("Output format.")
@click.pass_obj
def inspect(options: Globals, file: Path, output: str) -> None:
    """Show what is in a bundle. Reads only its manifest."""
    manifest = open_bundle(file).manifest
    if output == "json":
        click.echo(json.dumps(asdict(manifest) | {"sha256": manifest.sha256}, indent=2, sort_keys=True))
        return
    for line in _summary(manifest):
        options.console.print(line, markup=False)
    options.console.print(f"manifest: sha256 {manifest.sha256}", markup=False)
    for image in manifest.missing:
        options.console.print(f"missing: {image}", markup=False)


@command.command("verify")
@_bundle
@click.pass_obj
def verify(options: Globals, file: Path) -> None:
    """Check the hash of every file in a bundle."""
    bundle = open_bundle(file)
    whole = bundle.manifest.size
    with _status(options.errors) as status:
        wrong = bundle.damaged(lambda checked: status(f"{megabytes_of(checked, whole)} checked"))
    if wrong:
        lines = [
            f"  {path} has sha256 {sha256} and must have {bundle.manifest.files[path].sha256}"
            for path, sha256 in wrong.items()
        ]
        raise BundleError(
            "\n".join([f"{file}: {len(wrong)} of {len(bundle.manifest.files)} files are damaged", *lines]),
            hint="Copy the bundle again, or make a new one: k8sbootstrap bundle create",
        )
    options.console.print(f"{file}: all {len(bundle.manifest.files)} files match its manifest", markup=False)


def _summary(manifest: Manifest) -> Iterator[str]:
    yield f"Kubernetes {manifest.kubernetes} for the cluster {manifest.cluster}"
    for name, group in groupby(manifest.files, key=_part):
        if name:
            paths = list(group)
            size = sum(manifest.files[path].size for path in paths)
            ref = next((f" ({manifest.images[path]})" for path in paths if path in manifest.images), "")
            yield f"  {name}{ref}: {count(len(paths), 'file')}, {megabytes(size)}"


def _part(path: str) -> str:
    """What a file belongs to: NAME/VERSION/ARCH, or packages/SYSTEM/ARCH."""
    folder = path.rpartition("/")[0]
    return "/".join(folder.split("/")[:3]) if folder.startswith(f"{PACKAGES}/") else folder


@contextmanager
def _status(console: Console) -> Iterator[Callable[[str], None]]:
    """Shows on terminals what is going on; elsewhere a line now and then."""
    if not console.is_terminal:
        pace = RateLimit()
        yield lambda text: console.print(text, markup=False) if text and pace.is_time() else None
        return
    with console.status("") as spinner:
        yield lambda text: spinner.update(escape(text))
