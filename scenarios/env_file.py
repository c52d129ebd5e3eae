"""Reads secrets from a `.env` file, which only its owner may be able to read.

Rule: values are returned and nothing else is done with them; no text made here repeats one.
"""

import re
import stat
from pathlib import Path

from strategies.errors import BadInput

FILE_NAME = ".env"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)")


def read_env_file(path: Path) -> dict[str, str]:
    """Return the ``NAME=value`` pairs of a file, none where it does not exist.

    Empty lines and lines that begin with # are skipped; one pair of quotes around a value is
    taken off. Raises BadInput where others can read the file, or a line is no pair.
    """
    try:
        mode = path.stat().st_mode
        if mode & _OTHERS:
            raise BadInput(
                f"{path} can be read by others (mode {stat.S_IMODE(mode):o}) and is refused; "
                f"run: chmod 600 {path}"
            )
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read ({type(error).__name__}); make it text.") from error
    pairs = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            name, value = _pair(line.strip(), f"{path}, line {number}")
            pairs[name] = value
    return pairs


def _pair(line: str, where: str) -> tuple[str, str]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise BadInput(f"{where} is not of the form NAME=value; mend it or put a # before it.")
    name, value = found.groups()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1]
    return name, value
