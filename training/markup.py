"""What people write around text: HTML, TeX, bibliographies, YAML, shell sessions, diffs, Lisp. The words come from a training
document, the shapes are ours."""

from __future__ import annotations

import difflib
import html
import json
from collections.abc import Callable

from .facts import Facts

_FIRST = (
    "Anna",
    "Ben",
    "Carla",
    "David",
    "Elena",
    "Frank",
    "Grace",
    "Hugo",
    "Ines",
    "John",
    "Karl",
    "Li",
    "Maria",
    "Olga",
    "Tom",
)
_TEX_SPECIAL = str.maketrans({c: f"\\{c}" for c in "#$%&_{}"} | {"~": "", "^": "", "\\": ""})


def _tex(text: str) -> str:
    return text.translate(_TEX_SPECIAL)


def paragraph(facts: Facts, least: int = 1, most: int = 5) -> str:
    return " ".join(facts.sentence() for _ in range(facts.rng.randint(least, most)))


def title(facts: Facts) -> str:
    small = ("of", "the", "and", "in", "for", "a")
    words = [
        facts.word() if facts.rng.random() < 0.8 else facts.rng.choice(small) for _ in range(facts.rng.randint(2, 8))
    ]
    return " ".join(word if word in small and i else word.capitalize() for i, word in enumerate(words))


def person(facts: Facts) -> str:
    rng = facts.rng
    first = rng.choice(_FIRST)
    middle = f" {rng.choice('ABCDEFGHJKLMNPRSTW')}." if rng.random() < 0.3 else ""
    return f"{first}{middle} {facts.word().capitalize()}"


def bibliography(facts: Facts) -> str:
    """BibTeX entries of one style: field order, alignment and quotes stay as they are throughout a file."""
    rng = facts.rng
    quotes = rng.choice((("{", "}"), ("{", "}"), ('"', '"')))
    indent, aligned, last_comma = rng.choice(("  ", "    ", "\t", " ")), rng.random() < 0.5, rng.random() < 0.5
    upper = rng.random() < 0.2
    journals = [title(facts) for _ in range(rng.randint(2, 6))]
    entries = []
    for _ in range(rng.randint(6, 24)):
        authors = [person(facts) for _ in range(rng.choice((1, 1, 2, 2, 3, 4)))]
        if rng.random() < 0.6:
            authors = [f"{a.split()[-1]}, {' '.join(a.split()[:-1])}" for a in authors]
        kind, year, first = (
            rng.choice(("article", "article", "inproceedings", "book")),
            rng.randint(1950, 2024),
            rng.randint(1, 900),
        )
        where = {"article": "journal", "inproceedings": "booktitle", "book": "publisher"}[kind]
        fields = {
            "author": " and ".join(authors),
            "title": title(facts),
            where: rng.choice(journals),
            "year": str(year),
        }
        if kind == "article":
            fields |= {"volume": str(rng.randint(1, 120)), "number": str(rng.randint(1, 12))}
        if kind != "book":
            fields["pages"] = f"{first}--{first + rng.randint(2, 40)}"
        if rng.random() < 0.4:
            fields["doi"] = f"10.{rng.randint(1000, 9999)}/{facts.name()}.{year}.{rng.randrange(10**6)}"
        width = max(map(len, fields)) if aligned else 0
        plain = [name for name in ("year", "volume", "number") if rng.random() < 0.1]
        lines = [
            f"{indent}{(n.upper() if upper else n).ljust(width)} = {v if n in plain else quotes[0] + _tex(v) + quotes[1]}"
            for n, v in fields.items()
        ]
        label = f"{authors[0].split(',')[0].split()[-1].lower()}{year}{facts.word().lower()}"
        entries.append(f"@{kind}{{{label},\n" + ",\n".join(lines) + ("," if last_comma else "") + "\n}")
    return "\n\n".join(entries)


