"""DICOM: series from folders, archives and multi-frame files; segmentations in and out."""
