"""The napari front end: dock widget, menu command, sample data and scripted runs."""
