"""HTTP for artifacts: quick to give up on a server that does not answer, and asks it once a run."""

import hashlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from ssl import SSLContext
from types import MappingProxyType
from urllib.parse import urljoin
from urllib.request import getproxies

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
)
from urllib3.util import Retry, Timeout, Url, make_headers, parse_url

from k8sbootstrap import __version__
from k8sbootstrap.artifacts.body import TooLargeError, TooSlowError, chunks, length
from k8sbootstrap.artifacts.patience import LateError, within
from k8sbootstrap.artifacts.private import open_private
from k8sbootstrap.config.models.network import Proxy
from k8sbootstrap.formats import limits

CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0
ANSWER_SECONDS = 30.0
"""Within which a server must have begun to answer, however slowly it sends its first lines."""
_RESUMES = 2
_REDIRECTS = 5
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_OK, _PARTIAL, _NOT_FOUND, _GONE, _NO_SUCH_PART = 200, 206, 404, 410, 416


class WebError(Exception):
    """A request that failed; the message says how, without the URL."""


class NotThereError(WebError):
    """The server answered that it does not have that."""


class NoAnswerError(WebError):
    """The server could not be reached or stopped answering; it is not asked again in this run."""


class Web:
    """HTTP client of one run. Safe to use from several threads.

    Args:
        proxy: The cluster's proxy settings; the environment's where they name no proxy.
        stopped: Ends downloads when set.
        tls: How servers' certificates are checked; as the system does where None.
    """

    def __init__(self, proxy: Proxy, stopped: threading.Event, tls: SSLContext | None = None) -> None:
        self._stopped = stopped
        self._tls = tls
        configured = {"http": proxy.http, "https": proxy.https}
        if any(configured.values()):
            self._proxies, self._no_proxy = configured, proxy.no_proxy
        else:
            environment = getproxies()
            self._proxies = dict(environment)
            self._no_proxy = [
                entry.strip() for entry in environment.get("no", "").split(",") if entry.strip()
            ]
        self._pools: dict[str | None, urllib3.PoolManager] = {}
        self._servers: dict[str, _Server] = {}
        self._lock = threading.Lock()

    def text(self, url: str) -> str:
        """The body at ``url``.

        Raises:
            WebError: It could not be had.
        """
        return self.content(url).decode("utf-8", errors="replace")

    def content(self, url: str, headers: Mapping[str, str] = _NO_HEADERS) -> bytes:
        """The small body at ``url``, as it is.

        Raises:
            WebError: It could not be had, or is not small.
        """
        with self._get(url, headers=headers) as response, _translated(self._server(url)):
            return b"".join(chunks(response, limits.TEXT))

    def exists(self, url: str) -> bool:
        """Whether the server has ``url``; False also when it does not answer."""
        try:
            with self._get(url, method="HEAD"):
                return True
        except WebError:
            return False

    def size(self, url: str) -> int | None:
        """How long the body at ``url`` is; None where the server does not say, or does not answer."""
        try:
            with self._get(url, method="HEAD") as response:
                return length(response)
        except WebError:
            return None

    def download(
        self,
        url: str,
        target: Path,
        report: Callable[[int, int | None], None],
        most: int = limits.PROGRAM,
    ) -> str:
        """Write the body at ``url`` to ``target``; a transfer that breaks is taken up where it broke.

        What ``target`` has already is taken for the body's beginning. It keeps what came when all fails.

        Args:
            url: Address of the body.
            target: A file of a folder that nobody else can write to.
            report: Told of progress.
            most: How many bytes are taken.

        Returns:
            sha256 of what was written.

        Raises:
            WebError: It could not be had whole, or has more bytes.
        """
        broken: HTTPError | None = None
        with open_private(target) as out:
            out.seek(0)
            digest = hashlib.file_digest(out, "sha256")
            received = out.tell()
            for _ in range(1 + _RESUMES):
                with (
                    self._get(url, offset=received) as response,
                    _translated(self._server(url)),
                ):
                    if received and response.status != _PARTIAL:
                        digest, received = hashlib.sha256(), 0
                        out.truncate(0)
                    if response.status == _NO_SUCH_PART:
                        continue  # from the start: what is here is not the beginning of what the server has
                    left = length(response)
                    total = None if left is None else received + left
                    report(received, total)
                    try:
                        for chunk in chunks(response, most - received):
                            if self._stopped.is_set():
                                raise WebError("stopped")
                            out.write(chunk)
                            digest.update(chunk)
                            received += len(chunk)
                            report(received, total)
                    except HTTPError as exc:
                        broken = exc
                        continue
                    except TooLargeError:
                        out.truncate(0)  # nothing to go on with
                        raise
                return digest.hexdigest()
        server = self._server(url)
        server.dead = f"the connection broke after {received} bytes: {_describe(broken)}"
        raise NoAnswerError(server.dead)

    @contextmanager
    def _get(
        self, url: str, *, method: str = "GET", offset: int = 0, headers: Mapping[str, str] = _NO_HEADERS
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """An open response with a good status. One thread alone makes the first contact with a server."""
        if self._stopped.is_set():
            raise WebError("stopped")
        server = self._server(url)
        with server.first_contact:
            if server.dead:
                raise NoAnswerError(server.dead)
            if not server.reached:
                response, _ = self._open(url, method, offset, headers)
                server.reached = True
            else:
                response = None
        response = response or self._open(url, method, offset, headers)[0]
        try:
            if response.status in {_NOT_FOUND, _GONE}:
                raise NotThereError("not there")
            if response.status not in {_OK, _PARTIAL, *([_NO_SUCH_PART] if offset else [])}:
                raise WebError(f"answered {response.status} {response.reason or ''}".rstrip())
            yield response
        finally:
            response.close()

    def _open(
        self, url: str, method: str, offset: int, more: Mapping[str, str]
    ) -> tuple[urllib3.BaseHTTPResponse, str]:
        """The answer after all redirects, and the URL that gave it.

        Logins go to the server of ``url`` alone, never over http, and no redirect leads from https to http.
        """
        headers = {"User-Agent": f"k8sbootstrap/{__version__}", "Accept-Encoding": "identity", **more}
        auth = parse_url(url).auth
        if auth:
            headers |= make_headers(basic_auth=auth)
        if offset:
            headers["Range"] = f"bytes={offset}-"
        if auth and not url.lower().startswith("https:"):
            raise WebError("its URL contains a login, which is sent only over TLS: use https://")
        for _ in range(1 + _REDIRECTS):
            response = self._request(url, method, headers)
            location = response.get_redirect_location()
            if not location:
                return response, url
            response.close()
            target = _redirected(url, location)
            if origin(target) != origin(url):
                headers = {name: text for name, text in headers.items() if name.lower() != "authorization"}
            url = target
        raise WebError(f"redirects more than {_REDIRECTS} times")

    def _request(self, url: str, method: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """One request; what a redirect leads to is another server, with its own proxy."""
        parsed, server = parse_url(url), self._server(url)
        if server.dead:
            raise NoAnswerError(server.dead)
        with _translated(server):
            proxy = self._proxy_for(parsed)
            if proxy is None and not server.reached:
                _resolve(parsed.host or "")
            return within(
                ANSWER_SECONDS,
                lambda: self._pool(proxy).request(
                    method,
                    parsed._replace(auth=None).url,
                    headers=dict(headers),
                    preload_content=False,
                    redirect=False,
                ),
            )

    def _server(self, url: str) -> "_Server":
        parsed = parse_url(url)
        with self._lock:
            return self._servers.setdefault(f"{parsed.scheme}://{parsed.netloc}", _Server())

    def _proxy_for(self, url: Url) -> str | None:
        proxy = self._proxies.get(url.scheme or "") or self._proxies.get("all")
        return None if proxy is None or is_bypassed(url.host or "", self._no_proxy) else proxy

    def _pool(self, proxy: str | None) -> urllib3.PoolManager:
        with self._lock:
            if proxy not in self._pools:
                self._pools[proxy] = _new_pool(proxy, self._tls)
            return self._pools[proxy]


def _new_pool(proxy: str | None, tls: SSLContext | None) -> urllib3.PoolManager:
    timeout = Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
    retries = Retry(total=None, connect=0, read=0, status=0, other=0, redirect=0)
    if proxy is None:
        return urllib3.PoolManager(timeout=timeout, retries=retries, maxsize=4, ssl_context=tls)
    address = parse_url(proxy if "://" in proxy else f"http://{proxy}")
    return urllib3.ProxyManager(
        address._replace(auth=None).url,
        proxy_headers=make_headers(proxy_basic_auth=address.auth) if address.auth else None,
        timeout=timeout,
        retries=retries,
        maxsize=4,
        ssl_context=tls,
    )


def origin(url: str) -> tuple[str | None, str | None, int | None]:
    """The server of a URL: scheme, host and port; logins to one are not for others."""
    parsed = parse_url(url)
    return parsed.scheme, parsed.host, parsed.port or {"http": 80, "https": 443}.get(parsed.scheme or "")


def _redirected(url: str, location: str) -> str:
    """Where a redirect leads; never from TLS to a server without it.

    Raises:
        WebError: It leads nowhere that may be asked.
    """
    try:
        target = urljoin(url, location)
        scheme = parse_url(target).scheme
    except ValueError as exc:
        raise WebError("redirects to something that is not a URL") from exc
    if scheme not in {"http", "https"}:
        raise WebError("redirects to something that is neither http:// nor https://")
    if scheme == "http" and parse_url(url).scheme == "https":
        raise WebError("redirects from https:// to http://, which is refused")
    return target


class _Server:
    """What this run knows about one server."""

    def __init__(self) -> None:
        self.first_contact = threading.Lock()
        self.reached = False
        self.dead: str | None = None
        """Why it is not asked again."""


def is_bypassed(host: str, no_proxy: Sequence[str]) -> bool:
    """Whether a name, a domain, an address or a CIDR of ``no_proxy`` covers ``host``."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        address = None
    for entry in no_proxy:
        domain = entry.lstrip("*").lstrip(".").lower()
        if entry == "*" or host.lower() == domain or (domain and host.lower().endswith(f".{domain}")):
            return True
        if address is not None:
            try:
                if address in ipaddress.ip_network(entry, strict=False):
                    return True
            except ValueError:
                continue
    return False


def _resolve(host: str) -> None:
    """Look a name up, but not for longer than a connection may take: resolvers can hang for minutes."""
    try:
        within(CONNECT_SECONDS, lambda: socket.getaddrinfo(host.strip("[]"), None))
    except LateError as exc:
        late = f"no answer (its name was not resolved within {CONNECT_SECONDS:.0f} s)"
        raise NoAnswerError(late) from exc
    except OSError as exc:
        raise NoAnswerError("no answer (its name cannot be resolved)") from exc


@contextmanager
def _translated(server: _Server) -> Iterator[None]:
    """Turn urllib3's exceptions into ours, and remember a server that does not answer."""
    try:
        yield
    except NoAnswerError as exc:
        server.dead = str(exc)
        raise
    except TooSlowError as exc:
        server.dead = str(exc)
        raise NoAnswerError(server.dead) from exc
    except LateError as exc:
        server.dead = f"no answer (no answer began within {ANSWER_SECONDS:.0f} s)"
        raise NoAnswerError(server.dead) from exc
    except TooLargeError as exc:
        raise WebError(str(exc)) from exc
    except HTTPError as exc:
        server.dead = f"no answer ({_describe(exc)})"
        raise NoAnswerError(server.dead) from exc


_DESCRIPTIONS: tuple[tuple[type[BaseException], str], ...] = (
    (NameResolutionError, "its name cannot be resolved"),
    (NewConnectionError, "no connection"),
    (ConnectTimeoutError, f"no connection within {CONNECT_SECONDS:.0f} s"),
    (ReadTimeoutError, f"no data for {READ_SECONDS:.0f} s"),
)


def _describe(exc: BaseException | None) -> str:
    if isinstance(exc, MaxRetryError) and exc.reason:
        return _describe(exc.reason)
    if isinstance(exc, ProxyError):
        return f"proxy: {_describe(exc.original_error)}"
    if isinstance(exc, NewConnectionError) and isinstance(exc.__cause__, OSError):
        return exc.__cause__.strerror or "no connection"
    known = next((text for kind, text in _DESCRIPTIONS if isinstance(exc, kind)), None)
    return known or str(exc) or type(exc).__name__
