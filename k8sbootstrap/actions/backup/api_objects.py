"""Reads all objects of an API server, and counts them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import urllib3

from k8sbootstrap.formats.bounded import load_json

_AT_ONCE = 500
"""Objects of one answer."""
_MOST = 256 << 20
"""Bytes of one answer."""
_SECONDS = 60.0
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
"""The server reads and decodes whole objects, and sends their metadata."""
_COUNTED_ELSEWHERE = ("componentstatuses", "events.events.k8s.io")
"""Resources that are not in etcd, or are the same objects as another one's."""


class ApiError(Exception):
    """The API server does not answer as it should; the text says how."""


@dataclass(frozen=True)
class Counted:
    """The objects that an API server has."""

    objects: Mapping[str, int]
    """Number by resource, such as ``pods`` and ``deployments.apps``, those without objects left out."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Resources whose objects can't be read, and why."""
    served_elsewhere: tuple[str, ...] = ()
    """API groups that another server has, whose objects are not in etcd, such as metrics.k8s.io/v1beta1."""

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.objects.values())


@dataclass(frozen=True)
class _Resource:
    name: str
    """Such as ``deployments.apps``."""
    path: str


class ApiServer:
    """An API server, and who asks it.

    Args:
        url: Its address.
        ca: File with the certificate of its authority.
        certificate: File with the client's certificate.
        key: File with the client's key.
    """

    def __init__(self, url: str, ca: str, certificate: str, key: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(
            ca_certs=ca, cert_file=certificate, key_file=key, retries=False, timeout=_SECONDS
        )

    def why_not_ready(self) -> str:
        """Why it is not ready; empty when it is."""
        try:
            answer = self._pool.request("GET", f"{self._url}/readyz", timeout=5.0)
        except urllib3.exceptions.HTTPError as exc:
            return str(exc)
        said = answer.data.decode(errors="replace")
        return "" if answer.status == 200 else f"it answers {answer.status}: {said[-300:]}"  # noqa: PLR2004

    def count(self) -> Counted:
        """Read all objects, and count them.

        Raises:
            ApiError: It does not answer as it should.
        """
        elsewhere = tuple(self._served_elsewhere())
        objects, unreadable = {}, {}
        for resource in self._resources(elsewhere):
            try:
                number = self._number(resource.path)
            except ApiError as exc:
                unreadable[resource.name] = str(exc)
            else:
                if number:
                    objects[resource.name] = number
        return Counted(objects, unreadable, elsewhere)

    def _served_elsewhere(self) -> Iterator[str]:
        """The versions of groups that the API server would ask another server for."""
        for item in _items(self._get("/apis/apiregistration.k8s.io/v1/apiservices")):
            if item["spec"].get("service"):
                yield f"{item['spec']['group']}/{item['spec']['version']}"

    def _resources(self, elsewhere: tuple[str, ...]) -> Iterator[_Resource]:
        """What can be listed, and is in etcd."""
        groups = self._get("/apis").get("groups", [])
        versions = [group["preferredVersion"]["groupVersion"] for group in groups]
        for place in ["/api/v1", *(f"/apis/{version}" for version in versions if version not in elsewhere)]:
            group = place.split("/")[2] if place.startswith("/apis/") else ""
            for found in self._get(place).get("resources", []):
                name = f"{found['name']}.{group}" if group else found["name"]
                if "/" not in name and "list" in found["verbs"] and name not in _COUNTED_ELSEWHERE:
                    yield _Resource(name, f"{place}/{found['name']}")

    def _number(self, path: str) -> int:
        number, more = 0, ""
        while True:
            answer = self._get(path, {"limit": str(_AT_ONCE), **({"continue": more} if more else {})})
            number += len(_items(answer))
            more = answer.get("metadata", {}).get("continue", "")
            if not more:
                return number

    def _get(self, path: str, fields: Mapping[str, str] | None = None) -> dict[str, Any]:
        headers = {"Accept": _METADATA if fields else "application/json"}
        try:
            answer = self._pool.request(
                "GET", self._url + path, fields=dict(fields or {}), headers=headers, preload_content=False
            )
            body = answer.read(_MOST)
            answer.release_conn()
        except urllib3.exceptions.HTTPError as exc:
            raise ApiError(f"{path}: {exc}") from exc
        try:
            found = load_json(body)
        except ValueError as exc:
            raise ApiError(f"{path}: it answers {answer.status} and no JSON") from exc
        if answer.status != 200 or not isinstance(found, dict):  # noqa: PLR2004
            message = found.get("message", "") if isinstance(found, dict) else ""
            raise ApiError(f"{path}: it answers {answer.status}: {message}")
        return found


def _items(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The objects of a list."""
    found: list[dict[str, Any]] = answer.get("items") or []
    return found
