"""The page: what it says, that nothing in the text gets out of it, and that a browser shows it."""

import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from browser import PROGRAM, Browser
from fakes import FakeModel
from hypothesis import given, settings
from hypothesis import strategies as st
from known_models import PIECES, KnownExaminer, KnownModel

from llmzip.report.measure.estimate import estimate
from llmzip.report.measure.texts import Text
from llmzip.report.output.page import ALTERNATIVES, LEVELS, page, visible

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\n"
    "<!-- --> ]]> &lt;b&gt; </section></main> \u2028 \u202e evil \x07 \x1b[0m \ufeff 'quoted' \"double\" `tick`\n"
    "<style>body{display:none}</style> <svg onload=document.title='owned'> javascript:alert(1) https://example.org/\n"
)


def model():
    """Next letter likely, all else unlikely."""

    def predict(held):
        likely = (held[-1] + 1) % 256
        return {token: 0.5 if token == likely else 0.5 / 255 for token in range(256)}

    return KnownModel(predict)


def made(text, name="text.txt", examiner=None, pieces=PIECES):
    data = text if isinstance(text, bytes) else text.encode()
    examiner = examiner or KnownExaminer(model(), alternatives=ALTERNATIVES)
    result = estimate(examiner, Text(name, data, len(data)))
    return page(result, pieces).decode(), result


class Elements(HTMLParser):
    """Elements by name, the text of <main>, and script contents."""

    def __init__(self, text):
        super().__init__()
        self.names, self.shown, self.scripts, self._inside, self._main = [], "", [], None, False
        self.attributes = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += attrs
        self._inside = tag
        self._main |= tag == "main"
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        self._inside = None
        self._main &= tag != "main"

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self._main and self._inside == "i":
            self.shown += data


def column(parsed, name, kind="<u2"):
    (text,) = [text for attributes, text in parsed.scripts if attributes.get("id") == name]
    return np.frombuffer(base64.b64decode(text), kind)


def test_the_page_shows_the_text_and_the_figures():
    text = "abcabc\nGröße <b>&amp;</b>\n" * 3
    html, result = made(text)
    parsed = Elements(html)
    assert parsed.shown == text
    assert parsed.names.count("i") == result.counts.tokens + len(LEVELS) + 1
    bits = column(parsed, "bits") / 256
    assert bits == pytest.approx(result.columns.bits, abs=1 / 256)
    assert column(parsed, "coded") / 256 == pytest.approx(result.columns.mixed, abs=1 / 256)
    assert (column(parsed, "ranks") == result.columns.ranks).all()
    facts = json.loads(next(text for attributes, text in parsed.scripts if attributes.get("id") == "facts"))
    likely = column(parsed, "likely").reshape(-1, ALTERNATIVES)
    assert facts["pieces"][likely[1, 0]] == "b", "after a comes b"
    assert column(parsed, "chances").reshape(-1, ALTERNATIVES)[1, 0] / 65535 == pytest.approx(0.5, abs=1e-4)


HOSTILE_PIECES = [
    b"</script>",
    b"<script>document.title='owned'</script>",
    b"<img src=x onerror=document.title='owned'>",
    b"<!--<script>",
    b"</i></section></main>",
    b"&lt;\"'>",
    b"a",
    b" ",
    b"",
]


def of_hostile_tokens():
    """A page whose tokens are markup, in the text as in the alternatives."""
    examiner = KnownExaminer(FakeModel(pieces=HOSTILE_PIECES), alternatives=ALTERNATIVES)
    data = b"a ".join(HOSTILE_PIECES) * 4
    html, result = made(data, examiner=examiner, pieces=HOSTILE_PIECES)
    assert result.counts.tokens == 4 * (6 + 2 + 2 * 8) and not result.literal_bytes
    assert set(np.unique(result.examination.blocks[0].scores.likely)) >= set(range(6))
    return html, data


def test_tokens_that_are_markup_stay_text():
    html, data = of_hostile_tokens()
    parsed = Elements(html)
    assert parsed.shown.encode() == data
    assert set(parsed.names) == set(Elements(made("x")[0]).names) and parsed.names.count("script") == 7
    facts = json.loads(next(text for attributes, text in parsed.scripts if attributes.get("id") == "facts"))
    assert {piece.encode() for piece in facts["pieces"]} >= set(HOSTILE_PIECES[:6])


