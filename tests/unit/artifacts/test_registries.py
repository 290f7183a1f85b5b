"""Images from registries; tests/e2e pulls the same way from Debian's docker-registry."""

import json
import shutil
import tarfile
import threading
from pathlib import Path

import pytest

from k8sbootstrap.artifacts.registry_web import RegistryWeb
from k8sbootstrap.artifacts.sources.registries import RegistryImages
from k8sbootstrap.artifacts.web import WebError
from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.config.models.network import Proxy
from k8sbootstrap.config.models.runtime import Registry
from k8sbootstrap.errors import ArtifactError
from k8sbootstrap.formats import limits
from k8sbootstrap.formats.image_archive import digest_of, read_archive
from k8sbootstrap.plan.registries import plan_registries

from .helpers import Site

REF = "registry.example.com/team/app:1.0"
FILE = ArtifactFile("app", "1.0", "amd64", "image.tar")
V2 = "/v2/team/app"
LAYER = b"a layer" * 400_000


def image(arch: str = "amd64", layer: bytes = LAYER) -> tuple[bytes, dict[str, bytes]]:
    """A manifest, and the blobs that it names by path."""
    config = json.dumps({"architecture": arch, "os": "linux"}).encode()
    blobs = {f"{V2}/blobs/{digest_of(blob)}": blob for blob in (config, layer)}
    described = [{"digest": digest_of(blob), "size": len(blob)} for blob in (config, layer)]
    return json.dumps({"schemaVersion": 2, "config": described[0], "layers": described[1:]}).encode(), blobs


def index(**manifests: bytes) -> bytes:
    entries = [
        {"digest": digest_of(manifest), "platform": {"os": "linux", "architecture": arch}}
        for arch, manifest in manifests.items()
    ]
    other = {"digest": "sha256:0", "platform": {"os": "windows", "architecture": "amd64"}}
    return json.dumps({"schemaVersion": 2, "manifests": [other, *entries]}).encode()


@pytest.fixture
def pull(site, server):
    """Pulls FILE through a mirror of its registry, over a plain connection: that vouches for nothing."""
    registries = [Registry(host="registry.example.com", mirrors=[server.url])]

    def pull(logins=None, *, allow_unknown=True, **more):
        images = RegistryImages(
            {FILE.key: REF}, plan_registries(registries, site.root), logins or {}, all=False
        )
        return site.fetch(optional=[FILE], images=images, upstream=True, allow_unknown=allow_unknown, **more)

    return pull


def test_an_image_becomes_an_archive_that_runtimes_load(pull, server):
    manifest, blobs = image()
    server.files = {f"{V2}/manifests/1.0": manifest, **blobs}
    got = pull()[FILE.key]
    assert (read_archive(got.path).refs, read_archive(got.path).arch) == ((REF,), "amd64")
    with tarfile.open(got.path) as tar:
        found = json.load(tar.extractfile("index.json"))["manifests"][0]
        assert (found["digest"], found["annotations"]["io.containerd.image.name"]) == (
            digest_of(manifest),
            REF,
        )
        assert tar.extractfile(f"blobs/{found['digest'].replace(':', '/')}").read() == manifest
        layer = json.load(tar.extractfile("manifest.json"))[0]["Layers"][0]
        assert tar.extractfile(layer).read() == LAYER


def test_what_one_clusters_registry_vouches_for_is_not_right_for_another_cluster(new_tls_server, tmp_path):
    got = []
    (tmp_path / "one").mkdir()
    for name, layer in (("one", LAYER), ("other", b"another image" * 100)):
        registry, site = new_tls_server(), Site(tmp_path / name)
        manifest, blobs = image(layer=layer)
        registry.files = {f"{V2}/manifests/1.0": manifest, **blobs}
        mirrors = plan_registries([Registry(host="registry.example.com", mirrors=[registry.url])], site.root)
        images = RegistryImages({FILE.key: REF}, mirrors, {}, all=False)
        runs = [site.fetch(optional=[FILE], images=images, upstream=True) for _ in range(2)]
        got += [found[FILE.key].sha256 for found in runs]
        assert registry.gets(f"{V2}/manifests/1.0") == 1, "it is pinned for its own cluster"
        if name == "one":
            shutil.copytree(site.cache, tmp_path / "other" / "cache")
    assert (got[0], got[2]) == (got[1], got[3])
    assert got[0] != got[2]


def test_a_plain_connection_vouches_for_no_image(pull, server):
    manifest, blobs = image()
    server.files = {f"{V2}/manifests/1.0": manifest, **blobs}
    with pytest.raises(
        ArtifactError, match=r"image registries: refused: it has sha256 \w+, which is not in the catalogue"
    ):
        pull(allow_unknown=False)


def test_the_image_of_the_hosts_architecture_is_taken(pull, server):
    (amd, amd_blobs), (arm, arm_blobs) = image(), image("arm64")
    server.files = {f"{V2}/manifests/1.0": index(arm64=arm, amd64=amd), **amd_blobs, **arm_blobs}
    server.files |= {f"{V2}/manifests/{digest_of(each)}": each for each in (amd, arm)}
    assert read_archive(pull()[FILE.key].path).arch == "amd64"


