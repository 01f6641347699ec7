"""The site as it is built: nothing leads nowhere, every name is told, a phone shows it all.

python -m sphinx -W --keep-going -b html docs docs/_build/html
"""

import importlib
import pkgutil
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from browser import look_at

import sklearn_learnrule as lr

SITE = Path(__file__).resolve().parents[1] / "docs" / "_build" / "html"
SEARCH = "search.html?q=bootstrap_fits"
THEMES_OWN = '"[PST]: '  # of the theme: which mode it is in, where the focus is
LEADS = {"a": "href", "link": "href", "img": "src", "script": "src"}

pytestmark = pytest.mark.skipif(
    not (SITE / "index.html").exists(), reason="the site is not built: see the head of this file"
)


class Links(HTMLParser):
    """Where a page leads to, what it loads, and the anchors by which it is reached."""

    def __init__(self, path):
        super().__init__()
        self.leads, self.loads, self.anchors = [], [], {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.anchors |= {attributes[key] for key in ("id", "name") if attributes.get(key)}
        if target := attributes.get(LEADS.get(tag)):
            (self.leads if tag == "a" else self.loads).append(target)
        for each in filter(None, (attributes.get("srcset") or "").split(",")):
            self.loads.append(each.split()[0])


@pytest.fixture(scope="module")
def pages():
    """The pages by where they lie in the site."""
    paths = [path for path in sorted(SITE.rglob("*.html")) if "_static" not in path.parts]
    return {str(path.relative_to(SITE)): Links(path) for path in paths}


def public_names():
    """Every public name: those of the front door, of rooms' lists, and of rooms of one file."""
    names = defaultdict(set)
    for name in lr.__all__:
        names[name].add(f"sklearn_learnrule.{name}")
    for room in pkgutil.iter_modules(lr.__path__):
        module = importlib.import_module(f"sklearn_learnrule.{room.name}")
        own = [
            name
            for name, value in vars(module).items()
            if getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
        ]
        for name in getattr(module, "__all__", [] if room.ispkg else own):
            names[name].add(f"{module.__name__}.{name}")
    return dict(names)


def lost_links(pages):
    lost = []
    for page, links in pages.items():
        for target in links.leads + links.loads:
            url = urlsplit(target)
            if url.scheme or url.netloc:
                continue
            path = (SITE / page).parent / unquote(url.path) if url.path else SITE / page
            name = str(path.resolve().relative_to(SITE))
            anchored = unquote(url.fragment) in pages[name].anchors if name in pages else True
            if not path.is_file() or not anchored:
                lost.append(f"{page}: {target}")
    return lost


def test_links_pictures_and_scripts_lead_somewhere(pages):
    assert lost_links(pages) == []


def test_nothing_is_loaded_from_elsewhere(pages):
    loads = {target for links in pages.values() for target in links.loads}
    assert {target for target in loads if urlsplit(target).netloc} == set()


def test_every_page_is_reached_from_the_front_page(pages):
    reached, new = set(), {"index.html"}
    while new:
        reached |= new
        targets = {
            ((SITE / page).parent / urlsplit(target).path).resolve()
            for page in new
            for target in pages[page].leads
            if not urlsplit(target).netloc and urlsplit(target).path
        }
        inside = {str(t.relative_to(SITE)) for t in targets if t.is_relative_to(SITE)}
        new = (inside & set(pages)) - reached
    by_themselves = {"genindex.html", "py-modindex.html", "search.html"}
    assert set(pages) - reached - by_themselves == set()


def test_every_public_name_has_a_page_in_the_reference(pages):
    told = {page: links.anchors for page, links in pages.items() if page.startswith("reference/")}
    missing = [
        name
        for name, places in public_names().items()
        if not any(place in told.get(f"reference/{place}.html", ()) for place in places)
    ]
    assert missing == []


@pytest.fixture(scope="module")
def looked(pages, tmp_path_factory):
    """What Chromium sees of every page on a phone, and what its console says."""
    return look_at(SITE, [*pages, SEARCH], tmp_path_factory.mktemp("chromium"))


def test_every_page_loads_without_a_word_on_the_console(looked):
    _, said = looked
    assert [line for line in said if not line.startswith(THEMES_OWN)] == []


def test_every_page_fits_a_phone(looked):
    seen, _ = looked
    wide = {page: told["widest"] for page, told in seen.items() if told["overflow"] > 0}
    assert wide == {}


def test_the_search_finds_a_name(looked):
    seen, _ = looked
    found = {urlsplit(address).path.lstrip("/") for address in seen[SEARCH]["found"]}
    assert "reference/sklearn_learnrule.inspection.bootstrap_fits.html" in found
