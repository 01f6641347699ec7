"""A report as one HTML file without scripts, in which nothing points outside."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from html import escape as escape_tags

import pandas as pd

from ..utils.texts import visible
from ._models import Model
from ._parts import Headline, Note, Part, Picture, Section, Shown, Table

STYLE = """
@page { size: A4; margin: 16mm 14mm; }
* { box-sizing: border-box; }
body { max-width: 7.4in; margin: 0 auto; padding: 2.5rem 1rem 4rem; color: #1a1a1a;
  background: #fff; font: 16px/1.5 Charter, "Bitstream Charter", Cambria, Georgia, serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .4rem; padding-top: .7rem; border-top: 1px solid #bbb; }
p { margin: .4rem 0 .8rem; }
a { color: #00567f; text-decoration: none; }
.byline, figcaption, .note, nav, table { font-family: system-ui, "Helvetica Neue", Arial,
  sans-serif; font-size: .8rem; line-height: 1.4; }
.byline, .note { color: #555; }
.headlines { margin: 1.2rem 0; padding: .1rem 0 .1rem 1.6rem; border-left: 3px solid #0072b2; }
.headlines li { margin: .4rem 0; }
nav { margin: 1.4rem 0; }
nav a { margin-right: 1rem; white-space: nowrap; }
.how { max-width: 42rem; margin-top: 1rem; }
figure { display: inline-block; vertical-align: top; margin: 0 .08in .8rem 0; max-width: 100%;
  break-inside: avoid; }
figcaption { font-weight: 600; margin-bottom: .2rem; overflow-wrap: anywhere; }
img { display: block; max-width: 100%; height: auto; }
figure.scroll { display: block; overflow-x: auto; }
table { border-collapse: collapse; margin: .2rem 0 .8rem; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; vertical-align: bottom; border-bottom: 1px solid #888; }
td { text-align: right; vertical-align: top; border-bottom: 1px solid #e4e4e4; }
th, td { padding: .2rem .8rem .2rem 0; overflow-wrap: break-word; }
.text { text-align: left; }
.text:first-child { min-width: 7rem; }
@media print { body { max-width: none; padding: 0; font-size: 11pt; } nav { display: none; }
  h2, .how, figcaption { break-after: avoid; } .how, tr { break-inside: avoid; }
  figure.scroll { overflow: visible; break-inside: auto; } }
"""
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<p class="byline">{byline}</p>
{headlines}
{data}
<nav aria-label="contents">{contents}</nav>
{sections}
</body>
</html>
"""
NUMBER = re.compile(r"([−+]?[\d,]*\.?\d+(e[−+]?\d+)?%?( \[.*\])?)?")


def render(
    title: str, byline: str, data: pd.DataFrame, notes: list[str], sections: list[Section]
) -> str:
    """Return the page."""
    numbered = list(enumerate(sections, 1))
    return PAGE.format(
        title=escape(title),
        style=STYLE,
        byline=escape(byline),
        headlines=_headlines(sections),
        data=_table(data) + "".join(map(_note, notes)),
        contents="\n".join(f'<a href="#s{i}">{escape(s.title)}</a>' for i, s in numbered),
        sections="\n".join(_section(i, section) for i, section in numbered),
    )


def escape(text: str) -> str:
    return escape_tags(visible(text))


def _headlines(sections: list[Section]) -> str:
    parts = [part for s in sections for shown in s.exhibits for _, part in shown.parts]
    lines = [f"<li>{escape(part.text)}</li>" for part in parts if isinstance(part, Headline)]
    return f'<ul class="headlines">{"".join(lines)}</ul>' if lines else ""


def _section(number: int, section: Section) -> str:
    exhibits = "\n".join(map(_exhibit, section.exhibits))
    return f'<section id="s{number}">\n<h2>{escape(section.title)}</h2>\n{exhibits}\n</section>'


def _exhibit(shown: Shown) -> str:
    parts = "".join(_part(model, part) for model, part in shown.parts)
    caption = f'<p class="how">{escape(shown.caption)}</p>\n' if shown.caption else ""
    return f"{caption}<div>{parts}</div>"


def _part(model: Model | None, part: Part) -> str:
    caption = f"<figcaption>{escape(model.name)}</figcaption>" if model else ""
    if isinstance(part, Picture):
        alt = escape(f"{part.alt}: {model.name}" if model else part.alt)
        source = f"data:image/png;base64,{b64encode(part.png).decode()}"
        image = f'<img style="width:{part.width:.2f}in" alt="{alt}" src="{source}">'
        return f"<figure>{caption}{image}</figure>"
    if isinstance(part, Table):
        return f'<figure class="scroll">{caption}{_table(part.shown)}</figure>'
    return _note(part.text) if isinstance(part, Note) else ""


def _table(table: pd.DataFrame) -> str:
    """Return a table of texts; columns that hold but numbers are set flush right."""
    cells = table.astype(str)
    numeric = [all(map(NUMBER.fullmatch, column)) for _, column in cells.items()]

    def row(tag: str, texts: Iterable[str]) -> str:
        marks = ("" if number else ' class="text"' for number in numeric)
        fields = zip(marks, texts, strict=True)
        return f"<tr>{''.join(f'<{tag}{m}>{escape(text)}</{tag}>' for m, text in fields)}</tr>"

    body = "\n".join(row("td", texts) for texts in cells.itertuples(index=False))
    head = row("th", map(str, cells))
    return f"<table>\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'
