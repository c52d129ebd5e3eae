"""Laws 1 to 4: a decider has no engine runtime, no clock, no chance, no surroundings, no order of
a set, no run mode, and counts money exactly."""

import ast
import re
from collections.abc import Iterator

import pytest
from law_sources import Source, dotted, room_sources, violations

SHELL = "strategies/host/shell.py"
"""The one module below scenarios that talks to the engine's runtime."""

# --- law 1: of the engine only values and indicators ---

ENGINE_VALUES = ("nautilus_trader.model", "nautilus_trader.indicators")


def engine_runtime(source: Source) -> Iterator[str]:
    """Find imports of the engine beyond its values and indicators."""
    if not source.is_in("strategies") or source.path == SHELL:
        return
    way_out = "take what you need as a value or through a port (strategies/ports.py)"
    for node in source.nodes(ast.Import, ast.ImportFrom):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names if isinstance(node, ast.Import)]
        for name in names:
            if name.split(".")[0] == "nautilus_trader" and not _is_value_module(name):
                yield source.violation(node.lineno, f"a decider imports {name}", way_out)


def _is_value_module(name: str) -> bool:
    return any(name == allowed or name.startswith(f"{allowed}.") for allowed in ENGINE_VALUES)


# --- law 3: time, ids and chance are inputs ---

IMPURE_CALLS = {
    "now": "take the time of the event (ts_ns)",
    "utcnow": "take the time of the event (ts_ns)",
    "today": "take the date from the session of the event",
    "time_ns": "take the time of the event (ts_ns)",
    "monotonic": "take the time of the event (ts_ns)",
    "monotonic_ns": "take the time of the event (ts_ns)",
    "perf_counter": "take the time of the event (ts_ns)",
    "perf_counter_ns": "take the time of the event (ts_ns)",
    "uuid1": "make the id a hash of its inputs (hashlib)",
    "uuid4": "make the id a hash of its inputs (hashlib)",
    "UUID4": "make the id a hash of its inputs (hashlib)",
    "getenv": "make it a parameter",
    "urandom": "take a seed from the scenario as a parameter",
    "getpid": "make it a parameter",
}
IMPURE_MODULES = {
    "time": "take the time of the event (ts_ns)",
    "random": "take a seed from the scenario as a parameter",
    "secrets": "take a seed from the scenario as a parameter",
}
IMPURE_BUILTINS = {
    "open": "let scenarios read it and hand it in",
    "input": "make it a parameter",
    "print": "return an Alert",
    "hash": "it differs from process to process: use hashlib",
    "id": "it differs from process to process: use an id made of inputs",
}
SHELL_MAY = {"monotonic_ns", "perf_counter_ns"}
"""The shell stamps the hops of an event; no decision reads the stamps."""


def impure_calls(source: Source) -> Iterator[str]:
    """Find reads of the clock, of chance and of the surroundings."""
    if not source.is_in("strategies"):
        return
    for node in source.nodes(ast.Call):
        name = dotted(node.func)
        first, last = name.split(".")[0], name.rsplit(".", 1)[-1]
        way_out = IMPURE_CALLS.get(last) or (IMPURE_MODULES.get(first) if "." in name else None)
        if isinstance(node.func, ast.Name):
            way_out = way_out or IMPURE_BUILTINS.get(name)
        if way_out and not (source.path == SHELL and last in SHELL_MAY):
            yield source.violation(node.lineno, f"a decider calls {name}()", way_out)
    for node in source.nodes(ast.Attribute):
        if dotted(node) in {"os.environ", "sys.argv"}:
            yield source.violation(
                node.lineno, f"a decider reads {dotted(node)}", "make it a parameter"
            )


# --- law 4: what depends on the order of a set differs from process to process ---

SET_MAKERS = {"set", "frozenset"}
SET_TYPES = {"set", "frozenset", "Set", "AbstractSet", "MutableSet"}
ORDER_BLIND = {"sorted", "set", "frozenset", "any", "all", "len"}
ORDER_SEEING = {
    "list",
    "tuple",
    "iter",
    "enumerate",
    "zip",
    "map",
    "filter",
    "deque",
    "sum",
    "dict",
}
SET_METHODS = {"union", "intersection", "difference", "symmetric_difference"}


