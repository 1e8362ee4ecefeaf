"""Markdown of models becomes these elements, and no text becomes anything else, or slow."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.fake_agent import FakeAgent, Script
from tests.browser.saying import said

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


def link(address: str, text: str | None = None, *, title: str = "") -> str:
    """A link as it is made, of whatever leads elsewhere."""
    more = f' title="{title}"' if title else ""
    opened = f'<a href="{address}" target="_blank" rel="noopener noreferrer nofollow"{more}>'
    return f"{opened}{text or address}</a>"


MARKDOWN = [
    ("plain", "<p>plain</p>"),
    ("a\nb\n\nc", "<p>a<br>b</p><p>c</p>"),
    ("a  \nb\\\nc", "<p>a<br>b<br>c</p>"),
    ("# Title\ntext", "<h3>Title</h3><p>text</p>"),
    ("## a # b ##\n# a#b ###\n# ###", "<h4>a # b</h4><h3>a#b</h3><h3></h3>"),
    ("# a\u2028b\n- a\u2028b\n> a\u2028b",
     '<h3>a\u2028b</h3><ul dir="auto"><li>a\u2028b</li></ul>'
     '<blockquote dir="auto"><p>a\u2028b</p></blockquote>'),
    ("**bold** and *it* and _it_ and `code`",
     "<p><strong>bold</strong> and <em>it</em> and <em>it</em> and <code>code</code></p>"),
    ("**bold *it* x** ***both*** ~~no~~ ~5 `` a`b ``",
     "<p><strong>bold <em>it</em> x</strong> <em><strong>both</strong></em> <s>no</s> ~5 "
     "<code>a`b</code></p>"),
    ("snake_case_name and 2*3*4", "<p>snake_case_name and 2*3*4</p>"),
    ("5*x + 3*y and x**2 + y**2 of **T**ext",
     "<p>5*x + 3*y and x**2 + y**2 of <strong>T</strong>ext</p>"),
    ("$5 and *.py and *.js files, **.a and **.b, 3 * 4 * 5",
     "<p>$5 and *.py and *.js files, **.a and **.b, 3 * 4 * 5</p>"),
    ("__init__.py and __name__", "<p>__init__.py and __name__</p>"),
    (r"a\*b\*c &lt;", "<p>a*b*c &lt;</p>"),
    ("は**「重」**で。**は。**次", "<p>は<strong>「重」</strong>で。<strong>は。</strong>次</p>"),
    ("- a\n- b\n  - c\n- d",
     '<ul dir="auto"><li>a</li><li>b<ul dir="auto"><li>c</li></ul></li><li>d</li></ul>'),
    ("2. two\n3. three", '<ol start="2" dir="auto"><li>two</li><li>three</li></ol>'),
    ("1. a\n\n2. b", '<ol dir="auto"><li><p>a</p></li><li><p>b</p></li></ol>'),
    ("- [ ] to *do*\n- [x] done\n- [a] x",
     '<ul dir="auto"><li class="task">☐ to <em>do</em></li><li class="task">☑ done</li>'
     "<li>[a] x</li></ul>"),
    ("Here:\n-", "<p>Here:<br>-</p>"),
    ("> said\n> so", '<blockquote dir="auto"><p>said<br>so</p></blockquote>'),
    ("```py\nx < 1\n```", '<pre tabindex="0" data-language="py"><code>x &lt; 1</code></pre>'),
    ("````\n```\nx\n```\n````\ny",
     '<pre tabindex="0"><code>```\nx\n```</code></pre><p>y</p>'),
    ("```\na\n``` and so\nb\n```", '<pre tabindex="0"><code>a\n``` and so\nb</code></pre>'),
    ("Run:\n```pip install x``` and go\n\nThen.",
     "<p>Run:<br><code>pip install x</code> and go</p><p>Then.</p>"),
    ("```\nopen", '<pre tabindex="0"><code>open</code></pre>'),
    (r"a | b | c" "\n" r":- | -: | :-:" "\n" r"`x\|y` | *2* | [l](javascript:x)" "\n\nz",
     '<div dir="auto" tabindex="0" class="table" role="group" aria-label="Table"><table><thead>'
     '<tr><th scope="col">a</th><th class="right" scope="col">b</th><th class="centre" scope="col">'
     'c</th></tr></thead><tbody><tr><td><code>x|y</code></td><td class="right"><em>2</em></td>'
     '<td class="centre">[l](javascript:x)</td></tr></tbody></table></div><p>z</p>'),
    ("a | b\n- c", '<p>a | b</p><ul dir="auto"><li>c</li></ul>'),
    ("a\n\n---\n\nb", "<p>a</p><hr><p>b</p>"),
    ("<b>x</b> <!-- y --> <img src=x onerror=z>\n<script>z</script>",
     "<p>&lt;b&gt;x&lt;/b&gt; &lt;!-- y --&gt; &lt;img src=x onerror=z&gt;<br>"
     "&lt;script&gt;z&lt;/script&gt;</p>"),
    ("[x](javascript:alert(1)) <data:text/html,x> [y](/v1/models) //e.example a@e.example",
     "<p>[x](javascript:alert(1)) &lt;data:text/html,x&gt; [y](/v1/models) //e.example "
     "a@e.example</p>"),
    ("[Note]: careful", "<p>[Note]: careful</p>"),
    ("see https://e.example/a.", f"<p>see {link('https://e.example/a')}.</p>"),
    ("(https://e.example/M_(p)) [M](https://e.example/M_(p))",
     f"<p>({link('https://e.example/M_(p)')}) {link('https://e.example/M_(p)', 'M')}</p>"),
    ('[a](https://e.example "t")', f"<p>{link('https://e.example', 'a', title='t')}</p>"),
    ("https://é.example",
     f"<p>{link('https://xn--9ca.example', 'https://é.example')}</p>"),
    ("![alt](https://e.example/i) ![](https://e.example/i) [![b](https://e.example/i)](https://e.example)",
     f"<p>{link('https://e.example/i', 'alt')} {link('https://e.example/i')} "
     f"{link('https://e.example', 'b')}</p>"),
]  # fmt: skip


async def test_markdown(chat_page: Page) -> None:
    """What models write becomes these elements, and nothing else does."""
    for text, html in MARKDOWN:
        made = await chat_page.evaluate(
            """async (text) => {
                const { render } = await import("/chat/markdown.js");
                const node = document.createElement("div");
                node.append(render(text));
                return node.innerHTML;
            }""",
            text,
        )
        assert made == html, text


ARABIC = """مرحبا

