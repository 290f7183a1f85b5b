from __future__ import annotations

import shutil
import subprocess

import pytest

from k8sbootstrap.errors import HostError, StateError
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.pki.offer import KEPT, Offer, check
from k8sbootstrap.state import State
from k8sbootstrap.survey.authorities import Found, differences, fill, recover_pki
from tests.unit.hosts.sessions import AnsweredPool


@pytest.fixture
def master(make_plan, state):
    """What a master keeps of a PKI that was issued here."""
    ensure_pki(make_plan(), state)
    return {name: (state.pki / name).read_bytes() for name in KEPT}


def yes(_: Offer) -> bool:
    return True


def of(files, cluster="demo"):
    return Found(cluster, files)


def test_a_lost_state_directory_is_filled_again(make_plan, state, master):
    shutil.rmtree(state.directory)
    offer = fill({"m1": of(master), "m2": of(master)}, state, "demo", yes)
    assert offer.hosts == ("m1", "m2")
    ensure_pki(make_plan(), state)
    assert {name: (state.pki / name).read_bytes() for name in KEPT} == master
    assert all((state.pki / name).stat().st_mode & 0o077 == 0 for name in KEPT if name.endswith(".key"))


def test_the_question_names_what_there_is_to_compare(state, master):
    shutil.rmtree(state.directory)
    asked = []
    fill({"m1": of(master)}, state, "demo", lambda offer: bool(asked.append(offer)) or True)
    printed = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256"],
        input=master["ca.crt"],
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert printed.strip().rpartition("=")[2] in asked[0].lines()[0]


@pytest.mark.parametrize("allow", [None, lambda _: False])
def test_nothing_is_taken_that_was_not_allowed(state, master, allow):
    shutil.rmtree(state.directory)
    with pytest.raises(StateError, match=r"no state of the cluster demo, and .* of m1 were not taken"):
        fill({"m1": of(master)}, state, "demo", allow)
    assert not state.pki.exists()


def test_a_master_that_lacks_a_file_is_no_source(state, master):
    shutil.rmtree(state.directory)
    less = {name: content for name, content in master.items() if name != "sa.key"}
    assert fill({"m1": of(less), "m2": of(master)}, state, "demo", yes).hosts == ("m2",)


def test_a_host_without_a_record_of_the_cluster_is_no_source(state, master):
    shutil.rmtree(state.directory)
    for cluster in ("", "other"):
        with pytest.raises(StateError, match="CA of m1 is not taken over: its record does not name demo"):
            fill({"m1": of(master, cluster)}, state, "demo", yes)
    assert not state.pki.exists()


def test_nothing_is_read_back_where_the_state_has_it(state, master):
    assert fill({"m1": of(master)}, state, "demo", None) is None


def test_bare_masters_leave_an_empty_state_empty(state):
    assert fill({}, state, "demo", yes) is None
    assert not state.pki.exists()


def test_another_ca_on_a_master_is_refused(state, master):
    other = master | {"ca.crt": b"another"}
    with pytest.raises(StateError, match="the CA of m2 is not"):
        fill({"m1": of(master), "m2": of(other)}, state, "demo", yes)


def test_a_half_kept_ca_is_never_replaced_by_a_new_one(state, master):
    shutil.rmtree(state.directory)
    less = {name: content for name, content in master.items() if name != "ca.key"}
    with pytest.raises(StateError, match=r"CA of m1 is not taken over: it lacks ca\.key"):
        fill({"m1": of(less)}, state, "demo", yes)


@pytest.fixture
def second(make_plan, tmp_path):
    """Another PKI of the same cluster."""
    ensure_pki(make_plan(), State(tmp_path / "second"))
    return {name: (tmp_path / "second/pki" / name).read_bytes() for name in KEPT}


@pytest.mark.parametrize(
    ("names", "differ"),
    [(KEPT, ["ca", "front-proxy-ca", "etcd/ca", "sa"]), (("etcd/ca.crt", "etcd/ca.key"), ["etcd/ca"])],
)
def test_masters_that_disagree_are_named_with_what_they_have(state, master, second, names, differ):
    shutil.rmtree(state.directory)
    other = master | {name: second[name] for name in names}
    with pytest.raises(StateError, match="different certificate authorities or keys") as refused:
        fill({"m1": of(master), "m2": of(other)}, state, "demo", yes)
    said = [line.split(": ")[:2] for line in str(refused.value).splitlines()[1:]]
    assert said == [[f"  {host}", name] for name in differ for host in ("m1", "m2")]
    assert "expires 20" in str(refused.value)
    assert not state.pki.exists()


def test_differences_are_named_by_file(state, master, second):
    assert differences({"m1": of(master)}, state) == []
    other = master | {"sa.pub": second["sa.pub"]}
    assert differences({"m1": of(master), "m2": of(other)}, state) == [
        f"m2: sa.pub is not {state.pki / 'sa.pub'}"
    ]
    (state.pki / "etcd/ca.key").unlink()
    assert differences({"m1": of(master)}, state)[0].endswith("etcd/ca.key, which is missing")


def test_no_second_ca_is_made_while_the_masters_do_not_answer(make_plan, state):
    """The cluster has one: a worker says that it belongs to it."""
    plan, lost = make_plan(), HostError("m1: no answer within 10 s")
    pool = AnsweredPool({host.name: lost for host in plan.masters})
    with pytest.raises(HostError, match=r"(?s)no state of the cluster demo.*w1.*m1: no answer"):
        recover_pki(plan, pool, state, yes, members=["w1"])
    assert recover_pki(plan, pool, state, yes) is None  # a new cluster, whose hosts preflight asks for
    ensure_pki(plan, state)
    assert recover_pki(plan, pool, state, yes, members=["w1"]) is None


LIES = {
    "ca.crt": [b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
    "ca.key": [b"", b"rubbish"],
    "etcd/ca.key": [b"rubbish"],
    "sa.pub": [b"rubbish"],
    "sa.key": [b"rubbish"],
}


@pytest.mark.parametrize(("name", "lie"), [(name, lie) for name, lies in LIES.items() for lie in lies])
def test_what_is_not_what_it_should_be_is_refused(state, master, name, lie):
    shutil.rmtree(state.directory)
    with pytest.raises(StateError, match=r"m1: the certificate authorities in its .* can't be used"):
        fill({"m1": of(master | {name: lie})}, state, "demo", yes)
    assert not state.pki.exists()


def test_what_does_not_fit_is_refused(state, master, second):
    assert len(check(master).authorities) == 3
    leaf = (state.pki / "apiserver-kubelet-client.crt").read_bytes()
    leaf_key = (state.pki / "apiserver-kubelet-client.key").read_bytes()
    changes = [
        {"ca.key": second["ca.key"]},
        {"sa.pub": second["sa.pub"]},
        {"ca.crt": leaf, "ca.key": leaf_key},
        {"ca.crt": master["ca.crt"] + second["ca.crt"]},
        {"ca.key": master["ca.key"] + b"\n#!/bin/sh\n"},
        {"sa.pub": b"ssh-ed25519 AAAA\n" + master["sa.pub"]},
    ]
    for change in changes:
        with pytest.raises(ValueError, match=r"ca\.|sa\."):
            check(master | change)
