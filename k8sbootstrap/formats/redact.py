"""Takes secrets out of text that is to be shown to others: those that are known, and what looks like one."""

import base64
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from k8sbootstrap.formats.text import without_logins

MARK = "***"
"""Stands where a secret was."""
_SHORTEST = 4
"""Characters of a secret that is looked for by its value; a shorter one is in too many words."""
_NAMES = (
    r"(?:password|passwd|passphrase|secret|token|credential|api[-_]?key|client-key-data|dockerconfigjson)"
)
_HARMLESS = r"(?!true\b|false\b|null\b|none\b|\d+\b|/|\*\*\*)"
_PATTERNS = (
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^\"']*?(?:-----END [A-Z ]*PRIVATE KEY-----|(?=[\"'])|\Z)"
        ),
        MARK,
    ),
    # base64 of the same; certificates begin likewise, and are no secret
    (re.compile(r"LS0tLS1CRUdJTi(?!BDRVJU)[A-Za-z0-9+/=]{16,}"), MARK),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"), MARK),
    (re.compile(r"(?i)\b(bearer|basic) [\w.~+/=-]{8,}"), rf"\1 {MARK}"),
    (re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"), MARK),
    (re.compile(rf"(?i)(\b[\w.-]*{_NAMES}[\"']?\s*[:=]\s*[\"']?){_HARMLESS}[^\s\"',;&\\]+"), rf"\1{MARK}"),
)
_KEYS = re.compile(rf"(?i)[\w.-]*{_NAMES}|auth|auths|identitytoken")
"""Keys of mappings whose values are secrets."""


class Redactor:
    """Replaces secrets.

    Args:
        secrets: Values that are known, each as it is and as base64, alone or in a longer text.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {each for secret in secrets if len(secret) >= _SHORTEST for each in _spellings(secret)}
        self._known = sorted(known, key=len, reverse=True)

    def text(self, text: str) -> str:
        """``text`` without secrets."""
        for each in self._known:
            text = text.replace(each, MARK)
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        return without_logins(text)

    def document(self, value: Any) -> Any:
        """Plain data without secrets: each text of it by itself, and those whose key says what they are."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self.document(each) for each in value]
        if isinstance(value, dict):
            return {self.text(str(key)): self._value(str(key), each) for key, each in _named(value).items()}
        return value

    def _value(self, key: str, value: Any) -> Any:
        if isinstance(value, str) and value and _KEYS.fullmatch(key):
            return MARK
        return self.document(value)


def _named(value: dict[Any, Any]) -> dict[Any, Any]:
    """A mapping; of one that has a name and a value, such as a variable of a pod, the value by its name."""
    name = value.get("name")
    if isinstance(name, str) and isinstance(value.get("value"), str) and _KEYS.search(name):
        return {**value, "value": MARK}
    return value


def _spellings(secret: str) -> set[str]:
    """A secret as it is, in a URL, and what base64 makes of it wherever in a text it stands."""
    found = {secret, quote(secret, safe="")}
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + secret.encode()).decode()
        found.add(encoded[(0, 2, 3)[shift] : -4])
    return {each for each in found if len(each) >= _SHORTEST}
