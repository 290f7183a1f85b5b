"""Predicates about the spelling of names and addresses."""

import re
from ipaddress import IPv4Address, ip_address

from k8sbootstrap.config.models.base import DNS_NAME

_NAME_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_DNS_NAME = re.compile(DNS_NAME)
_SCOPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""What may follow the % of an IPv6 address: the name of an interface."""
_FLAG = re.compile(r"[a-z0-9][a-z0-9-]*")
MAX_DNS_NAME = 253
MAX_PORT = 65535


def is_ip(text: str) -> bool:
    """Whether it is an IPv4 or IPv6 address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    scope = text.partition("%")[2]
    return "%" not in text or bool(_SCOPE.fullmatch(scope))


def is_ipv4(text: str) -> bool:
    """Whether it is an IPv4 address."""
    return is_ip(text) and isinstance(ip_address(text), IPv4Address)


def is_dns_name(text: str) -> bool:
    """Whether it is a host name: in any case, and not a mistyped IPv4 address."""
    last = text.rpartition(".")[2]
    return len(text) <= MAX_DNS_NAME and bool(_DNS_NAME.fullmatch(text.lower())) and not last.isdigit()


def is_qualified_name(text: str) -> bool:
    """Whether it can be a label's or taint's key: ``[PREFIX/]NAME``."""
    prefix, slash, name = text.rpartition("/")
    return bool(_NAME_PART.fullmatch(name)) and (
        not slash or (is_dns_name(prefix) and prefix == prefix.lower())
    )


def is_label_value(text: str) -> bool:
    """Whether it can be a label's or taint's value."""
    return text == "" or bool(_NAME_PART.fullmatch(text))


def is_flag(text: str) -> bool:
    """Whether it is a flag's name without dashes in front."""
    return bool(_FLAG.fullmatch(text))
