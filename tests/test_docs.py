"""The pages are true of the house: links lead somewhere, files hold what is said of them."""

import re
from pathlib import Path

import pytest

import sklearn_learnrule

PACKAGE = Path(sklearn_learnrule.__file__).parent
ROOT = Path(__file__).resolve().parents[1]
FRONT_PAGE = ROOT / "README.md"
SITES_FRONT_PAGE = ROOT / "docs" / "index.md"
SHOWN_FROM_ELSEWHERE = {"changelog", "benchmarks", "defaults"}  # pages of the site alone
OTHER_PAGES = [
    page
    for page in sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
    if page.parent.name != "docs" or page.stem not in SHOWN_FROM_ELSEWHERE
]
ALL_PAGES = [*sorted(ROOT.glob("*.md")), *OTHER_PAGES]


def links(page: Path) -> list[tuple[Path, str]]:
    """Return the file and the anchor, if any, of a page's links and pictures within the house."""
    found = re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", page.read_text())
    return [(page.parent / file if file else page, anchor) for file, anchor in found]


def anchors(page: Path) -> set[str]:
    """Return the names by which links reach a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_front_page_is_read_in_one_sitting():
    assert len(FRONT_PAGE.read_text().splitlines()) < 200


ILLUSTRATED = [
    page
    for page in [FRONT_PAGE, *(ROOT / "docs").glob("*.md")]
    if re.search(r"<img |!\[", page.read_text())
]


@pytest.mark.parametrize("page", ILLUSTRATED, ids=lambda page: page.stem)
def test_pictures_are_crisp_on_a_dense_screen(page):
    text = page.read_text()
    shown = re.findall(r'<img src="([^"]+\.png)" width="(\d+)"', text)
    assert len(shown) == len(re.findall(r"<img |!\[", text))
    for picture, width in shown:
        header = (page.parent / picture).read_bytes()[:24]
        assert int.from_bytes(header[16:20], "big") >= 2 * int(width)


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: page.stem)
def test_links_and_pictures_lead_somewhere(page):
    lost = [
        f"{file.name}#{anchor}"
        for file, anchor in links(page)
        if not file.exists() or (anchor and anchor not in anchors(file))
    ]
    assert lost == []


def test_every_page_is_reached_from_a_front_page():
    reached, new = set(), {FRONT_PAGE, SITES_FRONT_PAGE}
    while new:
        reached |= new
        linked = {file.resolve() for page in new for file, _ in links(page)}
        new = linked & set(OTHER_PAGES) - reached
    assert set(OTHER_PAGES) <= reached


def test_the_walk_finds_in_each_file_what_it_names():
    walk = re.findall(r"^\d+\. `(.+?)`, `(?:\w+\.)?(\w+)`: ", FRONT_PAGE.read_text(), re.MULTILINE)
    assert len(walk) == 10
    for file, name in walk:
        assert re.search(rf"\b(class|def) {name}\b", (PACKAGE / file).read_text()), (file, name)


def test_the_front_page_shows_every_room():
    (shown,) = re.findall(r"The rooms, .*?\n\n", FRONT_PAGE.read_text(), re.DOTALL)
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert set(re.findall(r"`(\w+)`", shown)) == {room for room in rooms if "__" not in room}
