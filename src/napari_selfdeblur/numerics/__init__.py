"""The method itself: torch only, no napari, no Qt, no files."""
