"""The base comes from a registry where one answers, else from the host's mirror; settings say how to fetch."""

import contextlib
import socket
from pathlib import Path

import docker
import pytest
from docker.errors import ImageNotFound

from harness.errors import ImageError
from harness.images import ImageInfo
from harness.images.base import bootstrap_root, ensure_base, pull_root, read_pins
from harness.images.bootstrap import bootstrap, host_mirror
from harness.images.pull import split_reference
from harness.images.settings import Settings
from tests.docker.registry import serving

OTHER_SUITE = "bookworm"  # no base is made of this one: the test may bootstrap and remove it
PINS = 'repository = "debian"\ntag = "trixie-slim"\nsuite = "trixie"\ndigest = "{digest}"\n'


@pytest.mark.parametrize(
    ("digest", "reference"), [("sha256:12ab", "debian@sha256:12ab"), ("", "debian:trixie-slim")], ids=["pin", "tag"]
)
def test_debian_is_taken_by_digest_and_by_tag_where_there_is_none(
    images_dir: Path, digest: str, reference: str
) -> None:
    (images_dir / "base" / "base.toml").write_text(PINS.format(digest=digest))
    assert read_pins(images_dir).image == reference


@pytest.mark.parametrize(
    "text", ["", "repository =", 'repository = "debian"\n'], ids=["empty", "no TOML", "incomplete"]
)
def test_pins_that_are_not_as_they_should_be_are_told_with_their_file(images_dir: Path, text: str) -> None:
    (images_dir / "base" / "base.toml").write_text(text)
    with pytest.raises(ImageError, match=r"base/base\.toml: "):
        read_pins(images_dir)


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("certificates")
    environment = {
        "CEILING_CA_BUNDLE": str(bundle),
        "CEILING_DEBIAN_MIRROR": "http://mirror.example/debian",
        "CEILING_BASE_IMAGE": "images.example/debian:trixie",
        "HTTP_PROXY": "http://proxy.example:3128",
        "no_proxy": "localhost",
        "HTTPS_PROXY": "",
    }
    settings = Settings.from_environment(environment)
    assert (settings.ca_bundle, settings.mirror) == (bundle, "http://mirror.example/debian")
    assert settings.base_image == "images.example/debian:trixie"
    assert settings.build_arguments() == {
        "HTTP_PROXY": "http://proxy.example:3128",
        "http_proxy": "http://proxy.example:3128",
        "NO_PROXY": "localhost",
        "no_proxy": "localhost",
    }


def test_nothing_set_is_nothing() -> None:
    assert Settings.from_environment({"CEILING_CA_BUNDLE": ""}) == Settings(None, None, None, {})


def test_a_certificate_bundle_that_is_not_there_is_told() -> None:
    with pytest.raises(ImageError, match="CEILING_CA_BUNDLE=/no/such: no such file"):
        Settings.from_environment({"CEILING_CA_BUNDLE": "/no/such"})


def test_a_missing_mmdebstrap_is_told_with_the_command_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(ImageError, match="run as root: apt-get install mmdebstrap debian-archive-keyring"),
        bootstrap("trixie", Settings.from_environment({}), tmp_path / "log", print),
    ):
        pass


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("debian", ("debian", "latest")),
        ("debian:trixie-slim", ("debian", "trixie-slim")),
        ("debian@sha256:12ab", ("debian", "sha256:12ab")),
        ("127.0.0.1:5000/debian", ("127.0.0.1:5000/debian", "latest")),
        ("127.0.0.1:5000/debian:trixie", ("127.0.0.1:5000/debian", "trixie")),
        ("127.0.0.1:5000/debian@sha256:12ab", ("127.0.0.1:5000/debian", "sha256:12ab")),
    ],
)
def test_a_reference_is_split_into_repository_and_tag_or_digest(reference: str, parts: tuple[str, str]) -> None:
    assert split_reference(reference) == parts


@pytest.mark.docker
@pytest.mark.parametrize("pinned", [False, True], ids=["by tag", "by digest"])
def test_a_registry_that_answers_is_used(client: docker.DockerClient, pinned: bool, tmp_path: Path) -> None:
    with serving(str(tmp_path).encode()) as (address, digest):
        reference = f"{address}/debian@{digest}" if pinned else f"{address}/debian:trixie-slim"
        root = pull_root(client, reference, print)
        assert root is not None
        try:
            assert root.route == f"registry: {address}/debian@{digest}"
        finally:
            client.images.remove(root.id, force=True)


