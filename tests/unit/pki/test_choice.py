"""Which certificates are made again, and what is said about it before."""

import datetime as dt
from typing import Any

import pytest

from k8sbootstrap.errors import StateError
from k8sbootstrap.pki import renewal, table, x509
from k8sbootstrap.pki.choice import Choice, outlook
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.pki.store import Store, noted_leaves
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State

DAY = dt.timedelta(days=1)
OF_W1 = ["hosts/w1/kubelet-serving"]


@pytest.fixture
def plan(make_plan: Any) -> ClusterPlan:
    made: ClusterPlan = make_plan()
    return made


@pytest.fixture
def issued(plan: ClusterPlan, state: State) -> State:
    ensure_pki(plan, state)
    return state


def names(plan: ClusterPlan) -> list[str]:
    return [entry.name for entry in table.entries(plan)]


def certificates(plan: ClusterPlan, state: State) -> dict[str, bytes]:
    pairs = {entry.name: Store(state).pair(entry) for entry in table.entries(plan)}
    return {name: pair.certificate_pem for name, pair in pairs.items() if pair}


def due(plan: ClusterPlan, state: State, ends: dict[str, float] | None = None, **choice: Any) -> list[str]:
    """What hosts get anew."""
    return [entry.name for entry in outlook(plan, state, Choice(**choice), ends or {}).due]


def made(plan: ClusterPlan, state: State, **choice: Any) -> list[str]:
    """What is made again in the state directory."""
    before = certificates(plan, state)
    ensure_pki(plan, state, Choice(**choice))
    return [name for name, pem in certificates(plan, state).items() if before.get(name) != pem]


def shorten(monkeypatch: pytest.MonkeyPatch, **changes: dt.timedelta) -> None:
    for name, value in changes.items():
        monkeypatch.setattr(x509, name, value)


def later(monkeypatch: pytest.MonkeyPatch, **by: float) -> dt.datetime:
    """Let time go on."""
    now = x509.now() + dt.timedelta(**by)
    monkeypatch.setattr(x509, "now", lambda: now)
    return now


def test_what_lasts_long_enough_stays(plan: ClusterPlan, issued: State) -> None:
    for left, wanted in ((30, []), (364, []), (366, names(plan))):
        assert due(plan, issued, left=left * DAY) == wanted
        assert made(plan, issued, left=left * DAY) == wanted


def test_all(plan: ClusterPlan, issued: State) -> None:
    """CAs and the key of service accounts stay."""
    kept = {
        path: path.read_bytes()
        for name in ("ca", "front-proxy-ca", "etcd/ca", "sa")
        for path in issued.pki.glob(f"{name}.*")
    }
    assert len(kept) == 8
    assert due(plan, issued, every=True) == names(plan)
    assert made(plan, issued, every=True) == names(plan)
    assert {path: path.read_bytes() for path in kept} == kept


def test_hosts_alone(plan: ClusterPlan, issued: State) -> None:
    assert due(plan, issued, every=True, hosts=frozenset({"w1"})) == OF_W1
    assert made(plan, issued, every=True, hosts=frozenset({"w1"})) == OF_W1
    assert due(plan, issued, every=True, hosts=frozenset()) == []


def test_what_hosts_have_decides(plan: ClusterPlan, issued: State) -> None:
    """They may have others than the state directory: another machine renewed them, or did not."""
    soon, late = (x509.now().timestamp() + days * 86_400 for days in (20, 300))
    assert due(plan, issued, {"hosts/m1/apiserver": soon}) == ["hosts/m1/apiserver"]
    assert made(plan, issued) == []
    assert due(plan, issued, dict.fromkeys(names(plan), late), left=350 * DAY) == names(plan)
    assert due(plan, issued, dict.fromkeys(names(plan), late), left=299 * DAY) == []


