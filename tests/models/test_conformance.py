"""Every model passes the conformance suite, in every variant that its own model.yaml names."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.spec.catalogue import load_models
from harness.stage import Places, Wanted
from harness.terminal import Display
from harness.verify import Verified, differences, verify_model

PLACES = Places.under(Path(__file__).resolve().parents[2])
MODELS = {name: model for name, model in load_models(PLACES.images).items() if model.protocol == "http"}


def variants(name: str) -> Iterator[tuple[str, ...]]:
    """The defaults, and with each other choice of each option of type `choice`: words for the command line."""
    yield ()
    for option, described in MODELS[name].options.items():
        for choice in described.choices:
            if choice != described.default:
                yield (f"{option}={choice}",)


def combined(name: str) -> Iterator[tuple[str, ...]]:
    """Each two choices that are not the defaults together, and each number that is small enough at 2."""
    options = MODELS[name].options
    others = {
        option: [choice for choice in described.choices if choice != described.default]
        for option, described in options.items()
    }
    for (one, ones), (two, twos) in itertools.combinations(others.items(), 2):
        yield from ((f"{one}={a}", f"{two}={b}") for a, b in itertools.product(ones, twos))
    for option, described in options.items():
        low, high = described.minimum or 0, described.maximum or 2
        if described.type == "integer" and described.default != 2 and low <= 2 <= high:
            yield (f"{option}=2",)
            yield from ((f"{option}=2", f"{choice}={c}") for choice, values in others.items() for c in values)


def cases(*, docker: bool) -> list[object]:
    """Every variant of every model that this runtime can start, by a readable id.

    Servers that people run are kept to the contract by a launcher, and wait out many a timeout of their own: minutes, a soak.
    """
    return [
        pytest.param(
            name,
            words,
            id=f"{name}-{'-'.join(words) or 'default'}",
            marks=[] if model.entry else [pytest.mark.soak],
        )
        for name, model in MODELS.items()
        if docker or model.entry
        for words in variants(name)
    ]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "words"), cases(docker=False))
def test_every_variant_passes_in_full_as_a_process(name: str, words: tuple[str, ...]) -> None:
    assert_right(verified(name, words, "process", short=False))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param(name, words, id=f"{name}-{'-'.join(words)}")
        for name, model in MODELS.items()
        if model.entry
        for words in combined(name)
    ],
)
def test_options_together_pass_the_short_form_as_a_process(name: str, words: tuple[str, ...]) -> None:
    assert_right(verified(name, words, "process", short=True))


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "words"), cases(docker=True))
def test_every_variant_passes_the_short_form_in_docker(name: str, words: tuple[str, ...]) -> None:
    assert_right(verified(name, words, "docker", short=True))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_says_only_of_real_checks_that_it_differs(name: str) -> None:
    differences(MODELS[name], {})


def test_every_model_is_here_in_more_than_its_default() -> None:
    """The tests above would pass on an empty list."""
    assert {"ppc", "tpc", "reactor"} <= set(MODELS)
    assert {words for name in MODELS for words in variants(name)} > {()}


def verified(name: str, words: tuple[str, ...], runtime: Wanted, *, short: bool) -> Verified:
    return verify_model(name, words, runtime, PLACES, Display(), lambda outcome: None, short=short)


def assert_right(verified: Verified) -> None:
    wrong = {outcome.check.name: outcome.detail for outcome in verified.outcomes if outcome.state == "failed"}
    assert wrong == {}
    assert verified.notes == ()
    assert verified.count("passed") > verified.count("not applicable")
