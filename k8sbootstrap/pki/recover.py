"""Reads a running cluster's CAs back from its masters, so that a lost state directory costs nothing.

Issuing new ones instead would roll a second PKI over a cluster whose nodes and workloads trust the first.
"""

import base64
import json
from collections.abc import Mapping

from k8sbootstrap.errors import StateError
from k8sbootstrap.pki import files
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.ssh.client import SSHSession
from k8sbootstrap.ssh.parallel import run_on_all
from k8sbootstrap.state import State

KEPT = (
    "ca.crt",
    "ca.key",
    "front-proxy-ca.crt",
    "front-proxy-ca.key",
    "etcd/ca.crt",
    "etcd/ca.key",
    "sa.pub",
    "sa.key",
)
"""What every master keeps under /etc/kubernetes/pki and nothing else can be made from."""

_SCRIPT = f"""
import base64, json, os
found = {{}}
for name in {KEPT!r}:
    path = os.path.join("/etc/kubernetes/pki", name)
    if os.path.exists(path):
        with open(path, "rb") as handle:
            found[name] = base64.b64encode(handle.read()).decode()
print(json.dumps(found))
"""

Found = Mapping[str, bytes]
"""File name, as in ``KEPT``, to content."""


def recover_pki(plan: ClusterPlan, state: State) -> str | None:
    """See that the state's CA is the one that the masters run with; where the state has none, take theirs.

    Args:
        plan: The cluster; masters that do not answer are passed over.
        state: Where the CAs go.

    Returns:
        Name of the master that the CAs were read back from; None when nothing had to be.

    Raises:
        StateError: A master runs with another CA than the state directory's.
    """
    answers = run_on_all([host.ssh for host in plan.masters], _read)
    return settle(
        {host: found for host, found in answers.items() if isinstance(found, dict) and found}, state
    )


def settle(masters: Mapping[str, Found], state: State) -> str | None:
    """Compare what masters hold with the state, and fill the state where it is empty; see ``recover_pki``."""
    source = None
    if files.read(state.pki / "ca.crt") is None:
        source = next((host for host, found in masters.items() if set(KEPT) <= set(found)), None)
        if source is not None:
            for name, content in masters[source].items():
                mode = files.PRIVATE if name.endswith(".key") else files.PUBLIC
                state.create()
                files.settle(state.pki / name, content, mode, root=state.directory)
    own = files.read(state.pki / "ca.crt")
    for host, found in masters.items():
        if "ca.crt" in found and found["ca.crt"] != own:
            raise StateError(
                f"{host} runs with another CA than {state.pki / 'ca.crt'}; nothing was changed",
                hint="put this cluster's state directory back; or, if the host is left over from a cluster "
                "that is gone, reset it first",
            )
    return source


def _read(session: SSHSession) -> dict[str, bytes]:
    answer = session.run("python3 -", stdin=_SCRIPT.encode())
    if answer.rc != 0:
        return {}
    return {name: base64.b64decode(text) for name, text in json.loads(answer.stdout).items()}
