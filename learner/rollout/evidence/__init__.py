"""What a trial is decided by: what was said of its two versions, as voices with bounds."""
