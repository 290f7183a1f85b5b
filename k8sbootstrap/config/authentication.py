"""The user's AuthenticationConfiguration, checked as the API server does, but for its CEL expressions."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from pydantic import ValidationError

from k8sbootstrap.config import document
from k8sbootstrap.config.document import Location
from k8sbootstrap.config.explain import explain
from k8sbootstrap.config.models.authentication import (
    AuthenticationConfiguration,
    Claim,
    ClaimMappings,
    ClaimValidationRule,
    Issuer,
    JwtAuthenticator,
    PrefixedClaim,
)
from k8sbootstrap.errors import Problem

MAX_BYTES = 1 << 20
MAX_ISSUERS = 64
"""As many as the API server takes."""
_KEY = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[a-z0-9%:@!$&'()*+,;=._~/-]+")
"""Key of an extra attribute: a DNS name in lower case, a slash, a path."""
_RESERVED = re.compile(r"(.+\.)?(kubernetes|k8s)\.io/.*")
Found = tuple[Location, str, str]
"""Where something is wrong, what, and what would be right."""


def problems(file: Path, service_accounts: str) -> list[Problem]:
    """Everything that is wrong with a file that can be read.

    Args:
        file: The file.
        service_accounts: The issuer of the cluster's own tokens.
    """
    source = document.read(file, "an AuthenticationConfiguration", MAX_BYTES)
    if source.problems:
        return source.problems
    try:
        wanted = AuthenticationConfiguration.model_validate(source.data, by_alias=True, by_name=False)
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
        return [explain(error, source, AuthenticationConfiguration) for error in errors]
    return [source.problem(*found) for found in _wrong_in(wanted, service_accounts)]


def _wrong_in(wanted: AuthenticationConfiguration, service_accounts: str) -> Iterator[Found]:
    if "anonymous" in wanted.model_fields_set:
        yield (
            ("anonymous",),
            "is not supported: load balancers ask API servers for /readyz without a login",
            "remove it",
        )
    if len(wanted.jwt) > MAX_ISSUERS:
        yield ("jwt",), f"has {len(wanted.jwt)} entries", f"the API server takes {MAX_ISSUERS} at most"
        return
    for index, each in enumerate(wanted.jwt):
        yield from _authenticator(each, ("jwt", index), service_accounts)
    issuers = [each.issuer for each in wanted.jwt]
    yield from _twice(
        {("jwt", index, "issuer", "url"): issuer.url for index, issuer in enumerate(issuers)},
    )
    yield from _twice(
        {
            ("jwt", index, "issuer", "discoveryURL"): issuer.discovery_url
            for index, issuer in enumerate(issuers)
            if issuer.discovery_url
        }
    )


def _authenticator(wanted: JwtAuthenticator, at: Location, service_accounts: str) -> Iterator[Found]:
    yield from _issuer(wanted.issuer, (*at, "issuer"), service_accounts)
    rules = wanted.claim_validation_rules
    for index, rule in enumerate(rules):
        yield from _claim_rule(rule, (*at, "claimValidationRules", index))
    for key in ("claim", "expression"):
        places = {
            (*at, "claimValidationRules", index, key): getattr(rule, key)
            for index, rule in enumerate(rules)
            if getattr(rule, key)
        }
        yield from _twice(places)
    yield from _mappings(wanted.claim_mappings, (*at, "claimMappings"))
    expressions = {
        (*at, "userValidationRules", index, "expression"): rule.expression
        for index, rule in enumerate(wanted.user_validation_rules)
    }
    for place, expression in expressions.items():
        if not expression:
            yield place, "is empty", "write a CEL expression that must be true"
    yield from _twice({place: text for place, text in expressions.items() if text})


def _issuer(issuer: Issuer, at: Location, service_accounts: str) -> Iterator[Found]:
    yield from _url(issuer.url, (*at, "url"))
    if issuer.url == service_accounts:
        yield (
            (*at, "url"),
            "is the issuer of the cluster's own service account tokens",
            "remove this entry: the API server knows them already",
        )
    if issuer.discovery_url is not None:
        yield from _url(issuer.discovery_url, (*at, "discoveryURL"))
        if issuer.discovery_url.rstrip("/") == issuer.url.rstrip("/"):
            what = "is the same as url"
            yield (*at, "discoveryURL"), what, "remove it, or write the whole URL of the discovery document"
    if not issuer.audiences:
        yield (*at, "audiences"), "has no entry", "name the client ID that tokens are for"
    for index, audience in enumerate(issuer.audiences):
        if not audience:
            yield (*at, "audiences", index), "is empty", "name the client ID that tokens are for"
    yield from _twice({(*at, "audiences", index): each for index, each in enumerate(issuer.audiences)})
    if len(issuer.audiences) > 1 and issuer.audience_match_policy is None:
        yield (*at, "audiences"), "has several entries", 'add "audienceMatchPolicy: MatchAny" to the issuer'
    if issuer.certificate_authority:
        yield from _certificates(issuer.certificate_authority, (*at, "certificateAuthority"))


def _url(url: str, at: Location) -> Iterator[Found]:
    fix = "write it like https://login.example.com/realms/main"
    try:
        parts = urlsplit(url)
        has_login, host = "@" in parts.netloc, parts.hostname
    except ValueError:
        yield at, "is not a URL", fix
        return
    if has_login:
        yield at, "contains a login", "remove what stands before the @"
    elif parts.scheme != "https" or not host:
        yield at, "must be a URL that starts with https://", fix
    elif parts.query or parts.fragment:
        yield at, "must have neither a query nor a fragment", "remove what begins with ? or #"


def _certificates(pem: str, at: Location) -> Iterator[Found]:
    try:
        x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        yield at, "contains no valid certificate", "write the PEM certificates of the issuer's CA"


def _claim_rule(rule: ClaimValidationRule, at: Location) -> Iterator[Found]:
    if bool(rule.claim) == bool(rule.expression):
        yield at, "must have either claim or expression", ""
    elif rule.claim and rule.message:
        yield (*at, "message"), "goes only with expression", "remove it"
    elif rule.expression and rule.required_value:
        yield (*at, "requiredValue"), "goes only with claim", "remove it"


def _mappings(mappings: ClaimMappings, at: Location) -> Iterator[Found]:
    if not mappings.username.claim and not mappings.username.expression:
        yield (*at, "username"), "has neither claim nor expression", 'add "claim: sub" and "prefix: ..."'
    yield from _prefixed(mappings.username, (*at, "username"))
    yield from _prefixed(mappings.groups, (*at, "groups"))
    yield from _not_both(mappings.uid, (*at, "uid"))
    for index, each in enumerate(mappings.extra):
        place = (*at, "extra", index)
        if not _KEY.fullmatch(each.key):
            fix = "write it in lower case with a domain of yours, such as example.com/team"
            yield (*place, "key"), f'"{each.key}" is not a key', fix
        elif _RESERVED.fullmatch(each.key):
            yield (*place, "key"), "kubernetes.io and k8s.io are reserved", "use a domain of yours"
        if not each.value_expression:
            yield (*place, "valueExpression"), "is empty", "write a CEL expression"
    yield from _twice({(*at, "extra", index, "key"): each.key for index, each in enumerate(mappings.extra)})


def _prefixed(mapping: PrefixedClaim, at: Location) -> Iterator[Found]:
    yield from _not_both(mapping, at)
    if mapping.expression and mapping.prefix is not None:
        yield (*at, "prefix"), "goes only with claim", "remove it, and begin the expression with the prefix"
    if mapping.claim and mapping.prefix is None:
        yield at, "has a claim and no prefix", 'add "prefix: ..."; prefix: "" means none'


def _not_both(mapping: PrefixedClaim | Claim, at: Location) -> Iterator[Found]:
    if mapping.claim and mapping.expression:
        yield at, "has both claim and expression", "remove one of them"


def _twice(places: dict[Location, str]) -> Iterator[Found]:
    """Values that are there already, by their places."""
    seen: dict[str, Location] = {}
    for place, value in places.items():
        first = seen.setdefault(value, place)
        if first != place:
            yield place, f"is the same as {document.spell(first)}", "remove one of them"
