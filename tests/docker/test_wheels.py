"""Wheels get into an image by their hashes, for the engine's processor, and without an index where the cache has them."""

import base64
import hashlib
import json
import zipfile
from pathlib import Path

import docker
import pytest

from harness.errors import ImageError
from harness.images import build_context, ensure_images
from harness.images.wheels import fetch_wheels, read_requirements
from harness.runtime.base import ServiceSpec, make_owner
from harness.runtime.docker import DockerRuntime

DOCKERFILE = """FROM {{ base }}
COPY wheely /srv/wheely
RUN for wheel in /srv/wheely/wheels/*.whl; do python3 -m zipfile -e "$wheel" /usr/local/lib/python3.13/dist-packages; done
WORKDIR /srv/wheely
ENTRYPOINT ["python3", "server.py"]
"""
MODEL = "title: Wheely\naxes: {connections: one, requests: one}\ncounts: none\nwheels: requirements.txt\n"


def make_wheel(folder: Path, tag: str, says: str) -> str:
    """A wheel `wheely_part` 1.0 with this tag; returns its sha256."""
    folder.mkdir(exist_ok=True)
    info = "wheely_part-1.0.dist-info"
    files = {
        "wheely_part.py": f"SAYS = {says!r}\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: wheely-part\nVersion: 1.0\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    digests = {
        name: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        for name, text in files.items()
    }
    files[f"{info}/RECORD"] = "".join(f"{name},sha256={digest},\n" for name, digest in digests.items())
    path = folder / f"wheely_part-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_requirements(path: Path, *hashes: str) -> Path:
    lines = " \\\n".join(f"    --hash=sha256:{digest}" for digest in hashes)
    path.write_text(f"# the only one\nwheely-part==1.0 \\\n{lines}\n")
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, which is all that pip's own configuration offers."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_the_engine_s_processor_decides_which_wheel(tmp_path: Path, index: Path, architecture: str) -> None:
    hashes = [make_wheel(index, f"cp310-abi3-manylinux_2_17_{one}", one) for one in ("x86_64", "aarch64")]
    requirements = write_requirements(tmp_path / "requirements.txt", *hashes)
    (name,) = fetch_wheels(requirements, architecture, tmp_path / "cache")
    assert name == f"wheely_part-1.0-cp310-abi3-manylinux_2_17_{architecture}.whl"


@pytest.mark.slow
@pytest.mark.parametrize(
    "tag", ["py3-none-any", "cp313-cp313-manylinux_2_41_x86_64", "cp313-cp313-manylinux2014_x86_64"]
)
def test_wheels_for_the_image_s_python_and_libc_will_do(tmp_path: Path, index: Path, tag: str) -> None:
    requirements = write_requirements(tmp_path / "requirements.txt", make_wheel(index, tag, ""))
    assert list(fetch_wheels(requirements, "x86_64", tmp_path / "cache")) == [f"wheely_part-1.0-{tag}.whl"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "tag",
    ["cp310-abi3-manylinux_2_17_x86_64", "cp312-cp312-manylinux_2_17_aarch64", "cp313-cp313-musllinux_1_2_aarch64"],
)
def test_no_wheel_for_the_processor_is_one_line(tmp_path: Path, index: Path, tag: str) -> None:
    requirements = write_requirements(tmp_path / "requirements.txt", make_wheel(index, tag, ""))
    with pytest.raises(ImageError) as caught:
        fetch_wheels(requirements, "aarch64", tmp_path / "cache")
    assert "no wheel of wheely-part==1.0 for Python 3.13 on aarch64 is to be had; " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_wheel_with_another_hash_is_refused(tmp_path: Path, index: Path) -> None:
    make_wheel(index, "py3-none-any", "altered on the way")
    requirements = write_requirements(tmp_path / "requirements.txt", "0" * 64)
    with pytest.raises(ImageError, match="what the index offers has none of these hashes"):
        fetch_wheels(requirements, "x86_64", tmp_path / "cache")


