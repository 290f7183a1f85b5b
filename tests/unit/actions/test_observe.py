from collections.abc import Callable
from typing import Any

import paramiko
import pytest

from k8sbootstrap.actions.observe import check_host_keys, compare_hosts, lacks_authorities, look, preflight
from k8sbootstrap.actions.step import Step, take
from k8sbootstrap.errors import HostError, HostKeyError, PreflightError
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.inventory.model import Inventory
from k8sbootstrap.survey.todo import HostFindings, Survey
from tests.unit.hosts.sessions import AnsweredPool, LocalSession

from .conftest import MakeContext

KEY = paramiko.ECDSAKey.generate()
LOST = HostError("worker1 (192.0.2.21): no answer within 10 s")
NOBODY = {"master1": HostError("master1: no answer"), "worker1": LOST}


def take_one(do: Callable[..., None], context: Any) -> None:
    take([Step("one", "One", do)], context, context.run.step)


class Showing(LocalSession):
    """A host that shows a key."""

    def shown_key(self) -> paramiko.PKey:
        return KEY


def test_unknown_host_keys_are_refused_unless_the_user_accepts_them(new_context: MakeContext) -> None:
    context = new_context(Pool(Showing))
    with pytest.raises(HostKeyError, match="master1"):
        take_one(check_host_keys, context)
    asked: list[object] = []
    with pytest.raises(HostKeyError):
        take_one(check_host_keys, new_context(Pool(Showing), ask=lambda *key: bool(asked.append(key))))
    assert len(asked) == 2
    assert not context.state.known_hosts.exists()
    take_one(check_host_keys, new_context(Pool(Showing), accept_new_host_keys=True))
    take_one(check_host_keys, context)  # now they are known
    assert context.state.known_hosts.read_text().count(KEY.get_base64()) == 2


def test_hosts_that_do_not_answer_are_kept_with_their_reasons(new_context: MakeContext) -> None:
    context = new_context(AnsweredPool(NOBODY))
    take_one(look, context)
    assert dict(context.found.unreachable) == NOBODY


@pytest.mark.parametrize(
    ("exists", "hosts"),
    [(True, {"master1"}), (False, {"master1", "worker1"})],  # a cluster to be must have all of its hosts
)
def test_preflight_leaves_out_what_a_running_cluster_lost(
    new_context: MakeContext,
    exists: bool,  # noqa: FBT001
    hosts: set[str],
) -> None:
    context = new_context(AnsweredPool(NOBODY))
    context.todo = Survey({}, {"worker1": LOST}, exists=exists)
    with pytest.raises(PreflightError) as raised:
        take_one(preflight, context)
    assert {line.partition(":")[0] for line in str(raised.value).splitlines()[1:] if line[0] != " "} == hosts


def test_preflight_says_what_it_let_pass(new_context: MakeContext, shown: Callable[[], str]) -> None:
    """Names of checks before an upgrade are among those that the user lets fail, and are not its own."""
    ignored = ["ssh", "upgrade-nodes"]
    take_one(preflight, new_context(AnsweredPool(NOBODY), ignore_preflight=ignored))
    assert "One: worker1: ssh: ignored: worker1 (192.0.2.21): no answer within 10 s" in shown()
    assert "sudo" not in shown()


def test_authorities_are_lacking_until_the_state_has_one(new_context: MakeContext) -> None:
    context = new_context()
    assert lacks_authorities(context)
    context.state.pki.mkdir()
    (context.state.pki / "ca.crt").touch()
    assert not lacks_authorities(context)


@pytest.mark.parametrize("limit", [(), ("worker1",)])
def test_what_is_to_do_is_limited_counted_and_recorded(
    new_context: MakeContext, shown: Callable[[], str], limit: tuple[str, ...]
) -> None:
    context = new_context(limit=limit)
    context.inventory = Inventory({}, {}, {}, {"master1": {"etcd": "aa"}, "worker1": {"kubelet": "bb"}})
    context.found = HostFindings({}, {"master1": HostError("down"), "worker1": LOST})
    context.inventory_folder.mkdir(parents=True)
    (context.inventory_folder / "hosts.yml").touch()
    take_one(compare_hosts, context)
    assert set(context.todo.unreachable) == {"master1", "worker1"}
    assert set(context.run.board.hosts) == {"master1", "worker1"}
    assert (context.run.record.directory / "inventory/hosts.yml").exists()
