"""Where this package is documented, which its metadata tell and nothing else."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from typing import ClassVar

PACKAGE = __name__.partition(".")[0]
LABEL = "Documentation"  # of the address, among the project's in pyproject.toml


@cache
def documentation_url() -> str:
    """Return the address of the documentation, without a slash at its end; "": there is none."""
    try:
        addresses = metadata.metadata(PACKAGE).get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        addresses = []
    by_label = dict(address.split(", ", 1) for address in addresses)
    return by_label.get(LABEL, "").rstrip("/")


class LinksToDocumentation:
    """An estimator whose HTML repr links to its page in this documentation, if there is one.

    An estimator of a user's own, in another package, has no such page, and no link.
    """

    _doc_link_module: ClassVar[str] = PACKAGE

    @property
    def _doc_link_template(self) -> str:
        return f"{documentation_url()}/{{page}}" if documentation_url() else ""

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        return {"page": f"reference/{PACKAGE}.{type(self).__name__}.html"}