@pytest.mark.slow
def test_an_index_out_of_reach_is_one_line(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    requirements = write_requirements(tmp_path / "requirements.txt", "0" * 64)
    with pytest.raises(ImageError, match="no index could be reached; check the network") as caught:
        fetch_wheels(requirements, "x86_64", tmp_path / "cache")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_filled_cache_needs_no_index(tmp_path: Path, index: Path) -> None:
    requirements = write_requirements(tmp_path / "requirements.txt", make_wheel(index, "py3-none-any", "cached"))
    first = fetch_wheels(requirements, "x86_64", tmp_path / "cache")
    for wheel in index.iterdir():
        wheel.unlink()
    assert fetch_wheels(requirements, "x86_64", tmp_path / "cache") == first


@pytest.mark.slow
def test_an_altered_file_of_the_cache_is_fetched_again(tmp_path: Path, index: Path) -> None:
    requirements = write_requirements(tmp_path / "requirements.txt", make_wheel(index, "py3-none-any", "right"))
    first = fetch_wheels(requirements, "x86_64", tmp_path / "cache")
    (cached,) = (tmp_path / "cache").glob("*/*.whl")
    cached.write_bytes(b"wrong")
    assert fetch_wheels(requirements, "x86_64", tmp_path / "cache") == first


WRONG_LINES = [
    "wheely-part",
    "wheely-part==1.0",
    f"wheely-part>=1.0 --hash=sha256:{'0' * 64}",
    "wheely-part==1.0 --hash=sha256:0",
    "--index-url=http://index.example/simple",
    f"wheely-part @ http://index.example/wheely.whl --hash=sha256:{'0' * 64}",
]


@pytest.mark.parametrize("line", WRONG_LINES)
def test_a_line_that_is_no_hashed_package_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(f"\n{line}\n")
    with pytest.raises(ImageError) as caught:
        read_requirements(path)
    assert str(caught.value) == f"{path}: {line[:80]!r}; write a package a line: name==version --hash=sha256:…"


def model_folder(images_dir: Path, *hashes: str) -> Path:
    folder = images_dir / "wheely"
    folder.mkdir()
    (folder / "Dockerfile.j2").write_text(DOCKERFILE)
    (folder / "model.yaml").write_text(MODEL)
    (folder / "server.py").write_text("import json, wheely_part\nprint(json.dumps(wheely_part.SAYS), flush=True)\n")
    write_requirements(folder / "requirements.txt", *hashes)
    return folder


def test_the_hashes_enter_the_digest(images_dir: Path) -> None:
    folder = model_folder(images_dir, "0" * 64)
    before = build_context(images_dir, "wheely", "debian:x")
    write_requirements(folder / "requirements.txt", "1" * 64)
    assert build_context(images_dir, "wheely", "debian:x").digest != before.digest


@pytest.mark.slow
@pytest.mark.docker
def test_a_model_s_wheels_are_in_its_image_and_an_image_that_is_there_needs_none(
    client: docker.DockerClient, images_dir: Path, tmp_path: Path, index: Path
) -> None:
    digest = make_wheel(index, "py3-none-any", "from the wheel")
    model_folder(images_dir, digest)
    images = ensure_images(client, images_dir, ["wheely"], tmp_path / "logs", print)
    runtime = DockerRuntime(client, images, make_owner("test-wheels"))
    try:
        service = runtime.start(ServiceSpec(name="wheely", role="server", image="wheely", config={}, cores=()))
        assert json.loads(next(service.lines(30.0))) == "from the wheel"
        (index / "wheely_part-1.0-py3-none-any.whl").unlink()
        again = ensure_images(client, images_dir, ["wheely"], tmp_path / "other-cache", print)
        assert (again["wheely"].id, again["wheely"].built) == (images["wheely"].id, False)
        expected = build_context(images_dir, "wheely", images["base"].id).digest
        assert images["wheely"].digest == expected
    finally:
        runtime.clean()
        client.images.remove(images["wheely"].tag)
