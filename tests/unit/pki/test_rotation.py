"""CAs and the key of service accounts are replaced in stages: what signs, and what is trusted, in each."""

import base64
import hashlib
import stat
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from k8sbootstrap.errors import StateError
from k8sbootstrap.pki import rotation, table, x509
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.pki.offer import KEPT, check
from k8sbootstrap.pki.operator_kubeconfig import ca_of
from k8sbootstrap.pki.rotation import Stage
from k8sbootstrap.pki.store import SIGNING, Store, noted_leaves
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State

NAMES = [authority.name for authority in table.AUTHORITIES]


@pytest.fixture
def plan(make_plan: Any) -> ClusterPlan:
    made: ClusterPlan = make_plan()
    return made


@pytest.fixture
def issued(plan: ClusterPlan, state: State) -> State:
    ensure_pki(plan, state)
    return state


def trusted(state: State, name: str) -> list[x509.Certificate]:
    return x509.load_certificates(Store(state).trusted(name))


def signers(plan: ClusterPlan, state: State) -> set[str]:
    """Of all certificates: whether the first CA of its file signed it."""
    store = Store(state)
    return {
        entry.name
        for entry in table.entries(plan)
        if (pair := store.pair(entry))
        and not x509.is_signed_by(pair.certificate, trusted(state, entry.ca)[0])
    }


def test_stages(plan: ClusterPlan, issued: State) -> None:
    old = {name: trusted(issued, name) for name in NAMES}
    old_key, old_says = Store(issued).path("sa.pub").read_bytes(), noted_leaves(issued.pki)
    rotation.begin(issued)
    new = dict(zip(NAMES, ([each] for each in rotation.new_authorities(issued)), strict=True))
    orders = {
        Stage.TRUST: {name: old[name] + new[name] for name in NAMES},
        Stage.SWAP: {name: new[name] + old[name] for name in NAMES},
        Stage.DROP: new,
    }
    says = []
    for stage, wanted in orders.items():
        rotation.enter(issued, stage)
        ensure_pki(plan, issued)
        assert rotation.under_way(issued) is stage
        assert {name: trusted(issued, name) for name in NAMES} == wanted
        assert signers(plan, issued) == set()
        assert x509.load_certificates(ca_of(issued.kubeconfig.read_text())) == wanted[table.CA]
        signing = Store(issued).path(SIGNING)
        assert signing.exists() == (stage is not Stage.DROP)
        if signing.exists():
            assert x509.load_certificates(signing.read_bytes()) == wanted[table.CA][:1]
        says.append(noted_leaves(issued.pki))
    # hosts get a kubeconfig again when it trusts others, and all certificates when another CA signs
    assert all(says[0][name] != old_says[name] for name in old_says if name.startswith("kubeconfigs/"))
    assert says[0]["hosts/m1/apiserver"] == old_says["hosts/m1/apiserver"]
    assert all(says[1][name]["says"] != says[0][name]["says"] for name in old_says)
    assert old_key not in Store(issued).path("sa.pub").read_bytes()
    rotation.end(issued)
    assert rotation.under_way(issued) is None
    assert not issued.rotation.exists()
    before = {path: path.read_bytes() for path in issued.pki.rglob("*") if path.is_file()}
    ensure_pki(plan, issued)
    assert {path: path.read_bytes() for path in issued.pki.rglob("*") if path.is_file()} == before


def test_certificates_that_an_old_ca_signed(plan: ClusterPlan, issued: State) -> None:
    """A CA of another name is known, too. What a host sends instead of a certificate is none."""
    key = x509.new_key()
    pair = x509.Pair(x509.make_authority("of the company", key), key)
    store = Store(issued)
    store.path("ca.key").write_bytes(pair.key_pem)
    store.path("ca.crt").write_bytes(pair.certificate_pem)
    old = x509.issue(table.Subject("system:node:w1"), pair).certificate_pem.decode()
    rotation.begin(issued)
    rotation.enter(issued, Stage.SWAP)
    ensure_pki(plan, issued)
    cas = rotation.old_authorities(issued)
    assert rotation.is_signed_by_one(old, cas)
    new = [store.path(f"{name}.crt").read_text() for name in ("apiserver-kubelet-client", "ca", "etcd/ca")]
    for text in (*new, "", "-----BEGIN CERTIFICATE-----", "\udcff"):
        assert not rotation.is_signed_by_one(text, cas)