- أولا
- ثانيا

> اقتباس

1. واحد `code()`

| اسم | عدد |
|-----|----:|
| ألف | 1 |

```py
x = 1
```

- one"""


async def test_arabic_is_laid_out_from_the_right(chat_page: Page, agent: FakeAgent) -> None:
    """Marks of lists, the line beside a quote, and columns; neither code nor a list in English."""
    agent.scripts.append(Script([ARABIC]))
    await said(chat_page, "مرحبا", re.compile("one$"))
    text = chat_page.locator(".assistant .text")
    for name in ("ul >> nth=0", "ol", "blockquote", "table"):
        await expect(text.locator(name)).to_have_css("direction", "rtl")
    for name in ("ul >> nth=1", "ol code", "pre"):
        await expect(text.locator(name)).to_have_css("direction", "ltr")
    await expect(text.locator("blockquote")).to_have_css("border-right-width", "3px")
    await expect(text.locator("blockquote")).to_have_css("border-left-width", "0px")
    heads = [await head.bounding_box() for head in await text.locator("th").all()]
    assert heads[0] is not None
    assert heads[1] is not None
    assert heads[0]["x"] > heads[1]["x"]


HEAVY = [
    "`" * 20_000, "*" * 20_000, "[" * 20_000, "> " * 10_000, "- " * 10_000, "**a" * 7_000,
    "_a" * 10_000, "1. " * 7_000, "https://" * 2_500, "\n" * 20_000, "   - x\n" * 3_000,
    "|" * 10_000 + "\n-" + " " * 9_000 + "|x", "|-" * 10_000, "a|b\n-|-\n" * 2_500, "[a](" * 5_000,
    "![" * 10_000, "***a~~" * 4_000, "*a_ " * 5_000, "&a" * 10_000, "https://a.b/(" * 1_500,
]  # fmt: skip

# How a line may begin, of what it is long, and how it ends: no two parts of a pattern, our own or
# markdown-it's, may share the long one, nor may its end make them try every way to.
LONG_LINES = [
    (head, fill, tail)
    for head in ("", "# ", "- ", "- [ ]", "1. ", "> ", "| a", "|\n|-", "```")
    for fill in (" ", "\t", "#", "\u2028", "-", "*", "_", "`", " #", "# ", "- ", "a ")
    for tail in ("b\u2028c", " |")
]


async def test_no_line_takes_longer_than_it_is_long(chat_page: Page) -> None:
    """Of whatever it is made: what is slow here would be minutes, and again after each reload."""
    took_ms = await chat_page.evaluate(
        """async (lines) => {
            const { render } = await import("/chat/markdown.js");
            return lines.map(([head, fill, tail]) => {
                const line = head + fill.repeat(50_000) + tail;
                const began = performance.now();
                render(line);
                return performance.now() - began;
            });
        }""",
        LONG_LINES,
    )
    slowest = max(zip(took_ms, LONG_LINES, strict=True))
    assert slowest[0] < 2000, slowest[1]


async def test_no_text_makes_the_page_slow(chat_page: Page) -> None:
    """Twenty thousand characters of anything are rendered in seconds, on a busy machine, too."""
    for text in HEAVY:
        took_ms = await chat_page.evaluate(
            """async (text) => {
                const { render } = await import("/chat/markdown.js");
                const began = performance.now();
                render(text);
                return performance.now() - began;
            }""",
            text,
        )
        assert took_ms < 5000, text[:10]
