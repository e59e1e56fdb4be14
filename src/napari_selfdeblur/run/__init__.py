"""One run: its plan, its stages, its events, its record."""
