"""What grading leaves behind: a table for the instructor, a page for each student, results for Gradescope."""

from __future__ import annotations

import csv
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minis2s.lessons.grading.grade import Graded

STYLE = """\
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h2 { border-top: 1px solid #ccc; padding-top: 1rem } h2 span { float: right; font-weight: normal }
pre { white-space: pre-wrap; background: #f4f4f4; padding: .75rem; border-radius: .25rem }
.right { color: #176b2c } .wrong { color: #a11 }
"""


def write_feedback(graded: Sequence[Graded], folder: Path) -> None:
    """Write `grades.csv`, `feedback/STUDENT.html` and `gradescope/STUDENT/results.json`."""
    (folder / "feedback").mkdir(parents=True, exist_ok=True)
    write_csv(graded, folder / "grades.csv")
    for one, name in zip(graded, file_names(graded), strict=True):
        (folder / "feedback" / f"{name}.html").write_text(page(one), encoding="utf-8")
        results = folder / "gradescope" / name / "results.json"
        results.parent.mkdir(parents=True, exist_ok=True)
        results.write_text(json.dumps(gradescope(one), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def file_names(graded: Sequence[Graded]) -> list[str]:
    """A name for the files of each submission: the student's, numbered where one handed in several notebooks."""
    names: list[str] = []
    for one in graded:
        name = base = re.sub(r"[^\w.@+-]+", "_", one.student).strip("._") or "student"
        number = 2
        while name in names:
            name, number = f"{base}-{number}", number + 1
        names.append(name)
    return names


def write_csv(graded: Sequence[Graded], path: Path) -> None:
    """A line for each submission: points in all and for each exercise, and what is wrong with those that are wrong."""
    exercises = list(dict.fromkeys(result.exercise for one in graded for result in one.results))
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["student", "file", "lesson", "points", "of", *exercises, "causes", "problem"])
        for one in graded:
            points = {result.exercise: result.points for result in one.results}
            causes = "; ".join(f"{r.exercise}: {r.causes[0]}" for r in one.results if r.causes)
            row = [one.student, one.path, one.lesson, one.points, one.most]
            row += [points.get(name, "") for name in exercises]
            table.writerow([_no_formula(str(cell)) for cell in (*row, causes, one.problem)])


def _no_formula(text: str) -> str:
    """A spreadsheet must not take a student's file name for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text


def page(graded: Graded) -> str:
    """The feedback for a student: one HTML file that needs no other."""
    parts = [f"<p>{html.escape(graded.problem)}</p>"] if graded.problem else []
    for result in graded.results:
        kind, word = ("right", "right") if not result.causes else ("wrong", result.causes[0])
        parts.append(
            f"<h2>{html.escape(result.exercise)} <span>{result.points:g} of {result.most:g}</span></h2>\n"
            f'<p class="{kind}">{html.escape(word)}</p>\n' + (result.html or f"<pre>{html.escape(result.text)}</pre>")
        )
    title = html.escape(f"{graded.lesson}: {graded.student}")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>\n{STYLE}</style>\n</head>\n'
        f"<body>\n<h1>{title}</h1>\n<p>{graded.points:g} of {graded.most:g} points</p>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def gradescope(graded: Graded) -> dict[str, Any]:
    """What Gradescope's autograder expects in `results/results.json`."""
    return {
        "score": graded.points,
        "output": graded.problem,
        "output_format": "text",
        "tests": [
            {
                "name": result.exercise,
                "score": result.points,
                "max_score": result.most,
                "output": result.text,
                "output_format": "text",
            }
            for result in graded.results
        ],
    }
