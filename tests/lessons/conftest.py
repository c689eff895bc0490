from pathlib import Path

import pytest

from minis2s.lessons.files import FOLDER

SAMPLE = Path(__file__).parent / "sample"


@pytest.fixture
def sample(monkeypatch):
    """The folder of the sample lesson, which stands in for all lessons."""
    monkeypatch.setenv(FOLDER, str(SAMPLE))
    return SAMPLE / "01_sample"
