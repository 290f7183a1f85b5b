"""The form that Kubernetes objects must have before they are read: API servers are on hosts, too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json


@dataclass(frozen=True)
class _Metadata:
    name: str
    namespace: str = ""
    annotations: Mapping[str, str] | None = None
    labels: Mapping[str, str] | None = None


@dataclass(frozen=True)
class _Condition:
    type: str
    status: str
    reason: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class _Address:
    type: str
    address: str


@dataclass(frozen=True)
class _Status:
    conditions: Sequence[_Condition] = ()
    addresses: Sequence[_Address] = ()
    nodeInfo: Mapping[str, str | bool | Mapping[str, Any]] | None = None  # noqa: N815 - Kubernetes' own name
    phase: str = ""
    disruptionsAllowed: int = 0  # noqa: N815
    expectedPods: int = 0  # noqa: N815
    currentHealthy: int = 0  # noqa: N815
    desiredHealthy: int = 0  # noqa: N815


@dataclass(frozen=True)
class _Object:
    metadata: _Metadata
    spec: Mapping[str, Any] | None = None
    status: _Status | None = None


@dataclass(frozen=True)
class _Listed:
    items: Sequence[_Object]


_LISTED, _OBJECT = TypeAdapter(_Listed), TypeAdapter(_Object)


def parse_objects(text: str) -> Any:
    """Read what ``kubectl -o json`` printed: an object, or a list of them.

    Raises:
        ValueError: It is something else, or nested too deeply.
    """
    document = from_json(text, allow_inf_nan=False)
    if not isinstance(document, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 - callers handle one error
    try:
        (_LISTED if "items" in document else _OBJECT).validate_python(document)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from exc
    return document
