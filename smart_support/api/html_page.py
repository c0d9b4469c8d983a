"""Pages outside the console: the login, and the card of a link to decide. They share a template."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

_TEMPLATES = Environment(
    autoescape=True, auto_reload=False, loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8")
)


def render(template: str, *, root: str, title: str, **values: Any) -> str:
    """The HTML of a page; all values are escaped.

    Args:
        template: the name of its file, beside this one.
        root: the sub-path of the app.
    """
    return _TEMPLATES.get_template(template).render(root=root, title=title, **values)
