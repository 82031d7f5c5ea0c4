"""What the steps of a recommender do, folder to folder."""
