"""What the action ``component`` asks the module of that name for."""

from __future__ import annotations

from typing import TypedDict


class User(TypedDict):
    """A system user."""

    name: str
    home: str


class _Owned(TypedDict, total=False):
    owner: str
    group: str
    data: bool
    """Whether programs of the cluster write into it."""


class Directory(_Owned):
    """A directory; root's where no owner is named."""

    path: str
    mode: str
    """Octal."""


class _Placed(TypedDict):
    dest: str
    mode: str
    """Octal."""
    restarts: list[str]
    """Units that must restart when it changes."""


class Binary(_Placed):
    """A file that is fetched or sent, and known by its hash."""

    sha256: str
    url: str | None
    """Where the host may fetch it."""


class Leaf(TypedDict):
    """What the controller knows of a certificate that it made, or of the file with its key."""

    name: str
    """Its name in the controller's PKI."""
    says: str
    """Digest of what it says: whom it names, who signs it. A new one says the same."""
    authority_ends: float
    """When its CA ends, in seconds since 1970."""


class Reread(TypedDict):
    """How a file is changed that a running API server reads again by itself, and may refuse."""

    unit: str
    server: str
    """URL of the API server here."""
    after: list[str]
    """URLs of those that must have taken it first."""


class File(_Placed):
    """A file with its content."""

    content: str
    """In base64."""
    owner: str
    group: str
    secret: bool
    """Whether no diff shows it."""
    live: list[str]
    """Keys of a JSON file that its program reads again when it is told to."""
    endpoints: str
    """Flag of a unit that lists servers: see endpoints.py. Empty for none."""
    merge: str
    """docker or containerd where its settings are put together with those that are there; else empty."""
    keep: bool
    """Whether somebody else's file stays."""
    replace: bool
    """Whether the cluster's programs write it too."""
    leaf: Leaf | None
    """Of a certificate, its key, or a kubeconfig; else None."""
    renew: bool
    """Whether it replaces one that says the same and is still good."""
    reread: Reread | None
    """Of a file that an API server reads again by itself; else None."""


class Health(TypedDict, total=False):
    """A health endpoint, and the files to speak to it."""

    url: str
    ca: str
    cert: str
    key: str


class Unit(TypedDict):
    """A systemd unit."""

    name: str
    health: Health | None
    timeout: float
    """Seconds until it must be healthy."""
    rolling: bool
    """Whether it restarts on one host at a time only."""
    reload: bool
    """Whether it is reloaded instead of restarted."""
    missing: list[str]
    """Command that prints what the unit has set and is not there any more (losses.py); empty for most."""


class Image(TypedDict):
    """An image for the runtime."""

    ref: str
    """Its full reference."""
    tar: str
    """Path of its archive on this host."""


class RegistryImage(TypedDict):
    """An image for the cluster's registry, for one architecture."""

    ref: str
    name: str
    """In the registry, as is the tag."""
    tag: str
    arch: str
    sha256: str
    """Of its archive."""


class Registry(TypedDict, total=False):
    """The cluster's registry; empty on other hosts than its own."""

    data: str
    """Folder of its storage."""
    user: str
    images: list[RegistryImage]


class Etcd(TypedDict, total=False):
    """How etcd's member may start; empty for other components."""

    name: str
    """Of the member here."""
    members: dict[str, str]
    """Name to address."""
    begin: str
    """State to start in without data, new or existing; empty where it may not."""
    restoring: str
    """Id of a restore that brings the member's data: it is installed and does not start. Empty for none."""


class Request(TypedDict):
    """All that one component needs on a host."""

    name: str
    cluster: str
    users: list[User]
    directories: list[Directory]
    files: list[File]
    binaries: list[Binary]
    units: list[Unit]
    images: list[Image]
    registry: Registry
    sandbox_image: str
    runtime: str
    needs: list[str]
    """Paths that its programs make and that it can't do without."""
    digest: str
    """Of the inputs, for the record."""
    etcd: Etcd
    replaces: list[str]
    """Components to take off before the units start."""
    absent: list[str]
    """Components to take off; nothing else is done then."""
    restart: bool
    """Whether this is the second call, which restarts rolling units."""
    pending: list[str]
    """Units that must restart whatever their files are like."""
    inputs: dict[str, list[str]]
    """Unit to the files that it must restart for."""
    peers: list[Health]
    """Health endpoints of the other members."""
    incoming: str
    """Folder that files were sent ahead to; empty where none were."""
    made_with: dict[str, str]
    """What can't be changed any more."""
