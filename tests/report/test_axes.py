"""Which factor goes where."""

import pytest

from harness.analysis.axes import Level, choose_axes, numeric
from tests.tools.synthetic import Shape, make_plan


@pytest.mark.parametrize(
    ("label", "level"),
    [
        ("32", Level(32, "")),
        ("0.5", Level(0.5, "")),
        ("50 us", Level(50, "us")),
        ("1 ms", Level(1_000, "us")),
        ("2 KiB", Level(2_048, "bytes")),
        ("1000/s", Level(1_000, "/s")),
        ("reactor", None),
        ("nan", None),
        ("infinity", None),
        ("", None),
        ("3 apples", None),
        ("12-factor", None),
    ],
)
def test_a_label_is_a_number_only_if_it_is_one(label: str, level: Level | None) -> None:
    assert numeric(label) == level


@pytest.mark.parametrize(
    ("factors", "series", "x", "panels"),
    [
        (
            {"model": ("a", "b"), "load.connections": ("1", "2"), "network": ("host", "bridge")},
            "model",
            "load.connections",
            ("network",),
        ),
        ({"network": ("host", "bridge"), "model": ("a", "b")}, "model", None, ("network",)),
        ({"load.connections": ("1", "2")}, None, "load.connections", ()),
        (
            {"handler.cpu": ("10 us", "1 ms", "2 ms"), "load.connections": ("1", "2")},
            "handler.cpu",
            "load.connections",
            (),
        ),
        ({"handler.log": ("off", "flush")}, "handler.log", None, ()),
        ({"model": ("a",), "load.connections": ("8",)}, "model", None, ()),
        ({"handler.body": ("1 B", "10 ms"), "model": ("a", "b")}, "model", None, ("handler.body",)),
        ({}, None, None, ()),
    ],
    ids=str,
)
def test_model_is_coloured_connections_go_along_x_the_rest_into_panels(
    factors: dict[str, tuple[str, ...]], series: str | None, x: str | None, panels: tuple[str, ...]
) -> None:
    axes = choose_axes(make_plan(Shape(factors=factors)))
    assert (axes.series, axes.x, axes.panels) == (series, x, panels)
