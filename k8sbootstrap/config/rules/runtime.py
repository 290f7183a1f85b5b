"""Rules about the container runtime and the registries that it pulls from."""

from collections.abc import Container, Iterator

from urllib3.util import parse_url

from k8sbootstrap.catalog.data import minor_of
from k8sbootstrap.catalog.runtimes import known_minors, minor, misfit
from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.models.runtime import Docker
from k8sbootstrap.config.rules.finding import Finding
from k8sbootstrap.formats.image_names import DOCKER_HUB, registry_host

_REGISTRIES = ("runtime", "registries")


def registry_hosts(draft: Draft) -> Iterator[Finding]:
    """Every registry has one entry."""
    seen: set[str] = set()
    for index, registry in enumerate(draft.runtime.registries if draft.runtime else ()):
        if registry.host in seen:
            location = (*_REGISTRIES, index, "host")
            yield Finding(
                location, f"{registry.host} has an entry already", "write everything into one entry"
            )
        seen.add(registry.host)


def logins(draft: Draft) -> Iterator[Finding]:
    """A registry has both a user and a password, or neither; the user has no colon."""
    for index, registry in enumerate(draft.runtime.registries if draft.runtime else ()):
        place, user = (*_REGISTRIES, index), registry.username
        if user is not None and (user == "" or ":" in user):
            fix = "write it without a colon"
            yield Finding((*place, "username"), f'"{user}" is not a user name', fix)
        if user is not None and registry.password is None:
            fix = 'add "password: {file: FILE}" or "password: {env: VARIABLE}"'
            yield Finding(place, "has a username without a password", fix)
        if user is None and registry.password is not None:
            yield Finding(place, "has a password without a username", 'add "username: ..."')


def mirrors(draft: Draft) -> Iterator[Finding]:
    """A mirror is a plain URL, gets no login without TLS, and is one that the runtime can use."""
    if draft.runtime is None:
        return
    with_login = {registry.host for registry in draft.runtime.registries if registry.username is not None}
    for index, registry in enumerate(draft.runtime.registries):
        for place, url in enumerate(registry.mirrors):
            wrong = _not_plain(url) or _unencrypted(url, with_login)
            if not wrong and draft.runtime.name == "docker":
                wrong = _not_for_docker(url, registry.host, with_login)
            if wrong:
                yield Finding((*_REGISTRIES, index, "mirrors", place), *wrong)


def docker_settings(draft: Draft) -> Iterator[Finding]:
    """Settings of docker are for clusters that have it."""
    runtime = draft.runtime
    if runtime and runtime.name != "docker" and runtime.docker != Docker():
        fix = "remove them, or set runtime.name: docker"
        yield Finding(("runtime", "docker"), f"the runtime is {runtime.name}", fix)


def source(draft: Draft) -> Iterator[Finding]:
    """Of the two runtimes, containerd has releases of its own to install, and one that the minor takes."""
    if draft.runtime is None or draft.runtime.source != "upstream":
        return
    if draft.runtime.name != "containerd":
        fix = "remove it, or set runtime.name: containerd"
        yield Finding(("runtime", "source"), f"{draft.runtime.name} comes only from the distribution", fix)
        return
    version = draft.kubernetes.version if draft.kubernetes else ""
    own = draft.releases.get(version)
    if own is None or own.containerd is None or minor_of(version) not in known_minors():
        return
    wrong = misfit("containerd", own.containerd, minor(version))
    if wrong:
        yield Finding(("releases", version, "containerd"), wrong, "name another version")


def _not_plain(url: str) -> tuple[str, str] | None:
    parsed = parse_url(url)
    if parsed.auth is not None:
        entry = f"an entry for {registry_host(url)} under runtime.registries"
        return "contains a login", f"write username and password into {entry}"
    if parsed.query or parsed.fragment:
        return "contains more than the address of a registry", "remove what begins with ? or #"
    return None


def _unencrypted(url: str, with_login: Container[str]) -> tuple[str, str] | None:
    if url.lower().startswith("http://") and registry_host(url) in with_login:
        what = f"http:// would send the login of {registry_host(url)} unencrypted"
        return what, "use https://, or remove the login"
    return None


def _not_for_docker(url: str, host: str, with_login: Container[str]) -> tuple[str, str] | None:
    if host != DOCKER_HUB:
        what = f"docker supports only mirrors of {DOCKER_HUB}, not of {host}"
        return what, "set runtime.name: containerd, or use the mirror's names of images"
    if parse_url(url).path not in {None, "", "/"}:
        return "docker supports only mirrors without a path", "set runtime.name: containerd"
    if registry_host(url) in with_login:
        return (
            "docker does not log in to mirrors",
            "set runtime.name: containerd, or use a mirror without a login",
        )
    return None
