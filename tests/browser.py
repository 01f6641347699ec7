"""Pages in a headless Chromium: what its console says, how wide they are, how they print."""

import json
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = """--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run
--disable-background-networking --disable-component-update --disable-extensions --hide-scrollbars
--enable-logging=stderr --log-level=0""".split()
PHONE = 390  # CSS pixels
PATIENCE = 240  # seconds
LOOK = "/__look__"
HARNESS = (Path(__file__).parent / "data" / "look_at_pages.html").read_text(encoding="utf-8")
SAID = re.compile(r'CONSOLE.*?\] (".*", source: \S+)')


def chromium():
    """Return the browser's path, or skip the test."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip(f"no Chromium is installed ({', '.join(NAMES)}): pages are not opened")
    return found


def print_to_pdf(page, pdf, profile):
    """Print a file to PDF and return what its console said."""
    options = [f"--user-data-dir={profile}", "--no-pdf-header-footer", f"--print-to-pdf={pdf}"]
    command = [chromium(), *OPTIONS, *options, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    return SAID.findall(done.stderr)


def look_at(folder, pages, profile, width=PHONE):
    """Open pages of a folder, by a server of our own, and return what is seen of each.

    Returns
    -------
    seen : dict of str to dict
        Of each page, ``overflow``, CSS pixels by which it is wider than the screen; ``widest``,
        what sticks out; and ``found``, the links of a search's results.
    said : list of str
        What the console said, and what the server was asked for but had not.
    """
    with _serve(folder, pages, width) as server, open(profile / "console", "w+") as console:
        address = f"http://127.0.0.1:{server.server_port}{LOOK}"
        command = [chromium(), *OPTIONS, f"--user-data-dir={profile}", address]
        with subprocess.Popen(command, stderr=console) as browser:
            done = server.done.wait(PATIENCE)
            browser.terminate()
        assert done, f"{len(pages)} pages took Chromium more than {PATIENCE} s"
        console.seek(0)
        return server.seen, SAID.findall(console.read()) + server.lacking


@contextmanager
def _serve(folder, pages, width):
    harness = HARNESS.replace("PAGES", json.dumps(pages)).replace("WIDTH", str(width))
    handler = partial(_Handler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.harness, server.lacking, server.done = harness.encode(), [], threading.Event()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path == LOOK:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(self.server.harness)
        else:
            super().do_GET()

    def do_POST(self):
        size = int(self.headers["Content-Length"])
        self.server.seen = json.loads(self.rfile.read(size))
        self.send_response(204)
        self.end_headers()
        self.server.done.set()

    def send_error(self, code, *args, **kwargs):
        self.server.lacking.append(f"{code}: {self.path}")
        super().send_error(code, *args, **kwargs)

    def log_message(self, *args):
        del args
