"""``k8sbootstrap init``."""

from pathlib import Path

import click

from k8sbootstrap.catalog.resolve import default_version
from k8sbootstrap.cli.options import Command, Globals
from k8sbootstrap.config.document import parse
from k8sbootstrap.config.load import check
from k8sbootstrap.config.template import Start, cluster_file_text
from k8sbootstrap.errors import ConfigError


@click.command(cls=Command)
@click.option(
    "--master",
    "masters",
    metavar="[NAME=]ADDR",
    multiple=True,
    required=True,
    help="A master. Repeat the option for more masters.",
)
@click.option(
    "--worker",
    "workers",
    metavar="[NAME=]ADDR",
    multiple=True,
    help="A worker. Repeat the option for more workers.",
)
@click.option(
    "--etcd",
    metavar="[NAME=]ADDR",
    multiple=True,
    help="A host for etcd. Repeat the option for more hosts. Without it, etcd runs on the masters.",
)
@click.option("--name", default="kubernetes", show_default=True, help="The cluster's name.")
@click.option(
    "--ssh-user",
    metavar="USER",
    default="root",
    show_default=True,
    help="User to log in as on the hosts, over SSH.",
)
@click.option(
    "--ssh-key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Private key file. Default: the keys that ssh itself uses.",
)
@click.option(
    "--ssh-port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    default=22,
    show_default=True,
    help="TCP port of the hosts' SSH servers.",
)
@click.option(
    "--kubernetes-version",
    metavar="VERSION",
    show_default="the newest release in the catalogue",
    help="Kubernetes release.",
)
@click.option(
    "--runtime",
    type=click.Choice(["docker", "containerd"]),
    default="docker",
    show_default=True,
    help="Container runtime.",
)
@click.option(
    "--pod-cidr", metavar="CIDR", default="10.244.0.0/16", show_default=True, help="Range of pod addresses."
)
@click.option(
    "--service-cidr",
    metavar="CIDR",
    default="10.96.0.0/16",
    show_default=True,
    help="Range of Service addresses.",
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.pass_obj
def command(
    options: Globals,
    *,
    masters: tuple[str, ...],
    workers: tuple[str, ...],
    etcd: tuple[str, ...],
    name: str,
    ssh_user: str,
    ssh_key: Path | None,
    ssh_port: int,
    kubernetes_version: str | None,
    runtime: str,
    pod_cidr: str,
    service_cidr: str,
    force: bool,
) -> None:
    """Write a commented cluster.yaml to start from.

    ADDR is the IPv4 address at which SSH and the other hosts reach a host. Without a NAME, hosts are called
    m1, m2, w1, ... The same address may be given for several roles.

    \b
    Examples:
      k8sbootstrap init --master 10.0.0.11 --worker 10.0.0.21
      k8sbootstrap init --master a=10.0.0.11 --worker b=10.0.0.21 --ssh-user admin
    """  # noqa: D301 - click's mark for lines that stay as they are
    file = options.file
    if file.exists() and not force:
        raise click.UsageError(
            f"{file} already exists. Add --force to replace it, or use -f to write another file."
        )
    start = Start(
        name=name,
        kubernetes_version=kubernetes_version or default_version(),
        masters=masters,
        workers=workers,
        etcd=etcd,
        runtime=runtime,
        ssh_user=ssh_user,
        ssh_port=ssh_port,
        ssh_key=ssh_key,
        pod_cidr=pod_cidr,
        service_cidr=service_cidr,
    )
    text = cluster_file_text(start, file.resolve().parent)
    try:
        check(parse(text, file))
    except ConfigError as exc:
        found = "\n".join(f"  {problem.described}" for problem in exc.problems)
        raise click.UsageError(f"These options do not describe a valid cluster:\n{found}") from exc
    file.touch(mode=0o600)  # a password may be written into it
    file.write_text(text, encoding="utf-8")
    click.echo(f'Wrote {file}. Check it, then run "k8sbootstrap up".')
