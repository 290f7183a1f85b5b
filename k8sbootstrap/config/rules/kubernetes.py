"""Rules about the release and its components' settings."""

from collections.abc import Iterator

from k8sbootstrap.catalog.data import minor_of
from k8sbootstrap.catalog.flags import not_taken
from k8sbootstrap.catalog.resolve import release
from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.models.runtime import Runtime
from k8sbootstrap.config.rules.finding import Finding
from k8sbootstrap.config.rules.reserved_flags import OWNED_FIELDS, OWNED_FLAGS
from k8sbootstrap.config.rules.syntax import is_flag
from k8sbootstrap.errors import UnknownReleaseError

_ANY_CATALOGUED_ARCH = "amd64"


def catalogued(draft: Draft) -> Iterator[Finding]:
    """The catalogue, or the file itself, has the release with this runtime."""
    if draft.kubernetes is None or draft.bad_releases is None:
        return
    if draft.kubernetes.version in {*draft.releases, *draft.bad_releases}:
        return  # the rules about releases have looked at it
    runtime = draft.runtime or Runtime()
    try:
        release(draft.kubernetes.version, _ANY_CATALOGUED_ARCH, runtime.name)
    except UnknownReleaseError as exc:
        yield Finding(("kubernetes", "version"), str(exc), "")


def extra_args(draft: Draft) -> Iterator[Finding]:
    """Extra flags are spelled without dashes, the release takes them, and they are not reserved."""
    if draft.kubernetes is None:
        return
    minor = minor_of(draft.kubernetes.version)
    for component, flags in draft.kubernetes.extra_args.items():
        refused = not_taken(component, minor)
        for flag in flags:
            location = ("kubernetes", "extraArgs", component, flag)
            bare = flag.lstrip("-").partition("=")[0].lower().replace("_", "-")
            if not is_flag(flag):
                fix = (
                    f"write it as {bare}" if is_flag(bare) else "write its name as in the component's --help"
                )
                yield Finding(location, f'"{flag}" is not the name of a flag', fix)
            if bare in OWNED_FLAGS[component]:
                yield Finding(location, *_owned(OWNED_FLAGS[component][bare]))
            elif bare in refused:
                yield Finding(location, f"{component} of Kubernetes {minor} does not have it", refused[bare])


def extra_config(draft: Draft) -> Iterator[Finding]:
    """Extra fields of configuration files are not those that the cluster depends on."""
    for component, fields in draft.kubernetes.extra_config.items() if draft.kubernetes else ():
        for name in fields:
            if name in OWNED_FIELDS[component]:
                location = ("kubernetes", "extraConfig", component, name)
                yield Finding(location, *_owned(OWNED_FIELDS[component][name]))


def _owned(instead: str) -> tuple[str, str]:
    return "k8sbootstrap sets this itself", f"set {instead}" if instead else "remove it"
