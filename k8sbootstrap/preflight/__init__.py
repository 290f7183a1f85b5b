"""Is every host fit for what is asked of it? Named checks that change nothing."""
