"""The README promises nothing that is not there. `.ci/run` runs its two main commands; here is the rest."""

import re
import shlex
from pathlib import Path

import pytest

from minis2s.cli import build_parser
from minis2s.tasks import load_task

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```\n(.*?)```", README, re.DOTALL)
LINES = [line.split("  #")[0] for block in BLOCKS for line in block.splitlines()]
COMMANDS = sorted({line for line in LINES if line.startswith("minis2s ")})
SCRIPTS = sorted({line for line in LINES if "python benchmarks/" in line})


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_one_that_the_program_takes(command):
    args = build_parser().parse_args(shlex.split(command)[1:])
    if hasattr(args, "set"):
        load_task(args.task).settings(dict(change.split("=", 1) for change in args.set))


@pytest.mark.parametrize("command", SCRIPTS)
def test_each_script_is_there(command):
    assert (ROOT / re.search(r"benchmarks/\w+\.py", command).group()).is_file()


def test_there_are_commands():
    assert len(COMMANDS) > 8


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()
