"""From the file cluster.yaml to a ``Cluster``, with every problem found at once; and its secrets."""

import re
from pathlib import Path

from pydantic import ValidationError

from k8sbootstrap.config import document, rules
from k8sbootstrap.config.document import Document
from k8sbootstrap.config.draft import Draft
from k8sbootstrap.config.environment import secret_variable, take_secrets
from k8sbootstrap.config.explain import explain
from k8sbootstrap.config.models.base import DNS_LABEL
from k8sbootstrap.config.models.cluster import Cluster
from k8sbootstrap.config.models.hosts import EnvSecret, Secret
from k8sbootstrap.config.paths import local_path
from k8sbootstrap.config.rules.text import control_characters
from k8sbootstrap.errors import ConfigError, Problem


def load_cluster(path: Path, bundle: Path | None = None) -> Cluster:
    """Read and check a cluster file. Reads local files that it names; touches no network.

    Args:
        path: The cluster file; problems name it as it is spelled here.
        bundle: Taken for what ``artifacts.bundle`` names.

    Raises:
        ConfigError: Something is wrong; carries all problems in the order of their lines.
    """
    return check(_read(path, bundle))


def load_settings(path: Path, bundle: Path | None = None) -> Cluster:
    """Read a cluster file without the files that it names: where it is a copy, they need not be there.

    For commands that touch no host.

    Args:
        path: The cluster file.
        bundle: Taken for what ``artifacts.bundle`` names.

    Raises:
        ConfigError: Something is wrong with the file itself.
    """
    source = _read(path, bundle)
    if source.problems:
        raise ConfigError(source.problems)
    try:
        cluster = Cluster.model_validate(source.data, by_alias=True, by_name=False)
    except ValidationError as exc:
        problems = [explain(error, source, Cluster) for error in exc.errors(include_url=False)]
        raise ConfigError(sorted(problems, key=lambda problem: problem.line)) from exc
    take_secrets(cluster)
    return cluster


def _read(path: Path, bundle: Path | None) -> Document:
    """The file as plain data, with another bundle where one is given."""
    source = document.read(path)
    if bundle and isinstance(source.data, dict):
        artifacts = source.data.get("artifacts") or {}
        if isinstance(artifacts, dict):
            source.data["artifacts"] = {**artifacts, "bundle": str(bundle.absolute())}
    return source


def load_name(path: Path) -> str:
    """The name of a cluster, also where something else in its file is wrong or a file that it names is gone.

    For commands that only look at what the state directory holds.

    Args:
        path: The cluster file.

    Raises:
        ConfigError: The file has no name that could be one; carries all of its problems.
    """
    source = document.read(path)
    name = source.data.get("name") if isinstance(source.data, dict) else None
    if isinstance(name, str) and re.fullmatch(DNS_LABEL, name):
        return name
    return check(source).name


def check(source: Document) -> Cluster:
    """Check a document that should be a cluster file.

    Args:
        source: What was read; paths in it are relative to the folder of ``source.file``.

    Raises:
        ConfigError: As for ``load_cluster``.
    """
    problems = [*source.problems, *control_characters(source)]
    if source.data is None and problems:
        raise ConfigError(problems)
    cluster: Cluster | None = None
    bad_locations = []
    try:
        # In the file keys are camelCase only: one spelling, the one that the schema knows.
        cluster = Cluster.model_validate(source.data, by_alias=True, by_name=False)
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
        problems += [explain(error, source, Cluster) for error in errors]
        bad_locations = [error["loc"] for error in errors]
    draft = Draft.of(source.data, bad_locations)
    problems += [source.problem(*finding) for finding in rules.check(draft, source.file.resolve().parent)]
    if problems or cluster is None:
        raise ConfigError(sorted(problems, key=lambda problem: problem.line))
    take_secrets(cluster)
    return cluster


def resolve_secret(secret: Secret, base: Path) -> str:
    """Fetch a secret from where the cluster file says it is.

    Args:
        secret: What the cluster file says.
        base: The folder of the cluster file.

    Raises:
        ConfigError: The variable is not set or the file cannot be read; names the source, never its content.
    """
    if isinstance(secret, EnvSecret):
        value = secret_variable(secret.env)
        if not value:
            what = f"the environment variable {secret.env} is not set; export it with the secret"
            raise ConfigError([Problem(base, 0, "", what, "")])
        return value
    file = local_path(secret.file, base)
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "is not UTF-8 text"
        raise ConfigError([Problem(file, 0, "", f"the secret cannot be read: {reason}", "")]) from exc
