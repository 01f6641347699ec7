"""The reference: a page for each room of the package, on which autosummary finds its names."""

import importlib
import inspect
import pkgutil
import sys
from pathlib import Path

from sphinx.pycode import ModuleAnalyzer

import sklearn_learnrule as package

NAME = package.__name__
FOLDER = Path(__file__).resolve().parents[1] / "reference"
ROOMS = """estimators data preprocessing datasets model_selection metrics inspection plotting
simulation recovery report rules testing engine""".split()
"""As a reader meets them; others follow."""

FRONT = """Reference
=========

Every public name, with what it takes, returns and raises, and an example. N are subjects, T trials,
K weights of the policy, the bias last; log-likelihoods are in nats per trial.

{rooms}

.. autosummary::
   :toctree: .
   :nosignatures:

{others}

.. toctree::
   :hidden:

   {pages}
"""
PARAGRAPH = "\n\n"
ROOM = """{title}
{underline}

{said}

.. autosummary::
   :toctree: .
   :nosignatures:

{names}
"""


def write_pages(app, config):
    """Write the front page and the rooms' before autosummary looks for names in them."""
    FOLDER.mkdir(exist_ok=True)
    found = {room.name for room in pkgutil.iter_modules(package.__path__)}
    rooms = {room: public_names(room) for room in [*ROOMS, *sorted(found - set(ROOMS))]}
    rooms = {room: names for room, names in rooms.items() if names}
    for room, names in rooms.items():
        title = f"{NAME}.{room}"
        under, told = "=" * len(title), said_of(room)
        page = ROOM.format(title=title, underline=under, said=told, names=listed(names))
        write(FOLDER / f"{room}.rst", page)
    in_rooms = {name for names in rooms.values() for name in names}
    others = sorted({f"{NAME}.{name}" for name in package.__all__} - in_rooms)
    told = "\n".join(f"* :doc:`{room}`: {said_of(room).partition(PARAGRAPH)[0]}" for room in rooms)
    page = FRONT.format(rooms=told, others=listed(others), pages="\n   ".join(rooms))
    write(FOLDER / "index.rst", page)


def public_names(room):
    """Return a room's public names, each in full: at the front door if it stands there as well."""
    module = importlib.import_module(f"{NAME}.{room}")
    names = getattr(module, "__all__", [])
    if not hasattr(module, "__path__"):  # one file: what it defines
        names = [
            name
            for name, value in vars(module).items()
            if getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
        ]
    front = package.__all__
    rooms = {name: NAME if name in front else module.__name__ for name in names}
    return [f"{rooms[name]}.{name}" for name in sorted(names, key=str.lower)]


def said_of(room):
    return inspect.getdoc(importlib.import_module(f"{NAME}.{room}"))


def listed(names):
    return "\n".join(f"   ~{name}" for name in names)


def write(path, page):
    """Write a page if it has changed: what has not is not built anew."""
    if not path.exists() or path.read_text() != page:
        path.write_text(page)


def tell_constants(app, what, name, value, options, lines):
    """Give a constant what is written below it where it is defined, not its type's docstring."""
    if what != "data":
        return
    short = name.rpartition(".")[2]
    for module in [each for each in sys.modules if each.startswith(NAME)]:
        said = ModuleAnalyzer.for_module(module).find_attr_docs().get(("", short))
        if said and getattr(sys.modules[module], short) is value:
            lines[:] = said
            return
    lines.clear()


def is_not_ours(app, what, name, value, skip, options):
    """Leave out of a class' page what it inherits from other packages."""
    of = getattr(value, "fget", value)
    return skip or not str(getattr(of, "__module__", NAME)).startswith(NAME)


def setup(app):
    app.connect("config-inited", write_pages)
    app.connect("autodoc-process-docstring", tell_constants, priority=100)
    app.connect("autodoc-skip-member", is_not_ours)
    return {"parallel_read_safe": True}
