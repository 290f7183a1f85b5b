"""Reads a running cluster's CAs back from its masters, in case the state directory was lost.

Issuing new ones instead would roll a second PKI over a cluster whose nodes and workloads trust the first. But
what a machine answers is data: it may say that it is a master of this cluster and be none. So what it has is
checked, and the operator decides.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, Base64Bytes, Field, TypeAdapter

from k8sbootstrap import private_files
from k8sbootstrap.errors import StateError
from k8sbootstrap.hosts.ask import Question, Session, UnusableAnswerError, ask
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.pki.offer import KEPT, MAX_BYTES, Offer, check
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State

_SCRIPT = f"""
import base64, json, os
found, cluster = {{}}, ""
for name in {KEPT!r}:
    path = os.path.join("/etc/kubernetes/pki", name)
    if os.path.exists(path):
        with open(path, "rb") as handle:
            found[name] = base64.b64encode(handle.read({MAX_BYTES})).decode()
try:
    with open("/var/lib/k8sbootstrap/record.json", encoding="utf-8") as handle:
        cluster = json.load(handle)["cluster"]
except (OSError, ValueError, KeyError):
    pass
print(json.dumps({{"cluster": cluster, "files": found}}))
"""


def _known(name: str) -> str:
    if name not in KEPT:
        raise ValueError(f"is none of {', '.join(KEPT)}")
    return name


_Name = Annotated[str, AfterValidator(_known)]
Allow = Callable[[Offer], bool]
"""Shows the operator what masters have, and returns whether to take it."""


@dataclass(frozen=True)
class Found:
    """What one master has."""

    cluster: Annotated[str, Field(max_length=253)] = ""
    """Name of the cluster in its record; empty where it has none."""
    files: Mapping[_Name, Annotated[Base64Bytes, Field(max_length=MAX_BYTES)]] = field(default_factory=dict)
    """The files in ``KEPT`` that it has."""


_FOUND = TypeAdapter(Found)


def recover_pki(plan: ClusterPlan, pool: Pool, state: State, allow: Allow | None) -> Offer | None:
    """See that the state's CA is the one that the masters run with; where the state has none, take theirs.

    Args:
        plan: The cluster; masters that do not answer are passed over.
        pool: Connections to the hosts.
        state: Where the CAs go.
        allow: Decides whether they are taken; None never takes any.

    Returns:
        What was taken; None when nothing had to be.

    Raises:
        StateError: A master runs with another CA than the state directory's, masters have different ones,
            what one has is not what it should be, or it was not allowed to take it.
        UnusableAnswerError: A master answered something else.
    """
    answers = pool.on_all((host.ssh for host in plan.masters), _look)
    strange = [answer for answer in answers.values() if isinstance(answer, UnusableAnswerError)]
    if strange:
        raise strange[0]
    found = {host: held for host, held in answers.items() if isinstance(held, Found) and held.files}
    return fill(found, state, plan.config.name, allow)


def fill(masters: Mapping[str, Found], state: State, cluster: str, allow: Allow | None) -> Offer | None:
    """Compare the CAs of masters with the state's. Fill the state where it has none; see ``recover_pki``."""
    offer = None
    if private_files.read(state.pki / "ca.crt") is None:
        whole = {
            host: found.files
            for host, found in masters.items()
            if found.cluster == cluster and set(KEPT) <= set(found.files)
        }
        if whole:
            offer = _same(whole)
            if allow is None or not allow(offer):
                raise _refused(offer, asked=allow is not None)
            _take(next(iter(whole.values())), state)
    own = private_files.read(state.pki / "ca.crt")
    for host, found in masters.items():
        if "ca.crt" in found.files and found.files["ca.crt"] != own:
            raise StateError(
                f"the CA of {host} is not {state.pki / 'ca.crt'}; nothing was changed on any host",
                hint="Restore the state directory of this cluster. If the host is left over from an "
                "old cluster, reset it first.",
            )
    return offer


def _same(whole: Mapping[str, Mapping[_Name, bytes]]) -> Offer:
    """What all of them have.

    Raises:
        StateError: They have different ones, or what one has is not what it should be.
    """
    checked = {}
    for host, held in whole.items():
        try:
            checked[host] = check(held)
        except ValueError as exc:
            raise StateError(
                f"{host}: the certificate authorities in its /etc/kubernetes/pki can't be used: "
                f"{exc}; nothing was changed",
                hint="Restore the state directory of this cluster, or find out what happened on that host.",
            ) from exc
    first = next(iter(whole.values()))
    if any(held != first for held in whole.values()):
        said = [f"  {host}: {authorities[0]}" for host, authorities in checked.items()]
        raise StateError(
            "\n".join(["masters have different certificate authorities; nothing was changed:", *said]),
            hint="Restore the state directory of this cluster, or find the masters that do not belong to it.",
        )
    return Offer(tuple(whole), next(iter(checked.values())))


def _take(held: Mapping[_Name, bytes], state: State) -> None:
    """Write the files; ca.crt last, so that a run which is killed before has taken nothing."""
    state.create()
    for name in sorted(KEPT, key=lambda name: name == "ca.crt"):
        mode = private_files.PRIVATE if name.endswith(".key") else private_files.PUBLIC
        private_files.write(state.pki / name, held[name], mode, root=state.directory)


def _refused(offer: Offer, *, asked: bool) -> StateError:
    named = ", ".join(offer.hosts)
    lines = [
        f"the state directory has no certificate authorities, and those of {named} were not used:",
        *(f"  {line}" for line in offer.lines()),
        "nothing was changed on any host",
    ]
    more = (
        ""
        if asked
        else (", or run the command on a terminal to compare and confirm them, or add --yes to use them")
    )
    return StateError("\n".join(lines), hint=f"Restore the state directory of this cluster{more}.")


def _look(host: str, session: Session) -> Found:
    return ask(host, session, Question(_SCRIPT.encode()), _FOUND)
