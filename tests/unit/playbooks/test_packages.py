"""What a host installs: its distribution's names, by its distribution's package manager."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible.module_utils.k8sbootstrap.host import packages

from k8sbootstrap.catalog.distributions import host_platforms, platform_of

OS_RELEASES = {
    # as the distributions' own images have it
    'ID=debian\nVERSION_ID="12"\n': "apt",
    'ID=debian\nVERSION_ID="13"\n': "apt",
    'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\n': "apt",
    'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n': "apt",
    'ID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.6"\n': "dnf",
    'ID="rhel"\nID_LIKE="centos fedora"\nVERSION_ID="10.0"\n': "dnf",
    'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.5"\n': "dnf",
    'ID="almalinux"\nID_LIKE="rhel centos fedora"\nVERSION_ID="10.0"\n': "dnf",
    'ID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="9"\n': "dnf",
    'ID="ol"\nID_LIKE="fedora"\nVERSION_ID="9.4"\n': "dnf",
}
UNSUPPORTED = {
    "ID=debian\n": "apt",  # Debian testing has no VERSION_ID
    'ID=debian\nVERSION_ID="11"\n': "apt",
    'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="25.10"\n': "apt",
    'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="22"\n': "apt",
    'ID="rhel"\nVERSION_ID="8.10"\n': "dnf",
    'ID="eurolinux"\nID_LIKE="rhel fedora centos"\nVERSION_ID="9.4"\n': "dnf",
}


@pytest.fixture
def on_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict]:
    """What a host with this os-release chooses from what a docker-less node is given."""

    def choose(os_release: str) -> dict:
        (tmp_path / "os-release").write_text(f'NAME="x"\n\n# comment\n{os_release}PRETTY_NAME="X 1"\n')
        monkeypatch.setattr(packages, "_OS_RELEASE", str(tmp_path / "os-release"))
        return packages.platform_of(host_platforms(["node", "load_balancer"]))

    return choose


def release(os_release: str) -> tuple[str, str]:
    lines = dict(line.split("=") for line in os_release.splitlines())
    return lines["ID"].strip('"'), lines.get("VERSION_ID", "").strip('"')


@pytest.mark.parametrize(("os_release", "manager"), OS_RELEASES.items())
def test_the_controller_and_the_host_choose_alike(on_host, os_release, manager):
    platform = platform_of(*release(os_release))
    assert platform
    chosen = on_host(os_release)
    assert platform.manager == chosen["manager"] == manager
    assert platform.names(["node", "load_balancer"]) == chosen["packages"]


@pytest.mark.parametrize(("os_release", "manager"), UNSUPPORTED.items())
def test_what_preflight_refuses_gets_the_nearest_when_that_is_ignored(on_host, os_release, manager):
    assert platform_of(*release(os_release)) is None
    assert on_host(os_release)["manager"] == manager


def test_a_distribution_that_is_like_none_is_an_error(on_host):
    with pytest.raises(
        packages.PackageError, match=r"does not know the packages for X 1, only for debian 12, .*ol 10"
    ):
        on_host("ID=arch\n")


# dnf and rpm themselves, on a root file system and a repository of their own

SPEC = """
Name: {name}
Version: 1
Release: 1
Summary: A test
License: Apache-2.0
BuildArch: noarch
{more}
%description
A test.
%install
mkdir -p %{{buildroot}}/etc/{name}.d
echo ours >%{{buildroot}}/etc/{name}.d/{name}.conf
%files
%dir /etc/{name}.d
%config(noreplace) /etc/{name}.d/{name}.conf
"""
TOOLS = ("dnf", "rpm", "rpmbuild", "createrepo_c")


class Site:
    """A repository and a host's root, and dnf and rpm that know no others."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.repository = folder / "repository"
        shutil.copytree(repository, self.repository)
        (self.root / "etc/yum.repos.d").mkdir(parents=True)
        (folder / "bin").mkdir()
        own = f"--installroot={self.root} --releasever=9 --setopt=reposdir={self.root}/etc/yum.repos.d"
        for name, options in (("dnf", f"{own} --setopt=plugins=0"), ("rpm", f"--root={self.root}")):
            wrapper = folder / "bin" / name
            program = shutil.which(name)
            wrapper.write_text(f'#!/bin/sh\necho "$@" >>{folder}/calls\nexec {program} {options} "$@"\n')
            wrapper.chmod(0o755)
        (self.root / "etc/yum.repos.d/test.repo").write_text(
            f"[test]\nname=test\nbaseurl=file://{self.repository}\ngpgcheck=0\n"
        )

    def calls(self) -> list[str]:
        """Command lines since the last call."""
        log = self.folder / "calls"
        lines = log.read_text().splitlines() if log.exists() else []
        log.write_text("")
        return lines


