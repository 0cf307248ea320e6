"""Markdown that people wrote, as HTML that may stand in a page of ours: no script, no style, no image, no heading above ours."""

from markupsafe import Markup

TAGS = frozenset(
    {"p", "br", "em", "strong", "del", "code", "pre", "blockquote", "ul", "ol", "li", "a", "hr", "h3", "h4", "h5", "h6"}
    | {"table", "thead", "tbody", "tr", "th", "td"}
)
FIRST_LEVEL = 3  # A page's own headings are of levels 1 and 2.


def html(text: str) -> Markup:
    """`text` (CommonMark with tables) as HTML. Raw HTML in it is shown as the text that it is; links lead out without our address."""
    # Heavy, and few pages show any: an idle lab does without.
    import nh3  # noqa: PLC0415 - As above.
    from markdown_it import MarkdownIt  # noqa: PLC0415 - As above.

    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
    tokens = parser.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + FIRST_LEVEL - 1, 6)}"
    rendered = parser.renderer.render(tokens, parser.options, {})
    clean = nh3.clean(
        rendered,
        tags=set(TAGS),
        attributes={"a": {"href", "title"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(clean)
