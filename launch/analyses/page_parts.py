"""Pieces of an HTML page that needs nothing but itself: escaped text, tables, pictures, and the page around them."""

import base64
import html
from collections.abc import Sequence

Cell = str | int | float

# Nothing is fetched and nothing runs, whatever text the page shows.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark; --text: #1a1a1a; --page: #fff; --line: #d0d0d0; --soft: #f4f4f4; --link: #0072b2; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e6e6; --page: #16181a; --line: #44484c; --soft: #23262a; --link: #56b4e9; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 70rem; padding: 1rem; font: 16px/1.5 system-ui, sans-serif; color: var(--text);
  background: var(--page); overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; } h2 { font-size: 1.25rem; margin-top: 2rem; } h3 { font-size: 1rem; }
figure { margin: 1.5rem 0; } figcaption { font-size: .9rem; }
img { max-width: max(100%, 52rem); height: auto; background: #fff; }
.picture { overflow-x: auto; }
.box { overflow-x: auto; border: 1px solid var(--line); margin: .5rem 0; }
table { border-collapse: collapse; font-size: .85rem; }
th, td { padding: .25rem .6rem; text-align: left; border-bottom: 1px solid var(--line); overflow-wrap: normal;
  vertical-align: top; }
td { min-width: 4rem; } th { background: var(--soft); white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { overflow-x: auto; background: var(--soft); padding: .6rem; font-size: .8rem; overflow-wrap: normal; }
details { margin: .5rem 0; } summary { cursor: pointer; color: var(--link); }
.health, .agreement { list-style: none; padding: 0; }
.health li, .agreement li { border-left: .4rem solid var(--line); padding: .2rem .6rem; margin: .4rem 0;
  background: var(--soft); }
.health .ok { border-color: #009e73; } .health .warning { border-color: #e69f00; }
.health .problem { border-color: #d55e00; }
.agreement .differ { border-color: #cc79a7; }
.missing { font-style: italic; }
"""


def escape(value: object) -> str:
    """Any value as text of a page, or of an attribute in quotes."""
    return html.escape(str(value).encode("utf-8", "replace").decode())


def element(tag: str, *inside: str, **attributes: object) -> str:
    """<tag attribute="…">…</tag>; the attributes are escaped here, what is inside was before."""
    given = "".join(f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"' for name, value in attributes.items())
    return f"<{tag}{given}>{''.join(inside)}</{tag}>"


def section(title: str, *inside: str) -> str:
    """A heading and what is under it."""
    return element("section", element("h2", escape(title)), *inside)


def folded(summary: str, *inside: str) -> str:
    """What is shown when asked for."""
    return element("details", element("summary", escape(summary)), *inside)


def missing(text: str) -> str:
    """What there is none of."""
    return element("p", escape(text), class_="missing")


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """A table that scrolls inside its box; numbers are to the right, those with fractions to four digits."""
    head = element("tr", *(element("th", escape(name), scope="col") for name in header))
    body = (element("tr", *map(_cell, row)) for row in rows)
    whole = element("table", element("thead", head), element("tbody", *body))
    return element("div", whole, class_="box", tabindex=0, role="region", aria_label="table")


def picture(png: bytes, size: tuple[int, int], caption: str, name: str) -> str:
    """A figure, which stands in the page itself; on a narrow screen it scrolls, as shrunk labels could not be read."""
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    width, height = size
    image = f'<img src="{source}" alt="{escape(caption or name)}" width="{width}" height="{height}">'
    scrolled = element("div", image, class_="picture", tabindex=0, role="region", aria_label="figure")
    return element("figure", scrolled, element("figcaption", escape(caption or name)), id=f"figure-{name}")


def page(title: str, *sections: str) -> str:
    """A whole HTML document of these sections, with its style in it; it loads nothing and runs no scripts."""
    head = "\n".join(
        (
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            element("title", escape(title)),
            f"<style>{STYLE}</style>",
        )
    )
    body = "\n".join((element("h1", escape(title)), *sections))
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'


def _cell(value: Cell) -> str:
    if isinstance(value, str):
        return element("td", escape(value))
    return element("td", escape(f"{value:.4g}" if isinstance(value, float) else value), class_="number")
