"""How the scripts of ``examples/`` are run for the site."""

import tempfile
from pathlib import Path

CSS_DPI = 110  # of a picture's inch on a screen: type of 8 points is as large as a caption there


def draw_for_screens(gallery_conf, script):
    """Save pictures at their size on the screen; the gallery adds twice that for dense ones."""
    import matplotlib as mpl

    mpl.rcParams["savefig.dpi"] = CSS_DPI


def arguments(gallery_conf, script_vars):
    """Return a script's arguments: one that saves its picture does so where nobody looks."""
    saves = Path(script_vars["src_file"]).stem == "compare_rules"
    return ["--figure", f"{tempfile.gettempdir()}/compare_rules.png"] if saves else []
