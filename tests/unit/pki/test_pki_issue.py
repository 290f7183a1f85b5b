import base64
import datetime as dt
import shutil

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from k8sbootstrap.errors import StateError
from k8sbootstrap.pki import x509 as own
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.pki.store import LEAVES

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
AUTHORITIES = ["ca", "front-proxy-ca", "etcd/ca"]
MASTER_FILES = ["apiserver", "etcd-server", "etcd-peer", "kubelet-serving"]
SIGNERS = {
    "apiserver-kubelet-client": "ca",
    "front-proxy-client": "front-proxy-ca",
    "apiserver-etcd-client": "etcd/ca",
    "etcd/healthcheck-client": "etcd/ca",
    "hosts/m1/apiserver": "ca",
    "hosts/m1/kubelet-serving": "ca",
    "hosts/m1/etcd-server": "etcd/ca",
    "hosts/m1/etcd-peer": "etcd/ca",
    "hosts/m2/apiserver": "ca",
    "hosts/m2/kubelet-serving": "ca",
    "hosts/m2/etcd-server": "etcd/ca",
    "hosts/m2/etcd-peer": "etcd/ca",
    "hosts/w1/kubelet-serving": "ca",
}
KUBECONFIGS = {
    "kubeconfigs/admin.conf": ("kubernetes-admin", "kubeadm:cluster-admins", "127.0.0.1:6443"),
    "kubeconfigs/super-admin.conf": ("kubernetes-super-admin", "system:masters", "127.0.0.1:6443"),
    "kubeconfigs/controller-manager.conf": ("system:kube-controller-manager", None, "127.0.0.1:6443"),
    "kubeconfigs/scheduler.conf": ("system:kube-scheduler", None, "127.0.0.1:6443"),
    "admin.kubeconfig": ("kubernetes-admin", "kubeadm:cluster-admins", "203.0.113.1:6443"),
}
EVERYTHING = {"sa", *AUTHORITIES, *SIGNERS, *KUBECONFIGS}


@pytest.fixture
def issued(make_plan, state):
    assert issued_by(make_plan(), state) == EVERYTHING
    return state


def issued_by(plan, state):
    """Names of what one more call writes, as in ``EVERYTHING``."""
    before = contents(state)
    ensure_pki(plan, state)
    after = contents(state)
    changed = [path for path in after if after[path] != before.get(path) and path.name != LEAVES]
    return {
        str(path.relative_to(state.directory if path == state.kubeconfig else state.pki)).removesuffix(ending)
        for path in changed
        for ending in [path.suffix if path.suffix in {".crt", ".key", ".pub"} else ""]
    }


def certificate(state, name):
    return x509.load_pem_x509_certificate((state.pki / f"{name}.crt").read_bytes())


def authority(state, name="ca"):
    key = own.load_key((state.pki / f"{name}.key").read_bytes())
    return own.Pair(certificate(state, name), key)


def put(state, name, pair):
    (state.pki / f"{name}.crt").write_bytes(pair.certificate_pem)
    (state.pki / f"{name}.key").write_bytes(pair.key_pem)


def extension(cert, kind):
    return cert.extensions.get_extension_for_class(kind).value


def sans(cert):
    names = extension(cert, x509.SubjectAlternativeName)
    found = names.get_values_for_type(x509.DNSName)
    return {*found, *(str(address) for address in names.get_values_for_type(x509.IPAddress))}


def subject(cert):
    def value(oid):
        found = cert.subject.get_attributes_for_oid(oid)
        return found[0].value if found else None

    return value(NameOID.COMMON_NAME), value(NameOID.ORGANIZATION_NAME)


def contents(state):
    return {path: path.read_bytes() for path in state.directory.rglob("*") if path.is_file()}


def client_certificate(path):
    user = yaml.safe_load(path.read_text())["users"][0]["user"]
    return x509.load_pem_x509_certificate(base64.b64decode(user["client-certificate-data"]))


def kubeconfig_path(state, name):
    return state.kubeconfig if name == "admin.kubeconfig" else state.pki / name


def test_authorities_are_three_distinct_ones_for_ten_years(issued):
    cas = [certificate(issued, name) for name in AUTHORITIES]
    assert len({ca.public_key().public_numbers() for ca in cas}) == 3
    assert [subject(ca)[0] for ca in cas] == ["kubernetes", "front-proxy-ca", "etcd-ca"]
    for ca in cas:
        assert extension(ca, x509.BasicConstraints).ca
        assert extension(ca, x509.KeyUsage).key_cert_sign
        assert 3649 <= (ca.not_valid_after_utc - ca.not_valid_before_utc).days <= 3651