def tex(facts: Facts) -> str:
    rng = facts.rng
    symbols = rng.sample(
        ["x", "y", "n", "k", "f", "A", "B", r"\alpha", r"\lambda", r"\phi", r"\mathbb{R}", r"\Gamma"], 5
    )

    def formula() -> str:
        a, b, c = (rng.choice(symbols) for _ in range(3))
        shapes = (
            f"{a} = {b}",
            f"{a}_{{{rng.randint(0, 9)}}} \\leq {b}",
            rf"\frac{{{a}}}{{{b}}} + {c}",
            f"{a} : {b} \\to {c}",
        )
        return rng.choice((*shapes, rf"\sum_{{i=1}}^{{n}} {a}_i {b}", f"{a}({b}, {c})", f"{a}^2"))

    def sentence() -> str:
        text = _tex(facts.sentence())
        if rng.random() < 0.3:
            text += f" Here ${formula()}$ and ${formula()}$."
        return rf"{text} \emph{{{_tex(facts.word())}}}" if rng.random() < 0.15 else text

    parts = []
    whole = rng.random() < 0.4
    if whole:
        head = [
            rf"\documentclass[{rng.choice((10, 11, 12))}pt]{{article}}",
            r"\usepackage{amsmath}",
            rf"\title{{{title(facts)}}}",
        ]
        parts.append("\n".join([*head, r"\begin{document}", r"\maketitle"]))
    for _ in range(rng.randint(2, 5)):
        name = title(facts)
        parts.append(
            rf"\{rng.choice(('section', 'subsection', 'section'))}{{{name}}}"
            + f"\n\\label{{sec:{name.split()[0].lower()}}}"
        )
        for _ in range(rng.randint(1, 4)):
            parts.append("\n".join(sentence() for _ in range(rng.randint(1, 4))))
        block = rng.choice(("itemize", "equation", "theorem", "figure", "align*"))
        if block == "itemize":
            body = "\n".join(rf"  \item {sentence()}" for _ in range(rng.randint(2, 5)))
        elif block in ("equation", "align*"):
            body = " \\\\\n".join(
                f"  {formula()} {'&' if block == 'align*' else ''}= {formula()}" for _ in range(rng.randint(1, 3))
            )
        elif block == "figure":
            body = (
                "  \\centering\n"
                + rf"  \includegraphics[width=0.8\textwidth]{{{facts.name()}.pdf}}"
                + "\n"
                + rf"  \caption{{{sentence()}}}"
            )
        else:
            body = f"  Let ${formula()}$. {sentence()}"
        parts.append(f"\\begin{{{block}}}\n{body}\n\\end{{{block}}}")
    if whole:
        parts.append(r"\end{document}")
    return "\n\n".join(parts)


def page(facts: Facts) -> str:
    """An HTML page or a piece of one, indented or not."""
    rng = facts.rng
    step = rng.choice(("  ", "    ", "\t", ""))
    classes, hosts = (
        [facts.name() for _ in range(5)],
        [f"https://{facts.word().lower()}.{d}" for d in ("org", "com", "net")],
    )

    def text(least: int = 1, most: int = 3) -> str:
        made = html.escape(paragraph(facts, least, most), quote=False)
        if rng.random() < 0.4:
            made += f' <a href="{rng.choice(hosts)}/{facts.name()}.html">{html.escape(facts.word())}</a>.'
        return f"{made} <em>{facts.word()}</em>" if rng.random() < 0.2 else made

    lines: list[str] = []

    def put(depth: int, line: str) -> None:
        lines.append(step * depth + line)

    whole = rng.random() < 0.5
    if whole:
        name = title(facts)
        for depth, line in (
            (0, "<!DOCTYPE html>"),
            (0, '<html lang="en">'),
            (0, "<head>"),
            (1, '<meta charset="utf-8">'),
        ):
            put(depth, line)
        put(1, f"<title>{name}</title>")
        put(1, f'<link rel="stylesheet" href="{facts.name()}.css">')
        put(0, "</head>")
        put(0, "<body>")
        put(1, f"<h1>{name}</h1>")
    for _ in range(rng.randint(2, 6)):
        put(1, f'<div class="{rng.choice(classes)}" id="{facts.name()}">')
        put(2, f"<h2>{title(facts)}</h2>")
        for _ in range(rng.randint(1, 3)):
            put(2, f"<p>{text()}</p>")
        shape = rng.choice(("ul", "table", "none", "img"))
        if shape == "ul":
            put(2, "<ul>")
            for _ in range(rng.randint(2, 6)):
                put(3, f"<li>{text(1, 1)}</li>")
            put(2, "</ul>")
        elif shape == "table":
            put(2, "<table>")
            for _ in range(rng.randint(2, 6)):
                put(3, "<tr>" + "".join(f"<td>{html.escape(str(facts.value()))}</td>" for _ in range(3)) + "</tr>")
            put(2, "</table>")
        elif shape == "img":
            put(
                2,
                f'<img src="images/{facts.name()}.png" alt="{html.escape(facts.word())}" width="{rng.randrange(50, 900)}">',
            )
        put(1, "</div>")
    if whole:
        put(0, "</body>")
        put(0, "</html>")
    return "\n".join(lines)


