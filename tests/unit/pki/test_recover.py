from __future__ import annotations

import shutil

import pytest

from k8sbootstrap.errors import StateError
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.pki.recover import KEPT, settle


@pytest.fixture
def master(make_plan, state):
    """What a master keeps of a PKI that was issued here."""
    ensure_pki(make_plan(), state)
    return {name: (state.pki / name).read_bytes() for name in KEPT}


def test_a_lost_state_directory_is_filled_again(make_plan, state, master):
    shutil.rmtree(state.directory)
    assert settle({"m1": master, "m2": master}, state) == "m1"
    result = ensure_pki(make_plan(), state)
    assert {"ca", "front-proxy-ca", "etcd/ca", "sa"} <= set(result.kept)
    assert {name: (state.pki / name).read_bytes() for name in KEPT} == master
    assert all((state.pki / name).stat().st_mode & 0o077 == 0 for name in KEPT if name.endswith(".key"))


def test_a_master_that_lacks_a_file_is_no_source(state, master):
    shutil.rmtree(state.directory)
    less = {name: content for name, content in master.items() if name != "sa.key"}
    assert settle({"m1": less, "m2": master}, state) == "m2"


def test_nothing_is_read_back_where_the_state_has_it(state, master):
    assert settle({"m1": master}, state) is None


def test_bare_masters_leave_an_empty_state_empty(state):
    assert settle({}, state) is None
    assert not state.pki.exists()


def test_another_ca_on_a_master_is_refused(state, master):
    other = master | {"ca.crt": b"another"}
    with pytest.raises(StateError, match="m2 runs with another CA"):
        settle({"m1": master, "m2": other}, state)


def test_a_half_kept_ca_is_never_replaced_by_a_new_one(state, master):
    shutil.rmtree(state.directory)
    less = {name: content for name, content in master.items() if name != "ca.key"}
    with pytest.raises(StateError, match="m1 runs with another CA"):
        settle({"m1": less}, state)
