"""The API server's AuthenticationConfiguration, a file of the user's: what Kubernetes 1.34 to 1.37 take.

The API server decodes it strictly, as these models do. It also compiles the CEL expressions, which nothing
here can do.
"""

from typing import Any, Literal

from pydantic import Field

from k8sbootstrap.config.models.base import Model


class Issuer(Model):
    """Who signs tokens, and for whom they must be."""

    url: str
    discovery_url: str | None = Field(default=None, alias="discoveryURL")
    certificate_authority: str = ""
    audiences: list[str]
    audience_match_policy: Literal["MatchAny"] | None = None
    egress_selector_type: Literal["controlplane", "cluster"] | None = None


class ClaimValidationRule(Model):
    """What a claim of a token must be."""

    claim: str = ""
    required_value: str = ""
    expression: str = ""
    message: str = ""


class PrefixedClaim(Model):
    """Where the name of a user, or of groups, comes from."""

    claim: str = ""
    prefix: str | None = None
    expression: str = ""


class Claim(Model):
    """Where the ID of a user comes from."""

    claim: str = ""
    expression: str = ""


class ExtraMapping(Model):
    """Where one more attribute of a user comes from."""

    key: str
    value_expression: str


class ClaimMappings(Model):
    """How claims of a token become a user."""

    username: PrefixedClaim
    groups: PrefixedClaim = Field(default_factory=PrefixedClaim)
    uid: Claim = Field(default_factory=Claim)
    extra: list[ExtraMapping] = Field(default_factory=list)


class UserValidationRule(Model):
    """What a user must be."""

    expression: str
    message: str = ""


class JwtAuthenticator(Model):
    """One issuer of tokens."""

    issuer: Issuer
    claim_validation_rules: list[ClaimValidationRule] = Field(default_factory=list)
    claim_mappings: ClaimMappings
    user_validation_rules: list[UserValidationRule] = Field(default_factory=list)


class AuthenticationConfiguration(Model):
    """The whole file."""

    api_version: Literal["apiserver.config.k8s.io/v1"]
    kind: Literal["AuthenticationConfiguration"]
    jwt: list[JwtAuthenticator] = Field(default_factory=list)
    anonymous: Any = None
    """Known only to be refused with a reason."""
