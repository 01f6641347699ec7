"""Links of pages that are read on a code host as well, as they lead within the site."""

import os
import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent

PAGES = {  # what lies outside docs/, and the pages that show it
    "README.md": "start.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
    "benchmarks/defaults.md": "defaults.md",
    "examples": "stories/index.rst",
}
LINK = re.compile(r"(!?)\[([^\[\]]*)\]\((?!https?:)([^)#\s]+)(#[^)\s]*)?\)")
IMAGE = re.compile(r'(?<=<img src=")[^":]+(?=")')  # a picture whose width is told


def follow_links(text: str, folder: Path) -> str:
    """Return the text of a page, its links and pictures as they lie in the site.

    A link to what has no page of the site, such as a test, becomes its text.

    Parameters
    ----------
    text : str
        Markdown.
    folder : Path
        Where the file of that text lies.
    """

    def follow(link: re.Match[str]) -> str:
        is_picture, name, target, anchor = link.groups(default="")
        path = (folder / target).resolve()
        if is_picture:
            return f"![{name}]({os.path.relpath(path, DOCS)})"
        if path.is_relative_to(DOCS):
            page = path.relative_to(DOCS).as_posix()
        elif path.parent == ROOT / "examples":
            page = f"stories/{path.stem}.rst"
        else:
            page = PAGES.get(path.relative_to(ROOT).as_posix(), "")
        return f"[{name}]({page}{anchor})" if page else name

    def follow_image(image: re.Match[str]) -> str:
        return os.path.relpath((folder / image[0]).resolve(), DOCS)

    return IMAGE.sub(follow_image, LINK.sub(follow, text))


def read_page(app, docname, source):
    if app.env.doc2path(docname).suffix == ".md":
        source[0] = follow_links(source[0], DOCS)


def read_included(app, path, docname, source):
    source[0] = follow_links(source[0], (DOCS / path).resolve().parent)


def setup(app):
    app.connect("source-read", read_page)
    app.connect("include-read", read_included)
    return {"parallel_read_safe": True}
