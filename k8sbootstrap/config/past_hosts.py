"""Hosts that the cluster has, as the state directory remembers them when cluster.yaml has lost one."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from k8sbootstrap import private_files
from k8sbootstrap.config.models.hosts import Host
from k8sbootstrap.errors import StateError
from k8sbootstrap.state import State


@dataclass(frozen=True)
class PastHost:
    """A host as cluster.yaml had it when it was installed."""

    host: Host
    is_etcd: bool
    """Whether it has a member of etcd."""


_FORM = TypeAdapter(dict[str, PastHost])


def remembered(state: State) -> Mapping[str, PastHost]:
    """All hosts that were installed and not removed again, by name.

    Raises:
        StateError: The file that has them can't be read.
    """
    text = private_files.read(state.hosts)
    if text is None:
        return {}
    try:
        return _FORM.validate_json(text)
    except ValidationError as error:
        raise StateError(
            f"{state.hosts} is damaged", hint="Delete it: the next up writes the hosts of cluster.yaml there."
        ) from error


def remember(state: State, hosts: Iterable[PastHost]) -> None:
    """Keep these hosts, beside those that are remembered already.

    Raises:
        StateError: The file can't be read or written.
    """
    _write(state, {**remembered(state), **{each.host.name: each for each in hosts}})


def forget(state: State, names: Collection[str]) -> None:
    """Forget hosts that have left the cluster.

    Raises:
        StateError: The file can't be read or written.
    """
    _write(state, {name: each for name, each in remembered(state).items() if name not in names})


def _write(state: State, hosts: Mapping[str, PastHost]) -> None:
    text = _FORM.dump_json(dict(sorted(hosts.items())), indent=1, exclude_defaults=True, by_alias=True)
    private_files.write(state.hosts, text + b"\n", private_files.PRIVATE, root=state.directory)
