"""Rendered roles, once per scenario and session."""

from pathlib import Path

import pytest
from scenarios import SCENARIOS, Rendered, render

KUBELET_CERTIFICATE = Path("/var/lib/kubelet/pki/kubelet-client-current.pem")
_RENDERED: dict[str, Rendered] = {}


@pytest.fixture(scope="session", params=SCENARIOS, ids=lambda scenario: scenario.name)
def rendered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """What the roles would send to the hosts of one scenario."""
    if KUBELET_CERTIFICATE.exists():
        pytest.skip(f"this machine is a node itself: {KUBELET_CERTIFICATE} makes roles think it has joined")
    name = request.param.name
    if name not in _RENDERED:
        _RENDERED[name] = render(request.param, tmp_path_factory.mktemp(name))
    return _RENDERED[name]
