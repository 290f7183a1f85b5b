"""A private image registry on this machine: Debian's docker-registry, with a CA of its own and a login."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import ipaddress
import json
import ssl
import subprocess
import tarfile
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import bcrypt
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from k8sbootstrap.lab.mirror import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER, PASSWORD = "puller", "correct-horse-battery"
PORT = 5443
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass
class Registry:
    """A running registry."""

    host: str
    """ADDRESS:PORT, as names of images begin with."""
    ca: Path
    log: Path

    def push(self, archive: Path, name: str, tag: str) -> None:
        """Push the one image of a docker archive."""
        with tarfile.open(archive) as tar:
            entry = json.load(tar.extractfile("manifest.json"))[0]
            config = tar.extractfile(entry["Config"]).read()
            layers = [tar.extractfile(layer).read() for layer in entry["Layers"]]
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._blob(name, config, "application/vnd.docker.container.image.v1+json"),
            "layers": [
                self._blob(name, layer, "application/vnd.docker.image.rootfs.diff.tar") for layer in layers
            ],
        }
        body = json.dumps(manifest).encode()
        self._call("PUT", f"https://{self.host}/v2/{name}/manifests/{tag}", body, _MANIFEST)

    def requests(self, needle: str) -> list[str]:
        """Lines of the registry's log that hold a text."""
        return [line for line in self.log.read_text().splitlines() if needle in line]

    def _blob(self, name: str, content: bytes, kind: str) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        place = self._call("POST", f"https://{self.host}/v2/{name}/blobs/uploads/")
        self._call("PUT", f"{place}&digest={digest}", content, "application/octet-stream")
        return {"mediaType": kind, "size": len(content), "digest": digest}

    def _call(self, method: str, url: str, body: bytes = b"", kind: str = "text/plain") -> str:
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": kind}
        request = urllib.request.Request(url, body, headers, method=method)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=self.ca)),
        )
        with opener.open(request, timeout=30) as answer:
            return answer.headers.get("Location", "")


def image_file(archive: Path, name: str) -> bytes:
    """A file of an image with one layer."""
    with tarfile.open(archive) as tar:
        layer = json.load(tar.extractfile("manifest.json"))[0]["Layers"][0]
        with tarfile.open(fileobj=tar.extractfile(layer)) as files:
            return files.extractfile(name).read()


@contextmanager
def serve(folder: Path, address: str, *, login: bool = True) -> Iterator[Registry]:
    """Run a registry on one address of this machine, and stop it.

    Args:
        folder: Empty; gets its program, certificates and images.
        address: Of a lab's bridge: only that lab's hosts reach it.
        login: Whether it wants one.
    """
    unpack("bookworm", ["docker-registry"], folder / "package")
    certificates(folder, address)
    (folder / "htpasswd").write_bytes(
        f"{USER}:".encode() + bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)) + b"\n"
    )
    config = {
        "version": 0.1,
        "log": {"accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
        "auth": {"htpasswd": {"realm": "lab", "path": str(folder / "htpasswd")}} if login else {},
        "http": {
            "addr": f"{address}:{PORT}",
            "tls": {"certificate": str(folder / "server.crt"), "key": str(folder / "server.key")},
        },
    }
    (folder / "config.yml").write_text(yaml.safe_dump(config))
    log = folder / "log"
    with log.open("w") as out:
        command = [folder / "package/usr/bin/docker-registry", "serve", folder / "config.yml"]
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        registry = Registry(f"{address}:{PORT}", folder / "ca.crt", log)
        deadline = time.monotonic() + 20
        while "listening on" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield registry
    finally:
        process.kill()
        process.wait(30)


def certificates(folder: Path, address: str) -> None:
    """A CA, and a server certificate for the address."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry CA of a lab")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    ca = _builder(issuer, issuer, authority).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    server = _builder(issuer, subject, key).add_extension(alternative, critical=False)
    for name, builder in (("ca", ca), ("server", server)):
        text = builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        (folder / f"{name}.crt").write_bytes(text)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.key").write_bytes(pem)


def _builder(
    issuer: x509.Name, subject: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )
