"""The controlled comparison: the same problems, model and settings; arms that differ only in their traces."""
