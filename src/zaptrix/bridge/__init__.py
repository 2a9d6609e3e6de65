"""The story: receive -> route -> deliver -> recover. A step is one committed transaction and one verdict."""
