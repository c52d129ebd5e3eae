"""One figure of a report as a PNG file, drawn by a browser that is installed already.

Rule: a browser is never fetched; without one it says so in a sentence. The page it draws from asks
for no network, as the report itself.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from catalog.report.figures import Figure, templates
from catalog.report.plotly_script import plotly_source
from strategies.errors import BadInput

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
WIDTH = 1_120
TIMEOUT_S = 90
SCALE = 2
PADDING = 64


def find_browser() -> str:
    """Return an installed browser; raises BadInput where there is none."""
    for name in BROWSERS:
        found = shutil.which(name)
        if found is not None:
            return found
    raise BadInput(
        f"a PNG is drawn by a browser and none of {', '.join(BROWSERS)} is installed; install "
        "Chromium, or use the camera above the chart in the HTML report."
    )


def write_picture(charts: Mapping[str, Figure], name: str, path: Path) -> Path:
    """Draw the figure called ``name`` into a PNG file and return its path.

    Raises BadInput where there is no such figure, no browser, or the file cannot be written.
    """
    if name not in charts:
        raise BadInput(f"the report has no figure {name}; it has {', '.join(charts) or 'none'}.")
    browser, figure = find_browser(), charts[name]
    height = int(figure["layout"]["height"])
    with tempfile.TemporaryDirectory() as folder:
        page, picture = Path(folder) / "figure.html", Path(folder) / "figure.png"
        page.write_text(_page(figure), encoding="utf-8")
        _shoot(browser, page, picture, height + PADDING, Path(folder) / "profile")
        try:
            shutil.copyfile(picture, path)
        except OSError as error:
            raise BadInput(
                f"the picture {path} cannot be written ({error.strerror or error}); free the "
                "place or give another."
            ) from error
    return path


def _page(figure: Figure) -> str:
    """Return a page that has drawn the figure before it counts as loaded: nothing is unpacked."""
    layout = {**figure["layout"], "template": templates()["light"]}
    data, looks = (json.dumps(part).replace("<", "\\u003c") for part in (figure["data"], layout))
    draw = f"Plotly.newPlot('f', {data}, {looks}, {{staticPlot: true}})"
    style = f"body{{margin:{PADDING // 2}px;background:#fff}}"
    return (
        f"<!doctype html><meta charset=utf-8><style>{style}</style><div id=f></div>"
        f"<script>{plotly_source()}</script><script>{draw}</script>"
    )


def _shoot(browser: str, page: Path, picture: Path, height: int, profile: Path) -> None:
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--hide-scrollbars", f"--force-device-scale-factor={SCALE}", f"--user-data-dir={profile}",
        f"--screenshot={picture}", f"--window-size={WIDTH},{height}",
        "--virtual-time-budget=10000", page.as_uri(),
    ]  # fmt: skip
    try:
        # The browser and every argument are ours; nothing of a run is on the command line.
        subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)  # noqa: S603 - see above
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BadInput(
            f"{browser} did not draw the figure ({type(error).__name__}); try again, or use the "
            "camera above the chart in the HTML report."
        ) from error
    if not picture.is_file():
        raise BadInput(
            f"{browser} wrote no picture; try again, or use the camera above the chart in the HTML "
            "report."
        )
