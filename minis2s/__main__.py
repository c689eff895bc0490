"""`python -m minis2s` is `minis2s`."""

import sys

from minis2s.cli import main

sys.exit(main())
