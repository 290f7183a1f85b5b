"""What is there, and what there is to do: answers of hosts and of the API as types."""
