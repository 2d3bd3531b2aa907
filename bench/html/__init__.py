"""The page builder that study and report share."""
