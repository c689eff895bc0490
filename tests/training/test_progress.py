import io
import logging

import pytest

from minis2s.training import progress as module
from minis2s.training.progress import Progress, clock, compact


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (65, "1:05"), (3599, "59:59"), (7265, "2:01:05"), (-1, "0:00")]
)
def test_clock(seconds, text):
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (954.3, "954"),
        (999.7, "1.00k"),
        (12345, "12.3k"),
        (99970, "100k"),
        (1.2e6, "1.20M"),
        (9.999e6, "10.0M"),
    ],
)
def test_compact(number, text):
    assert compact(number) == text


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar_with_loss_rate_elapsed_and_remaining(caplog, monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr(module.time, "monotonic", lambda: 10.0 * next(now))
    stream = Terminal()
    with caplog.at_level(logging.INFO, "minis2s"), Progress(stream=stream) as progress:
        progress.update("epoch 1/2", 0.25, 1.5, "12.3k tokens/s")
        progress._bar.refresh()
        progress.line("a line that stays")
    text = stream.getvalue()
    assert "epoch 1/2  25% |" in text
    assert "loss 1.5, 12.3k tokens/s, 0:10 elapsed, 0:30 left" in text
    assert caplog.messages == ["a line that stays"]


def test_elsewhere_a_line_now_and_then(caplog, monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr(module.time, "monotonic", lambda: 4.0 * next(now))
    with caplog.at_level(logging.INFO, "minis2s"), Progress(stream=io.StringIO()) as progress:
        for k in range(8):
            progress.update("epoch 1/1", k / 8, 0.5, "10 tokens/s")
    assert 1 <= len(caplog.messages) <= 4
    assert "tokens/s" in caplog.text
