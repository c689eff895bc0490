"""Grade notebooks: each solution runs in a process of its own, and is judged here."""

from minis2s.lessons.grading.grade import Graded, grade, grade_all
from minis2s.lessons.grading.submission import Submission, find_submissions, read_submission

__all__ = ["Graded", "Submission", "find_submissions", "grade", "grade_all", "read_submission"]
