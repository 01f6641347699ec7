"""The pages are doctested; what builds the site, and what is built, is not."""

from importlib.util import find_spec

BUILD = ("conf.py", "_build", "_extensions", "_templates", "reference", "stories")
collect_ignore = [f"docs/{name}" for name in BUILD]
if find_spec("sklearn.callback") is None:  # before scikit-learn 1.9
    collect_ignore.append("docs/training.md")
