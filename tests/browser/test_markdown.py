"""Markdown of models becomes these elements, and no text becomes anything else, or slow."""

import pytest
from playwright.async_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

MARKDOWN = [
    ("plain", "<p>plain</p>"),
    ("a\nb\n\nc", "<p>a<br>b</p><p>c</p>"),
    ("# Title\ntext", "<h3>Title</h3><p>text</p>"),
    ("## a # b ##\n# a#b###\n# ###", "<h4>a # b</h4><h3>a#b</h3><h3></h3>"),
    ("# a\u2028b\n- a\u2028b\n> a\u2028b",
     "<h3>a\u2028b</h3><ul><li>a\u2028b</li></ul><blockquote><p>a\u2028b</p></blockquote>"),
    ("**bold** and *it* and _it_ and `code`",
     "<p><strong>bold</strong> and <em>it</em> and <em>it</em> and <code>code</code></p>"),
    ("snake_case_name and 2*3*4", "<p>snake_case_name and 2*3*4</p>"),
    ("- a\n- b\n  - c\n- d", "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ul>"),
    ("2. two\n3. three", '<ol start="2"><li>two</li><li>three</li></ol>'),
    ("1. a\n\n2. b", "<ol><li>a</li><li>b</li></ol>"),
    ("> said\n> so", "<blockquote><p>said<br>so</p></blockquote>"),
    ("```py\nx < 1\n```", '<pre tabindex="0" data-language="py"><code>x &lt; 1</code></pre>'),
    ("````\n```\nx\n```\n````\ny",
     '<pre tabindex="0"><code>```\nx\n```</code></pre><p>y</p>'),
    ("```\na\n``` and so\nb\n```", '<pre tabindex="0"><code>a\n``` and so\nb</code></pre>'),
    ("Run:\n```pip install x``` and go\n\nThen.",
     "<p>Run:<br><code>pip install x</code> and go</p><p>Then.</p>"),
    ("```\nopen", '<pre tabindex="0"><code>open</code></pre>'),
    ("a | b\n:- | -:\n`x|y` | *2*\n1\n\nz",
     '<div class="table" tabindex="0" role="group" aria-label="Table"><table><thead><tr>'
     '<th scope="col">a</th><th scope="col" class="right">b</th></tr></thead><tbody><tr><td>'
     '<code>x|y</code></td><td class="right"><em>2</em></td></tr></tbody></table></div>'
     "<p>1</p><p>z</p>"),
    ("a | b\n- c", "<p>a | b</p><ul><li>c</li></ul>"),
    ("a\n\n---\n\nb", "<p>a</p><hr><p>b</p>"),
    ("<b>&amp;</b>", "<p>&lt;b&gt;&amp;amp;&lt;/b&gt;</p>"),
    ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
    ("see https://e.example/a.", '<p>see <a href="https://e.example/a" target="_blank" '
     'rel="noopener noreferrer nofollow">https://e.example/a</a>.</p>'),
]  # fmt: skip


async def test_markdown(chat_page: Page) -> None:
    """The subset of Markdown becomes these elements, and nothing else does."""
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


HEAVY = [
    "`" * 20_000, "*" * 20_000, "[" * 20_000, "> " * 10_000, "- " * 10_000, "**a" * 7_000,
    "_a" * 10_000, "1. " * 7_000, "https://" * 2_500, "\n" * 20_000, "   - x\n" * 3_000,
    "|" * 10_000 + "\n-" + " " * 9_000 + "|x", "|-" * 10_000, "a|b\n-|-\n" * 2_500,
]  # fmt: skip

# How a line may begin, of what it is long, and how it ends: no two parts of a pattern may share the
# long one, nor may its end make them try every way to.
LONG_LINES = [
    (head, fill, tail)
    for head in ("", "#", "# ", "# a", "- ", "-", "1. ", "> ", ">", "| a", "|\n|", "|\n|-", "```")
    for fill in (" ", "\t", "#", "\u2028", "-", "*", "_", "`", " #", "# ", "- ", "a ")
    for tail in ("", "b", "\u2028c", "b\u2028c", " |")
]


async def test_no_line_takes_longer_than_it_is_long(chat_page: Page) -> None:
    """Of whatever it is made: what is slow here would be minutes, and again after each reload."""
    took_ms = await chat_page.evaluate(
        """async (lines) => {
            const { render } = await import("/chat/markdown.js");
            return lines.map(([head, fill, tail]) => {
                const line = head + fill.repeat(100_000) + tail;
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