def yaml(facts: Facts) -> str:
    rng = facts.rng
    keys = [facts.name() for _ in range(6)]

    def scalar() -> str:
        value = facts.value()
        if value is None or isinstance(value, bool):
            return json.dumps(value)
        if isinstance(value, str) and (set(value) & set(":#'\"[]{},&*") or rng.random() < 0.2):
            return json.dumps(value, ensure_ascii=False)
        return str(value)

    def block(depth: int) -> list[str]:
        pad, lines = "  " * depth, []
        for key in rng.sample(keys, rng.randint(2, 4)):
            shape = rng.random()
            if shape < 0.2 and depth < 3:
                lines += [f"{pad}{key}:", *block(depth + 1)]
            elif shape < 0.35:
                lines += [f"{pad}{key}:", *(f"{pad}  - {scalar()}" for _ in range(rng.randint(1, 4)))]
            elif shape < 0.42:
                lines += [f"{pad}{key}: |", *(f"{pad}  {facts.sentence()}" for _ in range(rng.randint(1, 3)))]
            else:
                lines.append(f"{pad}{key}: {scalar()}")
        return lines

    lines = ["---"] if rng.random() < 0.4 else []
    for _ in range(rng.randint(2, 6)):
        if rng.random() < 0.25:
            lines.append(f"# {facts.sentence()}")
        lines += [f"{facts.name()}:", *block(1)]
    return "\n".join(lines)


def session(facts: Facts) -> str:
    """Commands behind a prompt and what they print."""
    rng = facts.rng
    user, host = facts.word().lower(), facts.word().lower()
    prompt = rng.choice(("$ ", f"{user}@{host}:~$ ", f"[{user}@{host} ~]$ ", f"{user}@{host}:~/{facts.name()}$ ", "# "))
    files = [f"{facts.name()}.{rng.choice(('txt', 'py', 'c', 'md', 'log', 'json', 'sh'))}" for _ in range(6)]
    lines = []
    for _ in range(rng.randint(8, 24)):
        file, other = rng.choice(files), rng.choice(files)
        kind = rng.randrange(8)
        if kind == 0:
            lines += [f"{prompt}ls -l", f"total {rng.randrange(4, 900)}"]
            for name in rng.sample(files, rng.randint(2, 5)):
                day = facts.time("syslog")[:12]
                lines.append(f"-rw-r--r-- 1 {user} {user} {rng.randrange(10**6):>7} {day} {name}")
        elif kind == 1:
            lines += [f"{prompt}cat {file}", *(facts.sentence() for _ in range(rng.randint(1, 4)))]
        elif kind == 2:
            word = facts.word()
            lines += [f"{prompt}grep -n {word} {file}"]
            lines += [f"{rng.randrange(400)}:{facts.sentence()} {word}" for _ in range(rng.randint(1, 4))]
        elif kind == 3:
            a, b, c = rng.randrange(900), rng.randrange(9000), rng.randrange(60000)
            lines += [f"{prompt}wc {file}", f"{a:>5} {b:>6} {c:>7} {file}"]
        elif kind == 4:
            lines += [f"{prompt}git commit -m {json.dumps(facts.sentence(), ensure_ascii=False)}"]
            lines += [
                f"[main {rng.getrandbits(28):07x}] {facts.sentence()}",
                f" {rng.randint(1, 9)} files changed, {rng.randint(1, 200)} insertions(+), {rng.randint(1, 90)} deletions(-)",
            ]
        elif kind == 5:
            lines += [f"{prompt}python {file}", "Traceback (most recent call last):"]
            lines += [
                f'  File "{file}", line {rng.randint(1, 400)}, in <module>',
                f"    {facts.name()}({facts.name()})",
                f"{rng.choice(('ValueError', 'KeyError', 'TypeError', 'OSError'))}: {facts.sentence()}",
            ]
        elif kind == 6:
            lines.append(f"{prompt}{rng.choice(('cp', 'mv', 'ln -s'))} {file} {other}")
        else:
            lines += [
                f"{prompt}./{other} --{facts.name().replace('_', '-')} {rng.randrange(100)} {file}",
                facts.sentence(),
            ]
    return "\n".join(lines)


