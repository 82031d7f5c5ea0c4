"""What the steps of a tabular problem do, folder to folder."""
