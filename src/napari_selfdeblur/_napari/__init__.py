"""The napari front end: dock widget, menu command, sample data, saved results and scripted runs."""
