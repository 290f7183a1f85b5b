"""Running "helm template" on this machine: nothing of the user's helm is used, and no cluster is asked."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from k8sbootstrap.formats.objects import ObjectError

_SECONDS = 120


@dataclass(frozen=True)
class Chart:
    """A chart to render, and what it is rendered with."""

    path: Path
    """Its folder, or its .tgz file."""
    release: str
    namespace: str
    values_files: Sequence[Path] = ()
    """Later ones win."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Win over those in files."""

    @property
    def title(self) -> str:
        """As messages name it."""
        return f"chart {self.release}"


def template(helm: Path, chart: Chart, kubernetes: str, api_versions: Sequence[str], scratch: Path) -> str:
    """Render a chart with its definitions and hooks, for a first installation.

    Args:
        helm: The program; it need not be executable where it is.
        chart: The chart.
        kubernetes: Version of Kubernetes that it is for.
        api_versions: What the cluster serves beside Kubernetes' own, as in example.com/v1.
        scratch: Folder that only this user can read; values may be secret.

    Returns:
        YAML documents, each below the comment that names its template.

    Raises:
        ObjectError: helm refuses it; has helm's own words.
    """
    with tempfile.TemporaryDirectory(prefix=".helm-", dir=scratch) as name:
        folder = Path(name)
        program = folder / "helm"
        try:
            shutil.copyfile(helm, program)
        except OSError as exc:
            raise ObjectError(f"{chart.title}: {helm} cannot be read: {exc.strerror}") from exc
        program.chmod(0o700)
        command = [str(program), "template", chart.release, str(chart.path), "--namespace", chart.namespace]
        command += ["--include-crds", "--skip-tests", "--kube-version", kubernetes]
        command += [f"--api-versions={version}" for version in api_versions]
        for number, content in enumerate([*_read(chart), json.dumps(dict(chart.values)).encode()]):
            file = folder / f"values-{number}.yaml"  # helm splits paths at commas: it runs in this folder
            file.write_bytes(content)
            command += ["--values", file.name]
        return _output(command, folder, chart)


def _read(chart: Chart) -> list[bytes]:
    try:
        return [file.read_bytes() for file in chart.values_files]
    except OSError as exc:
        raise ObjectError(f"{exc.filename} cannot be read: {exc.strerror}") from exc


def _output(command: Sequence[str], folder: Path, chart: Chart) -> str:
    homes = {f"HELM_{kind}_HOME": str(folder / kind) for kind in ("CACHE", "CONFIG", "DATA")}
    environment = {"HOME": str(folder), "KUBECONFIG": os.devnull, "PATH": os.defpath, **homes}
    try:
        done = subprocess.run(
            command,
            check=False,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as exc:
        raise ObjectError(f"{chart.title}: helm did not render it within {_SECONDS} s") from exc
    except OSError as exc:
        raise ObjectError(f"{chart.title}: helm cannot be run: {exc.strerror}") from exc
    if done.returncode != 0:
        said = done.stderr.strip().removeprefix("Error: ").replace(f"{folder}/", "")
        raise ObjectError(f"{chart.title}: helm: {said or f'exit code {done.returncode}'}")
    return done.stdout
