"""A suite that cannot fail proves nothing: every mistake is caught, by the checks meant for it and by no others."""

import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from harness.conformance import FULL, SHORT, Bench, Outcome, Scale, run_checks, wire
from harness.runtime.base import make_owner
from harness.runtime.process import ProcessRuntime
from harness.spec.catalogue import load_model
from harness.spec.experiment import Trial
from tests.conformance.broken import IMPORTS, MISTAKES, RUN, Mistake

ROOT = Path(__file__).resolve().parents[2]
BOUND = {"workers": {"type": "integer", "default": 8, "minimum": 1, "maximum": 8, "says": "How many."}}
LONG = Scale(every=50, connections=4_600, settling=400, idle=20, examples=5, patient=False)
THOROUGH = replace(SHORT, examples=FULL.examples)


@pytest.fixture(autouse=True)
def room_to_leak() -> Iterator[None]:
    """A server that leaks descriptors meets its limit only after the check has seen the leak."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_caught_by_the_checks_meant_for_it(
    name: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "PATIENCE_S", 4.0)  # a mistake may be to hang
    mistake = MISTAKES[name]
    outcomes = verified(mistake, images, tmp_path)
    failed = {outcome.check.name: outcome.detail for outcome in outcomes if outcome.state == "failed"}
    assert failed.keys() == mistake.caught_by, failed
    assert not failed or any(mistake.evidence in detail for detail in failed.values()), failed


def verified(mistake: Mistake, images: Path, folder: Path) -> list[Outcome]:
    """What the suite says of a server with this mistake."""
    make_folder(mistake, images)
    model = load_model(images / "broken")
    options = {name: option.default for name, option in model.options.items()}
    runtime = ProcessRuntime(make_owner("test"), images, folder / "work")
    try:
        bench = Bench(runtime, model, Trial(model="broken", options=options), (), scale_for(mistake))
        return list(run_checks(bench, {}))
    finally:
        runtime.clean()


def scale_for(mistake: Mistake) -> Scale:
    """As little as shows the mistake."""
    if mistake.long:
        return LONG
    return THOROUGH if "generated" in mistake.caught_by else SHORT


def make_folder(mistake: Mistake, images: Path) -> None:
    """The right server's model.yaml, and a server.py that spoils it before it runs."""
    model = yaml.safe_load((ROOT / "images/tpc/model.yaml").read_text()) | (yaml.safe_load(mistake.model) or {})
    if mistake.model:
        model["options"] |= BOUND
    (images / "broken").mkdir()
    (images / "broken" / "model.yaml").write_text(yaml.safe_dump(model))
    (images / "broken" / "server.py").write_text(IMPORTS + mistake.code + RUN)
