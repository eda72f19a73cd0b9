"""Formulas of the documentation as MathML, which browsers draw by themselves: no script, nothing fetched.

Written as GitHub shows them too: a fenced block ``math``, and ``$`...`$`` within a line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from latex2mathml import converter
from markdown import Extension, Markdown
from markdown.inlinepatterns import InlineProcessor
from pymdownx.superfences import SuperFencesException

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["FormulaExtension", "fence", "makeExtension"]

_INLINE = r"\$`([^`]+)`\$"
_BEFORE_CODE = 195  # Python-Markdown gives `code` a priority of 190


def fence(source: str, language: str, css_class: str, options: Any, md: Markdown, **_: Any) -> str:
    """Return a fenced formula as a block of its own; the signature is that of SuperFences."""
    formula = converter.convert(source.strip(), display="block")
    _refuse_unknown(source, formula)
    return f'<div class="{css_class}">{formula}</div>'


def _refuse_unknown(source: str, formula: str) -> None:
    if "\\" in formula or "&#x0005C;" in formula:
        raise SuperFencesException(f"a command in this formula is not known, write it otherwise: {source.strip()}")


class _Inline(InlineProcessor):
    def handleMatch(self, m: Any, data: str) -> tuple[Element, int, int]:  # type: ignore[override]
        formula = converter.convert_to_element(m.group(1))
        _refuse_unknown(m.group(1), "".join(formula.itertext()))
        return formula, m.start(0), m.end(0)


class FormulaExtension(Extension):
    """Formulas within a line."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Add the pattern."""
        md.inlinePatterns.register(_Inline(_INLINE, md), "formula", _BEFORE_CODE)


def makeExtension(**settings: Any) -> FormulaExtension:
    """Return the extension."""
    return FormulaExtension(**settings)
