"""Secrets are replaced, and what is none stays as it is."""

import base64
import json

import pytest

from k8sbootstrap.formats.redact import Redactor

SECRET = "correct horse/battery"
KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB\nabc=\n-----END EC PRIVATE KEY-----"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"x{SECRET}y",
        "correct%20horse%2Fbattery",
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"robot:{SECRET}".encode()).decode(),
        base64.b64encode(f"a:{SECRET}!".encode()).decode(),
    ],
)
def test_a_known_secret_in_every_spelling(text):
    cleaned = Redactor([SECRET]).text(f"before {text} after")
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" after")
    assert "***" in cleaned
    assert base64.b64encode(SECRET.encode())[4:-4].decode() not in cleaned
    assert "horse" not in cleaned


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"a {KEY} b", "a *** b"),
        (KEY[:60], "***"),
        ("client-key-data: " + base64.b64encode(KEY.encode()).decode(), "client-key-data: ***"),
        (base64.b64encode(KEY.encode()).decode(), "***"),
        ("https://robot:x@example.com/a", "https://***@example.com/a"),
        ("Authorization: Bearer abcdefghijk", "Authorization: Bearer ***"),
        ("joined with abcdef.0123456789abcdef now", "joined with *** now"),
        ("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJl.c2ln x", "*** x"),
        ("--oidc-client-secret=hunter2 --v=2", "--oidc-client-secret=*** --v=2"),
        ("DB_PASSWORD: hunter2", "DB_PASSWORD: ***"),
        ('{"api_key": "hunter2", "a": 1}', '{"api_key": "***", "a": 1}'),
        (json.dumps({"said": 'a "password=hunter2" b'}), json.dumps({"said": 'a "password=***" b'})),
        (json.dumps({"cut": KEY[:50], "a": 1}), json.dumps({"cut": "***", "a": 1})),
    ],
)
def test_what_looks_like_a_secret(text, expected):
    assert Redactor().text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        CERTIFICATE,
        base64.b64encode(CERTIFICATE.encode()).decode(),
        "--enable-bootstrap-token-auth=true",
        "--service-account-key-file=/etc/kubernetes/pki/sa.pub",
        "--token-auth-file=/etc/kubernetes/tokens",
        'secret "web" not found',
        "10.244.0.0/24 via 192.0.2.11 dev eth0 proto 75",
        "default/coredns-5d78c9869d-abcde",
        "E1129 19:00:00.123456 1 run.go:72] command failed",
        "sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945",
    ],
)
def test_what_is_no_secret(text):
    assert Redactor(["abc", ""]).text(text) == text


def test_a_document_keeps_its_form():
    document = {
        "env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "PORT", "value": "80"}],
        "auths": {"example.com": {"auth": "cm9ib3Q6eA=="}},
        "token": "x",
        "note": f'quoted " and {SECRET}',
        "number": 1.5,
        "nothing": None,
    }
    cleaned = json.loads(json.dumps(Redactor([SECRET]).document(document)))
    assert cleaned == {
        "env": [{"name": "DB_PASSWORD", "value": "***"}, {"name": "PORT", "value": "80"}],
        "auths": {"example.com": {"auth": "***"}},
        "token": "***",
        "note": 'quoted " and ***',
        "number": 1.5,
        "nothing": None,
    }