@pytest.mark.parametrize(("name", "ca"), SIGNERS.items())
def test_every_certificate_comes_from_its_ca_and_has_its_key(issued, name, ca):
    cert = certificate(issued, name)
    cert.verify_directly_issued_by(certificate(issued, ca))
    for other in set(AUTHORITIES) - {ca}:
        with pytest.raises(ValueError):
            cert.verify_directly_issued_by(certificate(issued, other))
    key = load_pem_private_key((issued.pki / f"{name}.key").read_bytes(), None)
    assert key.public_key() == cert.public_key()
    assert not extension(cert, x509.BasicConstraints).ca
    age = own.now() - cert.not_valid_before_utc
    assert dt.timedelta(minutes=4) < age < dt.timedelta(minutes=6)
    assert 364 <= (cert.not_valid_after_utc - cert.not_valid_before_utc).days <= 366


@pytest.mark.parametrize("name", SIGNERS)
def test_usages(issued, name):
    last = name.rpartition("/")[2]
    expected = {"apiserver": {SERVER}, "kubelet-serving": {SERVER}}.get(last, {CLIENT})
    if last in {"etcd-server", "etcd-peer"}:
        expected = {CLIENT, SERVER}
    assert set(extension(certificate(issued, name), x509.ExtendedKeyUsage)) == expected


def test_subjects(issued):
    assert subject(certificate(issued, "apiserver-kubelet-client")) == ("kube-apiserver-kubelet-client", None)
    assert subject(certificate(issued, "hosts/m1/apiserver")) == ("kube-apiserver", None)
    assert subject(certificate(issued, "hosts/m2/etcd-peer")) == ("m2", None)
    assert subject(certificate(issued, "hosts/w1/kubelet-serving")) == ("system:node:w1", "system:nodes")


def test_sans(make_plan, state):
    ensure_pki(make_plan(endpoint="lb.example.com:443", extraSANs=["198.51.100.7", "k8s.example.com"]), state)
    assert sans(certificate(state, "hosts/m2/apiserver")) == {
        "m2",
        "m2.example.com",
        "10.0.0.2",
        "10.96.0.1",
        "127.0.0.1",
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "lb.example.com",
        "198.51.100.7",
        "k8s.example.com",
    }
    etcd = {"m1", "10.0.0.1", "203.0.113.1", "localhost", "127.0.0.1", "::1"}
    assert sans(certificate(state, "hosts/m1/etcd-server")) == etcd
    assert sans(certificate(state, "hosts/m1/etcd-peer")) == etcd
    assert sans(certificate(state, "hosts/w1/kubelet-serving")) == {"w1", "10.0.0.3"}


def test_only_etcd_hosts_get_etcd_certificates_and_nothing_of_kubernetes(make_plan, state):
    hosts = [
        {"name": "e1", "address": "10.0.0.9", "roles": ["etcd"]},
        {"name": "m1", "address": "10.0.0.1", "roles": ["master"]},
    ]
    ensure_pki(make_plan(hosts), state)
    found = {path.parent.name + "/" + path.stem for path in (state.pki / "hosts").rglob("*.crt")}
    assert found == {"e1/etcd-server", "e1/etcd-peer", "m1/apiserver", "m1/kubelet-serving"}


@pytest.mark.parametrize(("name", "expected"), KUBECONFIGS.items())
def test_kubeconfigs(issued, name, expected):
    path = kubeconfig_path(issued, name)
    config = yaml.safe_load(path.read_text())
    common_name, organization, server = expected
    cluster = config["clusters"][0]["cluster"]
    assert cluster["server"] == f"https://{server}"
    assert base64.b64decode(cluster["certificate-authority-data"]) == (issued.pki / "ca.crt").read_bytes()
    assert config["current-context"] == config["contexts"][0]["name"] == "demo"
    assert config["contexts"][0]["context"]["user"] == config["users"][0]["name"]
    cert = client_certificate(path)
    assert subject(cert) == (common_name, organization)
    cert.verify_directly_issued_by(certificate(issued, "ca"))


