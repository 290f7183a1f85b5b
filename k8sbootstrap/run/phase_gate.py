"""Makes Ansible wait before each phase, until this program lets it go on."""

import os
from contextlib import suppress


class Gate:
    """A pipe from which Ansible's callback plugin reads one byte before each phase.

    When the pipe is closed Ansible goes on too, so close the gate only when Ansible has ended.
    """

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()

    @property
    def environment(self) -> dict[str, str]:
        """What tells the callback plugin where to wait."""
        return {"K8SBOOTSTRAP_GO_FD": str(self.reader)}

    def handed_over(self) -> None:
        """Close this process' copy of Ansible's end of the pipe, once Ansible has started or failed to."""
        os.close(self.reader)

    def open(self) -> None:
        """Let Ansible through, once."""
        with suppress(BrokenPipeError):  # it died while it waited; its exit code tells
            os.write(self._writer, b"\n")

    def close(self) -> None:
        """Ansible has ended."""
        os.close(self._writer)
