"""Markdown that people wrote, as HTML that is safe to show: CommonMark without raw HTML, then cleaned of all but plain prose.

Both libraries are loaded when something is first shown: an idle lab does not need them.
"""

from functools import lru_cache

from markupsafe import Markup

TAGS = frozenset(
    {"a", "b", "blockquote", "br", "code", "em", "h2", "h3", "h4", "hr", "i", "li", "ol", "p", "pre", "strong"}
    | {"table", "tbody", "td", "th", "thead", "tr", "ul"}
)
SCHEMES = frozenset({"http", "https", "mailto"})


@lru_cache(maxsize=32)
def html(text: str) -> Markup:
    """`text` as HTML. Headings begin at the second level: the page has the first."""
    import nh3  # noqa: PLC0415 - Its docstring above says why.
    from markdown_it import MarkdownIt  # noqa: PLC0415 - As above.

    reading = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reading.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(4, int(token.tag[1]) + 1)}"
    made = reading.renderer.render(tokens, reading.options, {})
    clean = nh3.clean(made, tags=set(TAGS), attributes={"a": {"href"}}, url_schemes=set(SCHEMES))
    return Markup(clean)