class SetOrder(ast.NodeVisitor):
    """Finds places where the order of a set's members is seen."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: list[tuple[int, str]] = []
        self._sets = {name for node in ast.walk(tree) for name in _names_of_sets(node)}
        self._blind: set[ast.AST] = set()

    def visit_For(self, node: ast.For) -> None:
        self._see(node.iter)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        if node not in self._blind:
            self._see(node.iter)
        self.generic_visit(node)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._blind.update(node.generators)
        self.generic_visit(node)

    def visit_Starred(self, node: ast.Starred) -> None:
        self._see(node.value)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = dotted(node.func).rsplit(".", 1)[-1]
        if name in ORDER_BLIND:
            for argument in node.args:
                if isinstance(argument, ast.GeneratorExp | ast.ListComp):
                    self._blind.update(argument.generators)
        elif isinstance(node.func, ast.Name) and name in ORDER_SEEING:
            for argument in node.args:
                self._see(argument)
        elif isinstance(node.func, ast.Attribute):
            self._see_method(node.func, node.args)
        self.generic_visit(node)

    def _see_method(self, function: ast.Attribute, arguments: list[ast.expr]) -> None:
        if function.attr == "pop" and not arguments:
            self._see(function.value)
        if function.attr in {"join", "extend"}:
            for argument in arguments:
                self._see(argument)

    def _see(self, node: ast.expr) -> None:
        if self._is_set(node):
            self.found.append((node.lineno, ast.unparse(node)))

    def _is_set(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Set | ast.SetComp):
            return True
        if isinstance(node, ast.BinOp):
            return isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Sub | ast.BitXor) and (
                self._is_set(node.left) or self._is_set(node.right)
            )
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            return name in SET_MAKERS or (
                isinstance(node.func, ast.Attribute) and node.func.attr in SET_METHODS
            )
        return dotted(node) in self._sets if isinstance(node, ast.Name | ast.Attribute) else False


def _names_of_sets(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.AnnAssign) and _is_set_type(node.annotation):
        yield from _both_names(node.target)
    if isinstance(node, ast.arg) and node.annotation is not None and _is_set_type(node.annotation):
        yield node.arg
    if isinstance(node, ast.Assign) and _makes_set(node.value):
        for target in node.targets:
            yield from _both_names(target)


def _both_names(target: ast.expr) -> Iterator[str]:
    name = dotted(target)
    if name:
        # A field annotated in a class body is read as an attribute of self.
        yield from (name, f"self.{name}")


def _is_set_type(annotation: ast.expr) -> bool:
    outer = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return dotted(outer).rsplit(".", 1)[-1] in SET_TYPES


def _makes_set(value: ast.expr) -> bool:
    return isinstance(value, ast.Set | ast.SetComp) or (
        isinstance(value, ast.Call) and dotted(value.func) in SET_MAKERS
    )


def set_iteration(source: Source) -> Iterator[str]:
    """Find decisions that could depend on the order of a set."""
    if not source.is_in("strategies"):
        return
    finder = SetOrder(source.tree)
    finder.visit(source.tree)
    way_out = "wrap it in sorted(), or keep a dict: it remembers its order"
    for line, text in finder.found:
        yield source.violation(line, f"the order of the set {text} is seen", way_out)


# --- law 2: nobody asks where it runs ---

MODES = {"live", "replay", "backtest", "paper", "latency", "sandbox"}
MODE_NAME = re.compile(
    r"(is|in|if|when|not)_?(live|backtest(ing)?|replay(ing)?|paper|sandbox)"
    r"|(run|trading)_?mode|(live|backtest|replay|paper)_?mode|environment",
    re.IGNORECASE,
)


def run_modes(source: Source) -> Iterator[str]:
    """Find questions about where the code runs."""
    if not source.is_in("strategies", "adapters", "catalog"):
        return
    way_out = "hand in a port or a parameter that differs, composed in scenarios"
    modes = MODES - _names_of_collections(source)
    for node in ast.walk(source.tree):
        name = _name_of(node)
        if name and MODE_NAME.fullmatch(name.strip("_")):
            yield source.violation(_line(node), f"{name} names a run mode", way_out)
        if isinstance(node, ast.If | ast.IfExp | ast.While) and _asks_mode(node.test, modes):
            yield source.violation(node.lineno, "the code asks where it runs", way_out)
        if isinstance(node, ast.Match) and any(_is_mode_case(case) for case in node.cases):
            yield source.violation(node.lineno, "the code asks where it runs", way_out)


def _name_of(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name):
            return name
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.alias(name=name):
            return name
    return ""


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def _asks_mode(test: ast.expr, modes: set[str]) -> bool:
    for node in ast.walk(test):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(isinstance(side, ast.Constant) and side.value in MODES for side in sides):
                return True
    inner = test.operand if isinstance(test, ast.UnaryOp) else test
    return dotted(inner).rsplit(".", 1)[-1] in modes


def _names_of_collections(source: Source) -> set[str]:
    # `live = [order for ...]` then `if not live` asks whether there are any, not where it runs.
    collections = ast.List | ast.ListComp | ast.Dict | ast.DictComp | ast.Set | ast.SetComp
    return {
        dotted(target)
        for node in source.nodes(ast.Assign)
        if isinstance(node.value, collections)
        for target in node.targets
    }


def _is_mode_case(case: ast.match_case) -> bool:
    return any(
        isinstance(node, ast.Constant) and node.value in MODES for node in ast.walk(case.pattern)
    )


# --- money is exact ---

EXACT = ("strategies/capital", "strategies/markets", "strategies/positions.py")
MONEY = re.compile(
    r"price|cost|fee|tax|commission|cash|money|balance|equity|pnl|profit|loss|notional|amount"
    r"|quantity|qty|lots?\b|size|margin|budget|_px\b|^px\b"
)


def money_floats(source: Source) -> Iterator[str]:
    """Find money, prices and quantities that become floats where books are kept."""
    if not source.is_in(*EXACT):
        return
    way_out = "stay with Money, Price, Quantity, Decimal or raw integers"
    for node in source.nodes(ast.Call):
        name = dotted(node.func)
        if name == "float" and any(MONEY.search(ast.unparse(arg).lower()) for arg in node.args):
            yield source.violation(node.lineno, f"{ast.unparse(node)} loses units", way_out)
        if name.rsplit(".", 1)[-1] == "as_double":
            yield source.violation(node.lineno, f"{ast.unparse(node)} loses units", way_out)


# --- the laws hold, and each check can fail ---

CHECKS = (engine_runtime, impure_calls, set_iteration, run_modes, money_floats)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_law_holds(check):
    found = violations(check, room_sources())
    assert not found, found


PLANTED = [
    (engine_runtime, "strategies/x.py", "from nautilus_trader.trading import Strategy"),
    (engine_runtime, "strategies/x.py", "import nautilus_trader.live"),
    (engine_runtime, "strategies/x.py", "import nautilus_trader"),
    (engine_runtime, "strategies/host/core.py", "from nautilus_trader.common import Clock"),
    (impure_calls, "strategies/x.py", "ts = datetime.now(UTC)"),
    (impure_calls, "strategies/x.py", "ts = datetime.datetime.utcnow()"),
    (impure_calls, "strategies/x.py", "ts = time.time()"),
    (impure_calls, "strategies/x.py", "day = date.today()"),
    (impure_calls, "strategies/x.py", "x = random.choice(names)"),
    (impure_calls, "strategies/x.py", "order_id = str(uuid4())"),
    (impure_calls, "strategies/x.py", "key = os.environ['KEY']"),
    (impure_calls, "strategies/x.py", "text = open('notes.txt')"),
    (impure_calls, "strategies/x.py", "bucket = hash(name) % 8"),
    (impure_calls, "strategies/host/shell.py", "ts = time.time()"),
    (set_iteration, "strategies/x.py", "for a in {1, 2}: pass"),
    (set_iteration, "strategies/x.py", "for a in set(names): pass"),
    (set_iteration, "strategies/x.py", "rows = [a for a in frozenset(names)]"),
    (set_iteration, "strategies/x.py", "wanted = set()\nfor a in wanted: pass"),
    (
        set_iteration,
        "strategies/x.py",
        "class A:\n open: set[str]\n def f(self): return list(self.open)",
    ),
    (set_iteration, "strategies/x.py", "def f(names: frozenset[str]): return tuple(names)"),
    (set_iteration, "strategies/x.py", "a = set(x)\nb = [c for c in a - d]"),
    (set_iteration, "strategies/x.py", "left = set(x)\none = left.pop()"),
    (set_iteration, "strategies/x.py", "text = ','.join({a, b})"),
    (set_iteration, "strategies/x.py", "rows = [*{a, b}]"),
    (run_modes, "strategies/x.py", "def f(self): return self.is_live"),
    (run_modes, "adapters/x.py", "if live: pass"),
    (run_modes, "adapters/x.py", "if not self.live: pass"),
    (run_modes, "catalog/x.py", "if on == 'replay': pass"),
    (run_modes, "catalog/x.py", "x = 1 if run.on in ('live', 'x') or on == 'live' else 2"),
    (run_modes, "catalog/x.py", "match on:\n case 'live': pass"),
    (run_modes, "strategies/x.py", "class RunMode: pass"),
    (run_modes, "strategies/x.py", "from nautilus_trader.common import Environment"),
    (money_floats, "strategies/capital/x.py", "x = float(order_price) * 2"),
    (money_floats, "strategies/capital/x.py", "x = float(fill.quantity)"),
    (money_floats, "strategies/positions.py", "x = price.as_double()"),
]


@pytest.mark.parametrize(("check", "path", "code"), PLANTED)
def test_planted_violation_is_found_with_its_place_and_way_out(check, path, code):
    (found, *_) = check(Source(path, code)) or [""]
    assert re.match(rf"{re.escape(path)}:\d+: .+; .+", found)


HARMLESS = [
    (engine_runtime, "strategies/x.py", "from nautilus_trader.model import Price"),
    (engine_runtime, "strategies/x.py", "from nautilus_trader.indicators import Ema"),
    (engine_runtime, SHELL, "from nautilus_trader.trading import Strategy"),
    (engine_runtime, "scenarios/x.py", "from nautilus_trader.backtest import BacktestEngine"),
    (impure_calls, "strategies/x.py", "x = bar.close; y = self.time_of(bar); z = clock.at(1)"),
    (impure_calls, SHELL, "ts = perf_counter_ns()"),
    (set_iteration, "strategies/x.py", "for a in sorted({1, 2}): pass"),
    (set_iteration, "strategies/x.py", "s = set(x)\nok = 3 in s and any(a for a in s)"),
    (set_iteration, "strategies/x.py", "s = {a for a in set(x)}\nn = len(s)"),
    (set_iteration, "strategies/x.py", "d = dict(x)\nfor a in d: pass\nb = [*d]\nc = d.pop(1)"),
    (run_modes, "catalog/x.py", "row = {'on': on}; state = 'live'; self.live_orders = 3"),
    (run_modes, "scenarios/x.py", "if on == 'live': pass"),
    (run_modes, "catalog/x.py", "live = [a for a in b if a.open]\nif not live: pass"),
    (run_modes, "adapters/x.py", "url = BinanceEnvironment.TESTNET; lively = 1"),
    (money_floats, "strategies/capital/x.py", "x = float(share)"),
    (money_floats, "strategies/ema.py", "x = float(bar_price)"),
]


@pytest.mark.parametrize(("check", "path", "code"), HARMLESS)
def test_lawful_code_is_left_alone(check, path, code):
    assert list(check(Source(path, code))) == []
