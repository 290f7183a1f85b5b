"""Rules about releases that the cluster file brings itself."""

from collections.abc import Iterator

from k8sbootstrap.catalog.data import load_catalogue, minor_of, numbers
from k8sbootstrap.catalog.resolve import own_keys
from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.explain import nearest
from k8sbootstrap.config.rules.finding import Finding


def minors(draft: Draft) -> Iterator[Finding]:
    """The catalogue has the minor of every release."""
    known = [minor.minor for minor in load_catalogue().minors]
    for version in draft.releases:
        if minor_of(version) not in known:
            yield Finding(
                ("releases", version),
                f"Kubernetes {minor_of(version)} is not supported",
                f"use a release of {', '.join(known[:-1])} or {known[-1]}",
            )


def etcd(draft: Draft) -> Iterator[Finding]:
    """The release works with the version of etcd that it is given."""
    known = {minor.minor: minor for minor in load_catalogue().minors}
    for version, own in draft.releases.items():
        minor = known.get(minor_of(version))
        if minor and own.etcd and numbers(own.etcd) < numbers(minor.etcd_least):
            yield Finding(
                ("releases", version, "etcd"),
                f"Kubernetes {minor.minor} does not work with etcd {own.etcd}",
                f"use {minor.etcd_least} or later",
            )


def files(draft: Draft) -> Iterator[Finding]:
    """Every file and archive is one that the release installs."""
    known = {minor.minor for minor in load_catalogue().minors}
    for version, own in draft.releases.items():
        keys = own_keys(version, own.overrides()) if minor_of(version) in known else own.files
        for key in own.files:
            if key not in keys:
                near = nearest(key, keys)
                yield Finding(
                    ("releases", version, "files", key),
                    f"Kubernetes {version} does not install this file",
                    f"did you mean {near}?" if near else "write NAME/VERSION/ARCH/FILE, or NAME/VERSION/ARCH",
                )
