"""What the tests of the report read from its page."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """What stands in a page: its tags with their attributes, its texts, its tables."""

    VOID = ("meta", "img")

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags, self.open, self.text, self.rows = [], [], [], []
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1].append(data)

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def says(self, sentence):
        return sentence in " ".join(" ".join(self.text).split())
