"""The two READMEs say the same commands, and everything they point to exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from law_sources import PROJECT

ENGLISH, KOREAN = "README.md", "README.ko.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELLS = {"", "sh", "bash", "shell", "console"}
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)[^)]*\)|<img[^>]+src=\"([^\"]+)\"")
CODE = re.compile(r"`([^`\n]+)`")
MADE_BY_RUNNING = ("data", "bench-results", ".venv", "my_")
"""Places that exist only after a command, and names a reader gives."""


def commands(text: str) -> list[str]:
    """Return the command lines of shell blocks, comments and prompts left out, in order."""
    blocks = (body for language, body in FENCE.findall(text) if language in SHELLS)
    lines = (re.sub(r"(^|\s+)#.*$", "", line) for body in blocks for line in body.splitlines())
    return [line.removeprefix("$ ").strip() for line in lines if line.strip()]


def other_blocks(text: str) -> list[tuple[str, str]]:
    """Return code blocks that are no commands, without comments (those are translated)."""
    return [
        (language, re.sub(r"\s*#.*$", "", body, flags=re.MULTILINE))
        for language, body in FENCE.findall(text)
        if language not in SHELLS
    ]


def places(text: str) -> Iterator[str]:
    """Return every relative link, and every path in backticks, that a text mentions."""
    prose = FENCE.sub("", text)
    for match in LINK.finditer(prose):
        target = (match[1] or match[2]).split("#")[0]
        if target and "://" not in target and not target.startswith("mailto:"):
            yield target
    for code in CODE.findall(prose):
        if re.fullmatch(r"[\w.\-]+(/[\w.\-]+)*/?", code) and ("/" in code or _is_file_name(code)):
            yield code


def _is_file_name(code: str) -> bool:
    return re.search(r"\.(py|toml|md|lock|ipynb|sh)$", code) is not None or code == "Makefile"


def missing(text: str, root: Path) -> list[str]:
    """Return the mentioned places that do not exist."""
    return [
        place
        for place in places(text)
        if not place.startswith(MADE_BY_RUNNING) and not (root / place).exists()
    ]


def read(name: str) -> str:
    path = PROJECT / name
    assert path.is_file(), f"{name} is missing: write it, with the same commands as the other one"
    return path.read_text(encoding="utf-8")


def test_both_readmes_give_the_same_commands_in_the_same_order():
    assert commands(read(KOREAN)) == commands(read(ENGLISH))


def test_both_readmes_show_the_same_code():
    assert other_blocks(read(KOREAN)) == other_blocks(read(ENGLISH))


@pytest.mark.parametrize("name", [ENGLISH, KOREAN])
def test_the_two_commands_are_given(name):
    assert {"make demo", "make test"} <= set(commands(read(name)))


@pytest.mark.parametrize("name", [ENGLISH, KOREAN])
def test_what_is_mentioned_exists(name):
    absent = missing(read(name), PROJECT)
    assert not absent, f"{name} mentions {absent}: correct the path or bring the file"


@pytest.mark.parametrize("name", [ENGLISH, KOREAN])
def test_make_targets_and_commands_exist(name):
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    for command in commands(read(name)):
        if command.startswith("make "):
            target = command.split()[1]
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"no target: {command}"
        if command.startswith("onetape "):
            module = PROJECT / "scenarios" / "commands" / f"{command.split()[1]}.py"
            assert module.is_file(), f"no command: {command}"


TEXT = """
Run it, then look into `scenarios/cli.py` and [the licence](LICENSE "x") or `a == b`.
```sh
$ make demo   # a picture
# only a remark
make test
```
```python
x = 1  # a remark
```
See [gone](docs/gone.md#part), `no/such.py`, `data/reports`, [site](https://example.org/x).
"""


def test_commands_are_read_without_remarks():
    assert commands(TEXT) == ["make demo", "make test"]


def test_a_different_command_or_code_would_be_found():
    assert commands(TEXT.replace("make test", "make tests")) != commands(TEXT)
    assert other_blocks(TEXT.replace("x = 1", "x = 2")) != other_blocks(TEXT)
    assert other_blocks(TEXT.replace("a remark", "설명")) == other_blocks(TEXT)


def test_a_missing_place_would_be_found():
    assert missing(TEXT, PROJECT) == ["docs/gone.md", "no/such.py"]
