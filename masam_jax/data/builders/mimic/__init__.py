"""What the two MIMIC data sets share: stays, X-rays, hourly series, folds."""
