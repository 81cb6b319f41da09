"""Filter files by branch rate."""

from classifier.filtering.options import FilterOptions
from classifier.filtering.run import filter_files, preview_files
from classifier.filtering.summary import FilterPreview, FilterSummary

__all__ = ["FilterOptions", "FilterPreview", "FilterSummary", "filter_files", "preview_files"]
