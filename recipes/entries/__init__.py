"""Lab notes: data -> model -> fit -> publish."""
