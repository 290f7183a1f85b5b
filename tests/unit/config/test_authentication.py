"""An AuthenticationConfiguration is checked as the API server does, before any host is touched."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8sbootstrap.config.authentication import MAX_BYTES, MAX_ISSUERS, problems
from k8sbootstrap.config.load import load_cluster
from k8sbootstrap.errors import ConfigError
from k8sbootstrap.pki.x509 import certificate_pem, make_authority, new_key
from k8sbootstrap.plan.build import load_plan
from tests.unit.config.config_examples import HEAD, HOSTS

CERTIFICATE = certificate_pem(make_authority("login", new_key())).decode()
OWN = "https://kubernetes.default.svc.cluster.local"
GOOD: dict[str, Any] = {
    "apiVersion": "apiserver.config.k8s.io/v1",
    "kind": "AuthenticationConfiguration",
    "jwt": [
        {
            "issuer": {
                "url": "https://login.example.com/realms/main",
                "discoveryURL": "https://10.0.0.5/.well-known/openid-configuration",
                "audiences": ["kubernetes", "dashboard"],
                "audienceMatchPolicy": "MatchAny",
                "certificateAuthority": CERTIFICATE,
            },
            "claimValidationRules": [
                {"claim": "hd", "requiredValue": "example.com"},
                {"expression": "claims.exp - claims.nbf <= 86400", "message": "too long"},
            ],
            "claimMappings": {
                "username": {"claim": "sub", "prefix": "oidc:"},
                "groups": {"expression": "claims.groups.map(g, 'oidc:' + g)"},
                "uid": {"claim": "sub"},
                "extra": [{"key": "example.com/team", "valueExpression": "claims.team"}],
            },
            "userValidationRules": [{"expression": "!user.username.startsWith('system:')"}],
        }
    ],
}
ISSUER = "jwt[0].issuer"
MAPPINGS = "jwt[0].claimMappings"


def changed(path: str, value: object) -> dict[str, Any]:
    """The good file with another value; None removes it."""
    config = copy.deepcopy(GOOD)
    place: Any = config
    *steps, last = (int(step) if step.isdigit() else step for step in path.split("."))
    for step in steps:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return config


def found(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "authentication.yaml"
    file.write_text(text)
    return [problem.described for problem in problems(file, OWN)]


@pytest.mark.parametrize("path", ["", "jwt", "jwt.0.claimMappings.groups", "jwt.0.claimValidationRules"])
def test_a_good_file_has_no_problem(tmp_path: Path, path: str) -> None:
    assert found(tmp_path, yaml.safe_dump(changed(path, None) if path else GOOD)) == []


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (
            "apiVersion",
            "apiserver.config.k8s.io/v1beta1",
            'apiVersion: must be apiserver.config.k8s.io/v1, not "apiserver.config.k8s.io/v1beta1"',
        ),
        ("kind", "EncryptionConfiguration", "kind: must be AuthenticationConfiguration, not ..."),
        ("JWT", [], "JWT: is not a known key; did you mean jwt?"),
        ("anonymous", {"enabled": False}, "anonymous: is not supported: load balancers ask ...; remove it"),
        ("jwt", [GOOD["jwt"][0]] * (MAX_ISSUERS + 1), "jwt: has 65 entries; the API server takes 64 at most"),
        (
            "jwt.0.issuer.url",
            "http://login.example.com",
            f"{ISSUER}.url: must be a URL that starts with https://; ...",
        ),
        (
            "jwt.0.issuer.url",
            "login.example.com",
            f"{ISSUER}.url: must be a URL that starts with https://; ...",
        ),
        ("jwt.0.issuer.url", "https://[::1", f"{ISSUER}.url: is not a URL; ..."),
        ("jwt.0.issuer.url", "https://me:hunter2@a", f"{ISSUER}.url: contains a login; ..."),
        ("jwt.0.issuer.url", "https://a/?b", f"{ISSUER}.url: must have neither a query nor a fragment; ..."),
        (
            "jwt.0.issuer.url",
            OWN,
            f"{ISSUER}.url: is the issuer of the cluster's own service account tokens; ...",
        ),
        ("jwt.0.issuer.url", None, f'{ISSUER}.url: is missing; add "url: ..."'),
        (
            "jwt.0.issuer.discoveryURL",
            "https://login.example.com/realms/main/",
            f"{ISSUER}.discoveryURL: is the same as url; ...",
        ),
        (
            "jwt.0.issuer.audiences",
            [],
            f"{ISSUER}.audiences: has no entry; name the client ID that tokens are for",
        ),
        ("jwt.0.issuer.audiences", [""], f"{ISSUER}.audiences[0]: is empty; ..."),
        (
            "jwt.0.issuer.audiences",
            ["a", "a"],
            f"{ISSUER}.audiences[1]: is the same as {ISSUER}.audiences[0]; remove one of them",
        ),
        ("jwt.0.issuer.audienceMatchPolicy", None, f"{ISSUER}.audiences: has several entries; add ..."),
        (
            "jwt.0.issuer.audienceMatchPolicy",
            "All",
            f'{ISSUER}.audienceMatchPolicy: must be MatchAny, not "All"',
        ),
        (
            "jwt.0.issuer.certificateAuthority",
            "/etc/ca.crt",
            f"{ISSUER}.certificateAuthority: contains no valid certificate; ...",
        ),
        (
            "jwt.0.issuer.certificateAuthority",
            CERTIFICATE.replace("MIIB", "NIIB"),
            f"{ISSUER}.certificateAuthority: contains no valid certificate; ...",
        ),
        (
            "jwt.0.claimValidationRules.0.expression",
            "true",
            "jwt[0].claimValidationRules[0]: must have either claim or expression",
        ),
        (
            "jwt.0.claimValidationRules.0.message",
            "no",
            "jwt[0].claimValidationRules[0].message: goes only with expression; remove it",
        ),
        (
            "jwt.0.claimValidationRules.1.requiredValue",
            "no",
            "jwt[0].claimValidationRules[1].requiredValue: goes only with claim; remove it",
        ),
        ("jwt.0.claimMappings", {}, f'{MAPPINGS}.username: is missing; add "username: ..."'),
        (
            "jwt.0.claimMappings.username",
            {},
            f"{MAPPINGS}.username: has neither claim nor expression; ...",
        ),
        (
            "jwt.0.claimMappings.username.expression",
            "claims.sub",
            f"{MAPPINGS}.username: has both claim and expression; remove one of them",
        ),
        ("jwt.0.claimMappings.username.prefix", None, f"{MAPPINGS}.username: has a claim and no prefix; ..."),
        ("jwt.0.claimMappings.groups.prefix", "a:", f"{MAPPINGS}.groups.prefix: goes only with claim; ..."),
        ("jwt.0.claimMappings.extra.0.key", "team", f'{MAPPINGS}.extra[0].key: "team" is not a key; ...'),
        (
            "jwt.0.claimMappings.extra.0.key",
            "a.k8s.io/team",
            f"{MAPPINGS}.extra[0].key: kubernetes.io and k8s.io are reserved; ...",
        ),
        (
            "jwt.0.claimMappings.extra.0.valueExpression",
            "",
            f"{MAPPINGS}.extra[0].valueExpression: is empty; ...",
        ),
        (
            "jwt.0.userValidationRules.0.expression",
            "",
            "jwt[0].userValidationRules[0].expression: is empty; ...",
        ),
        ("jwt.0.claimMappings.username.prefix", 5, f"{MAPPINGS}.username.prefix: must be text, not 5; ..."),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_would_be_right(
    tmp_path: Path, path: str, value: object, problem: str
) -> None:
    said = found(tmp_path, yaml.safe_dump(changed(path, value), sort_keys=False))
    beginning, dots, end = problem.partition("...")
    if path == "jwt.0.claimMappings.username.expression":
        said = said[:1]
    assert len(said) == 1, said
    assert said[0].startswith(beginning)
    assert said[0].endswith(end if dots else problem)
    assert "hunter2" not in said[0]


def test_an_issuer_may_be_there_once(tmp_path: Path) -> None:
    config = changed("jwt", [GOOD["jwt"][0], copy.deepcopy(GOOD["jwt"][0])])
    assert found(tmp_path, yaml.safe_dump(config)) == [
        f"jwt[1].issuer.{key}: is the same as jwt[0].issuer.{key}; remove one of them"
        for key in ("url", "discoveryURL")
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty"),
        ("kind: [\n", "is not valid YAML: "),
        ("a: 1\n---\nb: 2\n", "contains more than one YAML document"),
        ("kind: A\nkind: B\n", "kind: the key is given twice, first on line 1"),
        ("# x\n" * MAX_BYTES, "is larger than 1 MiB, too large for an AuthenticationConfiguration"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    assert found(tmp_path, text)[0].startswith(problem)


def test_a_cluster_file_names_the_file_the_line_and_the_place(
    folder: Path, write: Callable[[str], Path]
) -> None:
    file = folder / "authentication.yaml"
    file.write_text(yaml.safe_dump(GOOD))
    cluster = write(HEAD + HOSTS + "api: {authentication: authentication.yaml}\n")
    assert load_plan(cluster).authentication == file
    file.write_text(yaml.safe_dump(GOOD, sort_keys=False).replace("https://login", "http://login"))
    with pytest.raises(ConfigError) as caught:
        load_cluster(cluster)
    place = f"{cluster}:8 api.authentication: {file}:5 jwt[0].issuer.url"
    assert str(caught.value).startswith(f"{place}: must be a URL that starts with https://; ")


@pytest.mark.parametrize(
    ("more", "own"),
    [
        ("network: {dnsDomain: k8s.test}\n", "https://kubernetes.default.svc.k8s.test"),
        ("", OWN),
    ],
)
def test_the_clusters_own_issuer_is_refused(
    folder: Path, write: Callable[[str], Path], more: str, own: str
) -> None:
    (folder / "a.yaml").write_text(yaml.safe_dump(changed("jwt.0.issuer.url", own)))
    with pytest.raises(ConfigError, match="the issuer of the cluster's own service account tokens"):
        load_cluster(write(HEAD + HOSTS + more + "api: {authentication: a.yaml}\n"))
