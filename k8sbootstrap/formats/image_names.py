"""Names of container images, and of the registries in them."""

from urllib3.util import parse_url

DOCKER_HUB = "docker.io"


def registry_host(url: str) -> str:
    """HOST or HOST:PORT of a URL, as names of images begin with it."""
    parsed = parse_url(url)
    return f"{parsed.host}:{parsed.port}" if parsed.port else str(parsed.host)
