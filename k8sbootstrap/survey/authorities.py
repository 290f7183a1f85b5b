"""Reads a running cluster's CAs back from its masters, in case the state directory was lost.

Issuing new ones instead would roll a second PKI over a cluster whose nodes and workloads trust the first. But
what a machine answers is data: it may say that it is a master of this cluster and be none. So what it has is
checked, and the operator decides.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, Base64Bytes, Field, TypeAdapter

from k8sbootstrap import private_files
from k8sbootstrap.errors import HostError, K8sBootstrapError, StateError
from k8sbootstrap.hosts.ask import Question, Session, UnusableAnswerError, ask
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.pki import x509
from k8sbootstrap.pki.offer import KEPT, MAX_BYTES, Offer, check
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State, no_state

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


@dataclass(frozen=True)
class Masters:
    """What masters answered."""

    found: Mapping[str, Found]
    """By host; those that have nothing are left out."""
    lost: Mapping[str, K8sBootstrapError]
    """Those that could not be asked, and why."""


def ask_masters(plan: ClusterPlan, pool: Pool) -> Masters:
    """Ask all masters what they have.

    Raises:
        UnusableAnswerError: One answered something else.
    """
    answers = pool.on_all((host.ssh for host in plan.masters), _look)
    strange = [answer for answer in answers.values() if isinstance(answer, UnusableAnswerError)]
    if strange:
        raise strange[0]
    return Masters(
        {host: held for host, held in answers.items() if isinstance(held, Found) and held.files},
        {host: error for host, error in answers.items() if isinstance(error, K8sBootstrapError)},
    )


def recover_pki(
    plan: ClusterPlan, pool: Pool, state: State, allow: Allow | None, *, members: Collection[str] = ()
) -> Offer | None:
    """See that the state's CA is the one that the masters run with; where the state has none, take theirs.

    Args:
        plan: The cluster; masters that do not answer are passed over.
        pool: Connections to the hosts.
        state: Where the CAs go.
        allow: Decides whether they are taken; None never takes any.
        members: Hosts that belong to the cluster already. If there are some, it has CAs.

    Returns:
        What was taken; None when nothing had to be.

    Raises:
        StateError: A master runs with another CA than the state directory's, masters have different ones,
            what one has is not what it should be, or it was not allowed to take it.
        HostError: The cluster has CAs, the state has none, and the masters that have them can't be asked.
        UnusableAnswerError: A master answered something else.
    """
    masters = ask_masters(plan, pool)
    offer = fill(masters.found, state, plan.config.name, allow)
    if members and masters.lost and private_files.read(state.pki / "ca.crt") is None:
        raise HostError(
            "\n".join(
                [
                    f"{no_state(plan.config.name)}, and no master that has its CAs answered",
                    "nothing was changed on any host",
                    f"hosts that belong to the cluster: {', '.join(members)}",
                    *(f"not reached: {error}" for error in masters.lost.values()),
                ]
            ),
            hint="Bring one of these masters back. If all of them are lost, bring the cluster back from a "
            "backup: k8sbootstrap up --restore.",
        )
    return offer


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
                raise _refused(offer, cluster, asked=allow is not None)
            take(next(iter(whole.values())), state)
    own = private_files.read(state.pki / "ca.crt")
    for host, found in masters.items():
        if "ca.crt" in found.files and not _share_one(found.files["ca.crt"], own or b""):
            raise _not_ours(host, found, cluster) if own is None else _another(host, state)
    return offer


def differences(masters: Mapping[str, Found], state: State) -> list[str]:
    """What masters have that is not what the state directory has, one line for each file."""
    own = {name: private_files.read(state.pki / name) for name in KEPT}
    return [
        f"{host}: {name} is not {state.pki / name}" + ("" if own[name] is not None else ", which is missing")
        for host, found in masters.items()
        for name, content in found.files.items()
        if (own[name] or b"").split() != content.split()
    ]


def _share_one(pem: bytes, other: bytes) -> bool:
    """Whether two files have a CA in common: while CAs are replaced, hosts may be one stage behind."""
    try:
        return bool(set(x509.load_certificates(pem)) & set(x509.load_certificates(other)))
    except ValueError:
        return False


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
                hint="Restore the state directory of this cluster, or find out what happened on that host. A "
                "rotation of CAs is ended where it was begun: k8sbootstrap certs rotate-ca.",
            ) from exc
    lines = {host: identity.lines() for host, identity in checked.items()}
    first = next(iter(lines.values()))
    if any(said != first for said in lines.values()):
        differing = [
            f"  {host}: {line}"
            for number in range(len(first))
            if len({each[number] for each in lines.values()}) > 1
            for host, each in lines.items()
            for line in [each[number]]
        ]
        raise StateError(
            "\n".join(
                ["masters have different certificate authorities or keys; nothing was changed:", *differing]
            ),
            hint="Restore the state directory of this cluster. Or find the masters that do not belong to it, "
            "and take them out of cluster.yaml.",
        )
    return Offer(tuple(whole), next(iter(checked.values())))


def take(held: Mapping[str, bytes], state: State) -> None:
    """Write the files in ``KEPT``; ca.crt last, so that a run which is killed before has taken nothing."""
    state.create()
    for name in sorted(KEPT, key=lambda name: name == "ca.crt"):
        mode = private_files.PRIVATE if name.endswith(".key") else private_files.PUBLIC
        private_files.write(state.pki / name, held[name], mode, root=state.directory)


def _another(host: str, state: State) -> StateError:
    return StateError(
        f"the CA of {host} is not {state.pki / 'ca.crt'}; nothing was changed on any host",
        hint="Restore the state directory of this cluster. If the CAs were replaced from another machine, or "
        "this machine made new ones by mistake, move the state directory away and run k8sbootstrap adopt. If "
        "the host is left over from an old cluster, reset it first.",
    )


def _not_ours(host: str, found: Found, cluster: str) -> StateError:
    """Why the CA of a host can't be taken, though the state has none."""
    lacks = ", ".join(name for name in KEPT if name not in found.files)
    why = f"it lacks {lacks}" if found.cluster == cluster else f"its record does not name {cluster}"
    return StateError(
        f"{no_state(cluster)}. The CA of {host} is not taken over: {why}; nothing was changed on any host",
        hint="Restore the state directory of this cluster. If the host is left over from an old cluster, "
        "reset it first.",
    )


def _refused(offer: Offer, cluster: str, *, asked: bool) -> StateError:
    named = ", ".join(offer.hosts)
    lines = [
        f"{no_state(cluster)}, and the certificate authorities of {named} were not taken over:",
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