@pytest.mark.parametrize("name", ["text.txt", "</title><script>document.title='owned'</script>"])
def test_nothing_in_the_text_becomes_markup(name):
    html, _ = made(HOSTILE * 3, name)
    parsed = Elements(html)
    allowed = {"html", "head", "meta", "title", "style", "body", "header", "h1", "dl", "div", "dt", "dd", "i", "label"}
    assert set(parsed.names) <= allowed | {"select", "option", "main", "section", "script"}
    assert [attributes.get("id") for attributes, _ in parsed.scripts] == [
        "facts", "bits", "ranks", "coded", "likely", "chances", None,
    ]  # fmt: skip
    assert not [name for name, _ in parsed.attributes if name.startswith("on") or name in ("src", "href")]
    assert parsed.shown == visible(HOSTILE * 3)


@settings(max_examples=60, deadline=None)
@given(
    st.text(alphabet=st.sampled_from("<>&'\"/!-scriptSCRIPT=\n\r\t\0 é中\u2028\u202e]"), max_size=60),
    st.binary(max_size=20),
)
def test_any_bytes_are_shown(text, data):
    examiner = KnownExaminer(
        FakeModel(pieces=[bytes([b]) for b in b"<script>/ &abc"] + [b""]), alternatives=ALTERNATIVES
    )
    whole = text.encode() + data
    if not whole:
        return
    html, _ = made(whole, examiner=examiner, pieces=examiner.known.pieces)
    parsed = Elements(html)
    assert parsed.names.count("script") == 7
    assert set(parsed.names) <= set(Elements(made("x")[0]).names) | {"u", "select", "option", "label"}
    assert "\0" not in html


def test_control_characters_have_stand_ins():
    assert visible("a\0\r\n\t\x1b\u202e\ufeffz") == "a\u2400\u240d\n\t\u241b⟨U+202E⟩⟨U+FEFF⟩z"


def test_bytes_without_a_token_are_shown_as_such():
    examiner = KnownExaminer(FakeModel(pieces=[b"a", b"b", b" ", b""]), alternatives=2)
    html, _ = made(b"ab \xff ab \xc3", examiner=examiner, pieces=examiner.known.pieces)
    assert "<u>ff</u>" in html and "<u>c3</u>" in html


def test_only_our_script_may_run():
    html, _ = made("text")
    policy = re.search(r'Content-Security-Policy content="([^"]*)"', html)[1]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and policy.count("sha256-") == 2


# -- in a browser ----------------------------------------------------------------------------------------------------

needs_browser = pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def shown(browser, tmp_path, html, **options):
    path = tmp_path / "page.html"
    path.write_text(html)
    browser.messages.clear()
    browser.open(path.as_uri(), **options)
    return path.as_uri()


@needs_browser
def test_hovering_tells_the_figures(browser, tmp_path):
    html, result = made("abcabcx\nGröße\n")
    shown(browser, tmp_path, html)
    place = (
        "(n => {const r = document.querySelectorAll('main i')[n].getBoundingClientRect(); return [r.x + 3, r.y + 5]})"
    )
    browser.move(*browser.run(f"{place}(1)"))
    tip = browser.run("document.getElementById('tip').innerText")
    assert not browser.run("document.getElementById('tip').hidden")
    assert tip.startswith("b") and "probability 50 %, rank 0" in tip and "1.00 bits" in tip and "token 2" in tip
    assert len(tip.splitlines()) == 3 + ALTERNATIVES
    number = result.examination.blocks[0].data.index("ö".encode()) + 1
    browser.move(*browser.run(f"{place}({number})"))
    tip = browser.run("document.getElementById('tip').innerText")
    assert tip.startswith("ö") and "2 tokens make up this character" in tip
    browser.move(5, 5)
    assert browser.run("document.getElementById('tip').hidden")
    found, requests = browser.complaints()
    assert not found and all(url.startswith("file:") for url in requests)


