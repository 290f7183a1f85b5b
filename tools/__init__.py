"""For maintainers: generators of documentation pages, and what updates the catalogue. Not in the wheel."""
