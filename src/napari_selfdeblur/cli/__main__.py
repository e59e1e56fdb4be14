"""`python -m napari_selfdeblur.cli`."""

from __future__ import annotations

import sys

from napari_selfdeblur.cli import main

sys.exit(main())
