"""The pages are doctested; what builds the site, and what is built, is not."""

import os
from importlib.util import find_spec

# Before numpy is imported: of as many workers as cores, threads would but wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

BUILD = ("conf.py", "_build", "_extensions", "_templates", "reference", "stories")
collect_ignore = [f"docs/{name}" for name in BUILD]
if find_spec("sklearn.callback") is None:  # before scikit-learn 1.9
    collect_ignore.append("docs/training.md")
