"""Gets every file that an installation needs from the nearest place that has it, and checks its hash."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from k8sbootstrap.artifacts.bundle.reader import open_bundle
from k8sbootstrap.artifacts.cache import Cache
from k8sbootstrap.artifacts.failures import FetchFailure, artifact_error
from k8sbootstrap.artifacts.pins import Pins
from k8sbootstrap.artifacts.sources.base import (
    AbsentError,
    Expected,
    Obtained,
    RefusedError,
    Source,
    SourceError,
)
from k8sbootstrap.artifacts.sources.bundle import BundleSource
from k8sbootstrap.artifacts.sources.named import LocalDirectory, WebMirror
from k8sbootstrap.artifacts.sources.registries import RegistriesSource, RegistryImages
from k8sbootstrap.artifacts.sources.upstream import UpstreamSource
from k8sbootstrap.artifacts.trust import Trust, listed_hash
from k8sbootstrap.artifacts.web import Web
from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.config.models import artifacts as configured
from k8sbootstrap.config.models.network import Proxy
from k8sbootstrap.config.paths import local_path
from k8sbootstrap.errors import ArtifactError
from k8sbootstrap.formats.text import count
from k8sbootstrap.state import State

CACHE_LABEL = "the cache"
_WORKERS = 4

ProgressState = Literal["due", "getting", "done", "refused", "missing"]
"""due: the file has to be downloaded, and its size is known."""


@dataclass(frozen=True)
class Fetched:
    """A file that is on the controller with the right hash."""

    path: Path
    """In the cache, or in a directory that cluster.yaml names."""
    sha256: str
    source: str
    """Where it came from in this run: the cache, a directory, a mirror's URL, or upstream."""
    url: str | None = None
    """Where hosts can fetch the same file themselves: a mirror that has it."""
    own_build: bool = False
    """Whether a source's SHA256SUMS vouches for it against the hash that upstream published."""
    notes: tuple[str, ...] = ()
    """Problems on the way: sources that did not answer, files that were refused."""


@dataclass(frozen=True)
class Progress:
    """One step of getting one file."""

    key: str
    unit: str
    """What is downloaded: the file itself, or the archive that contains it."""
    source: str
    """Empty when the state is missing."""
    received: int
    """Bytes so far."""
    total: int | None
    """Bytes in all, where known."""
    state: ProgressState
    why: str = ""
    """The answers of all places, when the state is missing."""


