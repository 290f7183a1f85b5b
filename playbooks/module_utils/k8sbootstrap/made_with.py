"""What this host's cluster was made with: read, kept in the record, and compared before any change."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

from ansible.module_utils.k8sbootstrap.fixed import FILES, PLUGIN, PODS, judge, values_in
from ansible.module_utils.k8sbootstrap.host.files import digest_of
from ansible.module_utils.k8sbootstrap.host.record import Record
from ansible.module_utils.k8sbootstrap.host.request import File

KEPT_BY = ("etcd", "kube_apiserver", "kubelet")
"""Components with which a cluster, or the node, begins: until then everything can be changed."""
_ON_FILE = (PLUGIN, PODS)
"""Values that may become some others: the host's files say what they are."""


class MadeWithError(Exception):
    """Something can't be changed any more; the text says what."""


def made_with(record: Record) -> dict[str, str]:
    """Key to value, from the record, and what it lacks from files that are as this program wrote them."""
    ours = {
        path: known for part in record.data["components"].values() for path, known in part["files"].items()
    }
    found: dict[str, str] = {}
    for path in FILES:
        known = ours.get(path)
        if not known or digest_of(path, known) != known["sha256"]:
            continue
        try:
            with open(path, encoding="utf-8") as handle:
                found.update(values_in(path, handle.read()))
        except OSError:
            continue
    return {**found, **record.data["made_with"]}


def require_same(record: Record, name: str, planned: Mapping[str, str], files: Iterable[File]) -> None:
    """See that nothing is asked for that can't be changed any more, and keep what the host is made with.

    Args:
        record: The host's record; the caller saves it.
        name: Of the component.
        planned: Key to value, as they are to be.
        files: Those of the component; what they say wins.

    Raises:
        MadeWithError: Something is. Nothing was changed.
    """
    planned = dict(planned)
    for item in files:
        if item["dest"] in FILES:
            text = base64.b64decode(item["content"]).decode("utf-8", "replace")
            planned.update(values_in(item["dest"], text))
    problems = judge("this host", made_with(record), planned, "the inventory")
    if problems:
        raise MadeWithError(
            "\n".join(
                [*("{text}. {hint}".format(**problem) for problem in problems), "Nothing was changed here."]
            )
        )
    if name in KEPT_BY:
        record.data["made_with"].update({key: value for key, value in planned.items() if key not in _ON_FILE})
