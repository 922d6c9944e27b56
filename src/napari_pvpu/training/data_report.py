"""What is wrong with training data, all of it at once, in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from napari_pvpu.errors import DatasetError, PvpuError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["A_FEW", "KINDS", "BadDataError", "DataReport", "Kind", "Problem", "SourceCount"]

A_FEW = 5
"""Files to name of each kind of problem where a report is not what was asked for."""


class Kind(NamedTuple):
    """A kind of problem.

    Attributes
    ----------
    title : str
        What it is, as the heading of a list of files.
    advice : str
        What to do.
    passed_over : bool
        Whether data of this kind are no mistake: an image may show no object. They are counted,
        and not trained on.
    """

    title: str
    advice: str
    passed_over: bool = False


KINDS: dict[str, Kind] = {
    "source": Kind("cannot be used at all", "correct the path, or what it holds"),
    "no mask": Kind("images without a mask", "add a mask of the same stem, or move the image away"),
    "no image": Kind("masks without an image", "add the image, or move the mask away"),
    "listed": Kind("images of the list that are not there", "add them, or shorten the list"),
    "missing": Kind("annotated images that are not there", "give their folder with --images"),
    "duplicate": Kind("files of one stem", "keep one of them, so that masks find their image"),
    "image": Kind("images that cannot be read", "write or copy them again"),
    "mask": Kind("masks that cannot be read", "save label images: one channel, integers"),
    "size": Kind("image and mask of different sizes", "make height and width the same"),
    "annotation": Kind("annotations that cannot be used", "export them again"),
    "labels": Kind("labels out of range", "renumber the objects from 1 to 32767"),
    "photograph": Kind(
        "masks that look like photographs",
        "save label images without loss: 0 is background, each object has one number",
    ),
    "not finite": Kind("images with values that are no numbers", "replace NaN and infinities"),
    "constant": Kind("images of a single value", "export them again; nothing is to be seen"),
    "nothing": Kind("without any object that can be learnt", "label objects, or leave it out"),
    "empty": Kind("images where nothing is labelled", "", passed_over=True),
    "small": Kind("images with specks only", "", passed_over=True),
}
"""All kinds of problems, in the order of a report."""


class Problem(NamedTuple):
    """One thing that is wrong.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    source : str
        The folder or file of data as it was named.
    file : str
        Path of the image, mask or annotation file.
    detail : str
        What is wrong with it, if the kind does not say it all.
    """

    kind: str
    source: str
    file: str
    detail: str = ""


@dataclass(slots=True)
class SourceCount:
    """How much of a folder or file can be used: images found, images usable, objects in these."""

    images: int = 0
    usable: int = 0
    objects: int = 0


@dataclass(frozen=True, slots=True)
class DataReport:
    """Everything that is wrong with some training data.

    Attributes
    ----------
    problems : tuple of Problem
        In the order in which they were met.
    counts : dict of str to SourceCount
        By source.
    """

    problems: tuple[Problem, ...] = ()
    counts: dict[str, SourceCount] = field(default_factory=dict)

    @property
    def mistakes(self) -> tuple[Problem, ...]:
        """Problems that somebody should look at, unlike images that show no object."""
        return tuple(problem for problem in self.problems if not KINDS[problem.kind].passed_over)

    @property
    def ok(self) -> bool:
        """Whether there is no mistake."""
        return not self.mistakes

    @property
    def usable(self) -> int:
        """Images that can be trained on."""
        return sum(count.usable for count in self.counts.values())

    def passed_over(self) -> str:
        """Return how many images are passed over though nothing is wrong with them, and why."""
        counts = Counter(problem.kind for problem in self.problems)
        passed = [name for name, kind in KINDS.items() if kind.passed_over and counts[name]]
        return ", ".join(f"{counts[name]} x {KINDS[name].title}" for name in passed)

    def text(self, examples: int | None = None) -> str:
        """Return the report as lines of text.

        Parameters
        ----------
        examples : int, optional
            Files to name of each kind of problem; all by default.
        """
        lines = [
            f"{name}: {count.usable} of {count.images} images can be used, {count.objects} objects"
            for name, count in self.counts.items()
        ]
        by_kind = {kind: [p for p in self.problems if p.kind == kind] for kind in KINDS}
        for kind, found in by_kind.items():
            if not found:
                continue
            title, advice, passed_over = KINDS[kind]
            after = "passed over" if passed_over else advice
            lines.append(f"\n{len(found)} x {title} ({after}):")
            lines += [
                f"  {p.file}" + (f": {p.detail}" if p.detail else "") for p in found[:examples]
            ]
            if examples is not None and len(found) > examples:
                lines.append(f"  ... and {len(found) - examples} more")
        if not self.problems:
            lines.append("no problem was found")
        elif examples is not None and max(map(len, by_kind.values())) > examples:
            lines.append("\ncheck-data without --examples names every file")
        return "\n".join(lines) + "\n"

    def write(self, path: Path) -> None:
        """Write every problem on a line of its own: kind, file, detail, with tabs between.

        Raises
        ------
        PvpuError
            If the file cannot be written.
        """
        rows = [(p.kind, p.file, p.detail) for p in self.problems]
        lines = ["\t".join(" ".join(word.split()) for word in row) + "\n" for row in rows]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(lines), encoding="utf-8")
        except OSError as error:
            raise PvpuError(f"the list of problems cannot be written: {error}") from error


class BadDataError(DatasetError):
    """Training data with mistakes in them, because of which nothing was done.

    The message is the report; of a single mistake it is one sentence.

    Parameters
    ----------
    report : DataReport
        With one mistake at least.
    """

    def __init__(self, report: DataReport) -> None:
        self.report = report
        mistakes = report.mistakes
        super().__init__(report.text() if len(mistakes) > 1 else _sentence(mistakes[0]))


def _sentence(problem: Problem) -> str:
    kind = KINDS[problem.kind]
    text = f"{problem.detail or kind.title}; {kind.advice}"
    return text if problem.file in text else f"{problem.file}: {text}"
