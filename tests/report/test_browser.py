"""The page in a real browser: it draws, loads nothing, complains about nothing."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from harness.report import make_report
from tests.tools.synthetic import Shape, make_run

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
HOSTILE = "</script><script>alert(1)</script><b>\"{{ 7*7 }}' ☃ \u2028"


@dataclass
class Seen:
    """What the browser had to say about a page."""

    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert executable is not None, "install Debian's package chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(CHROMIUM_FLAGS))
        yield browser
        browser.close()


def _open(page: Page, index: Path) -> Seen:
    seen = Seen()

    def dismiss(dialog: Dialog) -> None:
        seen.dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("console", lambda message: seen.console.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: seen.console.append(f"error: {error}"))
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("dialog", dismiss)
    page.goto(index.as_uri())
    page.wait_for_selector("html[data-drawn]", timeout=60_000)
    return seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360], ids=["desktop", "phone"])
def test_the_page_draws_every_chart_and_loads_nothing(
    browser: Browser, tmp_path: Path, scheme: str, width: int
) -> None:
    states = {
        "model-ppc.connections-32.lifetime-keep_alive.r1": "marked",
        "model-tpc.connections-32.lifetime-keep_alive.r1": "invalid",
    }
    index = make_report(make_run(tmp_path / "run", Shape(states=states))).index
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
    )
    seen = _open(page, index)
    assert seen.console == []
    assert seen.requests == [index.as_uri()]
    plots = page.locator(".plot")
    assert plots.count() == 14
    assert page.locator(".plot svg").count() == 14
    assert page.locator("#plot-throughput_rps-0 path[aria-label*='mean over runs']").count() == 9
    assert page.locator("#plot-throughput_rps-0 path[stroke='var(--marked)']").count() == 1
    assert page.locator("#plot-throughput_rps-0 path[stroke='var(--invalid)']").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_the_chart_of_a_cluster_has_its_law_band_and_ring(browser: Browser, tmp_path: Path) -> None:
    shape = Shape(
        {"servers": ("1", "2", "3", "4", "6")},
        kind="capacity",
        speed=lambda factors: 200.0 * int(factors["servers"]) ** 0.9,
        base={"balancer": "haproxy-tcp"},
        hosts=3,
    )
    page = browser.new_page(viewport={"width": 360, "height": 900}, color_scheme="dark")
    seen = _open(page, make_report(make_run(tmp_path / "run", shape)).index)
    assert seen.console == []
    plot = page.locator("#plot-scaling-0")
    assert plot.locator(".mark-area path").count() == 1
    assert plot.locator(".mark-line path").count() == 2  # the law, and ideal growth
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()


def test_hostile_labels_are_shown_as_text_and_run_nothing(browser: Browser, tmp_path: Path) -> None:
    shape = Shape({"model": (HOSTILE, "b"), "network": (HOSTILE, "host")}, title=HOSTILE, repeats=3)
    index = make_report(make_run(tmp_path / "run", shape, environment={HOSTILE: HOSTILE})).index
    page = browser.new_page()
    seen = _open(page, index)
    assert seen.console == []
    assert seen.dialogs == []
    assert (
        page.locator("h1").inner_text() == HOSTILE.replace("\u2028", "").strip()
        or HOSTILE[:40] in page.locator("h1").inner_text()
    )
    page.locator("#plot-throughput_rps-0 path[aria-label*='mean over runs']").first.hover()
    tooltip = page.locator("#vg-tooltip-element")
    tooltip.wait_for(state="visible", timeout=10_000)
    assert "alert(1)" in tooltip.inner_text()
    assert tooltip.locator("b, script").count() == 0
    page.close()


def test_a_tooltip_tells_runs_interval_verdict_and_id(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page()
    _open(page, make_report(make_run(tmp_path / "run", Shape({"load.connections": ("1", "64")}))).index)
    page.locator("#plot-throughput_rps-0 path[aria-label*='mean over runs']").last.hover()
    tooltip = page.locator("#vg-tooltip-element")
    tooltip.wait_for(state="visible", timeout=10_000)
    said = tooltip.inner_text()
    for part in ("connections\t64", "runs\t3", "server cpu (3 of 3)", "connections-64", "95 % interval"):
        assert part in said
    page.close()


def test_the_table_is_sorted_by_number_and_back(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page()
    _open(page, make_report(make_run(tmp_path / "run", Shape({"load.connections": ("8", "64", "128")}))).index)
    table = page.get_by_role("region", name="Table of every point")
    head = table.get_by_role("button", name="connections", exact=True)
    cells = table.locator("tbody td:first-child")
    head.click()
    assert cells.all_inner_texts() == ["8", "64", "128"]
    head.click()
    assert cells.all_inner_texts() == ["128", "64", "8"]
    page.close()


def test_on_a_phone_the_costs_scroll_beside_the_name_of_their_side(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 900})
    _open(page, make_report(make_run(tmp_path / "run", Shape({"model": ("ppc", "tpc", "reactor")}))).index)
    panel = page.get_by_role("region", name="Why: what a request and a connection cost")
    panel.evaluate("element => element.scrollLeft = element.scrollWidth")
    name, last = (
        panel.locator("tbody td").first.bounding_box(),
        panel.locator("tbody tr:first-child td").last.bounding_box(),
    )
    assert name is not None
    assert last is not None
    assert 0 <= name["x"] < name["x"] + name["width"] <= last["x"] < 360
    page.close()


def test_the_policy_stops_a_script_that_somebody_adds(browser: Browser, tmp_path: Path) -> None:
    index = make_report(make_run(tmp_path / "run", Shape({}, repeats=1))).index
    index.write_text(index.read_text().replace("</main>", "<script>document.title = 'taken over'</script></main>"))
    page = browser.new_page()
    seen = _open(page, index)
    assert page.title().endswith("Ceiling")
    assert any("Content Security Policy" in line for line in seen.console)
    page.close()


@pytest.mark.parametrize("state", ["failed", "missing"])
def test_a_run_without_numbers_is_a_page_without_complaints(browser: Browser, tmp_path: Path, state: str) -> None:
    page = browser.new_page()
    seen = _open(page, make_report(make_run(tmp_path / "run", Shape({}, repeats=1, states={"base.r1": state}))).index)
    assert seen.console == []
    assert "This run has no answer" in page.locator(".answer").inner_text()
    page.close()
