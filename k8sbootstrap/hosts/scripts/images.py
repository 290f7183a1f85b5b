"""Runs on a node, never on the controller: has its runtime get images, and prints which it lacks.

It is sent over SSH with the ``module_utils`` that roles' modules use there. Standard library only, Python 3.9
and later.

Request (JSON, its one argument): ``{"runtime", "look": [REF, ...], "load": [{"ref", "path", "sha256"}, ...],
"pull": [REF, ...], "seconds"}``: archives that arrive at these paths within ``seconds`` are loaded, other
images are pulled as the kubelet would. Answer: ``{"lacking": {REF: why}}``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.k8sbootstrap.images.docker import DockerError
from ansible.module_utils.k8sbootstrap.images.load import ImageError, load_images, missing_images

_CRICTL = "/usr/local/bin/crictl"
"""Where ours is; sudo's PATH lacks that folder on RHEL and its like."""
_LONGEST = 500


def load(runtime: str, image: dict[str, Any], until: float) -> str:
    """Load one image; why that is not possible, else empty."""
    archive = Path(image["path"])
    while not archive.exists():
        if time.monotonic() > until:
            return "its archive did not arrive"
        time.sleep(0.2)
    with archive.open("rb") as file:
        digest = hashlib.sha256()
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    if digest.hexdigest() != image["sha256"]:
        return "its archive is not the file that was sent"
    try:
        load_images(runtime, [{"ref": image["ref"], "tar": str(archive)}], check_mode=False)
    except ImageError as error:
        return str(error)
    return ""


def pull(ref: str) -> str:
    """Pull one image; why that failed, else empty."""
    words = [shutil.which("crictl") or _CRICTL, "--timeout=600s", "pull", ref]
    if not Path(words[0]).exists():
        return "crictl is not installed, so it was not pulled"
    done = subprocess.run(words, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    said = done.stderr.strip().splitlines()
    return _cause(said[-1]) if done.returncode and said else ""


def _cause(line: str) -> str:
    """The cause at the end of a line that crictl printed: every component puts its own words before it."""
    return line.replace('\\"', '"').rstrip('"').rpartition("failed to do request: ")[2][-_LONGEST:]


def main() -> None:
    """Answer the request."""
    request = json.loads(sys.argv[1])
    runtime, until = request["runtime"], time.monotonic() + request["seconds"]
    try:
        lacking = dict.fromkeys(missing_images(runtime, request.get("look", [])), "it is not there")
    except (DockerError, OSError) as error:
        sys.stdout.write(json.dumps({"lacking": {"": f"{runtime} does not answer: {error}"[:_LONGEST]}}))
        return
    for image in request["load"]:
        lacking[image["ref"]] = load(runtime, image, until)
    for ref in request["pull"]:
        lacking[ref] = pull(ref)
    answer = {ref: why[:_LONGEST] for ref, why in lacking.items() if why}
    sys.stdout.write(json.dumps({"lacking": answer}))


main()
