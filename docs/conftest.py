"""The pages are doctested; what builds the site, and what is built, is not."""

from importlib.util import find_spec

collect_ignore = ["conf.py", "_build", "_extensions", "_templates", "reference", "stories"]
if find_spec("sklearn.callback") is None:  # before scikit-learn 1.9
    collect_ignore.append("training.md")
