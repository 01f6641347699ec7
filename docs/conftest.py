"""The pages are doctested; what builds the site, and what is built, is not."""

collect_ignore = ["conf.py", "_build", "_extensions", "_templates", "reference", "stories"]
