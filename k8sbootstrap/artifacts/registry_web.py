"""HTTP client for image registries: logs in and gets tokens as the registry demands."""

import re
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import urllib3
from urllib3.util import parse_url

from k8sbootstrap.artifacts.web import Web, WebError, origin
from k8sbootstrap.config.models.network import Proxy
from k8sbootstrap.formats.bounded import load_json

_UNAUTHORIZED = 401
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json,"
    "application/vnd.docker.distribution.manifest.list.v2+json,"
    "application/vnd.oci.image.manifest.v1+json,"
    "application/vnd.docker.distribution.manifest.v2+json"
)
_REPOSITORY = re.compile(r"/v2/(.+)/(?:manifests|blobs)/")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class RegistryWeb(Web):
    """HTTP client of one registry.

    Args:
        proxy: The cluster's proxy settings.
        stopped: Ends downloads when set.
        login: base64 of USER:PASSWORD, where one is known.
        ca: PEM file with a CA that is believed beside the system's.
    """

    def __init__(self, proxy: Proxy, stopped: threading.Event, login: str | None, ca: Path | None) -> None:
        tls = ssl.create_default_context()
        if ca is not None:
            tls.load_verify_locations(ca)
        super().__init__(proxy, stopped, tls)
        self._tokens = Web(proxy, stopped, tls)
        self._login = login
        self._granted: dict[str, str] = {}
        """The Authorization header by repository."""

    def _open(
        self, url: str, method: str, offset: int, more: Mapping[str, str]
    ) -> tuple[urllib3.BaseHTTPResponse, str]:
        found = _REPOSITORY.search(url)
        repository = found[1] if found else ""
        response, answered_by = super()._open(url, method, offset, {**self._headers(repository), **more})
        if response.status != _UNAUTHORIZED:
            return response, answered_by
        challenge = response.headers.get("WWW-Authenticate", "")
        response.close()
        if origin(answered_by) != origin(url):
            raise WebError(
                f"{parse_url(answered_by).host} asks for a login, but the login belongs to another host"
            )
        self._granted[repository] = self._grant(url, challenge, repository)
        return super()._open(url, method, offset, {**self._headers(repository), **more})

    def _headers(self, repository: str) -> dict[str, str]:
        granted = self._granted.get(repository)
        return {"Accept": _MANIFESTS, **({"Authorization": granted} if granted else {})}

    def _grant(self, registry: str, challenge: str, repository: str) -> str:
        """The Authorization header for a registry that answered 401; logins are sent to https:// alone."""
        scheme, _, rest = challenge.partition(" ")
        basic = f"Basic {self._login}" if self._login else ""
        encrypted = registry.lower().startswith("https://")
        if basic and not encrypted:
            raise WebError("asks for the login, which is sent only over TLS: use https://")
        if scheme.lower() != "bearer":
            if not basic:
                raise WebError("asks for a login, but runtime.registries in cluster.yaml has none for it")
            return basic
        parameters = dict(_PARAMETER.findall(rest))
        query = {"service": parameters.get("service", ""), "scope": f"repository:{repository}:pull"}
        realm = parameters.get("realm", "")
        if encrypted and not realm.lower().startswith("https://"):
            raise WebError("its token server does not use TLS, so it is refused")
        url = f"{realm}?{urlencode({k: v for k, v in query.items() if v})}"
        try:
            answer = load_json(self._tokens.content(url, {"Authorization": basic} if basic else {}))
            return f"Bearer {answer.get('token') or answer['access_token']}"
        except WebError as exc:
            raise WebError(f"its token server: {exc}") from exc
        except (ValueError, LookupError, AttributeError) as exc:
            raise WebError("its token server sent no token") from exc