@pytest.mark.parametrize("served", [image("arm64"), (index(arm64=b""), {})])
def test_an_image_for_others_is_none(pull, server, served):
    server.files = {f"{V2}/manifests/1.0": served[0], **served[1]}
    why = []
    assert pull(progress=lambda step: why.append(step.why)) == {}
    assert "for arm64, not for amd64" in why[-1] or "there is no image for amd64" in why[-1]


def test_a_tag_is_pinned_by_the_digest_that_it_meant(pull, server, site):
    first, blobs = image()
    second, others = image(layer=b"another")
    server.files = {f"{V2}/manifests/1.0": first, f"{V2}/manifests/{digest_of(first)}": first, **blobs}
    got = pull()[FILE.key]
    assert json.loads(site.state.artifact_pins.read_text())[FILE.key]["source"] == f"{REF}@{digest_of(first)}"
    server.files |= {f"{V2}/manifests/1.0": second, **others}
    got.path.unlink()
    assert pull()[FILE.key].sha256 == got.sha256


@pytest.mark.parametrize("what", ["manifest", "layer"])
def test_what_has_another_digest_is_refused(pull, server, what):
    manifest, blobs = image()
    server.files = {f"{V2}/manifests/1.0": index(amd64=manifest), **blobs}
    server.files[f"{V2}/manifests/{digest_of(manifest)}"] = manifest + b" " * (what == "manifest")
    if what == "layer":
        server.files[f"{V2}/blobs/{digest_of(LAYER)}"] = b"something else"
    wanted = digest_of(LAYER if what == "layer" else manifest).removeprefix("sha256:")
    host = server.url.removeprefix("http://")
    with pytest.raises(ArtifactError, match=rf"image registries: {host}: refused: .*{wanted}"):
        pull()


def test_a_pull_goes_on_where_it_broke_off(pull, server):
    manifest, blobs = image()
    layer = f"{V2}/blobs/{digest_of(LAYER)}"
    server.files = {f"{V2}/manifests/1.0": manifest, **blobs}
    server.break_after = {layer: 2 << 20}
    pull()
    assert [headers["range"] for headers in server.headers if "range" in headers] == [f"bytes={2 << 20}-"]


def test_a_layer_that_two_images_share_is_downloaded_once(site, server):
    manifest, blobs = image()
    server.files = {f"{V2}/manifests/{tag}": manifest for tag in ("1.0", "1.1")} | blobs
    other = ArtifactFile("app", "1.1", "amd64", "image.tar")
    registries = plan_registries([Registry(host="registry.example.com", mirrors=[server.url])], site.root)
    for file, ref in ((FILE, REF), (other, REF.replace("1.0", "1.1"))):
        images = RegistryImages({file.key: ref}, registries, {}, all=False)
        assert site.fetch(optional=[file], images=images, upstream=True, allow_unknown=True)
    assert server.gets(f"{V2}/blobs/{digest_of(LAYER)}") == 1


def test_a_token_is_fetched_when_it_is_asked_for(pull, server, new_server):
    tokens = new_server()
    query = "service=registry.example.com&scope=repository%3Ateam%2Fapp%3Apull"
    tokens.files = {f"/token?{query}": b'{"token": "abc"}'}
    manifest, blobs = image()
    server.files = {f"{V2}/manifests/1.0": manifest, **blobs}
    server.challenge = f'Bearer realm="{tokens.url}/token",service="registry.example.com",scope="x"'
    server.granted = "Bearer abc"
    assert FILE.key in pull()
    assert len(tokens.requests) == 1


LOGIN = "dXNlcjpwYXNz"


def asking_web(login: str | None = LOGIN) -> RegistryWeb:
    return RegistryWeb(Proxy(), threading.Event(), login, None)


def sent_logins(server) -> list[str]:
    return [headers["authorization"] for headers in server.headers if "authorization" in headers]


def test_a_login_is_sent_where_it_is_asked_for(new_tls_server):
    registry = new_tls_server()
    url = f"{registry.url}{V2}/manifests/1.0"
    registry.files = {f"{V2}/manifests/1.0": b"{}"}
    registry.challenge, registry.granted = 'Basic realm="x"', f"Basic {LOGIN}"
    with pytest.raises(
        WebError, match=r"asks for a login, but runtime\.registries in cluster\.yaml has none"
    ):
        asking_web(None).content(url)
    assert asking_web().content(url) == b"{}"


@pytest.mark.parametrize("challenge", ['Basic realm="x"', 'Bearer realm="{tokens}/token"', ""])
def test_a_login_is_never_sent_without_tls(server, new_tls_server, challenge):
    tokens = new_tls_server()
    server.challenge = challenge.format(tokens=tokens.url) or "?"
    with pytest.raises(WebError, match="asks for the login, which is sent only over TLS"):
        asking_web().content(f"{server.url}{V2}/manifests/1.0")
    assert not sent_logins(server)
    assert not tokens.requests