@pytest.mark.docker
def test_an_image_that_the_registry_does_not_have_is_said(client: docker.DockerClient) -> None:
    said: list[str] = []
    with serving(b"") as (address, _):
        assert pull_root(client, f"{address}/debian:none", said.append) is None
    assert said[-1] == "image base: nothing from a registry: manifest unknown"


@pytest.mark.docker
def test_no_registry_is_said(client: docker.DockerClient) -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert pull_root(client, f"127.0.0.1:{port}/debian:trixie-slim", said.append) is None
    assert "nothing from a registry: " in said[-1]
    assert "connection refused" in said[-1]


@pytest.mark.docker
@pytest.mark.slow
def test_a_registry_that_stays_silent_is_given_up_after_its_deadline(client: docker.DockerClient) -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert pull_root(client, f"127.0.0.1:{port}/debian:trixie-slim", said.append) is None
    assert said[-1] == "image base: no registry answers within 10 s, or it has fallen silent"


@pytest.mark.docker
@pytest.mark.slow
def test_debian_is_bootstrapped_once_from_a_mirror(client: docker.DockerClient, tmp_path: Path) -> None:
    settings = Settings.from_environment({"CEILING_DEBIAN_MIRROR": host_mirror() or ""})
    _forget(client, OTHER_SUITE)
    root = bootstrap_root(client, OTHER_SUITE, settings, tmp_path, print)
    try:
        assert root.route == f"bootstrap: {OTHER_SUITE}"
        release = client.containers.run(root.id, ["cat", "/etc/os-release"], remove=True)
        assert f"VERSION_CODENAME={OTHER_SUITE}" in release.decode()
        assert bootstrap_root(client, OTHER_SUITE, settings, tmp_path / "again", print) == root
        assert not (tmp_path / "again").exists()
    finally:
        _forget(client, OTHER_SUITE)


def _forget(client: docker.DockerClient, suite: str) -> None:
    with contextlib.suppress(ImageNotFound):
        client.images.remove(f"ceiling/debian:{suite}-bootstrap")


@pytest.mark.docker
@pytest.mark.slow
def test_a_bootstrap_that_fails_is_told_with_its_last_output(client: docker.DockerClient, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    settings = Settings.from_environment({"CEILING_DEBIAN_MIRROR": f"http://127.0.0.1:{port}/debian"})
    with pytest.raises(ImageError, match=r"(?s)mmdebstrap .* ended with status .*CEILING_DEBIAN_MIRROR") as caught:
        bootstrap_root(client, "no-such-suite", settings, tmp_path, print)
    assert str(tmp_path / "bootstrap.log") in str(caught.value)


@pytest.mark.docker
def test_the_mirror_that_is_set_is_the_one_asked(
    client: docker.DockerClient, images: dict[str, ImageInfo], images_dir: Path, tmp_path: Path
) -> None:
    (images_dir / "base" / "note").write_text(str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        mirror = f"http://127.0.0.1:{closed.getsockname()[1]}/debian"
    settings = Settings(images["base"].tag, mirror, None, {})
    with pytest.raises(ImageError, match=r"(?s)the build failed at: Step 4/.*Could not connect to 127\.0\.0\.1"):
        ensure_base(client, images_dir, settings, tmp_path, print)


@pytest.mark.docker
@pytest.mark.slow
def test_settings_leave_no_trace_in_the_base(
    client: docker.DockerClient, images: dict[str, ImageInfo], images_dir: Path, tmp_path: Path
) -> None:
    (images_dir / "base" / "note").write_text(str(tmp_path))
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    settings = Settings(images["base"].tag, host_mirror(), tmp_path / "ca.pem", {"NO_PROXY": "proxy-of-the-test"})
    base = ensure_base(client, images_dir, settings, tmp_path, print)
    try:
        look = "ls /tmp; ls /var/lib/apt/lists; env; cat /etc/apt/sources.list /etc/apt/sources.list.d/* || true"
        seen = client.containers.run(base.id, ["sh", "-c", look], remove=True).decode()
        before = client.containers.run(images["base"].id, ["sh", "-c", look], remove=True).decode()
        assert _without_hostname(seen) == _without_hostname(before)
        assert "proxy-of-the-test" not in str(client.images.get(base.id).history())
    finally:
        client.images.remove(base.tag)


def _without_hostname(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("HOSTNAME=")]
