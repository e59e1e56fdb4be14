"""Restorations with a known kernel: one file each, all with an unknown border."""