def fetch_all(
    files: Iterable[ArtifactFile],
    config: configured.Artifacts,
    state: State,
    base: Path,
    cache: Path,
    *,
    optional: Iterable[ArtifactFile] = (),
    proxy: Proxy | None = None,
    images: RegistryImages | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> dict[str, Fetched]:
    """Get files: from the cache, then from the sources in their order, then from upstream.

    With a bundle: from the cache, then from the bundle; nobody else is asked.

    Args:
        files: What must be had.
        config: ``artifacts`` of cluster.yaml.
        state: The cluster's state; hashes of files that nothing vouches for are pinned there.
        base: Directory that relative paths in ``config`` start from: the one of cluster.yaml.
        cache: Cache directory, usually ``cache.cache_dir()``.
        optional: Files that are welcome but not needed, such as images that nodes can pull.
        proxy: ``proxy`` of cluster.yaml; the environment's proxy is used where it names none.
        images: Images that are pulled from their registries where no other place has them; None: none are.
        progress: Told of every step, by one thread at a time.

    Returns:
        ``ArtifactFile.key`` to the file; optional files that nobody has are left out.

    Raises:
        ArtifactError: Files could not be had, or only with a wrong hash; says what each place answered.
        StateError: The pin file is damaged.
    """
    wanted = {file.key: file for file in files}
    everything = {file.key: file for file in optional} | wanted
    pins = Pins(state)
    kept = Cache(cache)
    stopped = threading.Event()
    web = Web(proxy or Proxy(), stopped)
    named = _named(config, base.absolute(), web, kept)
    closed = "a bundle is used" if config.bundle else "" if config.upstream else "artifacts.upstream is false"
    upstream = UpstreamSource(web, kept, everything.values()) if not closed else None
    last: list[Source] = [upstream] if upstream else []
    if images and not config.bundle:
        last.append(RegistriesSource(images, kept, pins, proxy or Proxy(), stopped))
    trust = Trust(named, pins, kept, upstream, allow_unknown=config.allow_unknown)
    run = _Run(kept, trust, named, last, closed, progress)
    executor = ThreadPoolExecutor(_WORKERS, thread_name_prefix="artifacts")
    try:
        if progress:
            list(executor.map(run.measure, everything.values()))
        futures = {key: executor.submit(run.fetch, file) for key, file in everything.items()}
        results = {key: future.result() for key, future in futures.items()}
        kept.save()
    except OSError as exc:
        stopped.set()
        raise ArtifactError(
            f"{exc.filename or cache}: {exc.strerror}",
            hint=f"Check that {cache} is writable and has free space, or set K8SBOOTSTRAP_CACHE to "
            "another directory.",
        ) from exc
    except BaseException:
        stopped.set()
        raise
    finally:
        executor.shutdown(cancel_futures=True)
    failures = [
        result
        for key, result in results.items()
        if isinstance(result, FetchFailure) and (key in wanted or result.refused)
    ]
    if failures:
        raise artifact_error(failures, state.artifact_pins, bundled=config.bundle is not None)
    pins.save()
    return {key: result for key, result in results.items() if isinstance(result, Fetched)}


def summarize(fetched: Mapping[str, Fetched]) -> list[str]:
    """Lines that say which source served what, and what went wrong on the way, for people."""
    groups: dict[str, list[Fetched]] = {}
    for key, result in fetched.items():
        groups.setdefault("/".join(key.split("/")[:2]), []).append(result)
    lines = []
    for name, results in sorted(groups.items()):
        sources = Counter(result.source for result in results)
        served = ", ".join(f"{count(number, 'file')} from {source}" for source, number in sources.items())
        own = sum(result.own_build for result in results)
        lines.append(f"{name}: {served}" + (f" ({own} not built by upstream)" if own else ""))
    return lines + sorted({note for result in fetched.values() for note in result.notes})


def _named(config: configured.Artifacts, base: Path, web: Web, cache: Cache) -> list[Source]:
    if config.bundle:
        bundle = open_bundle(local_path(config.bundle, base))
        return [BundleSource(bundle, cache, config.bundle_manifest)]
    return [_source(source, base, web, cache) for source in config.sources]


def _source(
    source: configured.DirectorySource | configured.MirrorSource, base: Path, web: Web, cache: Cache
) -> LocalDirectory | WebMirror:
    if isinstance(source, configured.DirectorySource):
        return LocalDirectory(base / source.directory.expanduser(), cache, source.own_builds)
    return WebMirror(source.url, web, cache, source.own_builds)


@dataclass
class _Attempt:
    """The attempt to get one file: what each place answered."""

    file: ArtifactFile
    expected: Expected | None
    answers: list[tuple[str, str]] = field(default_factory=list)
    """Each place that was asked, and its answer."""
    notes: list[str] = field(default_factory=list)
    refused: bool = False
    absent: bool = False
    """Whether upstream answered that it does not have it."""

    def record(self, place: str, answer: SourceError) -> None:
        """Record that a place does not have the file, and why."""
        self.answers.append((place, str(answer)))
        if isinstance(answer, RefusedError):
            self.refused = True
            self.notes.append(f"{place}: {self.file.key} {answer}")
        elif isinstance(answer, AbsentError):
            self.absent = self.absent or place == UpstreamSource.label
        else:
            self.notes.append(f"{place}: {answer}")


@dataclass
class _Run:
    """Everything that the files of one call share."""

    cache: Cache
    trust: Trust
    named: list[Source]
    last: list[Source]
    """Upstream and image registries, as far as they may be asked."""
    closed: str
    """Why upstream is not asked; empty where it is."""
    progress: Callable[[Progress], None] | None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def _places(self) -> list[Source]:
        """Where files are looked for that are not in the cache."""
        return [*self.named, *self.last]

    def measure(self, file: ArtifactFile) -> None:
        """Report the size of a file that is not in the cache, where a place knows it before the download."""
        expected = self.trust.expected(file)
        if expected and self.cache.path(file, expected.sha256).exists():
            return
        for place in self._places:
            size = place.size(file)
            if size:
                self._report(file, place, "due", 0, size)
            if size is not None:
                return

    def fetch(self, file: ArtifactFile) -> Fetched | FetchFailure:
        """Get one file. Threads call this at the same time, each for another file."""
        expected = self.trust.expected(file)
        attempt = _Attempt(file, expected)
        found: Obtained | None
        source: Source | None = None
        place = CACHE_LABEL
        try:
            found = self._cached(file, expected)
            self._record_unusable(attempt)
        except SourceError as exc:
            attempt.record(CACHE_LABEL, exc)
            found, source = self._search(attempt, self.trust.other_build(file, expected))
            place = source.label if source else ""
        if found is None:
            why = "; ".join(f"{place}: {answer}" for place, answer in attempt.answers)
            self._report(file, None, "missing", why=why)
            return FetchFailure(
                file,
                tuple(attempt.answers),
                refused=attempt.refused,
                pinned=bool(expected and expected.pinned),
                unknown=expected is None,
                absent=attempt.absent,
                allowing=self._allowing(file),
            )
        if expected is None and not found.vouched:
            attempt.notes.append(
                f"{place}: {file.key} is pinned to sha256 {found.sha256}: this hash is not "
                "confirmed, but artifacts.allowUnknown is true"
            )
        self.trust.record(file, found, place, expected)
        size = found.path.stat().st_size
        self._report(file, source, "done", size, size)
        return Fetched(
            path=found.path,
            sha256=found.sha256,
            source=place,
            url=next((url for source in self.named if (url := source.url(file, found.sha256))), None),
            own_build=file.sha256 is not None and found.sha256 != file.sha256,
            notes=tuple(attempt.notes),
        )

    def _allowing(self, file: ArtifactFile) -> tuple[str, ...]:
        """What to write into cluster.yaml for sources that list the file as another build."""
        if file.runs_on_controller:
            return ()
        return tuple(
            source.to_allow for source in self.named if not source.own_builds and listed_hash(source, file)
        )

    def _cached(self, file: ArtifactFile, expected: Expected | None) -> Obtained:
        """The file in the cache; one with a wrong hash is thrown away."""
        if expected is None:
            raise AbsentError("not there")
        path = self.cache.path(file, expected.sha256)
        try:
            sha256 = self.cache.hash_of(path)
        except OSError as exc:
            raise AbsentError("not there") from exc
        if sha256 != expected.sha256:
            path.unlink(missing_ok=True)
            raise RefusedError(
                f"refused and deleted: it has sha256 {sha256} and must have {expected.sha256}, {expected.why}"
            )
        return Obtained(path, sha256)

    def _search(self, attempt: _Attempt, only: Source | None) -> tuple[Obtained | None, Source | None]:
        """Ask every source, then upstream; or ``only`` one, which is enough to say what is wrong."""
        for place in [only] if only else self._places:
            try:
                found = place.obtain(attempt.file, attempt.expected, self._reporter(attempt.file, place))
                self.trust.require_known(attempt.file, found, attempt.expected)
            except SourceError as exc:
                attempt.record(place.label, exc)
                if isinstance(exc, RefusedError):
                    self._report(attempt.file, place, "refused")
            else:
                return found, place
        if self.closed and not only:
            attempt.answers.append(("upstream", f"not used, because {self.closed}"))
        return None, None

    def _record_unusable(self, attempt: _Attempt) -> None:
        """Record sources that cannot be used, although the cache has the file."""
        for source in self.named:
            try:
                source.sums()
            except SourceError as exc:
                attempt.record(source.label, exc)

    def _reporter(self, file: ArtifactFile, place: Source) -> Callable[[int, int | None], None]:
        return lambda received, total: self._report(file, place, "getting", received, total)

    def _report(
        self,
        file: ArtifactFile,
        place: Source | None,
        state: ProgressState,
        received: int = 0,
        total: int | None = None,
        *,
        why: str = "",
    ) -> None:
        if self.progress:
            unit = place.unit(file) if place else file.key
            label = place.label if place else CACHE_LABEL if state == "done" else ""
            with self.lock:
                self.progress(Progress(file.key, unit, label, received, total, state, why))
