"""The council's tool stays small enough to be read: the verifier, the rest; texts and tables of words aside.

Lines of code count: no blank ones, comments, docstrings.
"""

import ast
import io
import tokenize
from pathlib import Path

COUNCIL = Path(__file__).parents[3] / "council"
VERIFIER = {"verify", "epoch_book", "acts_check", "tree_check", "manifests", "finding"}
TEXTS = {"words", "report_words", "report_page", "codes", "usage"}
"""Sentences, the names of what can be found, the printed page, the commands and what each option says."""
MOST_OF_THE_VERIFIER, MOST_OF_THE_REST = 600, 1394
IGNORED = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def lines_of_code(source: str) -> int:
    told = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
    }
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    code = {line for one in tokens if one.type not in IGNORED for line in range(one.start[0], one.end[0] + 1)}
    return len(code - told)


def test_only_code_counts():
    words = '"""Words.\n\nMore."""'
    source = f"{words}\nx = 1  # why\n\ndef f():\n    {words}\n    # why\n    return (\n        x\n    )\n"
    assert lines_of_code(source) == 5


def test_the_tool_stays_small():
    sizes = {path.stem: lines_of_code(path.read_text(encoding="utf-8")) for path in COUNCIL.glob("*.py")}
    assert sizes.keys() >= VERIFIER | TEXTS
    assert sum(sizes[name] for name in VERIFIER) < MOST_OF_THE_VERIFIER
    assert sum(size for name, size in sizes.items() if name not in VERIFIER | TEXTS) < MOST_OF_THE_REST
