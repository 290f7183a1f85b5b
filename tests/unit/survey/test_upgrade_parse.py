"""What API servers and kubectl print."""

import pytest

from k8sbootstrap.survey.upgrade import parse

LINE = 'apiserver_requested_deprecated_apis{{{},subresource=""}} {}\n'
METRICS = (
    LINE.format('group="batch",removed_release="1.25",resource="cronjobs",version="v1beta1"', 1)
    + LINE.format('group="",removed_release="",resource="endpoints",version="v1"', 1)
    + LINE.format('group="policy",removed_release="1.25",resource="x",version="v1beta1"', 0)
)
PODS = """\
default       debug    worker1  Running    <none>
default       web-1    worker1  Running    ReplicaSet
default       done     worker1  Succeeded  <none>
default       waits    <none>   Pending    <none>
kube-system   static   worker1  Running    Node
"""


def test_deprecated_apis() -> None:
    assert list(parse.deprecated_apis(METRICS)) == [parse.DeprecatedApi("cronjobs.v1beta1.batch", "1.25")]
    assert list(parse.deprecated_apis("")) == []


def test_bare_pods() -> None:
    assert parse.bare_pods(PODS) == (parse.BarePod("default/debug", "worker1"),)


def test_budgets() -> None:
    item = {
        "metadata": {"namespace": "a", "name": "b"},
        "status": {"disruptionsAllowed": 1, "expectedPods": 4, "currentHealthy": 3, "desiredHealthy": 2},
    }
    fresh = {"metadata": {"namespace": "a", "name": "new"}}
    assert parse.budgets({"items": [item, fresh]}) == (
        parse.Budget("a/b", 1, 4, 3, 2),
        parse.Budget("a/new", 0, 0, 0, 0),
    )


@pytest.mark.parametrize(
    ("text", "version"), [("v1.36.3", "1.36.3"), ("1.36.3+k", "1.36.3"), ("v1.36", ""), ("", "")]
)
def test_versions(text: str, version: str) -> None:
    assert parse.version_of(text) == version


def test_api_version() -> None:
    assert parse.api_version('{"gitVersion": "v1.36.2", "major": "1"}') == "1.36.2"
    assert parse.api_version("not found") == ""
