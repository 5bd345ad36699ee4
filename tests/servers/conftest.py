"""Production servers in containers of their own images, and what they are told."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from common.config import HandlerConfig, ServerConfig
from harness.conformance.bench import Bench, Server
from harness.conformance.scale import SHORT
from harness.runtime.base import make_owner
from harness.spec.catalogue import load_model
from harness.spec.experiment import Scalar, Trial
from harness.spec.traffic import Load
from harness.stage import Places, set_stage
from harness.terminal import Display

ROOT = Path(__file__).resolve().parents[2]
PLACES = Places.under(ROOT)
HANDLER = HandlerConfig(kind="body", body_bytes=128, cpu_iterations=0, log="off")

Serve = Callable[..., AbstractContextManager[Server]]


def told(
    model: str, options: Mapping[str, Scalar], *, host: str = "127.0.0.1", handler: HandlerConfig = HANDLER
) -> ServerConfig:
    """What a server is told: the defaults of its model.yaml, and these options."""
    return ServerConfig(model, host, 8080, 4096, {**defaults(model), **options}, handler)


def defaults(model: str) -> dict[str, Scalar]:
    return {name: option.default for name, option in load_model(PLACES.images / model).options.items()}


@pytest.fixture
def serve() -> Serve:
    """A server of images/ in a container, up and proved right; gone afterwards."""

    @contextmanager
    def up(name: str, **options: Scalar) -> Iterator[Server]:
        model = load_model(PLACES.images / name)
        trial = Trial(model=name, options={**defaults(name), **options}, load=Load(connections=100))
        stage = set_stage([trial], {name: model}, PLACES, "docker", make_owner(f"test-{name}"), Display(), tools=())
        try:
            bench = Bench(stage.runtime, model, trial, stage.cores(trial).server, SHORT)
            bench.until_s = 1e12
            with bench.fresh() as server:
                yield server
        finally:
            stage.close()

    return up