def diff(facts: Facts) -> str:
    """A unified diff between the document's passage and one with some lines changed."""
    rng = facts.rng
    before = facts.passage.split("\n")[1:-1][: rng.randint(60, 240)] or facts.sentences
    after = [facts.sentence()]
    for line in before:
        turn = rng.random()
        if turn < 0.03:
            continue
        after.append(line.replace(rng.choice(line.split()), facts.word(), 1) if turn < 0.07 and line.split() else line)
        if turn > 0.97:
            after.append(line[: len(line) - len(line.lstrip())] + facts.sentence())
    name = f"{facts.name()}/{facts.name()}.{rng.choice(('c', 'py', 'md', 'txt', 'h'))}"
    lines = list(difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", lineterm=""))
    head = [f"diff --git a/{name} b/{name}", f"index {rng.getrandbits(28):07x}..{rng.getrandbits(28):07x} 100644"]
    return "\n".join([*(head if rng.random() < 0.7 else []), *lines])


def lisp(facts: Facts) -> str:
    rng = facts.rng
    names = [facts.name().replace("_", "-") for _ in range(8)]
    calls = ["car", "cdr", "cons", "list", "null", "eq", "append", "length", "+", "-", "=", *names[:3]]

    def expression(depth: int) -> str:
        if depth == 0 or rng.random() < 0.25:
            return rng.choice((*names, "nil", str(rng.randrange(20)), f"'{facts.word().lower()}"))
        return f"({rng.choice(calls)} {' '.join(expression(depth - 1) for _ in range(rng.randint(1, 3)))})"

    forms = []
    for _ in range(rng.randint(6, 20)):
        kind, (a, b, c) = rng.random(), rng.sample(names, 3)
        if kind < 0.5:
            text = f"\n  {json.dumps(facts.sentence(), ensure_ascii=False)}" if rng.random() < 0.4 else ""
            forms.append(
                f"(defun {a} ({b} {c}){text}\n  (if {expression(2)}\n      {expression(2)}\n      {expression(3)}))"
            )
        elif kind < 0.7:
            forms.append(f"(defvar *{a}* {expression(1)})" + (f"  ; {facts.sentence()}" if rng.random() < 0.5 else ""))
        elif kind < 0.85:
            forms.append(f";;; {facts.sentence()}")
        else:
            forms.append(f"(let (({b} {expression(1)})\n      ({c} {expression(1)}))\n  {expression(3)})")
    return "\n\n".join(forms)


SHAPES: tuple[Callable[[Facts], str], ...] = (bibliography, tex, page, yaml, session, diff, lisp)
