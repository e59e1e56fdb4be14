"""Write docs/reliability.md: run the tests of bad input and of faults, and count them.

``python docs/make_reliability.py``, some minutes.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
FOLDERS = ("tests/hostile", "tests/faults", "tests/napari/test_in_one_viewer.py")
TEXT = """# Reliability

*Made by `docs/make_reliability.py`, which runs the tests it counts.*

Images, settings, files and file names of every kind are given to every public function and
command, and runs are killed, interrupted and starved of disk and memory. Each case ends in a right
result or in one of this package's own errors, which says what is wrong and what to do. None ends
in another exception, a file half-written or a result lost without a word.

{table}
Tried are inputs and faults: a test of random inputs counts each of them. Survived are those of
tests that passed. Skipped are those that the machine of the count cannot show, such as a read-only
folder where the tests run as root. Reproduce with `python docs/make_reliability.py`, or for a part
with `python -m pytest tests/faults`.

## What holds

- **Before a run**: folder, name, permission and space for each result, the path of the checkpoint,
  the known sharp image, and the memory of every stage, restorations included. What is wrong is
  said before the first step.
- **During a run**: Ctrl-C and SIGTERM end it with the best estimate so far, as does `stop` in
  Python. The present step is finished if that takes less than half a second; a longer one is ended
  after the layer, round or iteration at work. Before the first estimate the blurred image is
  returned, and the verdict says so. A second Ctrl-C quits and says what is kept.
- **Killed at any moment**, a run with a checkpoint resumes to the bits of an uninterrupted one. A
  checkpoint has a fingerprint of its contents and of the image: one that was edited or damaged, or
  belongs to another image or other settings, is refused. One that cannot be written is a warning.
- **After a run** images and record are written first, each whole or not at all, and each even if
  another one fails. The comparison with a known sharp image and the picture come after them; where
  they fail there is a warning. The checkpoint is deleted last.
- **Files that are read** (settings, records, checkpoints, results) are checked field by field.
  Nothing in them is run.
- **A batch** that is killed at any moment is completed by the same command: every frame is whole, and
  none that was marked done is made again. Its own notes have hashes: one that was changed or cut
  does not count, and results of other settings are never taken for its own. Bad inputs, workers
  that end and results that cannot be written are named, and the rest is done.
- **Of a stack** a plane that is flat, damaged or not finite stays as it is and is named; the others
  are done. Axes, planes and kernels that do not fit are refused at the call.
- **In one viewer** fifty runs follow one another, thirty of them disturbed at a random moment:
  stopped, result layers or all layers deleted, the source's data replaced, layers hidden and
  renamed, the panel closed. All end with a result, memory stays within 5 %, threads, widgets and
  event connections do not grow. Closing one of two viewers ends its run alone.
- Warnings and logs of other packages do not reach the screen of the command line.

## What does not

- Memory that other programs take during a run can still end the process from outside, on systems
  that promise more than they have. With `--checkpoint` the run can be resumed.
- A step of a network on a GPU is not ended in its middle; it is short.
"""


class Count:
    """Counts what each test file tried, and what of it passed, as a plugin of pytest."""

    def __init__(self) -> None:
        self.rows: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        self.titles: dict[str, str] = {}
        self._inputs: dict[str, int] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep how many inputs Hypothesis gave to a test."""
        self._keep(item)
        return (yield)

    def _keep(self, item: pytest.Item) -> None:
        statistics = getattr(item, "hypothesis_statistics", "")
        self._inputs[item.nodeid] = sum(map(int, re.findall(r"- (\d+) passing", statistics)))
        module = item.getparent(pytest.Module)
        assert module is not None
        name = item.nodeid.partition("::")[0]
        self.titles[name] = (module.obj.__doc__ or "").strip().split("\n")[0]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test when it is over."""
        if report.when == "setup" and report.passed:
            return
        if report.when == "teardown" and report.passed:
            return
        name = report.nodeid.partition("::")[0]
        told = dict(report.user_properties).get("tried", 0)
        tried = int(str(told)) or self._inputs.get(report.nodeid, 0) or 1
        column = {"passed": 1, "skipped": 2}.get(report.outcome)
        self.rows[name][0] += tried
        if column is not None:
            self.rows[name][column] += tried

    def table(self) -> str:
        """Return a line for each file and their sum."""
        lines = ["| Tests | Tried | Survived | Skipped |", "| --- | ---: | ---: | ---: |"]
        for name, row in sorted(self.rows.items()):
            link = f"[{Path(name).stem}](../{name})"
            lines.append(f"| {link}: {self.titles.get(name, '')} | {' | '.join(map(str, row))} |")
        whole = [sum(column) for column in zip(*self.rows.values(), strict=True)]
        lines.append(f"| all | {' | '.join(map(str, whole))} |")
        return "\n".join(lines) + "\n"


def main() -> int:
    """Run the tests, write the page, and return pytest's exit status."""
    count = Count()
    folders = [str(ROOT / folder) for folder in FOLDERS]
    status = pytest.main(["-q", "--rootdir", str(ROOT), *folders], plugins=[count])
    PAGE.write_text(TEXT.format(table=count.table()), encoding="utf-8")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
