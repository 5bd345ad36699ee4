"""What a model.yaml may get wrong."""

from pathlib import Path

import pytest

from harness.errors import SpecError
from harness.spec.load import load_experiment, load_model, load_models
from tests.spec.conftest import MODEL, write_model

BROKEN = [
    ("unknown option type", "  a: {type: int, default: 1, says: x.}", 7, "`options.a.type` is `int`, which is not one of"),
    ("default of a wrong type", "  a: {type: integer, default: x, says: x.}", 7, "the default `x` is not a whole number"),
    ("default below minimum", "  a: {type: integer, default: 1, minimum: 2, says: x.}", 7, "the default `1` is too small"),
    ("bounds exchanged", "  a: {type: integer, default: 3, minimum: 4, maximum: 2, says: x.}", 7, "larger than `maximum`"),
    ("bounds of a text", "  a: {type: string, default: x, minimum: 4, says: x.}", 7, "go with `type: integer`"),
    ("choice without choices", "  a: {type: choice, default: x, says: x.}", 7, "`choices` go with `type: choice`"),
    ("default not a choice", "  a:\n    type: choice\n    default: opne\n    choices: [open, shut]\n    says: x.", 9, "did you mean `open`?"),
    ("choice twice", "  a: {type: choice, default: x, choices: [x, x], says: x.}", 7, "a choice is listed twice"),
    ("choices as numbers", "  a: {type: choice, default: '1', choices: [1, 2], says: x.}", 7, "quote it to make it text"),
    ("nothing said", "  a: {type: boolean, default: true}", 7, "`says` is missing in `options.a`"),
    ("option name", "  'A b': {type: boolean, default: true, says: x.}", 7, "is no option's name"),
    ("unknown key", "  {}\nprot: 80", 8, "unknown key `prot`; did you mean `port`?"),
    ("port out of range", "  {}\nport: 70000", 8, "`port` is too large"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "line", "words"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_mistake_in_a_model_is_told_at_its_own_line(options: str, line: int, words: str, tmp_path: Path) -> None:
    (tmp_path / "common").mkdir()
    folder = write_model(tmp_path, "mine", MODEL.format(name="mine", options=options))
    with pytest.raises(SpecError) as caught:
        load_model(folder)
    assert [problem for problem in caught.value.problems if f"mine/model.yaml:{line}: " in problem and words in problem]


def test_a_model_that_uses_a_folder_which_is_not_there(tmp_path: Path) -> None:
    folder = write_model(tmp_path, "mine", MODEL.format(name="mine", options="  {}"))
    with pytest.raises(SpecError, match=r"model\.yaml:4: `uses`: there is no folder `common`"):
        load_model(folder)


def test_a_model_whose_server_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "common").mkdir()
    folder = write_model(tmp_path, "mine", MODEL.format(name="mine", options="  {}"))
    (folder / "server.py").unlink()
    with pytest.raises(SpecError, match=r"model\.yaml:5: `entry`: there is no file `server\.py`"):
        load_model(folder)


def test_a_model_that_is_not_there_comes_with_the_nearest_name(images: Path) -> None:
    with pytest.raises(SpecError, match="there is no such model; did you mean `reactor`"):
        load_model(images / "recator")


def test_a_spec_tells_the_mistakes_of_the_models_it_uses_beside_its_own(tmp_path: Path) -> None:
    write_model(tmp_path / "images", "mine", "title: Mine\n")
    spec = tmp_path / "spec.yaml"
    spec.write_text("version: 1\ntitle: Which?\nbase: {model: mine}\nrepeats: 0\n")
    with pytest.raises(SpecError) as caught:
        load_experiment(spec, tmp_path / "images")
    assert "spec.yaml:4: " in caught.value.problems[0]
    assert all("mine/model.yaml:1: " in problem for problem in caught.value.problems[1:])
    assert len(caught.value.problems) == 3  # axes and counts are missing


def test_a_broken_model_that_is_not_used_hinders_no_spec(tmp_path: Path) -> None:
    (tmp_path / "common").mkdir()
    write_model(tmp_path, "mine", MODEL.format(name="mine", options="  {}"))
    write_model(tmp_path, "broken", "title: [\n")
    spec = tmp_path / "spec.yaml"
    spec.write_text("version: 1\ntitle: Which?\nbase: {model: mine}\n")
    assert load_experiment(spec, tmp_path).base.model == "mine"


def test_every_folder_with_a_model_file_is_a_model(images: Path) -> None:
    assert sorted(load_models(images)) == ["ppc", "prefork", "reactor"]


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("handler: {kind: echo}", "handler.kind"),
        ("handler: {cpu: 1 ms}", "handler.cpu"),
        ("handler: {log: flush}", "handler.log"),
        ("handler: {backend: {delay: 1 ms}}", "handler.backend.delay"),
        ("handler: {fault: crash, fault_at: 1 s}", "handler.fault"),
    ],
)
def test_what_a_model_does_not_do_cannot_be_asked_of_it(base: str, path: str, tmp_path: Path) -> None:
    (tmp_path / "images" / "common").mkdir(parents=True)
    text = MODEL.format(name="mine", options="  {}")
    write_model(tmp_path / "images", "mine", text.replace("counts:", "does: []\ncounts:"))
    write_model(tmp_path / "images", "all", text)
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"version: 1\ntitle: Which?\nbase:\n  model: all\n  {base}\n")
    load_experiment(spec, tmp_path / "images")
    spec.write_text(f"version: 1\ntitle: Which?\nbase:\n  model: mine\n  {base}\n")
    with pytest.raises(SpecError, match=f"`{path}`: mine cannot do that"):
        load_experiment(spec, tmp_path / "images")