def test_what_hosts_have_decides_also_where_the_state_ends_soon(
    plan: ClusterPlan, issued: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = later(monkeypatch, days=350)
    late = now.timestamp() + 300 * 86_400
    assert due(plan, issued, dict.fromkeys(names(plan), late)) == []
    assert due(plan, issued, {"hosts/m1/apiserver": late}) == [
        name for name in names(plan) if name != "hosts/m1/apiserver"
    ]


def test_what_is_wrong_elsewhere_stays_too(issued: State, make_plan: Any) -> None:
    """Whoever renews one host's certificates changes none of the others: up does."""
    other = make_plan(extraSANs=["api.example.com"])
    assert made(other, issued, hosts=frozenset({"w1"})) == []
    assert made(other, issued) == ["hosts/m1/apiserver", "hosts/m2/apiserver"]


def test_a_missing_one_is_made_for_whatever_hosts(plan: ClusterPlan, issued: State) -> None:
    before = certificates(plan, issued)["hosts/m1/apiserver"]
    (issued.pki / "hosts/m1/apiserver.key").unlink()
    ensure_pki(plan, issued, Choice(hosts=frozenset({"w1"})))
    assert certificates(plan, issued)["hosts/m1/apiserver"] != before


def test_what_an_interrupted_renewal_made_is_not_made_again(
    plan: ClusterPlan, issued: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hosts get it, however good that is which they have."""
    begun = later(monkeypatch, minutes=1).replace(microsecond=0)
    assert made(plan, issued, every=True, begun=begun, hosts=frozenset({"w1"})) == OF_W1
    assert due(plan, issued, begun=begun) == OF_W1
    assert made(plan, issued, every=True, begun=begun) == [n for n in names(plan) if n not in OF_W1]
    assert made(plan, issued, every=True, begun=begun) == []
    assert made(plan, issued, left=400 * DAY, begun=begun) == []


def test_the_reasons(plan: ClusterPlan, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, LEAF_LIFE=20 * DAY)
    ensure_pki(plan, state)
    store, entry = Store(state), next(table.leaves(plan))
    ca, end = store.authority(entry.ca), x509.now() + 20 * DAY
    assert Choice().why(entry, store.pair(entry), ca) == f"it expires on {end:%Y-%m-%d}"
    assert Choice().why(entry, None, ca) == "it is missing"


def test_a_ca_that_ends_soon(plan: ClusterPlan, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves end with it. They are not made again in every run, and the operator is told."""
    shorten(monkeypatch, AUTHORITY_LIFE=10 * DAY)
    ensure_pki(plan, state)
    said = outlook(plan, state, Choice(), {})
    assert (said.due, set(said.useless)) == ((), set(names(plan)))
    assert set(said.bounds) == {"kubernetes", "front-proxy-ca", "etcd-ca"}
    assert {f"{end:%Y-%m-%d}" for end in said.bounds.values()} == {f"{x509.now() + 10 * DAY:%Y-%m-%d}"}
    of_one = outlook(plan, state, Choice(hosts=frozenset({"w1"})), {})
    assert (list(of_one.useless), list(of_one.bounds)) == (OF_W1, ["kubernetes"])
    assert made(plan, state) == []
    assert due(plan, state, every=True) == made(plan, state, every=True) == names(plan)
    certificate = x509.load_certificate(certificates(plan, state)["hosts/m1/apiserver"])
    assert certificate.not_valid_after_utc == said.bounds["kubernetes"]


def test_nothing_is_said_of_cas_that_last(plan: ClusterPlan, issued: State) -> None:
    assert outlook(plan, issued, Choice(every=True), {}).bounds == {}


def test_an_expired_ca(plan: ClusterPlan, issued: State, monkeypatch: pytest.MonkeyPatch) -> None:
    later(monkeypatch, days=3651)
    with pytest.raises(StateError, match="the CA expired on"):
        outlook(plan, issued, Choice(), {})


@pytest.mark.parametrize("name", ["ca.crt", "etcd/ca.key"])
def test_a_missing_ca(plan: ClusterPlan, issued: State, name: str) -> None:
    (issued.pki / name).unlink()
    with pytest.raises(StateError, match="missing") as caught:
        outlook(plan, issued, Choice(), {})
    assert f"from /etc/kubernetes/pki/{name} of a master" in caught.value.hint


def test_new_certificates_say_the_same(plan: ClusterPlan, issued: State, make_plan: Any) -> None:
    """Hosts and digests go by that: a renewal changes none. Other names, or another server, do."""
    noted = noted_leaves(issued.pki)
    assert set(noted) == set(names(plan)) - {table.OPERATOR_KUBECONFIG}
    assert made(plan, issued, every=True)
    assert noted_leaves(issued.pki) == noted

    def changed(**api: Any) -> set[str]:
        ensure_pki(make_plan(**api), issued)
        return {name for name, each in noted_leaves(issued.pki).items() if each != noted[name]}

    assert changed(extraSANs=["api.example.com"]) == {"hosts/m1/apiserver", "hosts/m2/apiserver"}
    assert changed(port=7443) == {name for name in noted if name.startswith("kubeconfigs/")}


class TestRenewal:
    """What the state directory keeps of one that has begun."""

    def test_one_goes_on_where_it_stopped(self, issued: State) -> None:
        begun = renewal.begin(issued, None)
        assert begun.microsecond == 0
        assert renewal.begun_before(issued, None) == begun
        assert renewal.begin(issued, None) == begun
        assert issued.renewal.stat().st_mode & 0o777 == 0o600
        renewal.end(issued)
        renewal.end(issued)
        assert renewal.begun_before(issued, None) is None

    def test_one_of_other_hosts_is_another_one(self, issued: State) -> None:
        renewal.begin(issued, frozenset({"m2", "m1"}))
        assert renewal.begun_before(issued, frozenset({"m1", "m2"}))
        assert renewal.begun_before(issued, frozenset({"m1"})) is None
        assert renewal.begun_before(issued, None) is None

    def test_one_is_forgotten_after_a_day(self, issued: State, monkeypatch: pytest.MonkeyPatch) -> None:
        begun = renewal.begin(issued, None)
        now = later(monkeypatch, hours=25)
        assert renewal.begun_before(issued, None) is None
        assert renewal.begin(issued, None) == now.replace(microsecond=0) != begun

    @pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"hosts": null}', '{"hosts": null, "begun": "x"}'])
    def test_a_damaged_note_counts_as_none(self, issued: State, text: str) -> None:
        issued.renewal.write_text(text)
        assert renewal.begun_before(issued, None) is None
        assert renewal.begin(issued, None)
