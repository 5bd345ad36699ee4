"""What a right spec becomes, and files that are none."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import EXIT_BAD_INPUT, SpecError
from harness.spec.load import load_experiment
from harness.spec.quantities import Duration, Rate, Size
from tests.spec.conftest import Load

VALID = """\
version: 1
title: Which?
base:
  model: prefork
  options: {workers: 8}
  request: {path: /items, headers: {X-Tenant: acme}}
  handler: {kind: body, body: 4 KiB, cpu: 50 us, log: off}
  load: {kind: closed, connections: 64, warmup: 300 ms, window: 1.5 s}
  limits: {cores: 1, memory: null}
factors:
  model: [ppc, {label: two, set: {model: reactor, options.batch: 2}}]
  load.connections: [1, 16]
exclude:
  - {model: ppc, load.connections: 16}
repeats: 3
seed: 7
"""


def test_values_come_typed(load: Load) -> None:
    base = load(VALID).base
    assert base.handler.body == Size(4096)
    assert base.handler.cpu == Duration(50_000)
    assert base.load.window == Duration(1_500_000_000)
    assert base.handler.log == "off"


def test_the_base_has_every_option_of_its_model(load: Load) -> None:
    assert load(VALID).base.options == {"workers": 8, "accept": "plain", "pinned": False, "name": "w"}


def test_aliases_stand_for_what_they_name(load: Load) -> None:
    text = (
        "version: 1\ntitle: Which?\nfactors:\n  model: [ppc]\n  load.window: &spans [1 s, 2 s]\n  load.warmup: *spans\n"
    )
    assert load(text).factors["load.warmup"] == ["1 s", "2 s"]


@pytest.mark.parametrize("word", ["off", "on", "yes", "no", "12:30", "2024-01-01", "0x10", "1_000"])
def test_words_are_not_taken_for_something_else(word: str, load: Load) -> None:
    text = f"version: 1\ntitle: Which?\nbase: {{model: prefork, options: {{name: {word}}}}}\n"
    assert load(text).base.options["name"] == word


def test_an_open_load_may_get_its_rate_from_a_factor(load: Load) -> None:
    experiment = load("version: 1\ntitle: W?\nbase: {load: {kind: open}}\nfactors: {load.rate: [5/s, 10/s]}\n")
    assert experiment.base.load.rate is None


def test_an_impossible_combination_may_be_excluded(load: Load) -> None:
    text = "version: 1\ntitle: W?\nfactors: {load.kind: [closed, open], load.rate: [null, 5/s]}\n"
    excluded = "exclude:\n  - {load.kind: open, load.rate: none}\n  - {load.kind: closed, load.rate: 5000ms}\n"
    with pytest.raises(SpecError):
        load(text + excluded)
    assert load(text + excluded.replace("5000ms", "5.0/s")).exclude[1] == {"load.kind": "closed", "load.rate": "5.0/s"}


def test_options_of_the_base_do_not_reach_a_model_that_a_factor_sets(load: Load) -> None:
    experiment = load("version: 1\ntitle: W?\nbase: {options: {batch: 2}}\nfactors: {model: [ppc, reactor]}\n")
    assert experiment.base.options["batch"] == 2


@pytest.mark.parametrize("name", ["missing.yaml", "folder", "pipe"])
def test_what_is_no_file_is_one_clear_error(name: str, tmp_path: Path, images: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SpecError) as caught:
        load_experiment(tmp_path / name, images)
    assert len(caught.value.problems) == 1
    assert caught.value.exit_code == EXIT_BAD_INPUT
    assert str(caught.value).startswith(f"{tmp_path / name}: ")


def test_a_slip_in_a_file_name_is_recognised(tmp_path: Path, images: Path) -> None:
    (tmp_path / "quickstart.yaml").write_text(VALID)
    with pytest.raises(SpecError, match=r"there is no such file; did you mean `.*quickstart\.yaml`"):
        load_experiment(tmp_path / "quickstrat.yaml", images)


def _loads_or_is_refused(load: Load, text: str | bytes) -> None:
    try:
        load(text)
    except SpecError as error:
        problems = error.problems
    else:
        return
    assert problems
    assert [problem for problem in problems if "spec.yaml:" not in problem or "; " not in problem] == []


FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PIECES = st.sampled_from([*VALID.split(), "{", "}", "[", "]", "- ", ": ", "\n", "  ", "&a ", "*a", "!!", "\t", "'", '"', "null", "true", "-1", "1e9", ".nan", ".inf", "|", ">", "%", "? "])  # fmt: skip


@FUZZ
@given(data=st.binary(max_size=200))
def test_random_bytes_are_refused_and_nothing_else(data: bytes, load: Load) -> None:
    _loads_or_is_refused(load, data)


@FUZZ
@given(pieces=st.lists(PIECES, max_size=40))
def test_random_yaml_is_loaded_or_refused_and_nothing_else(pieces: list[str], load: Load) -> None:
    _loads_or_is_refused(load, "".join(pieces))


@FUZZ
@given(data=st.data())
def test_a_spec_with_random_changes_is_loaded_or_refused_and_nothing_else(data: st.DataObject, load: Load) -> None:
    text = VALID
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + data.draw(PIECES | st.text(max_size=3)) + text[end:]
    _loads_or_is_refused(load, text.encode("utf-8", "surrogatepass"))


@FUZZ
@given(data=st.data())
def test_a_spec_with_lines_moved_is_loaded_or_refused_and_nothing_else(data: st.DataObject, load: Load) -> None:
    lines = VALID.splitlines()
    shuffled = data.draw(st.lists(st.sampled_from(lines), max_size=len(lines)))
    _loads_or_is_refused(load, "\n".join(shuffled))


@pytest.mark.parametrize("kind", [Duration, Size, Rate])
@given(amount=st.integers(0, 10**15))
def test_a_quantity_reads_what_it_prints(kind: type[Duration] | type[Size] | type[Rate], amount: int) -> None:
    assert kind.parse(str(kind(amount))) == kind(amount)
