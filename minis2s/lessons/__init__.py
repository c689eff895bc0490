"""The machinery of the lessons: their source, exercises, notebooks, grading and pages.

from minis2s.lessons import load_exercises, show
exercise = load_exercises("01_backward")
exercise.check(my_softmax)
"""

from minis2s.lessons.answers import right, wrong
from minis2s.lessons.exercise import Exercise, Exercises, load_exercises
from minis2s.lessons.show import show

__all__ = ["Exercise", "Exercises", "load_exercises", "right", "show", "wrong"]
