"""A renewal that has begun: kept in the state directory until hosts have what was made, for a day at most."""

import datetime as dt
import json

from k8sbootstrap import private_files
from k8sbootstrap.formats.bounded import load_json
from k8sbootstrap.pki import x509
from k8sbootstrap.state import State

_LONGEST = dt.timedelta(days=1)
"""After this a renewal that did not come to its end is forgotten."""


def begun_before(state: State, hosts: frozenset[str] | None) -> dt.datetime | None:
    """When a renewal for the same hosts began that did not come to its end; None where none did.

    Args:
        state: The state directory.
        hosts: The hosts whose certificates are renewed; None for all and those that hosts share.
    """
    content = private_files.read(state.renewal)
    try:
        found = load_json(content or b"null")
        begun = dt.datetime.fromtimestamp(found["begun"], dt.UTC)
        if found["hosts"] == _listed(hosts) and abs(x509.now() - begun) < _LONGEST:
            return begun
    except (ValueError, TypeError, KeyError, OverflowError):
        pass  # none, or one that was not written by this program
    return None


def begin(state: State, hosts: frozenset[str] | None) -> dt.datetime:
    """Note that a renewal begins, or goes on; when it began, to the second.

    Raises:
        StateError: It can't be noted.
    """
    begun = begun_before(state, hosts) or x509.now().replace(microsecond=0)
    content = json.dumps({"begun": int(begun.timestamp()), "hosts": _listed(hosts)})
    private_files.write(state.renewal, content.encode(), private_files.PRIVATE, root=state.directory)
    return begun


def end(state: State) -> None:
    """Note that hosts have what was made."""
    state.renewal.unlink(missing_ok=True)


def _listed(hosts: frozenset[str] | None) -> list[str] | None:
    return None if hosts is None else sorted(hosts)
