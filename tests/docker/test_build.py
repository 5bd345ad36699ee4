"""Images are built once, side by side, and a failure says everything."""

from pathlib import Path

import docker
import pytest

from harness.errors import ImageError
from harness.images import ImageInfo, build_context, ensure_images

pytestmark = pytest.mark.docker


def tags(client: docker.DockerClient, folder: str) -> list[str]:
    return [tag for image in client.images.list(f"ceiling/{folder}") for tag in image.tags]


def test_nothing_is_built_when_nothing_changed(
    client: docker.DockerClient, images: dict[str, ImageInfo], images_dir: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    again = ensure_images(client, images_dir, ["tiny"], tmp_path / "logs", said.append)
    assert [image.built for image in again.values()] == [False, False]
    assert {folder: image.id for folder, image in again.items()} == {
        folder: image.id for folder, image in images.items()
    }
    assert said == []
    assert not (tmp_path / "logs").exists()


def test_a_change_builds_a_new_image_beside_the_old_one(
    client: docker.DockerClient, images: dict[str, ImageInfo], images_dir: Path, tmp_path: Path
) -> None:
    (images_dir / "tiny" / "note").write_text(str(tmp_path))
    changed = ensure_images(client, images_dir, ["tiny"], tmp_path, print)["tiny"]
    try:
        assert changed.built
        assert changed.tag != images["tiny"].tag
        assert {changed.tag, images["tiny"].tag} <= set(tags(client, "tiny"))
        assert "Successfully built" in (tmp_path / "tiny.log").read_text()
    finally:
        client.images.remove(changed.tag)


def test_every_image_says_where_its_base_came_from(images: dict[str, ImageInfo]) -> None:
    assert images["base"].route.startswith(("registry: ", "bootstrap: "))
    assert images["tiny"].route == images["base"].route


def test_the_base_has_python_uvloop_and_numpy(client: docker.DockerClient, images: dict[str, ImageInfo]) -> None:
    said = client.containers.run(
        images["base"].id,
        ["python3", "-c", "import sys, uvloop, numpy; print(sys.version_info >= (3, 11))"],
        remove=True,
    )
    assert said == b"True\n"


def test_a_failing_step_is_told_with_its_output_and_leaves_no_tag_and_no_container(
    client: docker.DockerClient, images: dict[str, ImageInfo], images_dir: Path, tmp_path: Path
) -> None:
    with pytest.raises(ImageError) as caught:
        ensure_images(client, images_dir, ["broken"], tmp_path, print)
    message = str(caught.value)
    assert "image broken: the build failed at: Step 2/" in message
    assert "RUN echo about to fail && exit 7" in message
    assert "    about to fail\n" in message
    assert "returned a non-zero code: 7" in message
    assert str(tmp_path / "broken.log") in message
    assert "about to fail" in (tmp_path / "broken.log").read_text()
    assert tags(client, "broken") == []
    left = client.containers.list(all=True, filters={"ancestor": images["base"].id, "status": "exited"})
    assert [container for container in left if "about to fail" in str(container.attrs["Args"])] == []


def test_all_failures_are_told_in_one_go(
    client: docker.DockerClient, images: dict[str, ImageInfo], images_dir: Path, tmp_path: Path
) -> None:
    (images_dir / "wrong").mkdir()
    (images_dir / "wrong" / "Dockerfile.j2").write_text("FROM {{ base }}\nRUNS nothing\n")
    with pytest.raises(ImageError, match=r"(?s)image broken: .*image wrong: .*unknown instruction"):
        ensure_images(client, images_dir, ["broken", "wrong", "tiny"], tmp_path, print)


def test_an_image_of_somebody_else_under_our_tag_is_not_taken(
    client: docker.DockerClient, images: dict[str, ImageInfo], images_dir: Path, tmp_path: Path
) -> None:
    (images_dir / "tiny" / "note").write_text(str(tmp_path))
    context = build_context(images_dir, "tiny", images["base"].id)
    client.images.get(images["base"].id).tag(*context.tag.split(":"))
    try:
        assert ensure_images(client, images_dir, ["tiny"], tmp_path, print)["tiny"].built
    finally:
        client.images.remove(context.tag)
