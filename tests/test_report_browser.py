"""A report in a browser: silent, as narrow as a phone, and whole on paper, tables and all."""

import re
import shutil
import subprocess
from html import unescape

import pytest
from browser import look_at, print_to_pdf
from pages import Page

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.report import _parts, _sections, _write, write_report

A4 = (595, 842)  # points
WORD = re.compile(r'<word xMin="(.*?)" yMin="(.*?)" xMax="(.*?)" yMax="(.*?)">(.*?)</word>')


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report whose tables have many columns and more rows than a page."""
    X, y, _ = lr.make_design(make_learning_cohort(4, 90, session_length=30, random_state=0))
    rule = lr.ReinforceRuleEstimator(side_specific=True, forgetting=True, prior="weak")
    names = ["REINFORCE", "REINFORCE that forgets", "REINFORCE of either side", "a fourth", "5th"]
    models = dict.fromkeys(names, rule) | {"constant": lr.ConstantRuleEstimator()}
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        wanted = ("Learning curves", "Parameters")
        patch.setattr(_write, "SECTIONS", {name: _sections.SECTIONS[name] for name in wanted})
        patch.setattr(_parts, "DPI", 40)
        return write_report(models, X, y, folder / "report.html", compare=False, verbose=0)


def test_a_report_says_nothing_on_the_console_and_fits_a_phone(report, tmp_path):
    seen, said = look_at(report.parent, [report.name], tmp_path)
    assert said == []
    assert seen[report.name]["overflow"] == 0, seen


def test_a_report_is_printed_on_a4_with_every_cell_of_its_tables(report, tmp_path):
    if not shutil.which("pdftotext"):
        pytest.skip("no pdftotext is installed (poppler): what is printed is not read")
    pdf, text = tmp_path / "report.pdf", tmp_path / "report.xml"
    assert print_to_pdf(report, pdf, tmp_path) == []
    subprocess.run(["pdftotext", "-bbox", pdf, text], check=True)
    printed = text.read_text(encoding="utf-8")
    sizes = re.findall(r'<page width="(.*?)" height="(.*?)">', printed)
    assert {tuple(round(float(side)) for side in size) for size in sizes} == {A4}
    words = set()
    for *corners, word in WORD.findall(printed):
        left, top, right, bottom = map(float, corners)
        assert 0 < left < right < A4[0] and 0 < top < bottom < A4[1], word
        words.add(unescape(word))
    cells = {word for row in Page(report).rows for cell in row for word in cell.split()}
    assert len(cells) > 100
    assert cells <= words
