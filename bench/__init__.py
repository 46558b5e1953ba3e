"""What `make bench` runs: figures as ratios against a floor that is measured in the same run."""