def test_keys_of_service_accounts(issued: State) -> None:
    """The first public key belongs to the key that signs; tokens name it as Kubernetes does."""
    store = Store(issued)
    old = store.path("sa.pub").read_bytes()
    rotation.begin(issued)
    new = (issued.rotation / "new/sa.pub").read_bytes()
    assert store.path("sa.pub").read_bytes() == old + new
    rotation.enter(issued, Stage.SWAP)
    assert store.path("sa.pub").read_bytes() == new + old
    public = x509.load_key(store.path("sa.key").read_bytes()).public_key()
    assert rotation.new_token_key(issued) == x509.token_key_id(public)
    assert stat.S_IMODE((issued.rotation / "old/sa.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["EC", "RSA"])
def test_tokens_of_the_old_key(issued: State, kind: str) -> None:
    """Only those: what merely looks like one, or is of another key, does not count."""
    key = x509.new_key() if kind == "EC" else rsa.generate_private_key(65537, 2048)
    Store(issued).write(issued.pki / "sa.key", x509.key_pem(key))
    Store(issued).write(issued.pki / "sa.pub", x509.public_pem(x509.new_key()) + x509.public_pem(key))
    rotation.begin(issued)
    digest, signature = signed(key, b"a.b")
    assert rotation.is_token_of_old_key(issued, digest, signature)
    assert not rotation.is_token_of_old_key(issued, hashlib.sha256(b"a.c").hexdigest(), signature)
    assert not rotation.is_token_of_old_key(issued, *signed(x509.new_key(), b"a.b"))
    for wrong in (("", ""), (digest, "c2ln"), (digest, "\u00e9"), ("zz", signature), (digest[2:], signature)):
        assert not rotation.is_token_of_old_key(issued, *wrong)


def signed(key: x509.PrivateKey, text: bytes) -> tuple[str, str]:
    """The digest of a text, and its signature as in a JSON Web Token."""
    if isinstance(key, rsa.RSAPrivateKey):
        raw = key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    else:
        raw = b"".join(
            number.to_bytes(32) for number in decode_dss_signature(key.sign(text, ec.ECDSA(hashes.SHA256())))
        )
    return hashlib.sha256(text).hexdigest(), base64.urlsafe_b64encode(raw).decode().rstrip("=")


def test_a_damaged_key_of_service_accounts(issued: State) -> None:
    rotation.begin(issued)
    for part in ("old", "new"):
        (issued.rotation / part / "sa.pub").write_text("-----BEGIN X-----\nx\n-----END X-----\n")
    with pytest.raises(StateError, match=r"old/sa\.pub has no public key in it"):
        rotation.is_token_of_old_key(issued, "", "")
    with pytest.raises(StateError, match=r"new/sa\.pub has no public key in it"):
        rotation.new_token_key(issued)


def test_a_token_names_its_key_as_kubernetes_does() -> None:
    """Computed with keyIDFromPublicKey of Kubernetes 1.37, and with openssl and sha256sum."""
    pem = (
        b"-----BEGIN PUBLIC KEY-----\n"
        b"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n"
        b"6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n"
        b"-----END PUBLIC KEY-----\n"
    )
    assert x509.token_key_id(x509.load_public(pem)) == "XNJS-wzokyQ2-vjM0QQJgbie5K1rn-niorfnGqyyfNM"


def test_killed_at_the_end(plan: ClusterPlan, issued: State) -> None:
    """Old keys go first. Where only they are gone, the last stage is run again."""
    rotation.begin(issued)
    rotation.enter(issued, Stage.DROP)
    for path in sorted((issued.rotation / "old").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    rotation.enter(issued, Stage.DROP)
    ensure_pki(plan, issued)
    rotation.end(issued)
    rotation.end(issued)
    assert not issued.rotation.exists()


def test_a_second_rotation_trusts_all_until_the_end(plan: ClusterPlan, issued: State) -> None:
    """Masters may have two CAs: of a rotation that did not come to its end. Both stay trusted meanwhile."""
    rotation.begin(issued)
    rotation.end(issued)
    both = trusted(issued, table.CA)
    assert len(both) == 2
    rotation.begin(issued)
    assert trusted(issued, table.CA)[:2] == both
    assert len(trusted(issued, table.CA)) == 3
    rotation.enter(issued, Stage.DROP)
    ensure_pki(plan, issued)
    assert trusted(issued, table.CA) == list(rotation.new_authorities(issued)[:1])


@pytest.mark.parametrize("content", ["{", "{}", '{"stage": "gone"}', "[1]", '{"stage": {}}'])
def test_a_damaged_note(issued: State, content: str) -> None:
    rotation.begin(issued)
    (issued.rotation / "rotation.json").write_text(content)
    with pytest.raises(StateError, match=r"rotation\.json is damaged"):
        rotation.under_way(issued)


def test_what_a_stage_needs_is_gone(issued: State) -> None:
    rotation.begin(issued)
    (issued.rotation / "old/ca.crt").unlink()
    with pytest.raises(StateError, match=r"old/ca\.crt is missing"):
        rotation.enter(issued, Stage.TRUST)


def test_no_state(state: State) -> None:
    with pytest.raises(StateError, match="no state of the cluster demo"):
        rotation.begin(state)
    assert rotation.under_way(state) is None


def test_two_cas_are_not_taken_from_masters(issued: State) -> None:
    """One of them could be anybody's, whatever its name is."""
    rotation.begin(issued)
    with pytest.raises(ValueError, match=r"ca\.crt contains other data .* a second CA in a rotation"):
        check({name: (issued.pki / name).read_bytes() for name in KEPT})
