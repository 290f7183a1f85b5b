"""Hashes of files that no catalogue has, pinned for one cluster: ``state.artifact_pins``."""

import json
import threading
from dataclasses import asdict, dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from k8sbootstrap.artifacts.cache import write_json
from k8sbootstrap.errors import StateError
from k8sbootstrap.state import State

Reason = Literal["first use", "SHA256SUMS", "own build", "bundle", "upstream checksum"]
"""Why a hash is believed: nobody vouched for it; a source's list has it; a list of own builds has it, whose
own hash is in cluster.yaml, of a source or of a bundle; upstream's checksum has it."""


@dataclass(frozen=True)
class Pin:
    """The hash that a file must have from now on."""

    sha256: str
    source: str
    """The directory, mirror or upstream that the file came from."""
    reason: Reason


_FORMAT = TypeAdapter(dict[str, Pin])


class Pins:
    """The pins of one cluster, by ``NAME/VERSION/ARCH/FILE``. Safe to use from several threads.

    Args:
        state: The cluster's state; its directory is made when there is something to write.

    Raises:
        StateError: The pin file exists and cannot be read.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._changed = False
        self._pins: dict[str, Pin] = {}
        path = state.artifact_pins
        try:
            self._pins = _FORMAT.validate_python(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, ValidationError) as exc:
            raise StateError(
                f"{path} cannot be read: {exc}",
                hint="Restore it from a backup. Or remove it to trust the current files and pin them again.",
            ) from exc

    def get(self, key: str) -> Pin | None:
        """The pin of a file, or None."""
        with self._lock:
            return self._pins.get(key)

    def set(self, key: str, pin: Pin) -> None:
        """Pin a file; written by ``save``."""
        with self._lock:
            if self._pins.get(key) != pin:
                self._pins[key] = pin
                self._changed = True

    def save(self) -> None:
        """Write the pin file, if there is something new in it."""
        with self._lock:
            if self._changed:
                self._state.create()
                write_json(self._state.artifact_pins, {key: asdict(pin) for key, pin in self._pins.items()})
                self._changed = False
