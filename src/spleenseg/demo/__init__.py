"""The whole way on synthetic CT in one call: cohort, dataset, training, evaluation, segmentation, page."""
