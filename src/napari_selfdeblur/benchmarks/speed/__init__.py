"""Measuring how fast a run is, how much memory it takes, and where its time goes."""
