"""The version: read by the build, kept here so that a source tree without git builds too."""

__version__ = "0.1.0.dev0"
