"""The log of a run: one JSON object a line, on the disk as soon as it is written."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from minis2s.training.files import unwritable, write_text

Record = dict[str, Any]


def to_json(value: Any) -> Any:
    """Replace what JSON has no word for, NaN and the infinities, by null."""
    if isinstance(value, dict):
        return {key: to_json(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


class Log:
    """Append records to a JSONL file, and read them back.

    Parameters
    ----------
    path : Path
        Made by the first record, if it does not exist.
    """

    def __init__(self, path: Path):
        self.path = path

    def write(self, event: str, **fields: Any) -> None:
        """Append one record `{"event": event, **fields}`."""
        line = json.dumps(to_json({"event": event, **fields}), ensure_ascii=False, allow_nan=False)
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise unwritable(self.path, error) from error

    def read(self) -> list[Record]:
        """All records, oldest first. A last line that was cut short, by a power cut say, is left out."""
        if not self.path.exists():
            return []
        records = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                records.append(json.loads(line))
            except ValueError:
                continue
        return records

    def rewind(self, step: int) -> None:
        """Drop what was logged after `step`: a run that goes on from there will log it again."""
        kept = [record for record in self.read() if record.get("step", 0) <= step]
        write_text(self.path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in kept))
