"""The pages hold together: links lead somewhere, and commands that they show exist."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.documents import ROOT, pages
from tests.docs.test_documented import make_targets, verbs

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"```.*?```", flags=re.DOTALL)
CODE = re.compile(r"```.*?```|`[^`\n]+`", flags=re.DOTALL)


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def links() -> Iterator[tuple[Path, str]]:
    """Page and target of every link that stays within the project."""
    for page in pages():
        for target in LINK.findall(prose(page)):
            if not re.match(r"[a-z]+:", target):
                yield page, target


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings make, as GitHub does."""
    headings = re.findall(r"^#+ (.*)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    linked = page.parent / path if path else page
    inside = linked.exists() and linked.resolve().is_relative_to(ROOT)
    return inside and (not anchor or anchor in anchors(linked))


def shown(command: str) -> set[tuple[str, str]]:
    """Page and first word after a command, wherever a page shows it as code."""
    pattern = re.compile(rf"(?:^|`|bin/){command} ([a-z]+)", flags=re.MULTILINE)
    return {
        (page.name, word)
        for page in pages()
        for code in CODE.findall(page.read_text())
        for word in pattern.findall(code)
    }


def test_every_link_leads_somewhere() -> None:
    assert [(page.name, target) for page, target in links() if not leads_somewhere(page, target)] == []


def test_a_link_that_leads_nowhere_is_seen() -> None:
    page = ROOT / "docs" / "contract" / "README.md"
    assert leads_somewhere(page, "../contract/README.md#starting")
    assert not leads_somewhere(page, "absent.md")
    assert not leads_somewhere(page, "#absent")
    assert not leads_somewhere(page, "../../../outside.md")


def test_every_make_target_shown_exists() -> None:
    assert {(page, target) for page, target in shown("make") if target not in make_targets()} == set()


def test_every_verb_shown_exists() -> None:
    assert {(page, verb) for page, verb in shown("harness") if verb not in verbs()} == set()
