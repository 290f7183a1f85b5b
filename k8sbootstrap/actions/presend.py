"""Sends programs to new hosts while packages are being installed there, because the network is idle then.

Nothing depends on it. What has not arrived when a role needs it is sent by the role itself.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from k8sbootstrap.actions.upload import OutgoingFile, new_folder, upload_to
from k8sbootstrap.inventory.model import Inventory
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.todo import Survey

_AT_ONCE = 20
"""Hosts that are sent files at the same time."""


@contextmanager
def sent_ahead(plan: ClusterPlan, survey: Survey, inventory: Inventory) -> Iterator[str]:
    """Send hosts the programs of roles that are new there, in the background, while the block runs.

    Args:
        plan: The cluster.
        survey: What is to do.
        inventory: It names the files.

    Yields:
        The folder on hosts that they arrive in, each under its sha256. After the block it is gone.
    """
    folder = new_folder()
    turns = threading.BoundedSemaphore(_AT_ONCE)
    uploads = []
    for host in plan.hosts:
        new = [role for role, why in survey.work.get(host.name, {}).items() if "new" in why.causes]
        files = [
            OutgoingFile(path, digest) for digest, path in inventory.files_to_send(host.name, new).items()
        ]
        if files:
            uploads.append(upload_to(host, folder, files, turns))
    try:
        for upload in uploads:
            upload.start()
        yield folder
    finally:
        for upload in uploads:
            upload.ask_to_stop()
        for upload in uploads:
            upload.stop()
