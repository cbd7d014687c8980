"""spleenseg: organ segmentation on CT, from one config file."""
