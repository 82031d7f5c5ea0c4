"""Tables with one target: preparation, candidates, tuning, calibration, intervals, export."""