def publish(repository: Path, *packages: str, more: str = "") -> None:
    """Make packages and put them into a repository."""
    work = repository.parent
    define = ("--define", f"_topdir {work}/build", "--define", f"_rpmdir {repository}")
    for name in packages:
        (work / f"{name}.spec").write_text(SPEC.format(name=name, more=more))
        subprocess.run(["rpmbuild", "--quiet", "-bb", *define, str(work / f"{name}.spec")], check=True)
    subprocess.run(["createrepo_c", "--quiet", str(repository)], check=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root, and: {' '.join(missing)}")
    made = tmp_path_factory.mktemp("site") / "repository"
    publish(made, "libsmall", "games", "theirs")
    publish(made, "conntrack-tools", more="Requires: libsmall\nRecommends: games\n")
    return made


@pytest.fixture
def site(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return Site(tmp_path, repository)


def test_dnf_installs_what_is_needed_and_nothing_that_is_recommended(site: Site) -> None:
    dnf = packages.MANAGERS["dnf"]
    assert dnf.installed() == set()
    dnf.install(["theirs"], {})
    before = dnf.installed()
    dnf.install(["conntrack-tools"], {"http_proxy": "http://192.0.2.1:1"})
    assert dnf.installed() - before == {"conntrack-tools", "libsmall"}
    assert (site.root / "etc/conntrack-tools.d/conntrack-tools.conf").exists()


def test_dnf_removes_what_was_new_and_nothing_else(site: Site) -> None:
    dnf = packages.MANAGERS["dnf"]
    dnf.install(["theirs"], {})
    before = dnf.installed()
    dnf.install(["conntrack-tools"], {})
    new = sorted(dnf.installed() - before)
    dnf.remove(new)
    assert dnf.installed() == before == {"theirs"}
    assert not (site.root / "etc/conntrack-tools.d").exists()
    dnf.remove(new)  # a reset that was killed is run again


def test_a_dependency_that_was_there_before_stays(site: Site) -> None:
    dnf = packages.MANAGERS["dnf"]
    dnf.install(["conntrack-tools"], {})
    dnf.remove(["conntrack-tools"])
    assert dnf.installed() == {"libsmall"}


def test_dnf_reads_the_repository_again_only_when_it_must(site: Site) -> None:
    dnf = packages.MANAGERS["dnf"]
    dnf.install(["theirs"], {})
    publish(site.repository, "socat")
    site.calls()
    dnf.install(["socat"], {})
    calls = site.calls()
    assert ["--refresh" in call for call in calls] == [False, False, True, False]
    assert ["--assumeno" in call for call in calls] == [True, False, True, False]
    assert "socat" in dnf.installed()


def test_what_dnf_refuses_is_told_in_its_own_words(site: Site) -> None:
    dnf = packages.MANAGERS["dnf"]
    with pytest.raises(packages.PackageError, match=r"dnf install nosuch failed: .*nosuch"):
        dnf.install(["nosuch"], {})
    publish(site.repository, "broken", more="Requires: thing-that-nobody-has\n")
    with pytest.raises(packages.PackageError, match=r"thing-that-nobody-has"):
        dnf.install(["broken"], {})
    assert dnf.installed() == set()


def test_dnf_takes_nothing_off_for_a_package(site: Site) -> None:
    dnf = packages.MANAGERS["dnf"]
    dnf.install(["theirs"], {})
    publish(site.repository, "heir", more="Obsoletes: theirs\n")
    publish(site.repository, "rival", more="Conflicts: theirs\n")
    with pytest.raises(packages.PackageError, match="installing heir would remove theirs from this host"):
        dnf.install(["heir"], {})
    with pytest.raises(packages.PackageError, match="theirs"):
        dnf.install(["rival"], {})
    assert dnf.installed() == {"theirs"}


def test_dnf_names_what_others_need(site: Site) -> None:
    dnf = packages.MANAGERS["dnf"]
    dnf.install(["conntrack-tools", "games"], {})
    publish(site.repository, "mine", more="Requires: conntrack-tools\n")
    dnf.install(["mine"], {})
    new = ["conntrack-tools", "games", "libsmall"]
    assert dnf.needed_by_others(new) == {"conntrack-tools": ["mine"], "libsmall": ["conntrack-tools"]}
    dnf.remove(["games"])
    assert dnf.needed_by_others(["games"]) == {}
    assert dnf.needed_by_others([*new, "mine"]) == {}


# apt itself, on a dpkg database and a repository of their own

CONTROL = """\
Package: {name}
Version: {version}
Architecture: all
Maintainer: x <x@example.com>
Description: a test
{more}
"""


class Debian:
    """A dpkg database and a repository, and apt-get that knows no others. Nothing is unpacked."""

    def __init__(self, folder: Path) -> None:
        self.status = folder / "status"
        self.repository = folder / "repository"
        for name in ("lists/partial", "cache/archives/partial", "repository", "bin"):
            (folder / name).mkdir(parents=True)
        (folder / "sources.list").write_text(f"deb [trusted=yes] file:{self.repository} ./\n")
        (folder / "apt.conf").write_text(
            f'Dir::State "{folder}"; Dir::State::lists "{folder}/lists";\n'
            f'Dir::State::status "{self.status}";\n'
            f'Dir::Cache "{folder}/cache"; Dir::Etc::sourcelist "{folder}/sources.list";\n'
            'Dir::Etc::sourceparts "/dev/null"; Dir::Etc::preferencesparts "/dev/null";\n'
            f'APT::Sandbox::User "root"; Dir::Log "{folder}"; DPkg::Pre-Invoke {{ "exit 1"; }};\n'
        )
        self.status.write_text("")

    def has(self, name: str, version: str = "1", more: str = "", state: str = "install ok installed") -> None:
        text = CONTROL.format(name=name, version=version, more=f"Status: {state}\n{more}")
        self.status.write_text(self.status.read_text() + text)

    def offers(self, name: str, version: str = "2", more: str = "") -> None:
        stanza = CONTROL.format(name=name, version=version, more=more).rstrip()
        fields = f"Filename: ./{name}.deb\nSize: 1\nSHA256: {'0' * 64}\n\n"
        with (self.repository / "Packages").open("a") as file:
            file.write(f"{stanza}\n{fields}")
        (self.repository / f"{name}.deb").write_text("x")

    def update(self) -> None:
        subprocess.run(["apt-get", "update", "-q"], check=True, capture_output=True)


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Debian:
    if not shutil.which("apt-get") or os.geteuid() != 0:
        pytest.skip("needs root, and apt-get")
    made = Debian(tmp_path)
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    (tmp_path / "bin/dpkg").write_text("#!/bin/sh\n")  # its own "--configure -a" is not for this machine
    (tmp_path / "bin/dpkg").chmod(0o755)
    return made


def test_apt_takes_nothing_off_for_a_package(debian: Debian) -> None:
    rival = "Provides: containerd\nConflicts: containerd\nReplaces: containerd\n"
    debian.has("containerd.io", more=rival)
    debian.has("docker-ce", more="Depends: containerd.io\nConflicts: docker.io\nReplaces: docker.io\n")
    debian.offers("containerd")
    debian.offers("docker.io", more="Depends: containerd (>= 1)\n")
    apt = packages.MANAGERS["apt"]
    assert apt.removed_by(["docker.io"]) == []  # without lists nothing is known
    debian.update()
    assert apt.removed_by(["docker.io"]) == ["containerd.io", "docker-ce"]
    with pytest.raises(packages.PackageError) as refused:
        apt.install(["docker.io"], {})
    assert "would remove containerd.io docker-ce from this host: nothing" in str(refused.value)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (
            "hold ok installed",
            "Held packages were changed and -y was used without",
        ),
        ("install ok installed", "Packages were downgraded and -y was used without --allow-downgrades"),
    ],
)
def test_what_apt_refuses_is_told_in_its_own_words(debian: Debian, state: str, words: str) -> None:
    downgrade = state.startswith("install")
    debian.has("libsmall", version="3" if downgrade else "1", state=state)
    debian.offers("libsmall")
    debian.offers("socat", more=f"Depends: libsmall (= {2})\n")
    debian.update()
    names = ["socat", "libsmall=2"] if downgrade else ["socat", "libsmall"]
    with pytest.raises(packages.PackageError, match=f"apt-get install .* failed: .*{words}"):
        packages.MANAGERS["apt"].install(names, {})


def test_what_apt_cannot_find_is_told_in_its_own_words(debian: Debian) -> None:
    debian.offers("docker.io", more="Depends: nobody-has-this\n")
    with pytest.raises(packages.PackageError, match=r"failed: .*Depends: nobody-has-this.* broken packages"):
        packages.MANAGERS["apt"].install(["docker.io"], {})
    with pytest.raises(packages.PackageError, match=r"failed: .*Unable to locate package nosuch"):
        packages.MANAGERS["apt"].install(["nosuch"], {})


def test_apt_names_what_others_need(debian: Debian) -> None:
    debian.has("runc")
    debian.has("docker.io", more="Depends: runc\n")
    debian.has("socat")
    apt = packages.MANAGERS["apt"]
    assert apt.needed_by_others(["docker.io", "runc", "socat"]) == {}
    debian.has("mine", more="Depends: docker.io\n")
    assert apt.needed_by_others(["docker.io", "runc", "socat"]) == {"docker.io": ["mine"], "runc": ["mine"]}
