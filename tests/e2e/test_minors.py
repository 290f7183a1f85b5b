"""From one minor to the next, three masters and two workers under load; a PodDisruptionBudget holds it up.

Which ones is said by the environment: see at_hand.py.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from at_hand import ARTIFACTS, named
from clusters import UPGRADE
from labs import Lab, make_lab
from load import KUBELET_CLIENT, WEB, Counted, Load, load, turned_away

from k8sbootstrap.catalog.data import numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e

OLDER, NEWER = sorted(named("VERSIONS", f"{UPGRADE.version},{UPGRADE.upgrade_to}"), key=numbers)
CASES = list(product(named("RUNTIMES", UPGRADE.runtime), named("OS", UPGRADE.system)))
HELD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: held}
spec:
  selector: {matchLabels: {app: held}}
  template:
    metadata: {labels: {app: held}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: held, image: "docker.io/library/busybox:1.35.0", command: [sleep, "100000"]}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: held}
spec: {maxUnavailable: 0, selector: {matchLabels: {app: held}}}
"""


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A cluster of the older release."""
    runtime, system = request.param
    cluster = replace(UPGRADE, version=OLDER, upgrade_to=NEWER, runtime=runtime, system=system)
    for lab in make_lab(tmp_path_factory.mktemp("minors"), *cluster.options, *ARTIFACTS):
        lab.k("up")
        _apply(lab, WEB)
        lab.kubectl("rollout status deployment web --timeout=60s")
        yield lab


def test_drain_is_held_up_by_a_budget(lab: Lab) -> None:
    """`up` stops after the timeout and says why, the node takes pods again, and the next `up` goes on."""
    began = time.time()
    _apply(lab, HELD)
    lab.kubectl("rollout status deployment held --timeout=60s")
    new = lab.variant("cluster.yaml", _to(NEWER))
    said = lab.k("up", file=new, code=4).stderr
    assert (
        "upgrade-budgets: no pod can be evicted from default/held (1 of 1 pods are healthy, 1 must be)"
        in said
    )
    with _loads(lab) as loads:
        said = lab.k("up", "--ignore-preflight", "upgrade-budgets", file=new, code=5).stderr
        assert (
            "it was not upgraded; it takes pods again: not all of its pods were evicted within 30 s" in said
        )
        assert "is held by PodDisruptionBudget default/held, which allows no eviction" in said
        assert "SchedulingDisabled" not in lab.kubectl("get nodes")
        lab.kubectl("delete poddisruptionbudget held")
        lab.k("up", file=new)
        counted = [each.end() for each in loads]
    lab.kubectl("delete deployment held")
    _went_well(lab, NEWER, counted, began)


@contextmanager
def _loads(lab: Lab) -> Iterator[list[Load]]:
    """Requests to the API and a watch, each through a worker's haproxy, and requests to a Service."""
    service = lab.kubectl("get service web -o jsonpath={.spec.clusterIP}")
    api = "https://127.0.0.1:6443/api/v1/nodes/"
    with ExitStack() as stack:
        yield [
            stack.enter_context(load(lab, "api", "worker1", f"{api}worker1", KUBELET_CLIENT)),
            stack.enter_context(load(lab, "watch", "worker2", f"{api}worker2", KUBELET_CLIENT, watch=True)),
            stack.enter_context(load(lab, "service", "master1", f"http://{service}/")),
        ]


def _went_well(lab: Lab, version: str, counted: list[Counted], began: float) -> None:
    print(f"to {version}:", *counted, sep="\n")  # noqa: T201
    nodes = lab.kubectl("get nodes --no-headers")
    assert nodes.count(f"v{version}") == len(lab.hosts)
    assert "SchedulingDisabled" not in nodes
    assert {each.name: each.lost for each in counted} == {each.name: [] for each in counted}
    assert all(each.sent > 100 for each in counted)
    assert turned_away(lab, "worker1", began) == {"master1", "master2", "master3"}
    lab.k("verify")
    assert "Nothing to change" in lab.k("up").stdout


def _to(version: str) -> Any:
    def change(config: dict[str, Any]) -> None:
        config["kubernetes"]["version"] = version
        config["upgrade"] = {"drainTimeout": 30}

    return change


def _apply(lab: Lab, manifest: str) -> None:
    lab.sh(
        "master1", f"cat <<'END' | kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f -\n{manifest}END"
    )
