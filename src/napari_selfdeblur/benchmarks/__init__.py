"""Measuring on the data sets of Levin et al. 2009 and Lai et al. 2016.

A run writes one JSON file, row by row; `report` and `trace_figure` read such files. Importing
these modules loads no torch: it is there once a case is measured.
"""
