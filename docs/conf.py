"""How the site is built; from the root of the repository:

    python -m sphinx -W --keep-going -b html docs docs/_build/html                     # all of it
    python -m sphinx -W --keep-going -b html -D plot_gallery=0 docs docs/_build/html   # in a hurry

The second does not run the stories of ``examples/``, which then have neither output nor pictures.
"""

import sys
from pathlib import Path

import sklearn_learnrule

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS / "_extensions"))

project = "sklearn_learnrule"
release = version = sklearn_learnrule.__version__
project_copyright = "the authors of sklearn_learnrule, BSD-3-Clause"

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "page_links",
    "reference_pages",
]
exclude_patterns = ["_build", "stories/*.md5", "stories/*.json", "stories/*.zip"]
templates_path = ["_templates"]
default_role = "code"  # docstrings quote names by one backtick here and there

myst_enable_extensions = ["colon_fence", "html_image"]
myst_heading_anchors = 3

toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # numpydoc's sections tell the types, with shapes and units
autosummary_generate = True
numpydoc_show_class_members = False  # the template shows them, each with all that is said of it

html_theme = "pydata_sphinx_theme"
html_title = project
html_logo = html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": project},
    "show_toc_level": 2,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"index": [], "changelog": []}

# ------------------------------------------------------------------- stories

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "stories",
    "filename_pattern": r"\.py",
    "within_subsection_order": "FileNameSortKey",
    "image_srcset": ["2x"],
    "reset_modules": ("matplotlib", "story_runs.prepare"),
    "doc_module": (project,),
    "backreferences_dir": "reference/stories",
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "capture_repr": (),  # stories print
    "plot_gallery": "True",  # as text: -D plot_gallery=0 is one
}