@needs_browser
def test_colours_follow_the_choice(browser, tmp_path):
    html, result = made("abcdefgh" * 200)
    shown(browser, tmp_path, html)
    level = "abcdefghi"[int(np.searchsorted(LEVELS, result.columns.bits[5], "right")) - 1]
    assert browser.run("document.querySelectorAll('main i')[5].className") == level
    browser.run("(s => {s.value = 'coded'; s.dispatchEvent(new Event('change'))})(document.getElementById('shade'))")
    coded = int(np.searchsorted(LEVELS, np.rint(result.columns.mixed[1500] * 256) / 256, "right"))
    assert browser.run("document.querySelectorAll('main i')[1500].className.trim()") == (" abcdefghi"[coded].strip())


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
def test_light_and_dark(browser, tmp_path, dark):
    shown(browser, tmp_path, made("abcabcx\nsome text\n")[0], dark=dark)
    colours = browser.run(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color, "
        "...'abcdefghi'.split('').map(c => getComputedStyle(document.querySelector('.legend .' + c)).backgroundColor)]"
    )
    paper, ink, *shades = (relative_luminance(colour) for colour in colours)
    assert (paper < 0.05) if dark else (paper > 0.9)
    assert contrast(paper, ink) > 12
    # The last shade has an ink of its own: white.
    assert all(contrast(shade, ink) > 4.5 for shade in shades[:-1]) and contrast(shades[-1], 1.0) > 4.5
    assert len(set(shades)) == len(shades)


def relative_luminance(colour):
    """Of a CSS colour (WCAG 2)."""
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


@needs_browser
def test_a_hostile_text_does_nothing(browser, tmp_path):
    html, _ = made(HOSTILE, "</title><script>document.title='owned'</script>")
    shown(browser, tmp_path, html)
    assert "owned'" in browser.run("document.title") and browser.run("document.title") != "owned"
    assert browser.run("document.querySelectorAll('img, svg, main script, main style').length") == 0
    shown_text = browser.run("[...document.querySelectorAll('main i')].map(e => e.textContent).join('')")
    assert shown_text == visible(HOSTILE)
    hostile, data = of_hostile_tokens()
    shown(browser, tmp_path, hostile)
    assert browser.run("document.title") == "text.txt: bits of each token" and not browser.complaints()[0]
    shown_text = browser.run("[...document.querySelectorAll('main i')].map(e => e.textContent).join('')")
    assert shown_text.encode() == data
    # Even a script that had got past the escaping would not run.
    shown(browser, tmp_path, html.replace("</main>", "</main><script>document.title='owned'</script>"))
    assert browser.run("document.title") != "owned" and browser.complaints()[0]


@needs_browser
def test_a_text_of_a_megabyte_can_be_read(browser, tmp_path):
    from llmzip.report.measure.columns import Columns
    from llmzip.report.measure.estimate import Estimate
    from llmzip.report.measure.examine import BlockFacts, Examination
    from llmzip.report.measure.scores import Scores
    from llmzip.report.measure.texts import count_units
    from llmzip.text.tokens import TokenText

    words = [b"the", b" harbour", b" of", b" ships", b", and", b".\n", b" weather", b"\n\n"]
    generator = np.random.default_rng(2)
    tokens = generator.integers(0, len(words), 240_000).astype(np.int32)
    data = b"".join([words[token] for token in tokens])
    assert len(data) > 1_000_000
    scores = Scores(tokens, ALTERNATIVES)
    scores.bits[:] = generator.exponential(4, len(tokens))
    scores.ranks[:] = generator.integers(0, 60, len(tokens))
    lengths = np.array([len(word) for word in words], np.int64)[tokens]
    block = BlockFacts(TokenText(tokens), False, 1, scores, lengths, data, scores.bits, scores.bits)
    text = Text("large.txt", data, len(data))
    result = Estimate(text, count_units(data, len(tokens)), [], Examination([block]), Columns.of_blocks([block], text))
    html = page(result, words).decode()
    assert len(html) < 20 * len(data)
    shown(browser, tmp_path, html)
    assert browser.run("document.querySelectorAll('main i').length") == len(tokens)
    browser.run("document.querySelector('main').lastElementChild.scrollIntoView(false)")
    spot = browser.run(
        "(e => {e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); return [r.x + 4, r.y + 4]})"
        "([...document.querySelectorAll('main i')].at(-40))"
    )
    browser.move(*spot)
    assert "token " in browser.run("document.getElementById('tip').innerText")
