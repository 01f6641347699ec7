"""How the scripts of ``examples/`` are run for the site."""

import io

from tqdm import tqdm

CSS_DPI = 110  # of a picture's inch on a screen: type of 8 points is as large as a caption there


_start = tqdm.__init__


def prepare(gallery_conf, script):
    """Save pictures at their size on the screen, to which the gallery adds twice that for dense
    ones; and show no progress, which would stand among what a story prints.
    """
    import matplotlib as mpl

    mpl.rcParams["savefig.dpi"] = CSS_DPI
    tqdm.__init__ = _start_unseen


def _start_unseen(self, *args, **options):
    _start(self, *args, **{**options, "file": io.StringIO()})
