"""What commands do: one file for each use case, and the parts that several of them share."""