def test_the_operator_reaches_an_external_endpoint(make_plan, state):
    ensure_pki(make_plan(endpoint="lb.example.com:443"), state)
    config = yaml.safe_load(state.kubeconfig.read_text())
    assert config["clusters"][0]["cluster"]["server"] == "https://lb.example.com:443"


def test_modes(issued):
    for path in issued.directory.rglob("*"):
        mode = path.stat().st_mode & 0o777
        if path.is_dir():
            assert mode == 0o700, path
        else:
            assert mode == (0o644 if path.suffix in {".crt", ".pub"} else 0o600), path


def test_keys_are_in_the_format_that_every_release_reads(issued):
    for path in issued.pki.rglob("*.key"):
        assert path.read_bytes().startswith(b"-----BEGIN EC PRIVATE KEY-----"), path
    assert (issued.pki / "sa.pub").read_bytes().startswith(b"-----BEGIN PUBLIC KEY-----")


def test_again_changes_no_byte(make_plan, issued):
    before = contents(issued)
    ensure_pki(make_plan(), issued)
    assert contents(issued) == before


def test_modes_are_fixed_without_issuing(make_plan, issued):
    (issued.pki / "ca.key").chmod(0o644)
    assert not issued_by(make_plan(), issued)
    assert (issued.pki / "ca.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("suffix", ["crt", "key"])
@pytest.mark.parametrize("name", ["front-proxy-client", "hosts/m2/etcd-peer"])
def test_a_missing_file_brings_back_only_its_certificate(make_plan, issued, name, suffix):
    before = contents(issued)
    (issued.pki / f"{name}.{suffix}").unlink()
    assert issued_by(make_plan(), issued) == {name}
    after = contents(issued)
    assert {path for path in before if before[path] != after[path]} == {
        issued.pki / f"{name}.crt",
        issued.pki / f"{name}.key",
    }
    own.load_key(after[issued.pki / f"{name}.key"])
    certificate(issued, name).verify_directly_issued_by(certificate(issued, SIGNERS[name]))


def test_more_sans_reissue_only_apiserver_certificates(make_plan, issued):
    more = make_plan(extraSANs=["k8s.example.com"])
    assert issued_by(more, issued) == {"hosts/m1/apiserver", "hosts/m2/apiserver"}
    assert "k8s.example.com" in sans(certificate(issued, "hosts/m2/apiserver"))


def test_another_endpoint_rewrites_kubeconfigs_with_the_same_certificate(make_plan, issued):
    before = client_certificate(issued.kubeconfig)
    written = issued_by(make_plan(endpoint="lb.example.com:443"), issued)
    assert "admin.kubeconfig" in written
    assert "kubeconfigs/admin.conf" not in written
    assert client_certificate(issued.kubeconfig) == before


def test_a_certificate_of_another_ca_is_reissued(make_plan, issued):
    key = own.new_key()
    stranger = own.Pair(own.make_authority("kubernetes", key), key)
    put(issued, "apiserver-kubelet-client", own.issue(own.Subject("kube-apiserver-kubelet-client"), stranger))
    assert issued_by(make_plan(), issued) == {"apiserver-kubelet-client"}
    certificate(issued, "apiserver-kubelet-client").verify_directly_issued_by(certificate(issued, "ca"))


@pytest.mark.parametrize(
    "wrong",
    [
        own.Subject("somebody-else"),
        own.Subject("kube-apiserver-kubelet-client", "system:masters"),
        own.Subject("kube-apiserver-kubelet-client", usages=frozenset({"server"})),
        own.Subject("kube-apiserver-kubelet-client", sans=frozenset({"example.com"})),
    ],
)
def test_a_certificate_that_says_something_else_is_reissued(make_plan, issued, wrong):
    put(issued, "apiserver-kubelet-client", own.issue(wrong, authority(issued)))
    assert issued_by(make_plan(), issued) == {"apiserver-kubelet-client"}


@pytest.mark.parametrize(("days", "again"), [(29, {"front-proxy-client"}), (31, set())])
def test_what_expires_within_thirty_days_is_reissued(make_plan, issued, monkeypatch, days, again):
    with monkeypatch.context() as patch:
        patch.setattr(own, "LEAF_LIFE", dt.timedelta(days=days))
        put(
            issued,
            "front-proxy-client",
            own.issue(own.Subject("front-proxy-client"), authority(issued, "front-proxy-ca")),
        )
    assert issued_by(make_plan(), issued) == again


def test_leaves_end_with_their_ca_and_are_not_reissued_for_ever(make_plan, state, monkeypatch):
    monkeypatch.setattr(own, "AUTHORITY_LIFE", dt.timedelta(days=10))
    ensure_pki(make_plan(), state)
    ca, leaf = certificate(state, "ca"), certificate(state, "hosts/m1/apiserver")
    assert leaf.not_valid_after_utc == ca.not_valid_after_utc
    assert not issued_by(make_plan(), state)


@pytest.mark.parametrize("name", ["ca.crt", "etcd/ca.key", "sa.key", "sa.pub", "hosts/m1/apiserver.crt"])
def test_a_damaged_file_is_named_and_kept(make_plan, issued, name):
    (issued.pki / name).write_bytes(b"scribble")
    before = contents(issued)
    with pytest.raises(StateError) as caught:
        ensure_pki(make_plan(), issued)
    assert str(issued.pki / name) in str(caught.value)
    assert "damaged" in str(caught.value)
    assert caught.value.hint
    assert contents(issued) == before


def test_a_damaged_kubeconfig_is_named(make_plan, issued):
    (issued.pki / "kubeconfigs/scheduler.conf").write_text("users: []\n")
    with pytest.raises(StateError, match=r"scheduler\.conf is damaged"):
        ensure_pki(make_plan(), issued)


@pytest.mark.parametrize("name", [*(f"{ca}.key" for ca in AUTHORITIES), "ca.crt", "sa.key"])
def test_what_others_depend_on_is_never_made_anew(make_plan, issued, name):
    (issued.pki / name).unlink()
    before = contents(issued)
    with pytest.raises(StateError, match="is missing, but") as caught:
        ensure_pki(make_plan(), issued)
    assert str(issued.pki / name) in str(caught.value)
    assert f"/etc/kubernetes/pki/{name} of a master" in caught.value.hint
    assert contents(issued) == before


def test_a_lost_ca_is_noticed_when_both_its_files_are_gone(make_plan, issued):
    for suffix in ("crt", "key"):
        (issued.pki / f"etcd/ca.{suffix}").unlink()
    with pytest.raises(StateError, match=r"etcd/ca\.key is missing, but"):
        ensure_pki(make_plan(), issued)


def test_a_ca_certificate_of_another_key_is_refused(make_plan, issued):
    (issued.pki / "ca.crt").write_bytes(own.certificate_pem(own.make_authority("kubernetes", own.new_key())))
    with pytest.raises(StateError, match="does not match its key"):
        ensure_pki(make_plan(), issued)


def test_an_expired_ca_is_refused(make_plan, issued, monkeypatch):
    later = own.now() + dt.timedelta(days=3651)
    monkeypatch.setattr(own, "now", lambda: later)
    with pytest.raises(StateError, match=r"ca\.crt: the CA expired on"):
        ensure_pki(make_plan(), issued)


def test_a_lost_public_key_is_derived_again(make_plan, issued):
    before = contents(issued)
    (issued.pki / "sa.pub").unlink()
    assert issued_by(make_plan(), issued) == {"sa"}
    assert contents(issued) == before


def test_an_interrupted_first_run_is_finished(make_plan, issued):
    """Whatever prefix of the files was written, the next run completes it."""
    written = sorted(contents(issued), key=lambda path: path.stat().st_mtime_ns)
    content = contents(issued)
    for count in range(0, len(written), 3):
        shutil.rmtree(issued.directory)
        for path in written[:count]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content[path])
        ensure_pki(make_plan(), issued)
        assert not issued_by(make_plan(), issued)


def test_a_file_in_the_way_is_named(make_plan, state):
    state.directory.parent.mkdir()
    state.directory.write_text("")
    with pytest.raises(StateError, match="cannot be created"):
        ensure_pki(make_plan(), state)


def test_what_the_table_no_longer_has_is_removed(make_plan, issued):
    """It would count in the digests of roles, and on other machines it is not there."""
    gone = ("kubeconfigs/kube-proxy.conf", "hosts/w1/apiserver.crt", "hosts/w1/a.key")
    others = [issued.pki / name for name in gone]
    stay = [issued.pki / name for name in ("hosts/another/apiserver.crt", "kubeconfigs/notes.txt")]
    before = contents(issued)
    for path in (*others, *stay):
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    assert issued_by(make_plan(), issued) == set()
    assert contents(issued) == before | dict.fromkeys(stay, b"")
