"""`onetape new`: writes a working example to start from, and never over something that is there."""

import argparse
import keyword
import os
import re
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Any

from scenarios.screen import Screen
from strategies.errors import BadInput

EXAMPLE = """example:
  onetape new strategy breakout     # breakout.py, breakout_test.py and breakout.toml
  onetape new scenario two_venues   # two_venues.toml
"""
TEMPLATES = Path(__file__).resolve().parents[1] / "templates"
FILES: Mapping[str, Mapping[str, str]] = {
    "strategy": {
        "strategy.py": "{name}.py",
        "strategy_test.py": "{name}_test.py",
        "strategy.toml": "{name}.toml",
    },
    "scenario": {"scenario.toml": "{name}.toml"},
}
NEXT: Mapping[str, tuple[str, ...]] = {
    "strategy": ("pytest {name}_test.py", "onetape run {name}.toml"),
    "scenario": ("onetape run {name}.toml",),
}


def register(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "new",
        parents=[shared],
        help="write a working strategy or scenario to start from",
        description="Write a working example into the current folder; nothing is overwritten.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", choices=tuple(FILES), help="what to write")
    parser.add_argument("name", metavar="NAME", help="what to call it")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Write the files; BadInput where one of them exists or the name cannot be used."""
    folder = Path.cwd()
    made = write_example(args.kind, args.name, folder)
    for path in made:
        screen.line(f"wrote {path.relative_to(folder)}")
    steps = [step.format(name=args.name) for step in NEXT[args.kind]]
    screen.line(f"next: {', then '.join(steps)} (onetape demo generates the market it trades)")
    screen.result({"kind": args.kind, "name": args.name, "files": [str(path) for path in made]})
    return 0


def write_example(kind: str, name: str, folder: Path) -> list[Path]:
    """Write the files of one example into ``folder`` and return them; all of them or none."""
    targets = {
        template: folder / pattern.format(name=name) for template, pattern in FILES[kind].items()
    }
    _check_pattern(kind, name)
    for path in targets.values():
        if path.exists():
            raise BadInput(f"{path.name} exists in {folder}; nothing was written, choose a name.")
    if kind == "strategy":
        _check_module(name)
    words = {"name": name, "class_name": class_name(name)}
    texts = {path: _text(template, words) for template, path in targets.items()}
    _write_all(texts, folder)
    return list(texts)


def class_name(name: str) -> str:
    """Turn ``opening_range`` into ``OpeningRange``."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[_-]", name))


def _check_pattern(kind: str, name: str) -> None:
    dash = "-" if kind == "scenario" else ""
    if not re.fullmatch(rf"[a-z][a-z0-9_{dash}]{{0,39}}", name):
        raise BadInput(
            f"{name!r} cannot be the name of a {kind}; use a small letter, then small letters, "
            f"digits and {'_ or -' if dash else '_'}, 40 at most, such as opening_range."
        )


def _check_module(name: str) -> None:
    """Refuse names that Python would understand as something else than the new file."""
    taken = keyword.iskeyword(name) or keyword.issoftkeyword(name)
    if taken or name in sys.stdlib_module_names or find_spec(name) is not None:
        raise BadInput(
            f"{name!r} cannot be the name of a strategy: Python already has a module or word of "
            f"that name; choose another, such as my_{name}."
        )


def _text(template: str, words: Mapping[str, str]) -> str:
    path = TEMPLATES / f"{template}.template"
    return Template(path.read_text(encoding="utf-8")).substitute(words)


def _write_all(texts: Mapping[Path, str], folder: Path) -> None:
    """Write beside the targets first; linking refuses where something appeared meanwhile."""
    made: list[Path] = []
    staged: list[Path] = []
    try:
        for path, text in texts.items():
            staged.append(_stage(path, text))
        for temporary, path in zip(staged, texts, strict=True):
            path.hardlink_to(temporary)
            made.append(path)
    except OSError as error:
        for path in made:
            path.unlink()
        raise BadInput(
            f"{folder} cannot take the new files ({error.strerror}); nothing was written, choose "
            "another folder or name."
        ) from error
    finally:
        for temporary in staged:
            temporary.unlink(missing_ok=True)


def _stage(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return temporary
