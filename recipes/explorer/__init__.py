"""A page in the browser that moves an entry's latents and shows what they make."""