@pytest.mark.parametrize("login", [LOGIN, None])
def test_a_registry_with_tls_may_not_name_a_server_for_tokens_without(new_tls_server, server, login):
    registry = new_tls_server()
    registry.challenge = f'Bearer realm="{server.url}/token"'
    with pytest.raises(WebError, match="its token server does not use TLS"):
        asking_web(login).content(f"{registry.url}{V2}/manifests/1.0")
    assert not server.requests


@pytest.mark.parametrize("challenge", ['Basic realm="x"', 'Bearer realm="{other}/token"'])
def test_a_server_that_a_registry_redirects_to_gets_no_login(new_tls_server, challenge):
    registry, other = new_tls_server(), new_tls_server()
    registry.redirects = {f"{V2}/manifests/1.0": f"{other.url}/elsewhere"}
    other.challenge = challenge.format(other=other.url)
    with pytest.raises(WebError, match="asks for a login, but the login belongs to another host"):
        asking_web().content(f"{registry.url}{V2}/manifests/1.0")
    assert not sent_logins(other)
    assert not other.gets("/token")


def test_what_was_granted_is_not_passed_on_in_a_redirect(new_tls_server):
    registry, store = new_tls_server(), new_tls_server()
    store.files = {"/blob": b"content"}
    url = f"{registry.url}{V2}/blobs/sha256:1"
    web = asking_web()
    registry.files = {f"{V2}/manifests/1.0": b"{}"}
    registry.challenge, registry.granted = 'Basic realm="x"', f"Basic {LOGIN}"
    web.content(f"{registry.url}{V2}/manifests/1.0")
    registry.redirects = {f"{V2}/blobs/sha256:1": f"{store.url}/blob"}
    registry.challenge = ""
    assert web.content(url) == b"content"
    assert sent_logins(registry)[-1] == f"Basic {LOGIN}"
    assert not sent_logins(store)


@pytest.mark.parametrize("answer", [b"[]", b"{}", b"<html>", b'{"config": {"digest": "../x", "size": 1}}'])
def test_something_that_is_no_manifest_is_none(pull, server, answer):
    server.files = {f"{V2}/manifests/1.0": answer}
    why = []
    assert pull(progress=lambda step: why.append(step.why)) == {}
    assert "runtimes do not support its manifest" in why[-1]


def test_digests_name_no_other_paths(pull, server, site):
    described = {"digest": "sha256:../../../../x", "size": 1}
    server.files = {f"{V2}/manifests/1.0": json.dumps({"config": described, "layers": []}).encode()}
    assert pull() == {}
    assert not list(Path(site.root).rglob("x*"))


@pytest.mark.parametrize("digest", [digest_of(LAYER) + "\n", "sha256:" + "0" * 63, "1.0-amd64"])
def test_what_has_no_digest_is_not_asked_for(pull, server, digest):
    manifest, blobs = image()
    named = json.loads(manifest)
    named["layers"][0]["digest"] = digest
    entry = {"digest": digest, "platform": {"os": "linux", "architecture": "amd64"}}
    for answer in (named, {"manifests": [entry]}):
        server.files = {f"{V2}/manifests/1.0": json.dumps(answer).encode(), **blobs}
        server.files |= {f"{V2}/{kind}/{digest}": manifest for kind in ("manifests", "blobs")}
        why = []
        assert pull(progress=lambda step, why=why: why.append(step.why)) == {}
        assert "runtimes do not support its manifest" in why[-1]
        assert not server.gets(f"{V2}/manifests/{digest}")


def test_registries_that_nobody_names_are_left_alone_where_upstream_is(site):
    why = []
    images = RegistryImages({FILE.key: REF}, (), {}, all=False)
    assert site.fetch(optional=[FILE], images=images, progress=lambda step: why.append(step.why)) == {}
    assert "image registries: not used, because artifacts.upstream is false" in why[-1]


@pytest.mark.parametrize("size", [limits.IMAGE, True, -1, "7", 1.5, None])
def test_sizes_of_an_image_that_are_none(pull, server, size):
    manifest, blobs = image()
    described = json.loads(manifest)
    described["layers"][0]["size"] = size
    server.files = {f"{V2}/manifests/1.0": json.dumps(described).encode(), **blobs}
    why = []
    assert pull(progress=lambda step: why.append(step.why)) == {}
    assert ("the limits are" if size == limits.IMAGE else "runtimes do not support its manifest") in why[-1]
    assert not [path for path in blobs if server.gets(path)]


def test_a_layer_ends_where_its_manifest_says(pull, server):
    manifest, blobs = image()
    layer = json.loads(manifest)["layers"][0]
    server.files = {f"{V2}/manifests/1.0": manifest, **blobs}
    server.files[f"{V2}/blobs/{layer['digest']}"] = bytes(layer["size"] + 1)
    why = []
    assert pull(progress=lambda step: why.append(step.why)) == {}
    assert f"more than the limit of {layer['size']:,}" in why[-1]
