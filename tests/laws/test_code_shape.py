"""Sizes, names and honesty of the code: what reads well today is checked, so that it stays."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath, PurePosixPath

import pytest
from law_sources import Source, all_sources, room_sources, tracked_files, violations

# --- sizes ---

FUNCTION_MAX = 70
FUNCTION_P95 = 40
FILE_MAX = 600


def function_lengths(source: Source) -> Iterator[tuple[int, ast.AST]]:
    """Measure functions from ``def`` to their last line, decorators and docstring left out."""
    for node in source.nodes(ast.FunctionDef, ast.AsyncFunctionDef):
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        first = node.body[0]
        if ast.get_docstring(node) is not None:
            length -= (first.end_lineno or first.lineno) - first.lineno + 1
        yield length, node


def long_functions(source: Source) -> Iterator[str]:
    """Find functions over the maximum."""
    for length, node in function_lengths(source):
        if length > FUNCTION_MAX:
            yield source.violation(
                node.lineno,
                f"{node.name} has {length} lines, the most is {FUNCTION_MAX}",
                "split it where its steps have names; leave ifs above and loops below",
            )


def long_files(source: Source) -> Iterator[str]:
    """Find files over the maximum."""
    lines = source.text.count("\n")
    if lines > FILE_MAX:
        yield source.violation(
            lines, f"{lines} lines, the most is {FILE_MAX}", "split it by behaviour"
        )


def p95_length(sources: Iterable[Source]) -> int:
    """Return the 95th percentile of all function lengths."""
    lengths = sorted(length for source in sources for length, _ in function_lengths(source))
    return lengths[int(0.95 * (len(lengths) - 1))] if lengths else 0


# --- names ---

EMPTY_WORDS = re.compile(r"(utils?|utilities|helpers?|commons?|misc|stuff|manager\d+)", re.I)


def empty_names(source: Source) -> Iterator[str]:
    """Find names that say nothing about what is inside."""
    way_out = "name it after what it does, in the field's words"
    for part in PurePosixPath(source.path).with_suffix("").parts:
        if any(EMPTY_WORDS.fullmatch(word) for word in part.split("_")):
            yield source.violation(1, f"the file or folder name {part} says nothing", way_out)
    for node in source.nodes(ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef):
        words = re.findall(r"[A-Z]?[a-z]+\d*|[A-Z]+(?![a-z])\d*", node.name)
        if any(EMPTY_WORDS.fullmatch(word) and word.lower() != "common" for word in words):
            yield source.violation(node.lineno, f"the name {node.name} says nothing", way_out)


# --- honesty ---

LATER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
SILENCED = re.compile(r"(no" r"qa|type: ig" r"nore|pragma: no cover)(?P<rest>.*)", re.I)


def has_words(comment: str) -> bool:
    """Tell whether a comment says something besides the codes of a linter."""
    return re.search(r"[^\W\d_]{3,}", re.sub(r"\[[^\]]*\]|\b[A-Z]+\d+\b", "", comment)) is not None


def unfinished(source: Source) -> Iterator[str]:
    """Find what was put off: marks for later and functions that do nothing."""
    for line, comment in source.comments.items():
        if LATER.search(comment):
            yield source.violation(line, "something was put off", "do it now, or file an issue")
    protocols = {
        function
        for parent in source.nodes(ast.ClassDef)
        if any("Protocol" in ast.unparse(base) for base in parent.bases)
        for function in ast.walk(parent)
    }
    for node in source.nodes(ast.FunctionDef, ast.AsyncFunctionDef):
        if node not in protocols and _does_nothing(node):
            yield source.violation(
                node.lineno,
                f"{node.name} is a stub",
                "write it or leave it out; a hook to override has a docstring and no more",
            )


def _does_nothing(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    if any("overload" in ast.unparse(mark) for mark in node.decorator_list):
        return False
    last = node.body[-1]
    raises = isinstance(last, ast.Raise) and "NotImplemented" in ast.unparse(last)
    is_ellipsis = isinstance(last, ast.Expr) and getattr(last.value, "value", None) is Ellipsis
    return raises or (len(node.body) == 1 and (isinstance(last, ast.Pass) or is_ellipsis))


def swallowed_errors(source: Source) -> Iterator[str]:
    """Find broad handlers without a reason beside them; one that ends in a raise keeps nothing."""
    for node in source.nodes(ast.ExceptHandler):
        caught = ast.unparse(node.type) if node.type else "everything"
        is_broad = re.search(r"\b(everything|Exception|BaseException)\b", caught)
        if not is_broad or isinstance(node.body[-1], ast.Raise):
            continue
        lines = range(node.lineno - 1, node.body[0].lineno + 1)
        if not any(_says_why(source.comments.get(line, "")) for line in lines):
            yield source.violation(
                node.lineno,
                f"catches {caught} without a reason",
                "catch what can happen, or say in a comment beside it why all is caught",
            )


def _says_why(comment: str) -> bool:
    silenced = SILENCED.search(comment)
    return has_words(silenced["rest"] if silenced else comment)


def silenced_checks(source: Source) -> Iterator[str]:
    """Find checks that were switched off without a reason beside them."""
    for line, comment in source.comments.items():
        if not SILENCED.search(comment):
            continue
        above = source.comments.get(line - 1, "")
        if not _says_why(comment) and not (above and has_words(above)):
            yield source.violation(
                line, "a check is switched off", "repair it, or say why on this line or above"
            )


# --- the laws hold, and each check can fail ---

EVERYWHERE = (long_files, empty_names, unfinished, swallowed_errors, silenced_checks)


@pytest.mark.parametrize("check", EVERYWHERE, ids=lambda check: check.__name__)
def test_law_holds(check):
    found = violations(check, all_sources())
    assert not found, found


def test_functions_are_short():
    found = violations(long_functions, room_sources())
    assert not found, found
    p95 = p95_length(room_sources())
    assert p95 <= FUNCTION_P95, f"95 % of functions have <= {p95} lines: split the longest"


def doubled_names(paths: Iterable[PurePath]) -> set[str]:
    """Return file names that two test modules share; pytest would import one for the other."""
    names = [path.name for path in paths if path.parts[0] == "tests" and path.suffix == ".py"]
    return {name for name in names if names.count(name) > 1} - {"conftest.py", "__init__.py"}


def test_test_modules_have_names_of_their_own():
    doubles = doubled_names(tracked_files())
    assert not doubles, f"pytest imports by name: rename one of each of {sorted(doubles)}"


def test_a_doubled_name_would_be_found():
    paths = [PurePath("tests/a/test_x.py"), PurePath("tests/b/test_x.py"), PurePath("tests/y.py")]
    assert doubled_names(paths) == {"test_x.py"}


LONG = "def f():\n" + "    x = 1\n" * FUNCTION_MAX
PLANTED = [
    (long_functions, LONG),
    (long_files, "x = 1\n" * (FILE_MAX + 1)),
    (empty_names, "class PriceHelper: x = 1"),
    (empty_names, "class Manager2: x = 1"),
    (empty_names, "def misc_things(): return 1"),
    (unfinished, "x = 1  # TO" + "DO: later"),
    (unfinished, "x = 1  # FIX" + "ME"),
    (unfinished, "def f(): pass"),
    (unfinished, "def f(): ..."),
    (unfinished, "def f():\n    '''Do it.'''\n    raise NotImplementedError"),
    (swallowed_errors, "try: f()\nexcept Exception: x = 1"),
    (swallowed_errors, "try: f()\nexcept:\n    x = 1"),
    (
        swallowed_errors,
        "try: f()\nexcept (ValueError, BaseException):  # no" + "qa: BLE001\n    x = 1",
    ),
    (silenced_checks, "x = f()  # no" + "qa: S101"),
    (silenced_checks, "x = f()  # type: ig" + "nore[attr-defined]"),
]


@pytest.mark.parametrize(("check", "code"), PLANTED)
def test_planted_violation_is_found_with_its_place_and_way_out(check, code):
    (found, *_) = [*check(Source("catalog/x.py", code)), ""]
    assert re.match(r"catalog/x\.py:\d+: .+; .+", found)


@pytest.mark.parametrize("path", ["catalog/utils.py", "catalog/helpers/x.py", "adapters/common.py"])
def test_empty_file_names_are_found(path):
    assert list(empty_names(Source(path, "")))


HARMLESS = [
    (long_functions, 'def f():\n    """Say.\n' + "\n" * FUNCTION_MAX + '    """\n    return 1'),
    (empty_names, "class CapitalManager: x = 1\nclass Utility: x = 1\ndef common_days(): return 1"),
    (unfinished, "class A(Protocol):\n    def f(self) -> int: ..."),
    (unfinished, "class A:\n    def f(self):\n        '''React to one bar.'''"),
    (swallowed_errors, "try: f()\nexcept ValueError: x = 1"),
    (swallowed_errors, "try: f()\nexcept Exception as error: raise RunFailed(1) from error"),
    (
        swallowed_errors,
        "try: f()\n# the engine swallows what is not caught here\nexcept Exception: x = 1",
    ),
    (
        swallowed_errors,
        "try: f()\nexcept Exception:  # no" + "qa: BLE001 - the engine swallows it\n    x = 1",
    ),
    (silenced_checks, "x = f()  # no" + "qa: S101 - checked one line above"),
    (
        silenced_checks,
        "# the stub lacks this attribute\nx = f()  # type: ig" + "nore[attr-defined]",
    ),
]


@pytest.mark.parametrize(("check", "code"), HARMLESS)
def test_lawful_code_is_left_alone(check, code):
    assert list(check(Source("catalog/x.py", code))) == []


def test_p95_counts_all_functions():
    short, long = "def f(): return 1\n", "def g():\n" + "    x = 1\n" * 50
    assert p95_length([Source("a.py", short * 99 + long)]) == 1
    assert p95_length([Source("a.py", short * 9 + long * 2)]) == 51
