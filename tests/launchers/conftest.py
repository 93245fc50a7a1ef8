"""The launchers are programs and not a package, so their folder is put onto the path."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "launchers"))
